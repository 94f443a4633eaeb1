"""IAM Identity Center's portal: credentials of a role for the token of somebody who has logged in."""
from ..errors import AwsError
from ..identity import SSO_PATH
from . import Operations
from .iam import Iam

operations = Operations()


@operations("GetRoleCredentials")
def get_role_credentials(call):
    """Any token but `expired` is somebody's; the role is one of those that Identity Center has made in the account."""
    if call.parameters["accessToken"] == "expired":
        raise AwsError("UnauthorizedException", "Session token not found or invalid", 401)
    wanted = call.parameters["roleName"]
    role = next((role for role in call.world.state(Iam).roles.values() if role["RoleName"].startswith(f"AWSReservedSSO_{wanted}_")), None)
    if role is None or call.parameters["accountId"] != call.world.account:
        raise AwsError("ForbiddenException", "No access", 403)
    session = call.world.identities.assume(role["RoleName"], SSO_PATH, call.world.account, "jane@example.com", 3600)
    return {"roleCredentials": {"accessKeyId": session.access_key, "secretAccessKey": session.secret, "sessionToken": session.token,
                                "expiration": int(session.expires.timestamp() * 1000)}}
