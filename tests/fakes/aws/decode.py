"""Requests become plain values, by the input shape of the operation.

Structures are dicts by member name, timestamps are aware datetimes, blobs are bytes. What the shape
does not know is reported in `problems`, one sentence each, and left out.
"""
import base64
import datetime
import json
from urllib.parse import parse_qsl

UTC = datetime.timezone.utc


def decode(model, protocol, request, labels):
    """The parameters of a request, and what is wrong with its form."""
    problems = []
    shape = model.input_shape
    if protocol in ("query", "ec2"):
        pairs = parse_qsl(request.query, keep_blank_values=True) + parse_qsl(request.body.decode(), keep_blank_values=True)
        tree = {}
        for name, value in pairs:
            if name in ("Action", "Version") or name.startswith(("X-Amz-", "x-amz-")):
                continue
            _plant(tree, name, value, problems)
        if shape is None:
            problems.extend(f"unknown parameter `{name}`" for name in tree)
            return {}, problems
        return _query(shape, tree, protocol, "", problems), problems
    if protocol == "json":
        return _json_body(shape, request.body, problems), problems
    return _rest(model, request, labels, problems), problems


def _plant(tree, name, value, problems):
    parts = name.split(".")
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            problems.append(f"parameter `{name}` is both a value and a structure")
            return
    if isinstance(tree.get(parts[-1]), dict) and value:
        problems.append(f"parameter `{name}` is both a value and a structure")
    elif parts[-1] in tree and tree[parts[-1]] != value:
        problems.append(f"parameter `{name}` is given twice")
    else:
        tree.setdefault(parts[-1], value)


def _query_name(name, shape, protocol):
    serialization = shape.serialization
    if protocol == "ec2":
        if "queryName" in serialization:
            return serialization["queryName"]
        given = serialization.get("name")
        return given[0].upper() + given[1:] if given else name
    return serialization.get("name", name)


def _query(shape, tree, protocol, path, problems):
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(tree, dict):
            if tree != "":
                problems.append(f"`{path}` must be a structure")
            return {}
        known = {_query_list_name(name, member, protocol): (name, member) for name, member in shape.members.items()}
        values = {}
        for key, below in tree.items():
            if key not in known:
                problems.append(f"unknown parameter `{path}{key}`")
                continue
            name, member = known[key]
            values[name] = _query(member, below, protocol, f"{path}{key}.", problems)
        return values
    if kind == "list":
        if tree == "":
            return []
        if protocol == "query" and not shape.serialization.get("flattened"):
            inner = shape.member.serialization.get("name", "member")
            extra = [key for key in tree if key != inner] if isinstance(tree, dict) else [tree]
            if extra:
                problems.append(f"`{path}` is a list: its members are `{path}{inner}.N`")
                return []
            tree = tree.get(inner, {})
            if tree == "":
                return []
        return [_query(shape.member, below, protocol, f"{path}{index}.", problems) for index, below in _ordered(tree, path, problems)]
    if kind == "map":
        if protocol == "query" and not shape.serialization.get("flattened"):
            tree = tree.get("entry", {}) if isinstance(tree, dict) else {}
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        values = {}
        for index, below in _ordered(tree, path, problems):
            values[below.get(key_name)] = _query(shape.value, below.get(value_name, ""), protocol, f"{path}{index}.", problems)
        return values
    return _scalar(shape, tree, path.rstrip("."), problems)


def _query_list_name(name, member, protocol):
    # A flattened list of the query protocol is named by its member.
    if protocol == "query" and member.type_name == "list" and member.serialization.get("flattened"):
        return member.member.serialization.get("name", member.serialization.get("name", name))
    return _query_name(name, member, protocol)


def _ordered(tree, path, problems):
    if not isinstance(tree, dict):
        problems.append(f"`{path}` is a list: its members are `{path}N`")
        return []
    numbers = [key for key in tree if key.isdigit()]
    if len(numbers) != len(tree):
        problems.append(f"`{path}` is a list, but has a member that is no number")
    return [(key, tree[key]) for key in sorted(numbers, key=int)]


def _scalar(shape, text, path, problems):
    kind = shape.type_name
    if not isinstance(text, str):
        problems.append(f"`{path}` must be a {kind}")
        return None
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "timestamp":
            return parse_time(text)
        if kind == "blob":
            return base64.b64decode(text, validate=True)
    except (ValueError, KeyError):
        problems.append(f"`{path}` must be a {kind}, not `{text}`")
        return None
    return text


def parse_time(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.datetime.fromtimestamp(value, UTC)
    try:
        return datetime.datetime.fromtimestamp(float(value), UTC)
    except ValueError:
        moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json_body(shape, body, problems):
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        problems.append(f"the body is not JSON: {error}")
        return {}
    if not isinstance(value, dict):
        problems.append("the body is not a JSON object")
        return {}
    if shape is None:
        problems.extend(f"unknown member `{name}`" for name in value)
        return {}
    return _json(shape, value, "", problems)


def _json(shape, value, path, problems):
    kind = shape.type_name
    if value is None:
        return None
    if kind == "structure":
        if not isinstance(value, dict):
            problems.append(f"`{path or 'body'}` must be a structure")
            return {}
        known = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()
                 if member.serialization.get("location") is None}
        values = {}
        for key, below in value.items():
            if key not in known:
                problems.append(f"unknown member `{path}{key}`")
            elif below is not None:
                name, member = known[key]
                values[name] = _json(member, below, f"{path}{key}.", problems)
        return values
    if kind == "list":
        if not isinstance(value, list):
            problems.append(f"`{path.rstrip('.')}` must be a list")
            return []
        return [_json(shape.member, below, f"{path}{index}.", problems) for index, below in enumerate(value)]
    if kind == "map":
        if not isinstance(value, dict):
            problems.append(f"`{path.rstrip('.')}` must be a map")
            return {}
        return {key: _json(shape.value, below, f"{path}{key}.", problems) for key, below in value.items()}
    return _json_scalar(shape, value, path.rstrip("."), problems)


def _json_scalar(shape, value, path, problems):
    kind = shape.type_name
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {"string": isinstance(value, str), "boolean": isinstance(value, bool), "integer": number and value == int(value),
            "long": number and value == int(value), "float": number, "double": number, "timestamp": number or isinstance(value, str),
            "blob": isinstance(value, str)}.get(kind, True)
    if not fits:
        problems.append(f"`{path}` must be a {kind}, not `{json.dumps(value)}`")
        return None
    if kind in ("blob", "timestamp"):
        try:
            return base64.b64decode(value) if kind == "blob" else parse_time(value)
        except ValueError:
            problems.append(f"`{path}` must be a {kind}, not `{value}`")
            return None
    return value


def _rest(model, request, labels, problems):
    shape = model.input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    values = {}
    query = parse_qsl(request.query, keep_blank_values=True)
    known_queries = set()
    for name, member in shape.members.items():
        location, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "uri":
            if wire in labels:
                values[name] = _scalar(member, labels[wire], name, problems)
        elif location == "querystring":
            known_queries.add(wire)
            given = [value for key, value in query if key == wire]
            if not given:
                continue
            if member.type_name == "list":
                values[name] = [_scalar(member.member, value, name, problems) for value in given]
            else:
                values[name] = _scalar(member, given[0], name, problems)
        elif location == "header":
            given = request.header(wire)
            if given is not None:
                values[name] = _scalar(member, given, name, problems)
    for key, _ in query:
        if key not in known_queries and not key.lower().startswith("x-amz-"):
            problems.append(f"unknown query parameter `{key}`")
    if payload:
        values[payload] = _json_body(shape.members[payload], request.body, problems)
    else:
        values.update(_json_body(shape, request.body, problems))
    return values
