"""STS: who am I, and sessions of roles."""
import re

from ..errors import AwsError
from . import Operations
from .iam import Iam

operations = Operations()


@operations("GetCallerIdentity")
def get_caller_identity(call):
    identity = call.identity
    return {"UserId": identity.user_id, "Account": identity.account, "Arn": identity.arn}


def _trusted(trust, identity):
    """Whether the trust policy names the caller: by its account, its ARN or its role's."""
    names = {"*", identity.account, f"arn:aws:iam::{identity.account}:root", identity.arn, identity.principal}
    for statement in trust.get("Statement", []):
        principal = statement.get("Principal", {})
        given = principal if isinstance(principal, str) else principal.get("AWS", [])
        if statement.get("Effect") == "Allow" and names & set([given] if isinstance(given, str) else given):
            return True
    return False


@operations("AssumeRole")
def assume_role(call):
    match = re.fullmatch(r"arn:aws:iam::(\d{12}):role(/(?:.*/)?)([^/]+)", call.parameters["RoleArn"])
    role = call.world.state(Iam).roles.get(match[3]) if match and match[1] == call.world.account else None
    if role is None or role["Path"] != match[2]:
        raise AwsError("AccessDenied", f"User: {call.identity.arn} is not authorized to perform: sts:AssumeRole on resource: {call.parameters['RoleArn']}", 403)
    if not _trusted(role["trust"], call.identity):
        raise AwsError("AccessDenied", f"User: {call.identity.arn} is not authorized to perform: sts:AssumeRole on resource: {call.parameters['RoleArn']}", 403)
    session = call.world.identities.assume(match[3], match[2], match[1], call.parameters["RoleSessionName"], call.get("DurationSeconds", 3600))
    return {
        "Credentials": {"AccessKeyId": session.access_key, "SecretAccessKey": session.secret, "SessionToken": session.token, "Expiration": session.expires},
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    }
