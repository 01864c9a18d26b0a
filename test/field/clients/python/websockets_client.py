"""
https://pypi.org/project/websockets/, coming back as docs/protocol.md says: the position is the last
cursor, with each partition's last offset plus 1.
"""

import asyncio
import json
from urllib.parse import quote

from record import REOPEN, URL, show
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def main():
    topic = ""
    positions = {}
    while True:
        address = URL
        if positions:
            places = ",".join(f"{partition}={offset}" for partition, offset in positions.items())
            address = f"{URL.split('?')[0]}?cursor={quote(f'{topic}:{places}')}"
        try:
            async with connect(address) as socket:
                async for text in socket:
                    frame = json.loads(text)
                    if "offset" in frame:
                        positions[frame["partition"]] = frame["offset"] + 1
                        show(text)
                    elif "cursor" in frame:
                        topic, places = frame["cursor"].split(":")
                        for place in places.split(","):
                            partition, offset = place.split("=")
                            positions[int(partition)] = int(offset)
        except (OSError, EOFError, WebSocketException):
            pass
        await asyncio.sleep(REOPEN)


asyncio.run(main())
