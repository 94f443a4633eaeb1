"""Answers are written in the protocol of the service, by the output shape of the operation."""
import base64
import datetime
import json
from xml.sax.saxutils import escape

UTC = datetime.timezone.utc


def encode(service, model, protocol, values, request_id):
    """Status, headers and body of an answer."""
    shape = model.output_shape
    if protocol == "json":
        body = json.dumps(_json(shape, values) if shape is not None else {}).encode()
        return 200, [("Content-Type", "application/x-amz-json-1.1")], body
    if protocol == "rest-json":
        return _rest(model, values)
    space = (model.service_model.metadata.get("xmlNamespace")
             or f"http://{service}.amazonaws.com/doc/{model.service_model.api_version}/")
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    if protocol == "ec2":
        parts.append(f'<{model.name}Response xmlns="http://ec2.amazonaws.com/doc/{model.service_model.api_version}/">')
        parts.append(f"<requestId>{request_id}</requestId>")
        if shape is not None:
            _members(parts, shape, values, protocol)
    else:
        parts.append(f'<{model.name}Response xmlns="{space}">')
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result")
            parts.append(f"<{wrapper}>")
            _members(parts, shape, values, protocol)
            parts.append(f"</{wrapper}>")
        parts.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>")
    parts.append(f"</{model.name}Response>")
    return 200, [("Content-Type", "text/xml;charset=UTF-8")], "".join(parts).encode()


def _members(parts, shape, values, protocol):
    for name, member in shape.members.items():
        value = (values or {}).get(name)
        if value is not None:
            _xml(parts, member.serialization.get("name", name), member, value, protocol)


def _xml(parts, name, shape, value, protocol):
    kind = shape.type_name
    if kind == "list":
        if shape.serialization.get("flattened"):
            # A flattened list is named by its member, when the member has a name.
            for below in value:
                _xml(parts, shape.member.serialization.get("name", name), shape.member, below, protocol)
            return
        inner = shape.member.serialization.get("name", "member")
        parts.append(f"<{name}>")
        for below in value:
            _xml(parts, inner, shape.member, below, protocol)
        parts.append(f"</{name}>")
    elif kind == "structure":
        parts.append(f"<{name}>")
        _members(parts, shape, value, protocol)
        parts.append(f"</{name}>")
    elif kind == "map":
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        flattened = shape.serialization.get("flattened")
        entry = name if flattened else "entry"
        if not flattened:
            parts.append(f"<{name}>")
        for key, below in value.items():
            parts.append(f"<{entry}><{key_name}>{escape(str(key))}</{key_name}>")
            _xml(parts, value_name, shape.value, below, protocol)
            parts.append(f"</{entry}>")
        if not flattened:
            parts.append(f"</{name}>")
    else:
        parts.append(f"<{name}>{escape(_text(shape, value))}</{name}>")


def _text(shape, value):
    kind = shape.type_name
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return moment(value).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if kind == "blob":
        return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
    return str(value)


def moment(value):
    return value if isinstance(value, datetime.datetime) else datetime.datetime.fromtimestamp(value, UTC)


def _json(shape, value):
    kind = shape.type_name
    if kind == "structure":
        if shape.metadata.get("document"):
            return value
        return {member.serialization.get("name", name): _json(member, value[name]) for name, member in shape.members.items()
                if value.get(name) is not None and member.serialization.get("location") is None}
    if kind == "list":
        return [_json(shape.member, below) for below in value]
    if kind == "map":
        return {key: _json(shape.value, below) for key, below in value.items()}
    if kind == "timestamp":
        if shape.serialization.get("timestampFormat") == "iso8601":
            return _text(shape, value)
        return round(moment(value).timestamp(), 3)
    if kind == "blob":
        return _text(shape, value)
    return value


def _rest(model, values):
    shape, status = model.output_shape, model.http.get("responseCode", 200)
    headers, body = [("Content-Type", "application/json")], {}
    if shape is not None:
        payload = shape.serialization.get("payload")
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if values.get(name) is None:
                continue
            if location == "header":
                headers.append((member.serialization.get("name", name), _text(member, values[name])))
            elif location == "statusCode":
                status = values[name]
        body = _json(shape.members[payload], values.get(payload) or {}) if payload else _json(shape, values)
    return status, headers, json.dumps(body).encode()
