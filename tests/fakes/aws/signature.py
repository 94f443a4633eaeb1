"""Signature Version 4 is checked, in the Authorization header and in the query of a presigned URL.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""
import datetime
import hashlib
import hmac
import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .errors import AwsError
from .identity import expired_token
from .server import Request

UTC = datetime.timezone.utc
ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = datetime.timedelta(minutes=5)
# https://github.com/kubernetes-sigs/aws-iam-authenticator pkg/token: a presigned URL is good for 15 minutes, whatever it says.
PRESIGNED = datetime.timedelta(minutes=15)
_header = re.compile(r"(\w+)=([^,\s]+)")


class Signed:
    """The parts of a signature, as the request carries them."""

    def __init__(self, access_key, date, region, service, headers, signature, when, token, presigned):
        self.access_key, self.date, self.region, self.service = access_key, date, region, service
        self.headers, self.signature, self.when, self.token, self.presigned = headers, signature, when, token, presigned


def read(request):
    """The signature of a request, or None when it has none."""
    authorization = request.header("authorization")
    if authorization:
        if not authorization.startswith(ALGORITHM):
            return None
        parts = dict(_header.findall(authorization))
        scope = parts.get("Credential", "").split("/")
        if len(scope) != 5 or scope[4] != "aws4_request" or "Signature" not in parts or "SignedHeaders" not in parts:
            raise AwsError("IncompleteSignature", f"Authorization header is not complete: {authorization.split(' ')[0]}", 400)
        return Signed(scope[0], scope[1], scope[2], scope[3], parts["SignedHeaders"].split(";"), parts["Signature"],
                      request.header("x-amz-date") or "", request.header("x-amz-security-token"), False)
    query = {name.lower(): value for name, value in parse_qsl(request.query, keep_blank_values=True)}
    if query.get("x-amz-algorithm") != ALGORITHM:
        return None
    scope = query.get("x-amz-credential", "").split("/")
    if len(scope) != 5 or "x-amz-signature" not in query:
        raise AwsError("IncompleteSignature", "the query of the presigned URL is not complete", 400)
    return Signed(scope[0], scope[1], scope[2], scope[3], query.get("x-amz-signedheaders", "").split(";"), query["x-amz-signature"],
                  query.get("x-amz-date", ""), query.get("x-amz-security-token"), True)


def verify(request, signed, identities, service, clock_offset=datetime.timedelta(0), skew_code=None):
    """The identity that signed, or the error that AWS gives."""
    if signed is None:
        raise AwsError("MissingAuthenticationToken" if service not in ("eks",) else "MissingAuthenticationTokenException",
                       "Request is missing Authentication Token" if service != "eks" else "Missing Authentication Token", 403)
    identity = identities.by_key(signed.access_key)
    if identity is None or (identity.token or None) != (signed.token or None):
        raise unknown_key(service)
    _check_time(signed, service, clock_offset, skew_code)
    expected = sign(request, signed, identity.secret)
    if not hmac.compare_digest(expected, signed.signature):
        json_service = service not in ("sts", "ec2", "iam", "cloudformation", "elb", "elbv2", "autoscaling")
        raise AwsError("InvalidSignatureException" if json_service else "AuthFailure" if service == "ec2" else "SignatureDoesNotMatch",
                       "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
                       "and signing method. Consult the service documentation for details.", 401 if service == "ec2" else 403)
    if identity.expires is not None and identity.expires < datetime.datetime.now(UTC) + clock_offset:
        raise expired_token(service)
    return identity


def unknown_key(service):
    if service == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if service in ("sts", "iam", "cloudformation", "elb", "elbv2", "autoscaling"):
        return AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 403 if service == "eks" else 400)


def _check_time(signed, service, offset, skew_code):
    try:
        when = datetime.datetime.strptime(signed.when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise AwsError("IncompleteSignature", "Date must be in ISO-8601 'basic format'.", 400) from None
    if not signed.when.startswith(signed.date):
        raise AwsError("SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP", 403)
    server = datetime.datetime.now(UTC) + offset
    late = server - when > (PRESIGNED if signed.presigned else SKEW)
    if not late and when - server <= SKEW:
        return
    stamp = "%Y%m%dT%H%M%SZ"
    limit = (server - SKEW if late else server + SKEW).strftime(stamp)
    text = (f"Signature expired: {signed.when} is now earlier than {limit} ({server.strftime(stamp)} - 5 min.)" if late
            else f"Signature not yet current: {signed.when} is still later than {limit} ({server.strftime(stamp)} + 5 min.)")
    if skew_code:
        raise AwsError(skew_code, text, 403)
    if service == "ec2":
        raise AwsError("RequestExpired", "Request has expired." if late else text, 400)
    query = service in ("sts", "iam", "cloudformation", "elb", "elbv2", "autoscaling")
    raise AwsError("SignatureDoesNotMatch" if query else "InvalidSignatureException", text, 403)


def sign(request, signed, secret):
    """The signature that the request must carry, in hexadecimal."""
    pairs = [(name, value) for name, value in _raw_pairs(request.query) if name.lower() != "x-amz-signature"]
    query = "&".join(f"{name}={value}" for name, value in sorted((_encode(n), _encode(v)) for n, v in pairs))
    headers = "".join(f"{name}:{' '.join((request.header(name) or '').split())}\n" for name in signed.headers)
    payload = request.header("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()
    # Every service but S3 encodes the path once more.
    path = quote(request.path, safe="/-_.~")
    canonical = "\n".join([request.method, path, query, headers, ";".join(signed.headers), payload])
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    text = "\n".join([ALGORITHM, signed.when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (signed.date, signed.region, signed.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _raw_pairs(query):
    # Not parse_qsl: a plus sign is a plus sign in a canonical query.
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        yield unquote(name), unquote(value)


def _encode(text):
    return quote(text, safe="-_.~")


def verify_url(url, headers, world):
    """The identity behind a presigned URL (an EKS bearer token holds one), asked with these headers besides `host`.

    Raises AwsError as STS would answer: the caller need not be reached over HTTP for it.
    """
    parts = urlsplit(url)
    given = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    request = Request("GET", f"{parts.path or '/'}?{parts.query}", given, b"")
    clock = world.scenario.get("clock", {})
    offset = datetime.timedelta(seconds=clock.get("offset", 0))
    return verify(request, read(request), world.identities, "sts", offset, clock.get("code"))
