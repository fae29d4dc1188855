"""The shop's mailer: takes jobs from the queue, fetches a text from the catalogue, and queries its database."""

import asyncio
import os
import sqlite3

import httpx

from shop import Calls, log, queue

CATALOG_URL = os.environ.get("CATALOG_URL", "http://127.0.0.1:8001")


async def write(calls, sku):
    async with httpx.AsyncClient() as client:
        await calls.http(client, "GET", f"{CATALOG_URL}/texts/{sku}")


def date(calls):
    statement_id = calls.next_id()
    database = sqlite3.connect(":memory:")
    database.cursor().execute("SELECT date()")
    calls.done(statement_id, "db", "SELECT", None)
    database.close()


@queue.task(name="mail")
def mail(job_id, sku):
    calls = Calls("mailer", job_id)
    asyncio.run(write(calls, sku))
    date(calls)
    log(served=job_id, service="mailer", protocol="messaging", method="run", path="celery")
