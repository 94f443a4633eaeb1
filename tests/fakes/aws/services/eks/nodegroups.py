"""CreateNodegroup, DescribeNodegroup, ListNodegroups, UpdateNodegroupConfig, UpdateNodegroupVersion, DeleteNodegroup."""
import copy
import json

from ..iam import Iam
from . import access, machines, network, operations, versions
from .base import in_use, invalid, not_found, page, refused
from .nodegroup import Nodegroup
from .state import Eks

RESERVED = ("kubernetes.io", "k8s.io", "eks.amazonaws.com")
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy")
DEFAULT_TYPE = "t3.medium"


def _find(call, cluster=None):
    cluster = cluster or call.world.state(Eks).find(call.parameters["clusterName"])
    nodegroup = cluster.nodegroups.get(call.parameters["nodegroupName"])
    if nodegroup is None:
        raise not_found(f"No node group found for name: {call.parameters['nodegroupName']}.", clusterName=cluster.name,
                        nodegroupName=call.parameters["nodegroupName"])
    return nodegroup


@operations("CreateNodegroup")
def create_nodegroup(call):
    eks = call.world.state(Eks)
    return eks.tokens.answer("CreateNodegroup", call.parameters, lambda: _create(call, eks))


def _create(call, eks):
    asked, world = call.parameters, call.world
    cluster, name = eks.find(asked["clusterName"]), asked["nodegroupName"]
    fields = {"clusterName": cluster.name, "nodegroupName": name}
    if cluster.status not in ("ACTIVE", "UPDATING"):
        raise refused(f"Cluster '{cluster.name}' is not in ACTIVE status", **fields)
    if cluster.status == "UPDATING" and any(update.type == "VersionUpdate" for update in cluster.updates.all if update.status == "InProgress"):
        raise in_use(f"Cluster '{cluster.name}' is in UPDATING status", **fields)
    if name in cluster.nodegroups:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}", **fields)
    version = asked.get("version") or cluster.version
    skew = versions.number(cluster.version) - versions.number(version) if version in versions.NAMES else -1
    if not 0 <= skew <= 3:
        raise invalid(f"Requested Nodegroup version {version} is not supported for cluster version {cluster.version}", **fields)
    _check_role(world, asked["nodeRole"], fields)
    _check_labels(asked.get("labels"), fields)
    _check_taints(asked.get("taints"), fields)
    _check_update_config(asked.get("updateConfig"), fields)
    zones = network.check_subnets(call, asked["subnets"], name, for_nodes=True)
    if zones.vpc != cluster.vpc:
        raise invalid(f"Subnets are not tagged or do not belong to the VPC of cluster {cluster.name}: {', '.join(asked['subnets'])}", **fields)
    template = machines.template(call, asked.get("launchTemplate"))
    if template and template["data"].get("BlockDeviceMappings") and asked.get("diskSize"):
        raise invalid("Disk size must be specified within the launch template.", **fields)
    if template and template["data"].get("IamInstanceProfile"):
        raise invalid("Launch template should not specify an instance profile. The noderole in your request will be used to construct an instance profile.", **fields)
    if template and asked.get("remoteAccess"):
        raise invalid("Remote access configuration cannot be specified with a launch template.", **fields)
    types = asked.get("instanceTypes") or ([] if template and template["data"].get("InstanceType") else [DEFAULT_TYPE])
    if types and template and template["data"].get("InstanceType"):
        raise invalid("You cannot specify instanceTypes in both the launch template and the API request.", **fields)
    known = types or [template["data"]["InstanceType"]]
    ami_type = asked.get("amiType") or ("AL2023_ARM_64_STANDARD" if machines.architecture(world, known[0]) == "arm64" else "AL2023_x86_64_STANDARD")
    _check_types(world, known, ami_type, fields)
    details = {"ami_type": ami_type, "types": types, "disk": None if template else asked.get("diskSize") or 20, "template": template and template["shown"],
               "scaling": _scaling(asked.get("scalingConfig"), fields), "stamp": newest(world)}
    release = asked.get("releaseVersion")
    if release and release not in releases(world, version):
        raise invalid(f"Requested release version {release} is not valid for kubernetes version {version}.", **fields)
    nodegroup = Nodegroup(cluster, asked, details)
    cluster.nodegroups[name] = nodegroup
    access.own_entry(cluster, nodegroup.role, "EC2_LINUX")
    eks.changed("nodegroup", f"{cluster.name}/{name}", None, "CREATING")
    nodegroup.begin()
    return {"nodegroup": nodegroup.describe()}


def newest(world):
    return world.scenario.get("eksNewestRelease") or versions.RELEASES[0]


def releases(world, version):
    return [versions.release_of(version, stamp) for stamp in {newest(world), *versions.RELEASES}]


def _check_role(world, arn, fields):
    iam = world.state(Iam)
    role = iam.role_of_arn(arn)
    if role is None or not iam.propagated(role):
        raise invalid(f"The role with name {arn.rsplit('/', 1)[-1]} cannot be found, or does not exist yet. (Service: AmazonIdentityManagement; "
                      "Status Code: 404; Error Code: NoSuchEntity)", **fields)
    if not iam.trusts(role, "ec2.amazonaws.com"):
        raise invalid(f"Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole {arn}", **fields)
    attached = {policy.rsplit("/", 1)[1] for policy in role["attached"]}
    if not attached.intersection(NODE_POLICIES):
        raise invalid("The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following policies "
                      "[AmazonEKSWorkerNodePolicy] are attached", **fields)


def _check_labels(labels, fields):
    for key in labels or {}:
        domain = key.split("/")[0] if "/" in key else ""
        if any(domain == reserved or domain.endswith(f".{reserved}") for reserved in RESERVED) and not domain.startswith("node-role."):
            raise invalid(f"Label cannot contain reserved prefixes [{', '.join(f'{reserved}/' for reserved in RESERVED)}]: {key}", **fields)


def _check_taints(taints, fields):
    seen = [(taint.get("key"), taint.get("effect")) for taint in taints or []]
    if len(set(seen)) != len(seen):
        raise invalid("Taints with the same key and effect are duplicated", **fields)


def _check_types(world, types, ami_type, fields):
    unknown = [kind for kind in types if not machines.type_exists(world, kind)]
    if unknown:
        raise invalid(f"The following supplied instance types do not exist: [{', '.join(unknown)}]", **fields)
    wanted = "arm64" if "ARM_64" in ami_type else "x86_64"
    if ami_type == "CUSTOM":
        return
    wrong = [kind for kind in types if machines.architecture(world, kind) != wanted]
    if wrong:
        raise invalid(f"[{', '.join(wrong)}] is not a valid instance type for requested amiType {ami_type}", **fields)
    if "NVIDIA" in ami_type:
        wrong = [kind for kind in types if not machines.gpus(world, kind)]
        if wrong:
            raise invalid(f"[{', '.join(wrong)}] is not a valid instance type for requested amiType {ami_type}", **fields)


def _scaling(asked, fields):
    asked = asked or {}
    least = asked.get("minSize", 1)
    most = asked.get("maxSize", 2)
    scaling = {"minSize": least, "maxSize": most, "desiredSize": asked.get("desiredSize", max(least, min(2, most)))}
    _check_scaling(scaling, fields)
    return scaling


def _check_scaling(scaling, fields):
    if scaling["minSize"] > scaling["desiredSize"]:
        raise invalid(f"Minimum capacity {scaling['minSize']} can't be greater than desired size {scaling['desiredSize']}", **fields)
    if scaling["desiredSize"] > scaling["maxSize"]:
        raise invalid(f"desired capacity {scaling['desiredSize']} can't be greater than max size {scaling['maxSize']}", **fields)


def _check_update_config(asked, fields):
    if asked is None:
        return
    if ("maxUnavailable" in asked) == ("maxUnavailablePercentage" in asked):
        raise invalid("Either maxUnavailable or maxUnavailablePercentage must be specified, but not both", **fields)
    if asked.get("maxUnavailable", 1) > 100:
        raise invalid("maxUnavailable can't be greater than 100", **fields)


@operations("DescribeNodegroup")
def describe_nodegroup(call):
    nodegroup = _find(call)
    if not call.world.state(Eks).seen(nodegroup, "DescribeNodegroup"):
        raise not_found(f"No node group found for name: {nodegroup.name}.", clusterName=nodegroup.cluster.name, nodegroupName=nodegroup.name)
    return {"nodegroup": nodegroup.describe()}


@operations("ListNodegroups")
def list_nodegroups(call):
    eks = call.world.state(Eks)
    cluster = eks.find(call.parameters["clusterName"])
    return page(sorted(name for name, nodegroup in cluster.nodegroups.items() if eks.seen(nodegroup, "ListNodegroups")), call.parameters, "nodegroups")


def _check_free(nodegroup, states=("ACTIVE", "DEGRADED")):
    fields = {"clusterName": nodegroup.cluster.name, "nodegroupName": nodegroup.name}
    update = nodegroup.updates.in_flight()
    if update or nodegroup.status == "UPDATING":
        raise in_use(f"Nodegroup {nodegroup.name} currently has update {update.id if update else ''} in progress", **fields)
    if nodegroup.status not in states:
        raise in_use(f"Nodegroup {nodegroup.name} is in {nodegroup.status} status", **fields) if nodegroup.status == "DELETING" else refused(
            f"Nodegroup {nodegroup.name} is not in ACTIVE status: {nodegroup.status}", **fields)


@operations("UpdateNodegroupConfig")
def update_nodegroup_config(call):
    return call.world.state(Eks).tokens.answer("UpdateNodegroupConfig", call.parameters, lambda: _update_config(call))


def _update_config(call):
    nodegroup, asked = _find(call), call.parameters
    fields = {"clusterName": nodegroup.cluster.name, "nodegroupName": nodegroup.name}
    _check_free(nodegroup)
    _check_update_config(asked.get("updateConfig"), fields)
    params = []
    scaling = {**nodegroup.scaling, **(asked.get("scalingConfig") or {})}
    _check_scaling(scaling, fields)
    labels = copy.deepcopy(nodegroup.labels)
    change = asked.get("labels") or {}
    _check_labels(change.get("addOrUpdateLabels"), fields)
    labels.update(change.get("addOrUpdateLabels") or {})
    for key in change.get("removeLabels") or []:
        labels.pop(key, None)
    taints = _changed_taints(nodegroup.taints, asked.get("taints") or {}, fields)
    for name, value in (asked.get("scalingConfig") or {}).items():
        params.append((name[0].upper() + name[1:], value))
    for name, value in (("LabelsToAdd", change.get("addOrUpdateLabels")), ("LabelsToRemove", change.get("removeLabels")),
                        ("TaintsToAdd", (asked.get("taints") or {}).get("addOrUpdateTaints")), ("TaintsToRemove", (asked.get("taints") or {}).get("removeTaints"))):
        if value:
            params.append((name, json.dumps(value)))
    for name, value in (asked.get("updateConfig") or {}).items():
        params.append((name[0].upper() + name[1:], value))
    if asked.get("nodeRepairConfig") is not None:
        params.append(("NodeRepairConfig", json.dumps(asked["nodeRepairConfig"])))
    if not params:
        raise invalid("No changes detected in the nodegroup configuration", **fields)

    nodegroup.scaling, nodegroup.labels, nodegroup.taints = scaling, labels, taints
    if asked.get("updateConfig"):
        nodegroup.update_config = copy.deepcopy(asked["updateConfig"])
    if asked.get("nodeRepairConfig") is not None:
        nodegroup.repair = copy.deepcopy(asked["nodeRepairConfig"])
    nodegroup.scale_to_desired()

    def settled():
        living = nodegroup.living
        return len(living) == nodegroup.scaling["desiredSize"] and all(instance.is_ready for instance in living)
    update = nodegroup.begin_update("ConfigUpdate", params, "eks.nodegroup.update", settled)
    return {"update": update.describe()}


def _changed_taints(taints, change, fields):
    def key(taint):
        return taint.get("key"), taint.get("effect")
    removed = {key(taint) for taint in change.get("removeTaints") or []}
    added = change.get("addOrUpdateTaints") or []
    _check_taints(added, fields)
    replaced = removed | {key(taint) for taint in added}
    return [taint for taint in taints if key(taint) not in replaced] + copy.deepcopy(added)


@operations("UpdateNodegroupVersion")
def update_nodegroup_version(call):
    return call.world.state(Eks).tokens.answer("UpdateNodegroupVersion", call.parameters, lambda: _update_version(call))


def _update_version(call):
    nodegroup, asked = _find(call), call.parameters
    cluster = nodegroup.cluster
    fields = {"clusterName": cluster.name, "nodegroupName": nodegroup.name}
    _check_free(nodegroup)
    template = machines.template(call, asked.get("launchTemplate"))
    if template and not nodegroup.template:
        raise invalid("Nodegroup was not created with a launch template", **fields)
    if template and template["shown"]["id"] != nodegroup.template["id"]:
        raise invalid("Launch template ID cannot be changed", **fields)
    version = asked.get("version") or (nodegroup.version if template and not asked.get("releaseVersion") else cluster.version)
    if version not in versions.NAMES or not 0 <= versions.number(cluster.version) - versions.number(version) <= 3:
        raise invalid(f"Requested Nodegroup version {version} is not supported for cluster version {cluster.version}", **fields)
    if versions.number(version) < versions.number(nodegroup.version):
        raise invalid(f"Requested Nodegroup version {version} is older than the current one, {nodegroup.version}", **fields)
    release = asked.get("releaseVersion") or (nodegroup.release if template and version == nodegroup.version else versions.release_of(version, newest(call.world)))
    if release not in releases(call.world, version):
        raise invalid(f"Requested release version {release} is not valid for kubernetes version {version}.", **fields)
    params = [("Version", version), ("ReleaseVersion", release)]
    if template:
        nodegroup.template = template["shown"]
        params += [("LaunchTemplateName", template["shown"]["name"]), ("LaunchTemplateVersion", template["shown"]["version"])]
    nodegroup.version, nodegroup.release = version, release
    done = nodegroup.roll(asked.get("force", False))
    update = nodegroup.begin_update("VersionUpdate", params, "eks.nodegroup.update", done)
    return {"update": update.describe()}


@operations("DeleteNodegroup")
def delete_nodegroup(call):
    nodegroup = _find(call)
    if nodegroup.status in ("DELETING", "UPDATING"):
        raise in_use(f"Nodegroup {nodegroup.name} is in {nodegroup.status} status", clusterName=nodegroup.cluster.name, nodegroupName=nodegroup.name)
    nodegroup.delete()
    return {"nodegroup": nodegroup.describe()}
