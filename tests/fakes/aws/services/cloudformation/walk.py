"""A walk over resources in the order of their needs, as parallel as these allow."""


class Walk:
    """`begin(logical)` starts one and later calls `finish`; `done()` comes once nothing runs and nothing more can start.

    With `go_on`, a failure stops only what needs it; without, everything else is cancelled.
    """

    def __init__(self, nodes, needs, begin, done, cancel, go_on):
        self.waiting, self.needs = list(nodes), needs
        self.running, self.finished, self.failed = {}, set(), []
        self._begin, self._done, self._cancel, self._go_on = begin, done, cancel, go_on
        self.over = self._pumping = False

    def pump(self):
        if self._pumping or self.over:
            return
        self._pumping = True
        moved = True
        while moved and not self.over:
            moved = False
            for node in list(self.waiting):
                if self.failed and not self._go_on:
                    break
                if not (self.needs.get(node, set()) - self.finished):
                    self.waiting.remove(node)
                    self.running[node] = None
                    moved = True
                    self._begin(node)
        self._pumping = False
        if not self.running and not self.over:
            self.over = True
            self._done()

    def timer(self, node, timer):
        """The timer of a running node, so that it can be cancelled."""
        if node in self.running:
            self.running[node] = timer

    def finish(self, node, well):
        if self.over or node not in self.running:
            return
        del self.running[node]
        if well:
            self.finished.add(node)
        else:
            self.failed.append(node)
            if not self._go_on:
                for other in list(self.running):
                    self.stop(other)
        self.pump()

    def stop(self, node):
        timer = self.running.pop(node)
        if timer:
            timer.cancel()
        self._cancel(node)

    def end(self):
        """Ends at once; nothing is called any more, except for what runs: it is cancelled."""
        self.over = True
        for node in list(self.running):
            self.stop(node)
