"""Who a bearer token of an EKS cluster is: the checks of aws-iam-authenticator, and what STS would say.

Source: kubernetes-sigs/aws-iam-authenticator, pkg/token/token.go. A token is `k8s-aws-v1.` and the base64 of a
presigned URL of STS's GetCallerIdentity. The authenticator checks the URL, then sends it with the cluster's
name in the header `x-k8s-aws-id`; a URL signed for another cluster fails at STS.
"""

import base64
import binascii
import datetime
import http.server
import json
import re
import threading
import urllib.parse

from . import signature
from .errors import AwsError

PREFIX = "k8s-aws-v1."
LONGEST = 4096
LIFE = datetime.timedelta(minutes=15)
PARAMETERS = {
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
}
HOST = re.compile(r"sts(?:-fips)?(?:\.([a-z]{2}(?:-[a-z]+)+-\d))?\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")
GLOBAL_REGION = "us-east-1"


class Refused(Exception):
    """Why a token is refused."""


def verify(token, cluster_name, world):
    """The identity that signed the token."""
    if len(token) > LONGEST:
        raise Refused("token is too large")
    if not token.startswith(PREFIX):
        raise Refused(f"token is missing expected `{PREFIX}` prefix")
    encoded = token[len(PREFIX) :]
    if not re.fullmatch(r"[A-Za-z0-9_-]*", encoded):
        raise Refused("the token is no base64 without padding")
    try:
        url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
        parts = urllib.parse.urlsplit(url)
        pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"the token holds no URL: {error}") from error
    if parts.scheme != "https":
        raise Refused(f"unexpected scheme {parts.scheme!r} in pre-signed URL")
    host = HOST.fullmatch(parts.netloc)
    if not host:
        raise Refused(f"unexpected hostname {parts.netloc!r} in pre-signed URL")
    if parts.path != "/":
        raise Refused("unexpected path in pre-signed URL")
    query = {}
    for key, value in pairs:
        lower = key.lower()
        if lower not in PARAMETERS:
            raise Refused(f"non-whitelisted query parameter {key!r}")
        if lower in query:
            raise Refused(f"query parameter {key!r} with multiple values not supported")
        query[lower] = value
    if query.get("action") != "GetCallerIdentity":
        raise Refused("unexpected action parameter in pre-signed URL")
    signed_headers = query.get("x-amz-signedheaders", "").split(";")
    if "x-k8s-aws-id" not in signed_headers:
        raise Refused("client did not sign the x-k8s-aws-id header in the pre-signed URL")
    try:
        expires = int(query["x-amz-expires"])
        signed_at = datetime.datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ")
    except (KeyError, ValueError) as error:
        raise Refused(f"X-Amz-Expires or X-Amz-Date is missing or malformed: {error}") from error
    if not 0 <= expires <= 900:
        raise Refused(f"invalid X-Amz-Expires parameter in pre-signed URL: {expires}")
    signed_at = signed_at.replace(tzinfo=datetime.timezone.utc)
    if world.now() > signed_at + LIFE:
        raise Refused(f"X-Amz-Date parameter is expired ({LIFE} after {signed_at})")
    # From here on it is what STS says, asked with the cluster's name.
    scope = query.get("x-amz-credential", "").split("/")
    if len(scope) != 5 or scope[3] != "sts" or scope[2] != (host.group(1) or GLOBAL_REGION):
        raise Refused("STS: Credential should be scoped to a valid region and to sts")
    try:
        return signature.verify_url(url, {"x-k8s-aws-id": cluster_name}, world)
    except AwsError as error:
        raise Refused(f"STS: {error}") from error


class TokenWebhook:
    """Answers the token reviews of all clusters, each at a path of its own.

    `identify(key, token)` gives the `user` of a TokenReview, or raises `Refused`.
    """

    def __init__(self, identify):
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                review = json.loads(self.rfile.read(length))
                answer = json.dumps(webhook.review(self.path.partition("?")[0].strip("/"), review)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                """Nothing: the API server logs what it asked."""

        self.identify = identify
        self.refusals = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, name="token webhook", daemon=True).start()

    def url(self, key):
        return f"http://127.0.0.1:{self.server.server_port}/{key}"

    def review(self, key, review):
        try:
            user = self.identify(key, review["spec"]["token"])
            status = {"authenticated": True, "user": user}
        except Refused as refused:
            self.refusals = [*self.refusals[-99:], {"cluster": key, "reason": str(refused)}]
            status = {"authenticated": False, "error": str(refused)}
        return {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
