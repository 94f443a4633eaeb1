"""What happened: calls and changes of state in one order, and what no real service would have seen or said."""
import itertools
import time
import traceback
import sys

LONG = 400


class Record:
    def __init__(self):
        self._sequence = itertools.count(1)
        self.entries, self.violations = [], []

    def call(self, **fields):
        """A call that has arrived; its `status` is set when it is answered."""
        entry = {"seq": next(self._sequence), "time": time.time(), "kind": "call", "status": None, **fields}
        self.entries.append(entry)
        return entry

    def state(self, service, resource, before, after, **fields):
        """A thing changed its state: the time from here to the next call that waited for it is the client's."""
        self.entries.append({"seq": next(self._sequence), "time": time.time(), "kind": "state", "service": service,
                             "resource": resource, "from": before, "to": after, **fields})

    def violation(self, side, service, action, problems, **fields):
        """`side` is `request` (the client's), `answer` or `fake` (this program's)."""
        self.violations.append({"time": time.time(), "side": side, "service": service, "action": action, "problems": problems, **fields})

    def bug(self, where, error):
        text = "".join(traceback.format_exception(error))
        print(text, file=sys.stderr, flush=True)
        self.violation("fake", None, where, [text])


def shortened(value):
    """Parameters as they go into the log: long texts are cut."""
    if isinstance(value, str):
        return value if len(value) <= LONG else f"{value[:LONG]}… ({len(value)} characters)"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return {key: shortened(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortened(below) for below in value]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)
