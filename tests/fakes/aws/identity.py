"""Who may call: fixed keys for tests, and the sessions that AssumeRole gives out."""
import dataclasses
import datetime
import secrets

from .clock import now
from .errors import AwsError

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"


@dataclasses.dataclass
class Identity:
    access_key: str
    secret: str
    account: str
    arn: str
    user_id: str
    # The role behind a session, with its path; None for a user.
    role: str | None = None
    token: str | None = None
    expires: datetime.datetime | None = None

    @property
    def principal(self):
        """The IAM principal that rights and access entries are given to."""
        return self.role or self.arn


def role_arn(name, path="/", account=ACCOUNT):
    return f"arn:aws:iam::{account}:role{path}{name}"


def _session(name, path, key, secret, session="session", expires=None):
    # The session's ARN drops the path of the role: what an access entry needs cannot be read from it.
    return Identity(key, secret, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}", f"AROA{key[-16:]}:{session}",
                    role_arn(name, path), f"fake-token-of-{name}-{key[-4:]}", expires)


SSO_PATH = "/aws-reserved/sso.amazonaws.com/eu-central-1/"
SSO_ROLE = "AWSReservedSSO_Admin_0123456789abcdef"


def fixed():
    """The keys that always work (and the one that never does), by access key."""
    yesterday = now() - datetime.timedelta(days=1)
    known = [
        Identity("AKIAADMIN00000000001", "admin-secret-key-of-the-stand-in-000001", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/admin", "AIDAADMIN00000000001"),
        _session("platform", "/", "ASIAPLATFORM00000001", "platform-secret-key-of-the-stand-in-0001"),
        _session(SSO_ROLE, SSO_PATH, "ASIASSOADMIN00000001", "sso-secret-key-of-the-stand-in-00000001", "jane@example.com"),
        _session("developers", "/", "ASIADEVELOPERS000001", "developers-secret-key-of-the-stand-in-01"),
        _session("checkout-dev", "/", "ASIACHECKOUT00000001", "checkout-secret-key-of-the-stand-in-0001"),
        _session("stranger", "/", "ASIASTRANGER00000001", "stranger-secret-key-of-the-stand-in-0001"),
        _session("platform", "/", "ASIAEXPIRED000000001", "expired-secret-key-of-the-stand-in-00001", expires=yesterday),
        Identity("AKIAOTHER00000000001", "other-secret-key-of-the-stand-in-000001", OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:user/other", "AIDAOTHER00000000001"),
    ]
    return {identity.access_key: identity for identity in known}


class Identities:
    def __init__(self):
        self.known = fixed()

    def by_key(self, access_key):
        return self.known.get(access_key)

    def assume(self, role_name, path, account, session_name, seconds):
        """A new session of the role."""
        key = "ASIA" + secrets.token_hex(8).upper()
        session = Identity(key, secrets.token_hex(20), account, f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
                           f"AROA{role_name[:16].upper().ljust(16, '0')}:{session_name}", role_arn(role_name, path, account),
                           "FwoGZXIvYXdzE" + secrets.token_urlsafe(180), now() + datetime.timedelta(seconds=seconds))
        self.known[key] = session
        return session


def expired_token(service):
    """The error for a session that is over, as the service names it."""
    if service == "ec2":
        return AwsError("RequestExpired", "Request has expired.", 400)
    if service in ("eks", "ecr", "logs", "service-quotas", "ssm", "resourcegroupstaggingapi"):
        return AwsError("ExpiredTokenException", "The security token included in the request is expired", 403 if service == "eks" else 400)
    return AwsError("ExpiredToken", "The security token included in the request is expired", 403)
