"""https://pypi.org/project/sseclient-py/: it parses an answer, and coming back is the program's part."""

import time

import requests
import sseclient
from record import REOPEN, URL, show

last_event_id = None
while True:
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    try:
        response = requests.get(URL, stream=True, headers=headers)
        response.raise_for_status()
        for event in sseclient.SSEClient(response).events():
            if event.id is not None:
                last_event_id = event.id
            if event.event != "message":
                continue
            show(event.data, event.id)
    except requests.RequestException:
        pass
    time.sleep(REOPEN)
