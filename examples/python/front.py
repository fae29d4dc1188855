"""The shop's front: a checkout calls every other service, with sequential, parallel, repeated and failing calls."""

import asyncio
import json
import os
import sqlite3
import uuid
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response

from mailer import mail
from shop import Calls, log

CATALOG_URL = os.environ.get("CATALOG_URL", "http://127.0.0.1:8001")
STOCK_URL = os.environ.get("STOCK_URL", "http://127.0.0.1:8002")
ADVICE_URL = os.environ.get("ADVICE_URL", "http://127.0.0.1:8004")
# No server listens on the discard port, so calls to it fail.
GIFTS_URL = "http://127.0.0.1:9"
SHELVES = 3
ATTEMPTS_MAX = 2
# With more, calls would wait for one of the client's 100 connections, and its search for one takes the longer the more wait.
CHECKOUTS_MAX = 16

database = sqlite3.connect(os.environ.get("ORDERS_DB", ":memory:"), isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, sku INTEGER)")


@asynccontextmanager
async def connected(app):
    app.state.turn = asyncio.Semaphore(CHECKOUTS_MAX)
    async with httpx.AsyncClient() as app.state.client:
        yield


app = FastAPI(lifespan=connected)


async def reserve(calls, client, sku, shelf):
    """Retries after an answer of 503."""
    for attempt in range(ATTEMPTS_MAX):
        body = json.dumps({"sku": sku, "shelf": shelf, "attempt": attempt}).encode()
        if await calls.http(client, "POST", f"{STOCK_URL}/reserve", body) != 503:
            return


async def order(calls, client, request_id, sku):
    # Sequential.
    await calls.http(client, "GET", f"{CATALOG_URL}/items/{sku}")
    # Parallel.
    shelves = (reserve(calls, client, sku, shelf) for shelf in range(SHELVES))
    await asyncio.gather(calls.http(client, "GET", f"{ADVICE_URL}/advice/{sku}"), *shelves)
    # Failing, for every other order.
    if sku % 2 == 0:
        await calls.http(client, "GET", f"{GIFTS_URL}/gifts/{sku}")
    statement_id = calls.next_id()
    # Through a cursor, because the instrumentation does not trace the connection's own execute.
    database.cursor().execute("INSERT INTO orders VALUES (?, ?)", (request_id, sku))
    calls.done(statement_id, "db", "INSERT", None)
    # Through the queue.
    job_id = calls.next_id()
    await asyncio.to_thread(mail.delay, job_id, sku)
    calls.done(job_id, "messaging", "apply_async", "celery")


@app.get("/checkout")
async def checkout(request: Request):
    # The driver sends no id of its own, so the trace id is used.
    traceparent = request.headers.get("traceparent")
    request_id = traceparent.split("-")[1] if traceparent else uuid.uuid4().hex
    calls = Calls("front", request_id)
    sku = int(request_id[-4:], 16) % 100
    async with request.app.state.turn:
        await order(calls, request.app.state.client, request_id, sku)

    answer = f"order {request_id}: {sku}\n"
    sizes = {"bytes_in": 0, "bytes_out": len(answer)}
    log(served=request_id, service="front", protocol="http", method="GET", path="/checkout", status=200, **sizes)
    return Response(answer, media_type="text/plain")
