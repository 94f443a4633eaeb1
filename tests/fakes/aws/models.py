"""The service models that botocore ships: the one source of shapes, routes and error statuses.

Which service is meant comes from the signing name of a request; which operation, from its protocol:
`Action` (query, ec2), `X-Amz-Target` (json), method and path (rest-json).
"""
import functools
import re
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel

# Every service that is spoken here, by the name of its model.
SERVICES = (
    "autoscaling", "cloudformation", "ec2", "ecr", "eks", "elb", "elbv2", "iam", "logs",
    "resourcegroupstaggingapi", "service-quotas", "ssm", "sso", "sts",
)
# Signing names that are not the name of the model. ELB has two APIs: the version decides.
SIGNING = {"tagging": "resourcegroupstaggingapi", "servicequotas": "service-quotas"}
PROTOCOLS = ("rest-json", "json", "query", "ec2")

_loader = Loader()


@functools.cache
def service_model(name):
    model = ServiceModel(_loader.load_service_model(name, "service-2"), name)
    # The protocol of a model with several is the first that is spoken here.
    model.spoken = next(p for p in model.metadata.get("protocols") or [model.metadata["protocol"]] if p in PROTOCOLS)
    return model


@functools.cache
def operation_model(service, operation):
    return service_model(service).operation_model(operation)


@functools.cache
def operation_names(service):
    return frozenset(service_model(service).operation_names)


def service_of(signing_name, version):
    """The name of the model for a signing name, or None."""
    if signing_name == "elasticloadbalancing":
        return "elb" if version == "2012-06-01" else "elbv2"
    name = SIGNING.get(signing_name, signing_name)
    return name if name in SERVICES else None


class Route:
    """Method, path pattern and the names of its labels, for one rest-json operation."""

    def __init__(self, operation, method, uri):
        self.operation, self.method = operation, method
        path, _, query = uri.partition("?")
        self.fixed = dict(parse_qsl(query, keep_blank_values=True))
        self.labels = re.findall(r"{([^}+]+)\+?}", path)
        # A `+` after the name lets the label hold slashes.
        parts = re.split(r"({[^}]+})", path)
        self.pattern = re.compile("".join(
            ("(.+)" if part.endswith("+}") else "([^/]+)") if part.startswith("{") else re.escape(part) for part in parts))


@functools.cache
def routes(service):
    model = service_model(service)
    found = []
    for name in model.operation_names:
        http = operation_model(service, name).http
        found.append(Route(name, http["method"], http["requestUri"]))
    # The more literal path wins: /clusters/{name}/updates before /clusters/{name+}.
    return sorted(found, key=lambda route: (len(route.labels), -len(route.pattern.pattern)))


def route(service, method, raw_path):
    """The operation of a rest-json request and the values of its labels, or None."""
    for candidate in routes(service):
        if candidate.method != method:
            continue
        match = candidate.pattern.fullmatch(raw_path)
        if match:
            return candidate.operation, dict(zip(candidate.labels, map(unquote, match.groups())))
    return None


MUTATING = (
    "Add", "Associate", "Attach", "Authorize", "Cancel", "Continue", "Create", "Delete", "Deregister", "Detach", "Disassociate",
    "Execute", "Modify", "Put", "Register", "Release", "Remove", "Replace", "Revoke", "Rollback", "Run", "Set", "Start", "Tag",
    "Terminate", "Untag", "Update",
)


def is_mutating(operation):
    return operation.startswith(MUTATING)
