"""What EKS does in EC2: checks of subnets, groups and launch templates; interfaces, machines and groups of its own."""
import dataclasses

from ...errors import AwsError
from ..ec2 import Ec2, catalog
from ..logs import Logs
from .base import invalid

# How many addresses the control plane needs in a subnet: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
NEEDED = 6


@dataclasses.dataclass
class Zones:
    vpc: str
    names: set


def check_subnets(call, ids, name, for_nodes=False):
    """The VPC and the zones of subnets, or what EKS says of them."""
    ec2, world = call.world.state(Ec2), call.world
    subnets = []
    for ident in ids:
        if ident not in ec2.subnets:
            raise invalid(f"The subnet ID '{ident}' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)")
        subnets.append(ec2.subnets[ident])
    if not subnets:
        raise invalid("Subnets can not be null or empty")
    if len({subnet["VpcId"] for subnet in subnets}) > 1:
        raise invalid("Subnets specified must belong to the same VPC")
    zones = Zones(subnets[0]["VpcId"], {subnet["AvailabilityZone"] for subnet in subnets})
    if for_nodes:
        return zones
    without = world.scenario.get("eksZonesWithout", [])
    every = catalog.zones(world.region)
    bad = [subnet for subnet in subnets if subnet["AvailabilityZone"] in without or subnet["AvailabilityZoneId"] in without]
    if bad:
        valid = [zone for zone, ident in every.items() if zone not in without and ident not in without]
        zone = bad[0]["AvailabilityZone"]
        raise AwsError("UnsupportedAvailabilityZoneException",
                       f"Cannot create cluster '{name}' because EKS does not support creating control plane instances in {zone}, the targeted availability zone. "
                       f"Retry cluster creation using control plane subnets that span at least two of these availability zones: {', '.join(valid)}. "
                       "Note, post cluster creation, you can run worker nodes in separate subnets/availability zones from control plane subnets passed "
                       "during cluster creation", 400, clusterName=name, validZones=valid)
    if len(zones.names) < 2:
        raise invalid("Subnets specified must be in at least two different AZs", clusterName=name)
    for subnet in subnets:
        if ec2.free_addresses(subnet) < NEEDED:
            raise invalid(f"One or more of the subnets does not have enough free IP addresses: {subnet['SubnetId']}", clusterName=name)
    return zones


def zones_of(world, ids):
    ec2 = world.state(Ec2)
    return {ec2.subnets[ident]["AvailabilityZone"] for ident in ids if ident in ec2.subnets}


def check_groups(call, ids, vpc):
    groups = call.world.state(Ec2).groups
    for ident in ids:
        if ident not in groups or groups[ident]["VpcId"] != vpc:
            raise invalid(f"Security group(s) [{ident}] are not in the same VPC as the subnets")


def vpc_cidr(world, vpc):
    record = world.state(Ec2).vpcs.get(vpc)
    return record["CidrBlock"] if record else ""


# The cluster's own group and interfaces.


def make_cluster_group(cluster):
    """`eks-cluster-sg-NAME-NUMBER`: made by EKS, worn by the control plane's interfaces and by managed nodes."""
    ec2 = cluster.world.state(Ec2)
    name = f"eks-cluster-sg-{cluster.name}-{cluster.number}"
    tags = {"Name": name, f"kubernetes.io/cluster/{cluster.name}": "owned", "aws:eks:cluster-name": cluster.name}
    try:
        group = ec2.create_group(cluster.vpc, name, "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
                                                    "as well as any managed workloads.", tags)
    except AwsError as error:
        # The VPC is gone: the cluster will be of no use, but it is there.
        cluster.health = [{"code": "VpcNotFound", "message": error.message, "resourceIds": [cluster.vpc]}]
        return None
    group["IpPermissions"] = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group["GroupId"], "UserId": cluster.world.account}],
                               "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}]
    return group["GroupId"]


def make_control_plane_interfaces(cluster):
    ec2, made = cluster.world.state(Ec2), []
    for subnet in cluster.network_config["subnetIds"][:4]:
        try:
            interface = ec2.create_interface(subnet, [cluster.group] if cluster.group else [], f"Amazon EKS {cluster.name}", managed=True, status="in-use",
                                             requester="amazon-eks")
            made.append(interface["NetworkInterfaceId"])
        except AwsError as error:
            cluster.health = [{"code": "Ec2SubnetNotFound", "message": error.message, "resourceIds": [subnet]}]
    return made


def release_control_plane_interfaces(cluster):
    ec2 = cluster.world.state(Ec2)
    for ident in cluster.interfaces:
        ec2.interfaces.pop(ident, None)
    cluster.interfaces = []


def try_to_delete_group(cluster):
    ec2 = cluster.world.state(Ec2)
    if cluster.group in ec2.groups:
        # Its rules name itself.
        try:
            ec2.delete_group(cluster.group)
        except AwsError:
            return


def log_events(cluster):
    """Log events make the group again, without retention, as long as the cluster is there: also while it is deleted."""
    if cluster.eks.clusters.get(cluster.name) is not cluster:
        return
    logs, name = cluster.world.state(Logs), f"/aws/eks/{cluster.name}/cluster"
    if cluster.logging and name not in logs.groups:
        logs.create(name, by="eks")
    cluster.world.timers.after(cluster.world.seconds(15), log_events, cluster)


def has_egress(world, subnet_id):
    """Whether machines of the subnet reach the internet, and with it the registry and the API."""
    ec2 = world.state(Ec2)
    subnet = ec2.subnets.get(subnet_id)
    if subnet is None:
        return False
    own = [table for table in ec2.tables.values() if any(a.get("SubnetId") == subnet_id for a in table["Associations"])]
    main = [table for table in ec2.tables.values() if table["main"] and table["VpcId"] == subnet["VpcId"]]
    for route in (own or main or [{"Routes": []}])[0]["Routes"]:
        if route.get("DestinationCidrBlock") != "0.0.0.0/0":
            continue
        nat = ec2.nats.get(route.get("NatGatewayId"))
        if nat is not None and nat["State"] == "available":
            return True
        if (route.get("GatewayId") or "").startswith("igw-") and subnet["MapPublicIpOnLaunch"]:
            return True
    # A private cluster with endpoints for everything that nodes need.
    services = {endpoint["ServiceName"].rsplit(".", 1)[1] for endpoint in ec2.endpoints.values() if endpoint["VpcId"] == subnet["VpcId"]}
    return {"ec2", "api", "dkr"} <= services


def cluster_reachable(cluster, subnet_id):
    """A node reaches the API by the private endpoint, or by the public one when it is open to the node's way out."""
    config = cluster.network_config
    return config["endpointPrivateAccess"] or (config["endpointPublicAccess"] and "0.0.0.0/0" in config["publicAccessCidrs"])
