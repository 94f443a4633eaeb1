"""Access entries and policies, and who a verified token is in the cluster."""
import copy
import datetime
import fnmatch
import re

from ...token_webhook import Refused, verify
from ..iam import Iam
from . import operations
from .base import in_use, invalid, new_id, not_found, page, refused
from .state import Eks

POLICIES = "arn:aws:eks::aws:cluster-access-policy/"
# Which ClusterRole stands for a policy in the control plane behind this EKS: the real one asks an authorizer of its own.
ROLES = {"AmazonEKSClusterAdminPolicy": "cluster-admin", "AmazonEKSAdminPolicy": "admin", "AmazonEKSEditPolicy": "edit",
         "AmazonEKSViewPolicy": "view", "AmazonEKSAdminViewPolicy": "eks:admin-view"}
RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")


class Entry:
    def __init__(self, cluster, principal, kind, groups, username, tags):
        world = cluster.world
        self.cluster, self.principal, self.type = cluster, principal, kind
        self.groups, self.tags = list(groups or []), dict(tags or {})
        self.username = username or _username(world, principal, kind)
        self.created = self.modified = world.now()
        flavour, name = principal.split(":")[5].split("/", 1)
        self.id = new_id()
        self.arn = world.arn("eks", f"access-entry/{cluster.name}/{flavour}/{world.account}/{name.rsplit('/', 1)[-1]}/{self.id}")
        # Policy ARN to {"type": …, "namespaces": […], times}.
        self.policies = {}

    def describe(self):
        return {"clusterName": self.cluster.name, "principalArn": self.principal, "kubernetesGroups": list(self.groups),
                "accessEntryArn": self.arn, "createdAt": self.created, "modifiedAt": self.modified, "tags": dict(self.tags),
                "username": self.username, "type": self.type}

    def kubernetes_groups(self):
        groups = list(self.groups)
        for arn, association in self.policies.items():
            if association["scope"]["type"] == "cluster":
                groups.append(policy_group(arn))
            else:
                groups.append(self.scoped_group(arn))
        return groups

    def scoped_group(self, policy):
        return f"eks:access-entry:{self.id}:{policy.rsplit('/', 1)[1]}"

    def scoped(self):
        """(group, ClusterRole, namespace patterns) of each policy that holds in some namespaces only."""
        for arn, association in self.policies.items():
            if association["scope"]["type"] == "namespace":
                yield self.scoped_group(arn), ROLES[arn.rsplit("/", 1)[1]], list(association["scope"].get("namespaces") or [])


def policy_group(arn):
    return f"eks:access-policy:{arn.rsplit('/', 1)[1]}"


def matches(namespace, patterns):
    return any(fnmatch.fnmatchcase(namespace, pattern) for pattern in patterns)


def _username(world, principal, kind):
    if kind in ("EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2"):
        return "system:node:{{EC2PrivateDNSName}}" if kind != "FARGATE_LINUX" else "system:node:{{SessionName}}"
    if ":role/" in principal:
        account, name = principal.split(":")[4], principal.rsplit("/", 1)[1]
        return f"arn:aws:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"
    return principal


def bootstrap(cluster):
    """The creator becomes administrator, when the cluster was asked to see to it."""
    entry = Entry(cluster, cluster.creator.principal, "STANDARD", [], None, {})
    _associate(entry, POLICIES + "AmazonEKSClusterAdminPolicy", {"type": "cluster", "namespaces": []})
    cluster.entries[entry.principal] = entry


def own_entry(cluster, role, kind):
    """What EKS makes for the nodes of its own."""
    if role not in cluster.entries and cluster.authentication != "CONFIG_MAP":
        groups = ["system:nodes"] if kind != "EC2" else []
        cluster.entries[role] = Entry(cluster, role, kind, groups, None, {})


def identify(eks, key, token):
    """The user behind a token of the cluster with this key. Raises `Refused`. Called outside the lock."""
    with eks.world.lock:
        cluster = next((cluster for cluster in eks.clusters.values() if cluster.key == key), None)
        if cluster is None:
            raise Refused("there is no such cluster")
        identity = verify(token, cluster.name, eks.world)
        entry = cluster.entries.get(identity.principal)
        is_creator = cluster.bootstrap_admin and identity.principal == cluster.creator.principal
        if entry is None and not (cluster.authentication == "CONFIG_MAP" and is_creator):
            raise Refused(f"{identity.arn}: ARN is not mapped")
        session = identity.arn.rsplit("/", 1)[1]
        username = entry.username if entry else "kubernetes-admin"
        groups = entry.kubernetes_groups() if entry else ["system:masters"]
        return {
            "username": username.replace("{{SessionName}}", session.replace("@", "-")).replace("{{SessionNameRaw}}", session),
            "uid": f"aws-iam-authenticator:{identity.account}:{identity.user_id.split(':')[0]}",
            "groups": groups,
            "extra": {"arn": [identity.arn], "canonicalArn": [identity.principal], "accessKeyId": [identity.access_key],
                      "principalId": [identity.user_id.split(":")[0]], "sessionName": [session if identity.role else ""],
                      "sigs.k8s.io/aws-iam-authenticator/principalId": [identity.user_id.split(":")[0]]},
        }


def _cluster(call):
    cluster = call.world.state(Eks).find(call.parameters["clusterName"])
    if cluster.authentication == "CONFIG_MAP":
        raise refused("The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
    return cluster


def _writable(call):
    cluster = _cluster(call)
    if cluster.status in ("CREATING", "DELETING", "FAILED"):
        raise refused(f"Access entries cannot be changed while cluster {cluster.name} is in status {cluster.status}", clusterName=cluster.name)
    return cluster


def _entry(call, cluster):
    """The entry that is asked about. Reads and writes alike may not see one that was just made: scenario `lag` `eks:ACTION`."""
    entry = cluster.entries.get(call.parameters["principalArn"])
    if entry is None or not call.world.state(Eks).seen(entry, call.action):
        raise not_found("The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
    return entry


def _check_groups(groups, username, principal):
    for group in groups or []:
        prefix = next((prefix for prefix in RESERVED if group.startswith(prefix)), None)
        if prefix:
            raise invalid(f"The kubernetes group name {group} is invalid, it cannot start with {prefix}")
    if username and username.startswith(RESERVED):
        raise invalid(f"The username {username} is invalid, it cannot start with one of {', '.join(RESERVED)}")
    if username and "{{SessionName}}" in username and ":role/" not in principal:
        raise invalid("The {{SessionName}} template can only be used in the username of a role")


@operations("CreateAccessEntry")
def create_access_entry(call):
    eks = call.world.state(Eks)

    def act():
        cluster, asked = _writable(call), call.parameters
        principal, kind = asked["principalArn"], asked.get("type") or "STANDARD"
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+", principal):
            raise invalid("The specified principalArn is invalid: invalid format.")
        if ":role/" in principal and principal.split(":")[4] == call.world.account:
            iam = call.world.state(Iam)
            role = iam.role_of_arn(principal)
            if role is None or not iam.propagated(role):
                raise invalid("The specified principalArn is invalid: invalid principal.")
        if principal in cluster.entries:
            raise in_use("The specified access entry resource is already in use on this cluster.")
        if kind != "STANDARD" and (asked.get("kubernetesGroups") or asked.get("username")):
            raise invalid(f"kubernetesGroups and username can only be given for access entries of type STANDARD, not {kind}")
        _check_groups(asked.get("kubernetesGroups"), asked.get("username"), principal)
        groups = asked.get("kubernetesGroups") if kind == "STANDARD" else ["system:nodes"]
        entry = Entry(cluster, principal, kind, groups, asked.get("username"), asked.get("tags"))
        cluster.entries[principal] = entry
        return {"accessEntry": entry.describe()}
    return eks.tokens.answer("CreateAccessEntry", call.parameters, act)


@operations("DescribeAccessEntry")
def describe_access_entry(call):
    return {"accessEntry": _entry(call, _cluster(call)).describe()}


@operations("ListAccessEntries")
def list_access_entries(call):
    eks = call.world.state(Eks)
    entries = [entry for entry in _cluster(call).entries.values() if eks.seen(entry, "ListAccessEntries")]
    policy = call.get("associatedPolicyArn")
    return page(sorted(entry.principal for entry in entries if policy is None or policy in entry.policies), call.parameters, "accessEntries")


@operations("UpdateAccessEntry")
def update_access_entry(call):
    asked, entry = call.parameters, _entry(call, _writable(call))
    if entry.type != "STANDARD":
        raise refused(f"The access entry of type {entry.type} cannot be changed")
    _check_groups(asked.get("kubernetesGroups"), asked.get("username"), entry.principal)
    if asked.get("kubernetesGroups") is not None:
        entry.groups = list(asked["kubernetesGroups"])
    if asked.get("username"):
        entry.username = asked["username"]
    entry.modified = call.world.now()
    return {"accessEntry": entry.describe()}


@operations("DeleteAccessEntry")
def delete_access_entry(call):
    cluster = _writable(call)
    del cluster.entries[_entry(call, cluster).principal]
    return {}


def _associate(entry, arn, scope):
    now = entry.cluster.world.now()
    created = entry.policies[arn]["associatedAt"] if arn in entry.policies else now
    entry.policies[arn] = {"scope": copy.deepcopy(scope), "associatedAt": created, "modifiedAt": now}


def _shown(arn, association):
    scope = association["scope"]
    return {"policyArn": arn, "accessScope": {"type": scope["type"], "namespaces": list(scope.get("namespaces") or [])},
            "associatedAt": association["associatedAt"], "modifiedAt": association["modifiedAt"]}


@operations("AssociateAccessPolicy")
def associate_access_policy(call):
    cluster, arn, scope = _writable(call), call.parameters["policyArn"], call.parameters["accessScope"]
    entry = _entry(call, cluster)
    if not arn.startswith(POLICIES) or arn.removeprefix(POLICIES) not in ROLES:
        raise invalid("The specified policyArn is invalid: policy not found. You can view the available access policies with 'list-access-policies'.")
    if entry.type != "STANDARD":
        raise refused(f"The access entry of type {entry.type} takes no access policies")
    if scope.get("type") == "namespace" and not scope.get("namespaces"):
        raise invalid("namespaces must be given for an access scope of type namespace")
    if scope.get("type") == "cluster" and scope.get("namespaces"):
        raise invalid("namespaces must be empty for an access scope of type cluster")
    _associate(entry, arn, scope)
    return {"clusterName": cluster.name, "principalArn": entry.principal, "associatedAccessPolicy": _shown(arn, entry.policies[arn])}


@operations("DisassociateAccessPolicy")
def disassociate_access_policy(call):
    entry, arn = _entry(call, _writable(call)), call.parameters["policyArn"]
    if entry.policies.pop(arn, None) is None:
        raise not_found("The specified policyArn could not be found. You can view the associated access policies with 'list-associated-access-policies'.")
    return {}


@operations("ListAssociatedAccessPolicies")
def list_associated_access_policies(call):
    cluster = _cluster(call)
    entry = _entry(call, cluster)
    world = call.world
    since = world.now() - datetime.timedelta(seconds=world.lag("eks", call.action))
    shown = [_shown(arn, association) for arn, association in sorted(entry.policies.items()) if association["associatedAt"] <= since]
    return {**page(shown, call.parameters, "associatedAccessPolicies"), "clusterName": cluster.name, "principalArn": entry.principal}


@operations("ListAccessPolicies")
def list_access_policies(call):
    return page([{"name": name, "arn": POLICIES + name} for name in sorted(ROLES)], call.parameters, "accessPolicies")
