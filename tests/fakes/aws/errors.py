"""The one error that a service answers with, written in each protocol's own form."""
import json
from xml.sax.saxutils import escape

from .models import service_model


class AwsError(Exception):
    """`code` as the service names it; `fields` are the further members of a modelled error."""

    def __init__(self, code, message, status=None, **fields):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.fields = code, message, status, fields


def invalid_request(service, message):
    """What a service answers to a request that its own model refuses."""
    protocol = service_model(service).spoken
    if service in ("eks", "ecr"):
        return AwsError("InvalidParameterException", message, 400)
    if protocol == "ec2":
        return AwsError("InvalidParameterValue", message, 400)
    return AwsError("ValidationError" if protocol == "query" else "ValidationException", message, 400)


def status_of(service, error):
    if error.status:
        return error.status
    shape = service_model(service).shape_for_error_code(error.code)
    if shape is not None:
        trait = shape.metadata.get("error") or {}
        if trait.get("httpStatusCode"):
            return trait["httpStatusCode"]
        if shape.metadata.get("fault"):
            return 500
    return 400


def write_error(service, error, request_id):
    """Status, headers and body of an error answer."""
    status = status_of(service, error)
    protocol = service_model(service).spoken
    if protocol in ("json", "rest-json"):
        body = {"__type": error.code, "message": error.message, **error.fields}
        version = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
        return status, [("Content-Type", version), ("x-amzn-ErrorType", error.code)], json.dumps(body).encode()
    side = "Receiver" if status >= 500 else "Sender"
    code, message = escape(error.code), escape(error.message)
    if protocol == "ec2":
        text = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>'
                f"</Error></Errors><RequestID>{request_id}</RequestID></Response>")
    else:
        space = service_model(service).metadata.get("xmlNamespace", "")
        text = (f'<ErrorResponse xmlns="{space}"><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message>'
                f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
    return status, [("Content-Type", "text/xml;charset=UTF-8")], text.encode()
