"""What the parts of EKS share: errors in EKS's words, tokens that replay, pages, the record of updates."""
import copy
import secrets
import uuid

from ...errors import AwsError


def in_use(message, **fields):
    return AwsError("ResourceInUseException", message, 409, **fields)


def invalid(message, **fields):
    return AwsError("InvalidParameterException", message, 400, **fields)


def refused(message, **fields):
    return AwsError("InvalidRequestException", message, 400, **fields)


def not_found(message, **fields):
    return AwsError("ResourceNotFoundException", message, 404, **fields)


def new_id():
    return str(uuid.uuid4())


def hexadecimal(length):
    return secrets.token_hex(length)[:length]


class Tokens:
    """A client request token repeats the first answer to the same request, and refuses another one."""

    def __init__(self):
        self.seen = {}

    def answer(self, operation, parameters, act):
        token = parameters.get("clientRequestToken")
        if token is None:
            return act()
        key = (operation, token)
        if key in self.seen:
            first, answer = self.seen[key]
            if first != parameters:
                raise invalid("Idempotency token was used with different parameters")
            return copy.deepcopy(answer)
        answer = act()
        self.seen[key] = (copy.deepcopy(parameters), copy.deepcopy(answer))
        return answer


def page(values, parameters, name, limit=100):
    """One page of a list, by nextToken and maxResults."""
    start = parameters.get("nextToken")
    if start is not None and not start.isdigit():
        raise invalid("Invalid nextToken")
    start = int(start or 0)
    end = start + min(parameters.get("maxResults") or limit, limit)
    answer = {name: values[start:end]}
    if end < len(values):
        answer["nextToken"] = str(end)
    return answer


class Update:
    """One update of a cluster, a node group or an add-on."""

    def __init__(self, kind, params, now):
        self.id = new_id()
        self.type, self.status, self.created, self.errors = kind, "InProgress", now, []
        self.params = [{"type": name, "value": value if isinstance(value, str) else str(value)} for name, value in params]

    def describe(self):
        return {"id": self.id, "status": self.status, "type": self.type, "params": self.params, "createdAt": self.created,
                "errors": self.errors}


class Updates:
    """The updates of one thing, newest first when listed. One may be in flight."""

    def __init__(self):
        self.all = []

    def in_flight(self):
        return next((update for update in self.all if update.status == "InProgress"), None)

    def find(self, identity):
        return next((update for update in self.all if update.id == identity), None)

    def begin(self, kind, params, now):
        update = Update(kind, params, now)
        self.all.append(update)
        return update
