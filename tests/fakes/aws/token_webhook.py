"""Who a bearer token of an EKS cluster is: the checks of aws-iam-authenticator, and what STS would say.

Source: kubernetes-sigs/aws-iam-authenticator, pkg/token/token.go. A token is `k8s-aws-v1.` and the base64 of a
presigned URL of STS's GetCallerIdentity. The authenticator checks the URL, then sends it with the cluster's
name in the header `x-k8s-aws-id`; a URL signed for another cluster fails at STS.
"""

import base64
import binascii
import datetime
import hashlib
import hmac
import http.server
import json
import re
import threading
import urllib.parse

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


def verify(token, cluster_name, credentials, now):
    """The credential that signed the token.

    `credentials(access_key_id)` gives an object with `secret`, `token` (None for a long-lived key) and
    `expires` (None or a time), or None for a key that nobody has.
    """
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
    if now > signed_at + LIFE:
        raise Refused(f"X-Amz-Date parameter is expired ({LIFE} after {signed_at})")
    # From here on it is what STS says.
    if signed_at > now + datetime.timedelta(minutes=5):
        raise Refused("Signature not yet current")
    return _ask_sts(parts, pairs, query, signed_headers, cluster_name, host.group(1), credentials, now)


def _ask_sts(parts, pairs, query, signed_headers, cluster_name, host_region, credentials, now):
    try:
        key_id, day, region, service, ending = query["x-amz-credential"].split("/")
    except (KeyError, ValueError) as error:
        raise Refused("IncompleteSignature: no valid X-Amz-Credential") from error
    if (service, ending) != ("sts", "aws4_request") or region != (host_region or GLOBAL_REGION):
        raise Refused("Credential should be scoped to a valid region and to sts")
    if query.get("x-amz-algorithm") != "AWS4-HMAC-SHA256" or not query["x-amz-date"].startswith(day):
        raise Refused("IncompleteSignature")
    credential = credentials(key_id)
    if credential is None or (credential.token or None) != (query.get("x-amz-security-token") or None):
        raise Refused("InvalidClientTokenId: The security token included in the request is invalid")
    if credential.expires and credential.expires < now:
        raise Refused("ExpiredToken: The security token included in the request is expired")
    headers = {"host": parts.netloc, "x-k8s-aws-id": cluster_name}
    if any(name not in headers for name in signed_headers):
        raise Refused("SignatureDoesNotMatch: a header was signed that is not sent")

    def quote(text):
        return urllib.parse.quote(text, safe="-_.~")

    ordered = sorted((quote(key), quote(value)) for key, value in pairs if key != "X-Amz-Signature")
    canonical = "\n".join(
        [
            "GET",
            "/",
            "&".join(f"{key}={value}" for key, value in ordered),
            *(f"{name}:{headers[name]}" for name in signed_headers),
            "",
            ";".join(signed_headers),
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    scope = f"{day}/{region}/sts/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", query["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{credential.secret}".encode()
    for part in (day, region, "sts", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, query.get("x-amz-signature", "")):
        raise Refused("SignatureDoesNotMatch")
    return credential


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
