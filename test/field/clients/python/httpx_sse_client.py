"""https://pypi.org/project/httpx-sse/, coming back as its page on reconnections shows."""

import time

import httpx
from httpx_sse import connect_sse
from record import REOPEN, URL, show

last_event_id = ""
delay = REOPEN
with httpx.Client(timeout=None) as client:
    while True:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with connect_sse(client, "GET", URL, headers=headers) as source:
                source.response.raise_for_status()
                for event in source.iter_sse():
                    last_event_id = event.id
                    if event.retry is not None:
                        delay = event.retry / 1000
                    if event.event != "message":
                        continue
                    show(event.data, event.id)
        except httpx.TransportError:
            pass
        time.sleep(delay)
