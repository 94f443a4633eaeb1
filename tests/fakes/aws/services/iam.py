"""IAM: roles with paths, policies, instance profiles; reads for clients, writes for CloudFormation."""
import json
from urllib.parse import quote

from ..errors import AwsError
from ..identity import SSO_PATH, SSO_ROLE
from . import Operations

operations = Operations()

# The AWS-managed policies that exist here; any other name is refused as IAM refuses it.
MANAGED = {
    "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSBlockStoragePolicyV2", "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy", "AmazonEKSVPCResourceController", "AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy",
    "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore",
    "service-role/AmazonEBSCSIDriverPolicy", "service-role/AmazonEBSCSIDriverPolicyV2", "AmazonEKSServicePolicy", "AdministratorAccess", "ReadOnlyAccess",
}


class Iam:
    """Roles, policies and profiles by name (IAM is global; names are unique in the account)."""

    def __init__(self, world):
        self.world = world
        self.roles, self.policies, self.profiles = {}, {}, {}
        # The services whose own role is there; it stays when everything else is gone.
        self.linked = set()
        for name, path in (("platform", "/"), (SSO_ROLE, SSO_PATH), ("developers", "/"), ("checkout-dev", "/"), ("stranger", "/"), ("admin", "/")):
            trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": world.account}, "Action": "sts:AssumeRole"}]}
            self.create_role(name, path, trust, builtin=True)

    def create_role(self, name, path, trust, description=None, tags=None, session=3600, boundary=None, builtin=False):
        if name in self.roles:
            raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
        role = {"RoleName": name, "Path": path, "RoleId": "AROA" + self.world.new_id("").removeprefix("-").upper(),
                "Arn": f"arn:aws:iam::{self.world.account}:role{path}{name}", "CreateDate": self.world.now(), "trust": trust,
                "Description": description, "MaxSessionDuration": session, "tags": dict(tags or {}), "attached": [], "inline": {},
                "boundary": boundary, "builtin": builtin}
        self.roles[name] = role
        return role

    def role_of_arn(self, arn):
        """The role with this ARN, its path too; None when there is none."""
        return next((role for role in self.roles.values() if role["Arn"] == arn), None)

    def propagated(self, role):
        """Whether the services of AWS see the role yet."""
        published = self.world.scenario.get("iamPropagation")
        wait = self.world.duration("iam.propagation") if published is None else self.world.seconds(published)
        return role["builtin"] or (self.world.now() - role["CreateDate"]).total_seconds() >= wait

    def attachments_propagated(self, role):
        """Whether the services of AWS see the policies that a standing role was given last."""
        changed = role.get("attachedSince")
        published = self.world.scenario.get("iamPropagation")
        wait = self.world.duration("iam.propagation") if published is None else self.world.seconds(published)
        return changed is None or (self.world.now() - changed).total_seconds() >= wait

    def trusts(self, role, service):
        """Whether the role's trust policy lets the service (`eks.amazonaws.com`) assume it."""
        for statement in _listed(role["trust"].get("Statement", [])):
            principals = statement.get("Principal", {})
            if statement.get("Effect") == "Allow" and isinstance(principals, dict) and service in _listed(principals.get("Service", [])):
                if any(action in ("sts:AssumeRole", "sts:*") for action in _listed(statement.get("Action", []))):
                    return True
        return False

    def attach(self, role, arn):
        if not self.policy_exists(arn):
            raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
        if arn not in role["attached"]:
            role["attached"].append(arn)

    def policy_exists(self, arn):
        return arn in self.policies or (arn.startswith("arn:aws:iam::aws:policy/") and arn.removeprefix("arn:aws:iam::aws:policy/") in MANAGED)

    def delete_role(self, name):
        role = self.roles.get(name)
        if role is None:
            return
        holder = next((profile for profile in self.profiles.values() if name in profile["roles"]), None)
        if holder:
            raise AwsError("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", 409)
        del self.roles[name]

    def inventory(self):
        for role in self.roles.values():
            if not role["builtin"]:
                yield {"kind": "iam:role", "id": role["RoleName"], "arn": role["Arn"], "tags": role["tags"]}
        for arn, policy in self.policies.items():
            yield {"kind": "iam:policy", "id": arn, "arn": arn, "tags": policy["tags"]}
        for name, profile in self.profiles.items():
            yield {"kind": "iam:instance-profile", "id": name, "tags": profile["tags"]}


def _listed(value):
    return value if isinstance(value, list) else [value]


def _role(call, name):
    role = call.world.state(Iam).roles.get(name)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    return role


def _shown(role, full):
    shown = {key: role[key] for key in ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "MaxSessionDuration")}
    shown["AssumeRolePolicyDocument"] = quote(json.dumps(role["trust"]))
    if role["Description"]:
        shown["Description"] = role["Description"]
    if full:
        if role["tags"]:
            shown["Tags"] = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
        if role["boundary"]:
            shown["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": role["boundary"]}
        shown["RoleLastUsed"] = {}
    return shown


@operations("GetRole")
def get_role(call):
    return {"Role": _shown(_role(call, call.parameters["RoleName"]), full=True)}


@operations("ListRoles")
def list_roles(call):
    prefix = call.get("PathPrefix", "/")
    # ListRoles leaves the tags out: only GetRole and ListRoleTags show them.
    found = sorted((role for role in call.world.state(Iam).roles.values() if role["Path"].startswith(prefix)), key=lambda role: role["RoleName"])
    start, count = int(call.get("Marker", "0")), call.get("MaxItems", 100)
    page = {"Roles": [_shown(role, full=False) for role in found[start:start + count]], "IsTruncated": len(found) > start + count}
    if page["IsTruncated"]:
        page["Marker"] = str(start + count)
    return page


@operations("GetRolePolicy")
def get_role_policy(call):
    role, name = _role(call, call.parameters["RoleName"]), call.parameters["PolicyName"]
    if name not in role["inline"]:
        raise AwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)
    return {"RoleName": role["RoleName"], "PolicyName": name, "PolicyDocument": quote(json.dumps(role["inline"][name]))}


@operations("ListRolePolicies")
def list_role_policies(call):
    return {"PolicyNames": sorted(_role(call, call.parameters["RoleName"])["inline"]), "IsTruncated": False}


@operations("ListAttachedRolePolicies")
def list_attached_role_policies(call):
    attached = _role(call, call.parameters["RoleName"])["attached"]
    return {"AttachedPolicies": [{"PolicyName": arn.rsplit("/", 1)[1], "PolicyArn": arn} for arn in attached], "IsTruncated": False}


@operations("AttachRolePolicy")
def attach_role_policy(call):
    call.world.state(Iam).attach(_role(call, call.parameters["RoleName"]), call.parameters["PolicyArn"])


@operations("DetachRolePolicy")
def detach_role_policy(call):
    role, arn = _role(call, call.parameters["RoleName"]), call.parameters["PolicyArn"]
    if arn not in role["attached"]:
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.", 404)
    role["attached"].remove(arn)


@operations("ListRoleTags")
def list_role_tags(call):
    tags = _role(call, call.parameters["RoleName"])["tags"]
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()], "IsTruncated": False}


@operations("SimulatePrincipalPolicy")
def simulate_principal_policy(call):
    source = call.parameters["PolicySourceArn"]
    if ":assumed-role/" in source:
        raise AwsError("InvalidInput", f"Invalid Entity Arn: {source} does not clearly define entity type and name.", 400)
    results = []
    for action in call.parameters["ActionNames"]:
        denied = call.world.scenario.denies(action, (source,))
        for resource in call.get("ResourceArns", ["*"]):
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "implicitDeny" if denied else "allowed",
                            "MatchedStatements": [], "MissingContextValues": []})
    return {"EvaluationResults": results, "IsTruncated": False}
