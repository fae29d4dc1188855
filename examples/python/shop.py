"""Shared by front and mailer: the job queue, calls with an id, and their log in JSON lines.

A request's id is the caller's id and a number: 7a.2.1 is the first call made while serving 7a.2. The log alone therefore shows
who called whom, independently of the tracing.
"""

import itertools
import json
import os

import celery
import httpx

TIMEOUT_S = 120

queue = celery.Celery("shop", broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"))
queue.conf.task_ignore_result = True
# Standard output contains only the log of requests.
queue.conf.worker_redirect_stdouts = False


def log(**line):
    print(json.dumps(line), flush=True)


class Calls:
    """The calls of one request."""

    def __init__(self, service, request_id):
        self.service, self.request_id, self.numbers = service, request_id, itertools.count(1)

    def next_id(self):
        return f"{self.request_id}.{next(self.numbers)}"

    async def http(self, client, method, url, body=b""):
        """Returns the status of the answer; None without an answer."""
        call_id, status, answer = self.next_id(), None, b""
        try:
            headers = {"x-request-id": call_id}
            response = await client.request(method, url, content=body, headers=headers, timeout=TIMEOUT_S)
            status, answer = response.status_code, response.content
        except httpx.TransportError as error:
            log(error=repr(error), id=call_id)
        sizes = {"bytes_out": len(body), "bytes_in": len(answer)}
        self.done(call_id, "http", method, httpx.URL(url).path, status=status, **sizes)
        return status

    def done(self, call_id, protocol, method, path, **more):
        log(called=call_id, service=self.service, protocol=protocol, method=method, path=path, **more)
