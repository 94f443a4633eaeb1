"""Real time, with the durations of AWS divided; and the transitions that are due later."""
import datetime
import heapq
import itertools
import threading
import time

UTC = datetime.timezone.utc


def now():
    """The time that the services write into their answers."""
    return datetime.datetime.now(UTC)


class Timer:
    """A transition that is due; `cancel` makes it nothing."""

    def __init__(self, due, action, arguments):
        self.due, self.action, self.arguments, self.cancelled = due, action, arguments, False

    def cancel(self):
        self.cancelled = True


class Timers:
    """One thread that takes due transitions under the world's lock, in order."""

    def __init__(self, lock, report):
        self._lock, self._report = lock, report
        self._heap, self._order, self._wake = [], itertools.count(), threading.Condition()
        threading.Thread(target=self._run, name="timers", daemon=True).start()

    def after(self, seconds, action, *arguments):
        timer = Timer(time.monotonic() + seconds, action, arguments)
        with self._wake:
            heapq.heappush(self._heap, (timer.due, next(self._order), timer))
            self._wake.notify()
        return timer

    def clear(self):
        with self._wake:
            for _, _, timer in self._heap:
                timer.cancel()
            self._heap.clear()

    def _run(self):
        while True:
            with self._wake:
                while not self._heap:
                    self._wake.wait()
                wait = self._heap[0][0] - time.monotonic()
                if wait > 0:
                    self._wake.wait(wait)
                    continue
                timer = heapq.heappop(self._heap)[2]
            with self._lock:
                if timer.cancelled:
                    continue
                try:
                    timer.action(*timer.arguments)
                except Exception as error:  # noqa: BLE001: a bug of the stand-in must be seen, and must not end the thread
                    self._report(f"transition {getattr(timer.action, '__qualname__', timer.action)}", error)
