"""
https://pypi.org/project/aiohttp-sse-client2/: it comes back by itself where a stream has ended in
order. A connection that breaks is an exception, after which the program opens another one.
"""

import asyncio

import aiohttp
from aiohttp_sse_client2 import client as sse
from record import REOPEN, URL, show


async def main():
    last_event_id = ""
    while True:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            async with sse.EventSource(URL, headers=headers) as source:
                async for event in source:
                    last_event_id = event.last_event_id
                    if event.type is not None:
                        continue
                    show(event.data, event.last_event_id)
        except (aiohttp.ClientError, ConnectionError):
            pass
        await asyncio.sleep(REOPEN)


asyncio.run(main())
