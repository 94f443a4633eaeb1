"""Values are held against a shape of the model: required members, types, enums, patterns, lengths, ranges."""
import datetime
import functools
import re

# Java's property classes, as near as Python's `re` comes to them.
PROPERTIES = {r"\p{L}": "a-zA-Z\u00c0-\u024f", r"\p{Z}": r"\s", r"\p{N}": "0-9", r"\p{M}": "", r"\p{S}": "$+<=>^`|~",
              r"\p{P}": r"!-/:-@\[-`{-~", r"\p{Graph}": "!-~", r"\p{Alnum}": "a-zA-Z0-9", r"\p{ASCII}": "\\x00-\\x7f",
              r"\p{Print}": " -~", r"\p{L}}": ""}
TYPES = {"string": str, "boolean": bool, "integer": int, "long": int, "float": (int, float), "double": (int, float),
         "timestamp": (datetime.datetime, int, float), "blob": (bytes, str), "structure": dict, "list": (list, tuple), "map": dict}


@functools.cache
def compiled(pattern):
    for java, python in PROPERTIES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        return None


def problems_of_input(shape, values):
    """What the service's own model refuses, in the words of AWS's front ends."""
    found = []
    if shape is not None:
        _check(shape, values, "", found, answer=False)
    return found


def problems_of_answer(shape, values):
    """What makes an answer one that this service never gives."""
    found = []
    if shape is None:
        found.extend(f"unknown member `{name}` in an answer that is empty" for name in values or {})
    else:
        _check(shape, values, "", found, answer=True)
    return found


def _check(shape, value, path, found, answer):
    kind = shape.type_name
    here = path or "request"
    expected = TYPES.get(kind)
    if value is None:
        if answer:
            found.append(f"`{here}` is null")
        return
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean")):
        found.append(f"`{here}` must be a {kind}, not `{value!r}`")
        return
    if kind == "structure":
        if shape.metadata.get("document"):
            return
        for name in shape.required_members:
            if value.get(name) is None:
                found.append(f"Value null at '{path + '.' if path else ''}{name}' failed to satisfy constraint: Member must not be null")
        for name, below in value.items():
            if name not in shape.members:
                found.append(f"unknown member `{path + '.' if path else ''}{name}`")
            else:
                _check(shape.members[name], below, f"{path}.{name}" if path else name, found, answer)
        if shape.is_tagged_union and len(value) != 1:
            found.append(f"`{here}` must have exactly one member")
    elif kind == "list":
        _length(shape, value, here, found, answer)
        for index, below in enumerate(value, 1):
            _check(shape.member, below, f"{path}.{index}.member", found, answer)
    elif kind == "map":
        _length(shape, value, here, found, answer)
        for key, below in value.items():
            _check(shape.key, key, f"{path}.{key}.key", found, answer)
            _check(shape.value, below, f"{path}.{key}.member", found, answer)
    elif kind == "string":
        _string(shape, value, here, found, answer)
    elif kind in ("integer", "long", "float", "double"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            found.append(f"Value '{value}' at '{here}' failed to satisfy constraint: Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            found.append(f"Value '{value}' at '{here}' failed to satisfy constraint: Member must have value less than or equal to {high}")


# Enums that the service itself leaves open: a type that it does not know is its own error, not one of its model.
OPEN = ("InstanceType",)
# What AWS says and its models lack: stack events carry every state of a stack; endpoints have their states in small letters, and the
# interface of a NAT gateway its type in two words (the output of the examples in the AWS CLI's reference).
UNLISTED = {"ResourceStatus": {"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"},
            "State": {"pending", "available", "deleting", "deleted"}, "NetworkInterfaceType": {"nat_gateway"}}


def _string(shape, value, here, found, answer):
    if shape.enum and shape.name not in OPEN and value not in shape.enum and not (answer and value in UNLISTED.get(shape.name, ())):
        values = ", ".join(shape.enum) if len(shape.enum) <= 30 else f"{', '.join(shape.enum[:30])}, …"
        found.append(f"Value '{value}' at '{here}' failed to satisfy constraint: Member must satisfy enum value set: [{values}]")
    _length(shape, value, here, found, answer)
    pattern = shape.metadata.get("pattern")
    if pattern and not answer:
        expression = compiled(pattern)
        if expression is not None and not expression.fullmatch(value):
            found.append(f"Value '{value}' at '{here}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}")


def _length(shape, value, here, found, answer):
    if answer:
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        found.append(f"Value '{_short(value)}' at '{here}' failed to satisfy constraint: Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        found.append(f"Value '{_short(value)}' at '{here}' failed to satisfy constraint: Member must have length less than or equal to {high}")


def _short(value):
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."
