"""What front and mailer share: the job queue, calls with an id, and a log of them in JSON lines.

A request's id is that of its caller and a number: 7a.2.1 is the first call of whatever served 7a.2. So the log alone tells
who called whom, whatever the tracing says.
"""

import itertools
import json
import os

import celery
import httpx

TIMEOUT_S = 120

queue = celery.Celery("shop", broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"))
queue.conf.task_ignore_result = True
# What is printed is the log of requests alone.
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
        """The status of the answer; none if nobody answers."""
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
