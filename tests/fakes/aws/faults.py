"""What tests let go wrong: faults (an answer that fails) and holds (a call that waits until it is let go)."""
import asyncio
import itertools

from .errors import AwsError
from .identity import expired_token


class Match:
    """Which calls are meant, and the how-manieth of them: counted from the moment it was set."""

    def __init__(self, spec):
        self.service, self.action = spec.get("service"), spec.get("action")
        self.mutating, self.parameters = spec.get("mutating"), spec.get("parameters") or {}
        self.nth, self.times, self.seen = spec.get("nth", 1), spec.get("times", 1), 0

    def hits(self, service, action, mutating, parameters):
        if self.service not in (None, "*", service) or self.action not in (None, "*", action):
            return False
        if self.mutating is not None and self.mutating != mutating:
            return False
        if any(str(parameters.get(name)) != str(value) for name, value in self.parameters.items()):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


KINDS = ("throttle", "error", "html", "stall", "slow", "close-before", "close-after", "cut", "deny", "expired-token")


class Fault:
    def __init__(self, number, spec):
        self.number, self.spec, self.match, self.hits = number, spec, Match(spec), 0
        self.kind = spec.get("do", "error")
        if self.kind not in KINDS:
            raise ValueError(f"`do` must be one of {', '.join(KINDS)}, not `{self.kind}`")

    def shown(self):
        return {"id": self.number, **self.spec, "hits": self.hits, "seen": self.match.seen}

    def error(self, service, action, identity):
        """The answer of this fault, or None when it is no answer."""
        spec = self.spec
        if self.kind == "throttle":
            return throttled(service, spec.get("status"))
        if self.kind == "error":
            status = spec.get("status", 500)
            code = spec.get("code") or {503: "ServiceUnavailable", 502: "BadGateway"}.get(status, "InternalFailure")
            return AwsError(code, spec.get("message", "We encountered an internal error. Please try again."), status)
        if self.kind == "deny":
            return denied(f"{right_prefix(service)}:{action}", identity)
        return expired_token(service) if self.kind == "expired-token" else None


def throttled(service, status=None):
    if service == "ec2":
        return AwsError("RequestLimitExceeded", "Request limit exceeded.", status or 503)
    if service in ("eks", "ecr", "logs", "service-quotas", "ssm", "resourcegroupstaggingapi"):
        return AwsError("ThrottlingException", "Rate exceeded", status or (429 if service == "eks" else 400))
    return AwsError("Throttling", "Rate exceeded", status or 400)


def right_prefix(service):
    """What the rights of a service begin with."""
    return {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas"}.get(service, service)


def denied(right, identity, resource="*", service=None):
    """The refusal of a caller without the right, in the words of the service that was called: the right's own, mostly."""
    prefix = right.partition(":")[0]
    service = service or {"tag": "resourcegroupstaggingapi", "servicequotas": "service-quotas"}.get(prefix, prefix)
    text = f"User: {identity.arn} is not authorized to perform: {right} on resource: {resource} because no identity-based policy allows the {right} action"
    if service == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    if service in ("eks", "ecr", "logs", "service-quotas", "ssm", "resourcegroupstaggingapi"):
        return AwsError("AccessDeniedException", text, 403 if service == "eks" else 400)
    return AwsError("AccessDenied", text, 403)


class Hold:
    """Holds one call before or after it takes effect, until it is released, dropped, or its client is gone."""

    def __init__(self, number, spec):
        self.number, self.spec, self.match = number, spec, Match({"mutating": True, **spec})
        self.when, self.state, self.call = spec.get("when", "before"), "waiting", None
        if self.when not in ("before", "after"):
            raise ValueError(f"`when` must be `before` or `after`, not `{self.when}`")
        self._held, self._over = asyncio.Event(), asyncio.Event()

    def shown(self):
        return {"id": self.number, **self.spec, "state": self.state, "seen": self.match.seen, "call": self.call}

    def end(self, state):
        self.state = state
        self._held.set()
        self._over.set()

    async def held(self, seconds):
        try:
            await asyncio.wait_for(self._held.wait(), seconds)
        except TimeoutError:
            pass

    async def wait(self, entry, gone):
        """Holds the call; says whether it goes on."""
        self.state, self.call = "held", entry
        self._held.set()
        while not self._over.is_set():
            try:
                await asyncio.wait_for(self._over.wait(), 0.01)
            except TimeoutError:
                if gone():
                    self.end("gone")
        return self.state == "released"


class Troubles:
    """All faults and holds that are set."""

    def __init__(self):
        self._numbers, self.faults, self.holds = itertools.count(1), {}, {}

    def add_fault(self, spec):
        fault = Fault(next(self._numbers), spec)
        self.faults[fault.number] = fault
        return fault

    def add_hold(self, spec):
        hold = Hold(next(self._numbers), spec)
        self.holds[hold.number] = hold
        return hold

    def clear(self):
        for hold in self.holds.values():
            if hold.state in ("waiting", "held"):
                hold.end("dropped")
        self.faults.clear()
        self.holds.clear()

    def fault_for(self, *call):
        hits = [fault for fault in self.faults.values() if fault.match.hits(*call)]
        if hits:
            hits[0].hits += 1
            return hits[0]
        return None

    def hold_for(self, *call):
        hits = [hold for hold in self.holds.values() if hold.state == "waiting" and hold.match.hits(*call)]
        return hits[0] if hits else None
