"""All clusters, the token webhook before them, and how things are looked up in EKS's words."""
import pathlib
import tempfile
import threading

from ...token_webhook import TokenWebhook
from .base import Tokens, not_found


class Eks:
    """One for the world. Its control planes lie in a private folder and end with it."""

    def __init__(self, world):
        self.world, self.clusters, self.tokens = world, {}, Tokens()
        # How many control planes there ever were: each has a folder of its own.
        self.count = 0
        self._webhook, self._folder = None, None

    @property
    def webhook(self):
        if self._webhook is None:
            self._webhook = TokenWebhook(self.identify)
        return self._webhook

    def folder(self):
        """A new place for a control plane, closed to others: kwokctl writes keys that everybody may read."""
        if self._folder is None:
            if self.world.folder:
                pathlib.Path(self.world.folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="aws-fake-", dir=self.world.folder))
        self.count += 1
        return self._folder / f"cp{self.count}"

    def identify(self, key, token):
        """Called by the webhook, outside the lock."""
        from . import access

        return access.identify(self, key, token)

    def find(self, name):
        """The cluster, or EKS's 404."""
        cluster = self.clusters.get(name)
        if cluster is None:
            raise not_found(f"No cluster found for name: {name}.", clusterName=name)
        return cluster

    def seen(self, thing, action):
        """Whether a read sees the thing yet: scenario `lag` `eks:ACTION`."""
        return (self.world.now() - thing.created).total_seconds() >= self.world.lag("eks", action)

    def changed(self, kind, name, before, after):
        self.world.record.state("eks", f"{kind}/{name}", before, after)

    def inventory(self):
        for cluster in self.clusters.values():
            yield from cluster.inventory()

    def close(self):
        ending = [threading.Thread(target=cluster.end, daemon=True) for cluster in self.clusters.values()]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self.clusters.clear()
        if self._webhook:
            self._webhook.stop()
        if self._folder:
            try:
                self._folder.rmdir()
            except OSError:
                # A control plane that is just being stopped removes its own part.
                pass
