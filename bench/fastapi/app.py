"""A minimal version of the FastAPI service that this project replaces: the same work, and one line of JSON per request in LOG_FILE.

bench/run.py runs it with one uvicorn worker and uvicorn's defaults, which include an access log.
"""

import hashlib
import json
import os
import time
import uuid

from fastapi import Body, FastAPI, Request, Response

app = FastAPI()
events = open(os.environ["LOG_FILE"], "a", buffering=1)
NODE, STAGE = os.environ.get("NODE_ID", "vm0"), os.environ.get("STAGE", "cloud")
MODULE, INSTANCE = "tunable-svc", f"tunable-svc-{os.getpid()}"


@app.middleware("http")
async def trace(request: Request, call_next):
    enqueue = time.time()
    start, cpu = time.time(), time.process_time()
    response = await call_next(request)
    end = time.time()
    events.write(json.dumps({
        "trace_id": request.headers.get("X-Trace-Id") or uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "parent_id": request.headers.get("X-Parent-Span-Id"),
        "module_id": MODULE,
        "instance_id": INSTANCE,
        "ts_enqueue": enqueue * 1000,
        "ts_start": start * 1000,
        "ts_end": end * 1000,
        "queue_time_ms": (start - enqueue) * 1000,
        "service_time_ms": (end - start) * 1000,
        "rt_ms": (end - enqueue) * 1000,
        "node": NODE,
        "stage": STAGE,
        "method": request.method,
        "path": request.url.path,
        "bytes_in": int(request.headers.get("content-length") or 0),
        "bytes_out": int(response.headers.get("content-length") or 0),
        "cpu_time_ms": (time.process_time() - cpu) * 1000,
        "status": response.status_code,
    }) + "\n")
    return response


# Not async: FastAPI runs plain functions in threads. The original service also had a thread for each request, and ours has its
# slots.
@app.post("/hash/sha256")
def sha256(body: bytes = Body(media_type="application/octet-stream")):
    return Response(hashlib.sha256(body).hexdigest(), media_type="text/plain")
