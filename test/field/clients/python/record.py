"""What all of these programs share: the address that they read, and the line they print for each record."""

import json
import sys

URL = sys.argv[1]
#: Seconds after which a program without a time of its own comes back.
REOPEN = 1.0


def show(data, last_event_id=None):
    """Prints a record's place and the id that came with it."""
    record = json.loads(data)
    place = {"partition": record["partition"], "offset": record["offset"], "id": last_event_id}
    print(json.dumps(place), flush=True)
