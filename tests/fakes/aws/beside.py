"""The rights that a call needs beside its own: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_eks.html>.

Each is asked for once the call's own right was there; the refusal has the form of the service that was called.
"""
import secrets

from .errors import AwsError
from .faults import denied
from .services.iam import Iam

# What EKS says where it may not try a launch template in the caller's name; what was missing stands in the encoded part.
MACHINES = "You are not authorized to launch instances with this launch template. Encoded authorization failure message: {}"


def needed(call):
    """(right, resource) of each, as the parameters are."""
    for rule in BESIDE.get((call.service, call.action), ()):
        yield from rule(call)


def require(call):
    """Raises the refusal of the first right that the caller lacks."""
    world = call.world
    for right, resource in needed(call):
        world.rights.add(right)
        if world.scenario.denies(right, (call.identity.arn, call.identity.principal)):
            if right in ("ec2:RunInstances", "ec2:CreateTags"):
                raise AwsError("InvalidRequestException", MACHINES.format(secrets.token_urlsafe(60)), 400)
            raise denied(right, call.identity, resource, call.service)


def performed(call):
    """What the call made on the way: roles that AWS makes once for a service."""
    made = call.world.state(Iam).linked
    made.update(service for rule in BESIDE.get((call.service, call.action), ()) for service in getattr(rule, "links", ()))


def _at(parameters, path):
    for name in path.split("."):
        parameters = (parameters or {}).get(name)
    return parameters


def _tags(right, member="tags"):
    """What carries tags from the beginning is tagged."""
    def rule(call):
        if call.get(member):
            yield right, "*"
    return rule


def _role(path):
    """A role is handed over."""
    def rule(call):
        arn = _at(call.parameters, path)
        if arn:
            yield "iam:PassRole", arn
    return rule


def _roles_of_associations(call):
    for each in call.get("podIdentityAssociations", []):
        yield "iam:PassRole", each["roleArn"]


def _linked(service, name):
    """The role of the service itself, which the first such call in an account makes."""
    def rule(call):
        if service not in call.world.state(Iam).linked:
            yield "iam:CreateServiceLinkedRole", f"arn:aws:iam::{call.world.account}:role/aws-service-role/{service}/{name}"
    rule.links = (service,)
    return rule


def _key(path, rights):
    """A key of the caller's is used for good."""
    def rule(call):
        if _at(call.parameters, path):
            yield from ((right, "*") for right in rights)
    return rule


def _machines(call):
    if call.get("launchTemplate"):
        yield "ec2:RunInstances", "*"
        yield "ec2:CreateTags", "*"


GRANT = ("kms:DescribeKey", "kms:CreateGrant")
BESIDE = {
    ("cloudformation", "CreateStack"): [_tags("cloudformation:TagResource", "Tags")],
    ("ecr", "CreateRepository"): [_tags("ecr:TagResource"), _key("encryptionConfiguration.kmsKey", (*GRANT, "kms:RetireGrant"))],
    ("ecr", "CreatePullThroughCacheRule"): [_linked("pullthroughcache.ecr.amazonaws.com", "AWSServiceRoleForECRPullThroughCache")],
    ("eks", "AssociateEncryptionConfig"): [_key("encryptionConfig", GRANT)],
    ("eks", "CreateAccessEntry"): [_tags("eks:TagResource")],
    ("eks", "CreateAddon"): [_tags("eks:TagResource"), _roles_of_associations, _role("serviceAccountRoleArn")],
    ("eks", "CreateCluster"): [_tags("eks:TagResource"), _role("roleArn"), _role("computeConfig.nodeRoleArn"), _key("encryptionConfig", GRANT),
                               _linked("eks.amazonaws.com", "AWSServiceRoleForAmazonEKS")],
    ("eks", "CreateNodegroup"): [_tags("eks:TagResource"), _role("nodeRole"), _machines,
                                 _linked("eks-nodegroup.amazonaws.com", "AWSServiceRoleForAmazonEKSNodegroup")],
    ("eks", "CreatePodIdentityAssociation"): [_tags("eks:TagResource"), _role("roleArn")],
    ("eks", "UpdateAddon"): [_roles_of_associations, _role("serviceAccountRoleArn")],
    ("eks", "UpdateClusterConfig"): [_role("computeConfig.nodeRoleArn")],
    ("eks", "UpdateNodegroupVersion"): [_machines],
    ("eks", "UpdatePodIdentityAssociation"): [_role("roleArn")],
}
