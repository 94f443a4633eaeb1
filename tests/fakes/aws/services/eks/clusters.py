"""CreateCluster, DescribeCluster, ListClusters, DeleteCluster, DescribeClusterVersions."""
import datetime
import ipaddress

from ...errors import AwsError
from ..iam import Iam
from . import network, operations, versions
from .base import in_use, invalid, not_found, page, refused
from .cluster import Cluster
from .state import Eks

POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
AUTO_POLICIES = tuple(f"arn:aws:iam::aws:policy/AmazonEKS{name}Policy" for name in ("Compute", "BlockStorage", "LoadBalancing", "Networking"))
CLUSTER_LIMIT = 100
# The public endpoint is never reached from these.
PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")))


@operations("CreateCluster")
def create_cluster(call):
    eks = call.world.state(Eks)
    return eks.tokens.answer("CreateCluster", call.parameters, lambda: _create(call, eks))


def _create(call, eks):
    asked, world = call.parameters, call.world
    name = asked["name"]
    if name in eks.clusters:
        raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
    if len(eks.clusters) >= int(world.scenario.get("quotas.L-1194D53C", CLUSTER_LIMIT)):
        raise AwsError("ResourceLimitExceededException", f"Cluster limit exceeded for account. Cannot create more than {CLUSTER_LIMIT} clusters.", 400)
    version = asked.get("version") or versions.DEFAULT
    if version not in versions.NAMES:
        raise invalid("unsupported Kubernetes version", clusterName=name)
    is_auto = _auto_mode(asked)
    check_role(world, asked["roleArn"], is_auto)
    zones = network.check_subnets(call, asked["resourcesVpcConfig"].get("subnetIds") or [], name)
    network.check_groups(call, asked["resourcesVpcConfig"].get("securityGroupIds") or [], zones.vpc)
    check_cidrs(asked["resourcesVpcConfig"].get("publicAccessCidrs"))
    check_endpoints(asked["resourcesVpcConfig"].get("endpointPublicAccess", True), asked["resourcesVpcConfig"].get("endpointPrivateAccess", False))
    if is_auto and asked.get("bootstrapSelfManagedAddons", True):
        raise invalid("When Auto Mode is enabled, bootstrapSelfManagedAddons must be set to false", clusterName=name)
    cluster = Cluster(eks, asked, version, zones.vpc, call.identity)
    eks.clusters[name] = cluster
    eks.changed("cluster", name, None, "CREATING")
    cluster.begin()
    return {"cluster": cluster.describe()}


def _auto_mode(asked):
    compute = (asked.get("computeConfig") or {}).get("enabled", False)
    balancing = ((asked.get("kubernetesNetworkConfig") or {}).get("elasticLoadBalancing") or {}).get("enabled", False)
    storage = ((asked.get("storageConfig") or {}).get("blockStorage") or {}).get("enabled", False)
    if len({compute, balancing, storage}) != 1:
        raise invalid("The type for cluster update was not provided: for EKS Auto Mode, please ensure that all required configs, including "
                      "computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.")
    if compute and (asked["computeConfig"].get("nodePools") and not asked["computeConfig"].get("nodeRoleArn")):
        raise invalid("When Compute Config nodePools are not empty, nodeRoleArn must be specified.")
    return compute


def check_role(world, arn, is_auto):
    """The errors of a role that is missing, too young, or wrong (terraform-provider-aws, internal/service/eks/cluster.go)."""
    iam = world.state(Iam)
    role = iam.role_of_arn(arn)
    if role is None or not iam.propagated(role):
        raise invalid(f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct")
    if not iam.trusts(role, "eks.amazonaws.com"):
        raise invalid("Role could not be assumed because the trusted entity is not correct")
    missing = missing_policies(role, is_auto)
    if is_auto and not missing and not iam.attachments_propagated(role):
        missing = list(AUTO_POLICIES)
    if missing:
        raise invalid("The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following "
                      f"policies [{', '.join(missing)}] are attached")


def missing_policies(role, is_auto):
    """What a role of a control plane lacks. The storage policy has a narrower second edition."""
    has = {policy.removesuffix("V2") for policy in role["attached"]}
    return [policy for policy in (POLICY, *(AUTO_POLICIES if is_auto else ())) if policy not in has]


def check_cidrs(cidrs):
    for cidr in cidrs or []:
        try:
            network_ = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise invalid(f"The following CIDRs are invalid in publicAccessCidrs: [{cidr}]") from error
        if any(network_.version == 4 and network_.subnet_of(block) for block in PRIVATE):
            raise invalid(f"The following CIDRs are not allowed in publicAccessCidrs: [{cidr}]")


def check_endpoints(public, private):
    if not public and not private:
        raise invalid("Private and public endpoint access cannot be false")


@operations("DescribeCluster")
def describe_cluster(call):
    eks = call.world.state(Eks)
    cluster = eks.find(call.parameters["name"])
    if not eks.seen(cluster, "DescribeCluster"):
        raise not_found(f"No cluster found for name: {cluster.name}.", clusterName=cluster.name)
    return {"cluster": cluster.describe()}


@operations("ListClusters")
def list_clusters(call):
    eks = call.world.state(Eks)
    names = sorted(name for name, cluster in eks.clusters.items() if eks.seen(cluster, "ListClusters"))
    return page(names, call.parameters, "clusters")


@operations("DeleteCluster")
def delete_cluster(call):
    eks = call.world.state(Eks)
    cluster = eks.find(call.parameters["name"])
    name = cluster.name
    if cluster.nodegroups:
        raise in_use("Cluster has nodegroups attached", clusterName=name)
    if cluster.status == "CREATING":
        raise in_use(f"Cannot delete because cluster {name} is currently being created", clusterName=name)
    if cluster.status == "DELETING":
        raise in_use(f"Cluster {name} is already being deleted", clusterName=name)
    update = cluster.updates.in_flight()
    if update:
        raise in_use(f"Cannot delete because cluster {name} currently has an update in progress", clusterName=name)
    if cluster.deletion_protection and cluster.status == "ACTIVE":
        raise refused(f"Cannot delete cluster {name} because deletion protection is enabled. Disable deletion protection and try again.", clusterName=name)
    cluster.delete()
    return {"cluster": cluster.describe()}


@operations("DescribeClusterVersions")
def describe_cluster_versions(call):
    asked, now = call.parameters, datetime.datetime.now(datetime.timezone.utc)
    names = asked.get("clusterVersions") or versions.NAMES
    found = [versions.describe(name, now) for name in reversed(versions.NAMES) if name in names]
    if asked.get("defaultOnly"):
        found = [version for version in found if version["defaultVersion"]]
    if asked.get("versionStatus"):
        found = [version for version in found if version["versionStatus"] == asked["versionStatus"]]
    if asked.get("status"):
        found = [version for version in found if version["status"] == asked["status"]]
    return page(found, asked, "clusterVersions")
