"""The way of a call: which service and operation, who, may they, is it well-formed, what happens, is the answer true."""
import asyncio
import datetime
import json
import secrets
import uuid
from urllib.parse import parse_qsl

from . import beside, check, decode, encode, errors, faults, models, record, services, signature
from .errors import AwsError
from .identity import Identity
from .server import Closed, Cut

STALL = 3600
# What has one endpoint for all regions, or is asked in another one.
GLOBAL = ("iam", "sts")
# Who somebody is may be asked by anybody: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
FREE = (("sts", "GetCallerIdentity"),)
# The caller of an operation that is not signed.
ANYBODY = Identity("", "", "", "anonymous", "")


class Call:
    """What an operation is given."""

    def __init__(self, world, service, action, parameters, identity, region, request, entry):
        self.world, self.service, self.action, self.parameters = world, service, action, parameters
        self.identity, self.region, self.request, self.entry = identity, region, request, entry

    def get(self, name, default=None):
        value = self.parameters.get(name)
        return default if value is None else value


def request_id(service):
    if service == "ecr" or service == "eks":
        return str(uuid.uuid4())
    return f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"


class Gate:
    def __init__(self, world):
        self.world = world

    async def respond(self, request, gone):
        """The answer to an AWS call."""
        world, number = self.world, request_id("eks")
        try:
            signed = signature.read(request)
        except AwsError as error:
            return self._refuse("sts", error, number)
        service, action, labels = self._operation(request, signed)
        if service is None:
            world.record.violation("request", None, None, [f"no service for {request.method} {request.path} (signed for `{signed and signed.service}`)"])
            return 404, [("Content-Type", "application/json")], json.dumps({"message": "no such service here"}).encode()
        region = signed.region if signed else world.region
        if action is None:
            world.record.violation("request", service, None, [f"no operation for {request.method} {request.path} {request.header('x-amz-target') or ''}"])
            return self._refuse(service, AwsError("UnknownOperationException", "the operation is not known", 404), number)
        model = models.operation_model(service, action)
        protocol = models.service_model(service).spoken
        parameters, malformed = decode.decode(model, protocol, request, labels)
        mutating = models.is_mutating(action)
        entry = world.record.call(
            service=service, action=action, mutating=mutating, region=region, parameters=record.shortened(parameters), request_id=number,
            access_key=signed and signed.access_key, user_agent=request.header("user-agent"), attempt=request.header("amz-sdk-request"),
            invocation=request.header("amz-sdk-invocation-id"))
        started = asyncio.get_running_loop().time()
        try:
            status, headers, body = await self._answer(request, signed, service, action, model, protocol, parameters, malformed, entry, number, region, gone)
            entry["status"] = status
            return status, headers, body
        except (Closed, Cut):
            entry["status"] = "closed"
            raise
        finally:
            entry["took"] = round(asyncio.get_running_loop().time() - started, 4)

    async def _answer(self, request, signed, service, action, model, protocol, parameters, malformed, entry, number, region, gone):
        world = self.world
        match = (service, action, entry["mutating"], parameters)
        fault = hold = None
        try:
            clock = world.scenario.get("clock", {})
            offset = datetime.timedelta(seconds=clock.get("offset", 0))
            if model.auth_type == "none":
                identity = ANYBODY
            else:
                identity = signature.verify(request, signed, world.identities, service, offset, clock.get("code"))
            entry["arn"] = identity.arn
            if signed and region in world.scenario.get("disabledRegions", []):
                raise signature.unknown_key(service)
            if region != world.region and service not in GLOBAL:
                world.record.violation("fake", service, action, [f"a call to {region}, but the stand-in is in {world.region} (--region, or POST reset)"])
                raise AwsError("InvalidRegion", f"the stand-in is in {world.region}", 400)
            fault = world.troubles.fault_for(*match)
            if fault is not None:
                entry["fault"] = fault.number
                await self._misbehave(fault, gone)
                error = fault.error(service, action, identity)
                if error is not None:
                    raise error
                if fault.kind == "html":
                    # What stands before a service answers in its own way, in no form of the service.
                    status = fault.spec.get("status", 503)
                    return status, [("Content-Type", "text/html")], f"<html><body><h1>{status}</h1>No server is available to handle this request.</body></html>".encode()
            hold = world.troubles.hold_for(*match)
            if hold is not None and hold.when == "before" and not await hold.wait(entry, gone):
                raise Closed
            if not world.within_rate(service, action):
                raise faults.throttled(service)
            if (service, action) not in FREE:
                world.require(identity, f"{faults.right_prefix(service)}:{action}")
            problems = malformed + check.problems_of_input(model.input_shape, parameters)
            if problems:
                world.record.violation("request", service, action, problems, parameters=record.shortened(parameters), seq=entry["seq"])
                count = len(problems)
                raise errors.invalid_request(service, f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(problems)}")
            call = Call(world, service, action, parameters, identity, region, request, entry)
            values = self._perform(call)
            entry["done"] = True
            if hold is not None and hold.when == "after" and not await hold.wait(entry, gone):
                raise Closed
            if fault is not None and fault.kind == "close-after":
                raise Closed
            wrong = check.problems_of_answer(model.output_shape, values)
            if wrong:
                world.record.violation("answer", service, action, wrong)
            status, headers, body = encode.encode(service, model, protocol, values, number)
        except AwsError as error:
            entry["code"], entry["message"] = error.code, error.message
            # What was refused is held as well: its caller does not know that yet.
            if hold is not None and hold.when == "after" and not await hold.wait(entry, gone):
                raise Closed from None
            return self._refuse(service, error, number)
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001: a bug of the stand-in is recorded and answered, not hidden in a closed connection
            world.record.bug(f"{service}:{action}", error)
            return self._refuse(service, AwsError("InternalFailure", f"the stand-in has a bug: {error!r}", 500), number)
        headers = [*headers, (_id_header(protocol), number), ("Date", self._date())]
        if fault is not None and fault.kind == "cut":
            raise Cut(status, headers, body)
        return status, headers, body

    def _perform(self, call):
        operation = services.operation(call.service, call.action)
        if operation is None:
            call.world.record.violation("fake", call.service, call.action, ["the stand-in does not model this operation"])
            raise AwsError("UnsupportedOperation", f"the stand-in does not model {call.service}:{call.action}", 501)
        with self.world.lock:
            beside.require(call)
            values = operation(call) or {}
            beside.performed(call)
            return values

    async def _misbehave(self, fault, gone):
        if fault.kind == "close-before":
            raise Closed
        if fault.kind in ("stall", "slow"):
            seconds = fault.spec.get("seconds", STALL)
            loop = asyncio.get_running_loop()
            until = loop.time() + seconds
            while loop.time() < until:
                if gone():
                    raise Closed
                await asyncio.sleep(min(0.01, seconds))
            if fault.kind == "stall":
                raise Closed

    def _operation(self, request, signed):
        version = action = None
        target = request.header("x-amz-target")
        if not target:
            form = request.method == "POST" and (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
            pairs = dict(parse_qsl(request.body.decode(errors="replace"))) if form else dict(parse_qsl(request.query))
            action, version = pairs.get("Action"), pairs.get("Version")
        service = models.service_of(signed.service, version) if signed else _unsigned(request.path, version, target)
        if service is None:
            return None, None, {}
        if models.service_model(service).spoken == "rest-json":
            found = models.route(service, request.method, request.path)
            return service, *(found or (None, {}))
        if target:
            prefix, _, action = target.partition(".")
            if prefix != models.service_model(service).metadata.get("targetPrefix"):
                action = None
        elif version and version != models.service_model(service).api_version:
            action = None
        return service, action if action in models.operation_names(service) else None, {}

    def _date(self):
        """The time by the clock of AWS, from which the caller's may differ."""
        offset = datetime.timedelta(seconds=self.world.scenario.get("clock.offset", 0))
        return (datetime.datetime.now(datetime.timezone.utc) + offset).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def _refuse(self, service, error, number):
        status, headers, body = errors.write_error(service, error, number)
        protocol = models.service_model(service).spoken
        return status, [*headers, (_id_header(protocol), number), ("Date", self._date()), *error.fields.get("headers", [])], body


def _unsigned(path, version, target):
    """The service of a request without a signature: it is refused, but in its own form."""
    if path.startswith("/federation/"):
        return "sso"
    prefix = (target or "").partition(".")[0]
    for name in models.SERVICES:
        metadata = models.service_model(name).metadata
        if (prefix and metadata.get("targetPrefix") == prefix) or (version and metadata["apiVersion"] == version):
            return name
    return "eks" if not (version or target) else None


def _id_header(protocol):
    return "x-amzn-RequestId" if protocol != "ec2" else "x-amzn-requestid"
