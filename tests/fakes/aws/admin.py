"""The levers of tests, under /_fake/: unsigned, JSON, and never part of what a client of AWS may use."""
import datetime
import json

from .faults import Troubles

# What services add: (method, path) to `function(world, request)`, which gives a JSON value.
ROUTES = {}


def route(method, path):
    """Adds a lever: `@admin.route("POST", "/_fake/eks/leak")`."""
    def add(function):
        ROUTES[method, path] = function
        return function
    return add


class Admin:
    def __init__(self, world):
        self.world = world

    async def respond(self, request):
        try:
            status, value = await self._route(request)
        except (ValueError, KeyError, TypeError) as error:
            status, value = 400, {"error": f"{type(error).__name__}: {error}"}
        if isinstance(value, bytes):
            return status, [("Content-Type", "application/x-ndjson")], value
        return status, [("Content-Type", "application/json")], json.dumps(value, default=str).encode()

    async def _route(self, request):
        world, method = self.world, request.method
        troubles: Troubles = world.troubles
        parts = request.path.strip("/").split("/")[1:]
        query = dict(part.partition("=")[::2] for part in request.query.split("&") if part)
        extra = ROUTES.get((method, request.path))
        if extra:
            with world.lock:
                return 200, extra(world, request)
        match method, parts:
            case "GET", ["log"]:
                since = int(query.get("since", 0))
                lines = [json.dumps(entry, default=str) for entry in list(world.record.entries) if entry["seq"] > since]
                return 200, "".join(f"{line}\n" for line in lines).encode()
            case "GET", ["violations"]:
                return 200, world.record.violations
            case "GET", ["inventory"]:
                with world.lock:
                    return 200, inventory(world, query.get("by"))
            case "GET", ["scenario"]:
                return 200, world.scenario.values
            case "POST", ["scenario"]:
                with world.lock:
                    world.scenario.merge(request.json())
                return 200, world.scenario.values
            case "GET", ["identities"]:
                return 200, {key: {"secret": who.secret, "token": who.token, "arn": who.arn, "role": who.role} for key, who in world.identities.known.items()}
            case "GET", ["rights"]:
                return 200, sorted(world.rights)
            case "POST", ["reset"]:
                world.reset(request.json().get("region"))
                return 200, {}
            case "POST", ["faults"]:
                return 200, troubles.add_fault(request.json()).shown()
            case "GET", ["faults"]:
                return 200, [fault.shown() for fault in troubles.faults.values()]
            case "DELETE", ["faults", *number]:
                for key in [int(number[0])] if number else list(troubles.faults):
                    troubles.faults.pop(key)
                return 200, {}
            case "POST", ["holds"]:
                return 200, troubles.add_hold(request.json()).shown()
            case "GET", ["holds"]:
                return 200, [hold.shown() for hold in troubles.holds.values()]
            case "GET", ["holds", number]:
                hold = troubles.holds[int(number)]
                if "wait" in query and hold.state == "waiting":
                    await hold.held(float(query["wait"]))
                return 200, hold.shown()
            case "POST", ["holds", number, ("release" | "drop") as verb]:
                hold = troubles.holds[int(number)]
                if hold.state in ("waiting", "held"):
                    hold.end("released" if verb == "release" else "dropped")
                return 200, hold.shown()
            case "DELETE", ["holds", number]:
                hold = troubles.holds.pop(int(number))
                if hold.state in ("waiting", "held"):
                    hold.end("dropped")
                return 200, {}
            case "POST", ["expire"]:
                # Every session that STS gave out, or the one with this key, is over.
                key = request.json().get("accessKey")
                over = [who for who in world.identities.known.values() if who.token and key in (None, who.access_key)]
                for who in over:
                    who.expires = world.now() - datetime.timedelta(seconds=1)
                return 200, {"over": [who.access_key for who in over]}
            case "POST", ["make"]:
                with world.lock:
                    from .services import outside
                    return 200, outside.make(world, request.json())
        return 404, {"error": f"no {method} {request.path}"}


def inventory(world, by):
    """Everything that exists and bills or blocks: {kind, id, state, tags, …}; with `by`, grouped by the value of that tag too."""
    things = [thing for state in world.states() if hasattr(state, "inventory") for thing in state.inventory()]
    found = {"all": things}
    if by:
        found["by"] = {}
        for thing in things:
            found["by"].setdefault(thing.get("tags", {}).get(by, ""), []).append(thing)
    return found
