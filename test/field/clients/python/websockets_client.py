"""https://pypi.org/project/websockets/, coming back as docs/websocket.md says: with the newest cursor."""

import asyncio
import json
from urllib.parse import quote

from record import REOPEN, URL, show
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def main():
    cursor = None
    while True:
        address = URL if cursor is None else f"{URL.split('?')[0]}?cursor={quote(cursor)}"
        try:
            async with connect(address) as socket:
                async for text in socket:
                    frame = json.loads(text)
                    cursor = frame.get("cursor", cursor)
                    if "topic" in frame:
                        show(text, cursor)
        except (OSError, EOFError, WebSocketException):
            pass
        await asyncio.sleep(REOPEN)


asyncio.run(main())
