"""UpdateClusterConfig, UpdateClusterVersion, AssociateEncryptionConfig, DescribeUpdate, ListUpdates."""
import copy
import json

from ...errors import AwsError
from . import network, operations, versions
from .base import in_use, invalid, not_found, page, refused
from .clusters import check_cidrs, check_endpoints, check_role
from .state import Eks


def check_free(cluster, kind):
    """One update in flight, and only on a cluster that is ACTIVE."""
    update = cluster.updates.in_flight()
    if update:
        raise in_use(f"Cannot {kind} because cluster {cluster.name} currently has update {update.id} in progress", clusterName=cluster.name)
    if cluster.status != "ACTIVE":
        raise in_use(f"Cannot {kind} because cluster {cluster.name} is in status {cluster.status}", clusterName=cluster.name)


@operations("UpdateClusterConfig")
def update_cluster_config(call):
    eks = call.world.state(Eks)
    return eks.tokens.answer("UpdateClusterConfig", call.parameters, lambda: _update(call, eks.find(call.parameters["name"])))


def _update(call, cluster):
    asked = call.parameters
    kinds = _kinds(asked)
    if not kinds:
        raise invalid("The type for cluster update was not provided.", clusterName=cluster.name)
    if len(kinds) > 1:
        raise invalid("Only one type of update can be allowed.", clusterName=cluster.name)
    kind = kinds[0]
    check_free(cluster, kind)
    params, finish = CHANGES[kind](call, cluster, asked)
    update = cluster.begin_update(kind, params, "eks.cluster.update", finish)
    return {"update": update.describe()}


def _kinds(asked):
    kinds = []
    config = asked.get("resourcesVpcConfig") or {}
    if {"endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"} & config.keys():
        kinds.append("EndpointAccessUpdate")
    if {"subnetIds", "securityGroupIds"} & config.keys():
        kinds.append("VpcConfigUpdate")
    if asked.get("logging") is not None:
        kinds.append("LoggingUpdate")
    if asked.get("accessConfig") is not None:
        kinds.append("AccessConfigUpdate")
    if asked.get("upgradePolicy") is not None:
        kinds.append("UpgradePolicyUpdate")
    if asked.get("zonalShiftConfig") is not None:
        kinds.append("ZonalShiftConfigUpdate")
    if any(asked.get(name) is not None for name in ("computeConfig", "storageConfig", "kubernetesNetworkConfig")):
        kinds.append("AutoModeUpdate")
    if asked.get("deletionProtection") is not None:
        kinds.append("DeletionProtectionUpdate")
    return kinds


def _endpoints(call, cluster, asked):
    config, current = asked["resourcesVpcConfig"], cluster.network_config
    wanted = {name: config.get(name, current[name]) for name in ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs")}
    check_endpoints(wanted["endpointPublicAccess"], wanted["endpointPrivateAccess"])
    check_cidrs(config.get("publicAccessCidrs"))
    if all(sorted(current[name]) == sorted(value) if isinstance(value, list) else current[name] == value for name, value in wanted.items()):
        raise invalid(f"Cluster is already at the desired configuration with endpointPrivateAccess: {str(wanted['endpointPrivateAccess']).lower()} , "
                      f"endpointPublicAccess: {str(wanted['endpointPublicAccess']).lower()}, and Public Endpoint Restrictions: "
                      f"[{', '.join(wanted['publicAccessCidrs'])}]", clusterName=cluster.name)
    params = [("EndpointPublicAccess", str(wanted["endpointPublicAccess"]).lower()), ("EndpointPrivateAccess", str(wanted["endpointPrivateAccess"]).lower()),
              ("PublicAccessCidrs", json.dumps(wanted["publicAccessCidrs"]))]
    return params, lambda: current.update(copy.deepcopy(wanted))


def _vpc(call, cluster, asked):
    config, current = asked["resourcesVpcConfig"], cluster.network_config
    params = []
    if config.get("subnetIds"):
        zones = network.check_subnets(call, config["subnetIds"], cluster.name)
        if zones.vpc != cluster.vpc or zones.names != network.zones_of(call.world, current["subnetIds"]):
            raise invalid("Provided subnets must belong to the same AZs that were provided during cluster creation.", clusterName=cluster.name)
        params.append(("Subnets", json.dumps(config["subnetIds"])))
    if config.get("securityGroupIds") is not None:
        network.check_groups(call, config["securityGroupIds"], cluster.vpc)
        params.append(("SecurityGroups", json.dumps(config["securityGroupIds"])))
    if all(sorted(current[name]) == sorted(config[name]) for name in ("subnetIds", "securityGroupIds") if config.get(name) is not None):
        raise invalid("Cluster subnets and security groups are already at the desired configuration.", clusterName=cluster.name)
    return params, lambda: current.update({name: list(config[name]) for name in ("subnetIds", "securityGroupIds") if config.get(name) is not None})


def _logging(call, cluster, asked):
    setups = asked["logging"].get("clusterLogging") or []
    wanted = set(cluster.logging)
    for setup in setups:
        (wanted.update if setup.get("enabled") else wanted.difference_update)(setup.get("types") or [])
    if wanted == cluster.logging:
        raise invalid("No changes needed for the logging config provided", clusterName=cluster.name)
    return [("ClusterLogging", json.dumps(asked["logging"]))], lambda: setattr(cluster, "logging", wanted)


def _access(call, cluster, asked):
    order = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"]
    wanted = asked["accessConfig"].get("authenticationMode")
    if wanted == cluster.authentication:
        raise invalid(f"Unsupported authentication mode update from {cluster.authentication} to {wanted}", clusterName=cluster.name)
    if order.index(wanted) != order.index(cluster.authentication) + 1:
        raise invalid(f"Unsupported authentication mode update from {cluster.authentication} to {wanted}", clusterName=cluster.name)
    return [("AuthenticationMode", wanted)], lambda: setattr(cluster, "authentication", wanted)


def _support(call, cluster, asked):
    wanted = asked["upgradePolicy"].get("supportType")
    if wanted == cluster.support:
        raise invalid(f"Cluster is already at the desired configuration with support type: {wanted}", clusterName=cluster.name)
    return [("UpgradePolicy", json.dumps(asked["upgradePolicy"]))], lambda: setattr(cluster, "support", wanted)


def _zonal_shift(call, cluster, asked):
    wanted = asked["zonalShiftConfig"].get("enabled", False)
    if wanted == cluster.zonal_shift:
        raise invalid("Cluster is already at the desired zonal shift configuration", clusterName=cluster.name)
    return [("ZonalShiftConfig", json.dumps(asked["zonalShiftConfig"]))], lambda: setattr(cluster, "zonal_shift", wanted)


def _auto_mode(call, cluster, asked):
    from .clusters import _auto_mode as check

    is_on = check(asked)
    current = {"compute": cluster.compute or {"enabled": False}, "balancing": cluster.balancing}
    if is_on == cluster.is_auto and (asked.get("computeConfig") or {}) == current["compute"]:
        raise invalid("Cluster is already at the desired configuration for EKS Auto Mode", clusterName=cluster.name)
    if is_on:
        check_role(call.world, cluster.role, True)

    def finish():
        cluster.compute = copy.deepcopy(asked.get("computeConfig"))
        cluster.storage = copy.deepcopy(asked.get("storageConfig"))
        cluster.balancing = is_on
        cluster.let_auto_nodes_in()
        if not is_on:
            cluster.end_auto_mode()
    return [("ComputeConfig", json.dumps(asked.get("computeConfig"))), ("StorageConfig", json.dumps(asked.get("storageConfig")))], finish


def _protection(call, cluster, asked):
    wanted = asked["deletionProtection"]
    if wanted == cluster.deletion_protection:
        raise invalid(f"Cluster is already at the desired configuration with deletionProtection: {str(wanted).lower()}", clusterName=cluster.name)
    # It takes effect at once: no update of the control plane is needed.
    return [("DeletionProtection", str(wanted).lower())], lambda: setattr(cluster, "deletion_protection", wanted)


CHANGES = {"EndpointAccessUpdate": _endpoints, "VpcConfigUpdate": _vpc, "LoggingUpdate": _logging, "AccessConfigUpdate": _access,
           "UpgradePolicyUpdate": _support, "ZonalShiftConfigUpdate": _zonal_shift, "AutoModeUpdate": _auto_mode,
           "DeletionProtectionUpdate": _protection}


@operations("UpdateClusterVersion")
def update_cluster_version(call):
    eks = call.world.state(Eks)
    return eks.tokens.answer("UpdateClusterVersion", call.parameters, lambda: _upgrade(call, eks.find(call.parameters["name"])))


def _upgrade(call, cluster):
    wanted, asked = call.parameters.get("version"), call.parameters
    check_free(cluster, "VersionUpdate")
    if wanted not in versions.NAMES:
        raise invalid("unsupported Kubernetes version", clusterName=cluster.name)
    if wanted == cluster.version:
        raise invalid(f"Cluster is already at the desired configuration with version {wanted}", clusterName=cluster.name)
    if versions.number(wanted) != versions.number(cluster.version) + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {cluster.version} to {wanted}", clusterName=cluster.name)
    # A kubelet may be three minors older than the API server.
    for nodegroup in cluster.nodegroups.values():
        if versions.number(wanted) - versions.number(nodegroup.version) > 3:
            raise refused(f"Nodegroups {nodegroup.name} must be updated to match cluster version {cluster.version} before updating cluster version",
                          clusterName=cluster.name)
    blocking = [insight["name"] for insight in call.world.scenario.get("eksInsights", []) if insight.get("status") == "ERROR"]
    if blocking and not asked.get("force"):
        raise AwsError("InvalidStateException", "Amazon EKS detected upgrade readiness issues. Call the ListInsights API to view detected upgrade blocking "
                       "issues. Pass the force flag when updating to override upgrade readiness errors.", 400, clusterName=cluster.name)

    def finish():
        cluster.version = wanted
    update = cluster.begin_update("VersionUpdate", [("Version", wanted), ("PlatformVersion", versions.PLATFORM)], "eks.cluster.version", finish)
    return {"update": update.describe()}


@operations("AssociateEncryptionConfig")
def associate_encryption_config(call):
    eks = call.world.state(Eks)

    def act():
        cluster = eks.find(call.parameters["clusterName"])
        check_free(cluster, "AssociateEncryptionConfig")
        wanted = call.parameters["encryptionConfig"]
        if cluster.encryption:
            raise invalid("Encryption is already enabled on the cluster", clusterName=cluster.name)
        update = cluster.begin_update("AssociateEncryptionConfig", [("EncryptionConfig", json.dumps(wanted))], "eks.encryption.associate",
                                      lambda: setattr(cluster, "encryption", copy.deepcopy(wanted)))
        return {"update": update.describe()}
    return eks.tokens.answer("AssociateEncryptionConfig", call.parameters, act)


def _updates_of(call):
    cluster = call.world.state(Eks).find(call.parameters["name"])
    nodegroup, addon = call.parameters.get("nodegroupName"), call.parameters.get("addonName")
    if nodegroup:
        return cluster.nodegroups[nodegroup].updates if nodegroup in cluster.nodegroups else _missing("node group", nodegroup)
    if addon:
        return cluster.addons[addon].updates if addon in cluster.addons else _missing("addon", addon)
    return cluster.updates


def _missing(kind, name):
    raise not_found(f"No {kind} found for name: {name}.")


@operations("DescribeUpdate")
def describe_update(call):
    update = _updates_of(call).find(call.parameters["updateId"])
    if update is None:
        raise not_found(f"No update found for ID: {call.parameters['updateId']}")
    return {"update": update.describe()}


@operations("ListUpdates")
def list_updates(call):
    return page([update.id for update in reversed(_updates_of(call).all)], call.parameters, "updateIds")
