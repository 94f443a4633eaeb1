"""Pod Identity associations: which role a service account's pods may take."""
from ..iam import Iam
from . import operations
from .base import hexadecimal, in_use, invalid, not_found, page
from .state import Eks


class Association:
    def __init__(self, cluster, namespace, account, role, tags=None, owner=None, disable_session_tags=False, target=None):
        self.cluster, self.namespace, self.account, self.role = cluster, namespace, account, role
        self.id = f"a-{hexadecimal(17)}"
        self.arn = cluster.world.arn("eks", f"podidentityassociation/{cluster.name}/{self.id}")
        self.tags, self.owner, self.created = dict(tags or {}), owner, cluster.world.now()
        self.modified, self.disable_session_tags, self.target = self.created, disable_session_tags, target

    def describe(self):
        shown = {"clusterName": self.cluster.name, "namespace": self.namespace, "serviceAccount": self.account, "roleArn": self.role,
                 "associationArn": self.arn, "associationId": self.id, "tags": dict(self.tags), "createdAt": self.created,
                 "modifiedAt": self.modified, "disableSessionTags": self.disable_session_tags}
        if self.owner:
            shown["ownerArn"] = self.owner
        if self.target:
            shown["targetRoleArn"] = self.target
        return shown


def check_role(world, arn):
    iam = world.state(Iam)
    role = iam.role_of_arn(arn)
    if role is None or not iam.propagated(role):
        raise invalid(f"Role provided in the request does not exist: {arn}")
    if not iam.trusts(role, "pods.eks.amazonaws.com"):
        raise invalid(f"Trust policy of role {arn} does not allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession")


def add(cluster, namespace, account, role, **fields):
    check_role(cluster.world, role)
    twin = next((found for found in cluster.associations.values() if (found.namespace, found.account) == (namespace, account)), None)
    if twin:
        raise in_use(f"Association already exists: {twin.id}", clusterName=cluster.name)
    association = Association(cluster, namespace, account, role, **fields)
    cluster.associations[association.id] = association
    return association


def _association(call, cluster):
    association = cluster.associations.get(call.parameters["associationId"])
    if association is None:
        raise not_found(f"No Association found for id: {call.parameters['associationId']}", clusterName=cluster.name)
    return association


@operations("CreatePodIdentityAssociation")
def create_pod_identity_association(call):
    eks, asked = call.world.state(Eks), call.parameters

    def act():
        cluster = eks.find(asked["clusterName"])
        association = add(cluster, asked["namespace"], asked["serviceAccount"], asked["roleArn"], tags=asked.get("tags"),
                          disable_session_tags=asked.get("disableSessionTags", False), target=asked.get("targetRoleArn"))
        return {"association": association.describe()}
    return eks.tokens.answer("CreatePodIdentityAssociation", asked, act)


@operations("DescribePodIdentityAssociation")
def describe_pod_identity_association(call):
    return {"association": _association(call, call.world.state(Eks).find(call.parameters["clusterName"])).describe()}


@operations("ListPodIdentityAssociations")
def list_pod_identity_associations(call):
    cluster, asked = call.world.state(Eks).find(call.parameters["clusterName"]), call.parameters
    found = []
    for association in cluster.associations.values():
        if asked.get("namespace") in (None, association.namespace) and asked.get("serviceAccount") in (None, association.account):
            shown = {"clusterName": cluster.name, "namespace": association.namespace, "serviceAccount": association.account,
                     "associationArn": association.arn, "associationId": association.id}
            found.append({**shown, "ownerArn": association.owner} if association.owner else shown)
    return page(found, asked, "associations")


@operations("UpdatePodIdentityAssociation")
def update_pod_identity_association(call):
    asked = call.parameters
    association = _association(call, call.world.state(Eks).find(asked["clusterName"]))
    if association.owner:
        raise invalid(f"Association {association.id} is owned by {association.owner} and cannot be changed here")
    if asked.get("roleArn"):
        check_role(call.world, asked["roleArn"])
        association.role = asked["roleArn"]
    if asked.get("disableSessionTags") is not None:
        association.disable_session_tags = asked["disableSessionTags"]
    association.modified = call.world.now()
    return {"association": association.describe()}


@operations("DeletePodIdentityAssociation")
def delete_pod_identity_association(call):
    cluster = call.world.state(Eks).find(call.parameters["clusterName"])
    association = _association(call, cluster)
    if association.owner:
        raise invalid(f"Association {association.id} is owned by {association.owner} and cannot be deleted here")
    del cluster.associations[association.id]
    return {"association": association.describe()}
