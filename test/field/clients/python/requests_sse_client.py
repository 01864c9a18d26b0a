"""https://pypi.org/project/requests-sse/, which comes back by itself."""

from record import URL, show
from requests_sse import EventSource

with EventSource(URL) as source:
    for event in source:
        if event.type != "message":
            continue
        show(event.data, event.last_event_id)
