"""Everything that exists, behind one lock, and what all services share."""
import secrets
import threading
import time

from . import clock
from .durations import DURATIONS
from .faults import Troubles, denied
from .identity import ACCOUNT, Identities
from .record import Record
from .scenario import Scenario


class World:
    """States of services are made when they are first asked for: `world.state(Ec2)`."""

    account = ACCOUNT

    def __init__(self, region, speed, durations=None):
        self.region, self.speed = region, speed
        self.lock = threading.RLock()
        self._durations = {**DURATIONS, **(durations or {})}
        # Where this program is reached; known once it listens.
        self.url = None
        # Where programs behind the services keep what they write; None for a temporary folder.
        self.folder = None
        self._fresh()
        self.timers = clock.Timers(self.lock, lambda where, error: self.record.bug(where, error))

    def _fresh(self):
        self.record, self.scenario, self.troubles = Record(), Scenario(), Troubles()
        self.identities, self._states = Identities(), {}
        # Every right that a caller was asked for, by name: what a policy must allow.
        self.rights = set()
        self._recent = {}

    def reset(self, region=None):
        """Nothing is left: timers, states (their `close` is called), faults, scenario, log. The world may move elsewhere."""
        with self.lock:
            self.region = region or self.region
            self.timers.clear()
            self.troubles.clear()
            states = list(self._states.values())
            self._fresh()
        for state in states:
            if hasattr(state, "close"):
                state.close()

    def state(self, kind):
        """The one state of this class; it is made with the world as its argument."""
        if kind not in self._states:
            self._states[kind] = kind(self)
        return self._states[kind]

    def states(self):
        return list(self._states.values())

    def seconds(self, published):
        """Published seconds as they are waited here."""
        return published / self.speed

    def duration(self, name):
        """How long a thing takes here, in real seconds."""
        published = self.scenario.get("durations", {}).get(name, self._durations.get(name))
        if published is None:
            raise KeyError(f"durations.py has no `{name}`")
        return published / self.speed

    def after(self, name, action, *arguments):
        """Takes the action once the named duration has passed, under the lock. Returns a timer that can be cancelled."""
        return self.timers.after(self.duration(name), action, *arguments)

    def within_rate(self, service, action):
        """Whether the scenario's rate for this call (a number a second, in real time) is kept; the call counts only then."""
        rate = self.scenario.get("rates", {}).get(f"{service}:{action}")
        if rate is None:
            return True
        now = time.monotonic()
        recent = [moment for moment in self._recent.get((service, action), []) if moment > now - 1]
        self._recent[service, action] = recent if len(recent) >= rate else [*recent, now]
        return len(recent) < rate

    def require(self, identity, action, resource="*"):
        """Raises the service's own refusal when the scenario denies the action (`iam:PassRole`) to the caller.

        For rights beside the call's own, which is asked for before the operation runs.
        """
        self.rights.add(action)
        if self.scenario.denies(action, (identity.arn, identity.principal)):
            raise denied(action, identity, resource)

    def lag(self, service, action):
        """For how many real seconds this read does not see what was just made."""
        return self.seconds(self.scenario.get("lag", {}).get(f"{service}:{action}", 0))

    def arn(self, service, resource, region=None):
        return f"arn:aws:{service}:{self.region if region is None else region}:{self.account}:{resource}"

    @staticmethod
    def new_id(prefix):
        return f"{prefix}-0{secrets.token_hex(8)}"

    @staticmethod
    def now():
        return clock.now()
