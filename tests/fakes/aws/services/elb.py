"""Elastic Load Balancing, both APIs. Balancers come from clusters and from outside; here they are read and removed."""
import secrets

from ..errors import AwsError
from . import Operations
from .ec2 import Ec2
from .filters import tag_list

operations = Operations()
operations_elbv2 = Operations()


class Elb:
    """Balancers by ARN (v2) or name (classic), target groups by ARN."""

    def __init__(self, world):
        self.world, self.balancers, self.classic, self.groups = world, {}, {}, {}

    def create_balancer(self, name, kind, subnets, groups=(), tags=None, internal=False):
        """`network`, `application` or `classic`, with an interface in each subnet. Returns its record."""
        ec2, token = self.world.state(Ec2), secrets.token_hex(8)
        vpc = ec2.one("subnets", subnets[0], "subnet")["VpcId"]
        short = {"network": "net", "application": "app"}.get(kind)
        label = f"ELB {short}/{name}/{token}" if short else f"ELB {name}"
        dns = f"{name}-{token}.elb.{self.world.region}.amazonaws.com" if kind != "classic" else f"{name}-123456789.{self.world.region}.elb.amazonaws.com"
        interfaces = []
        for subnet in subnets:
            interface = ec2.create_interface(subnet, groups, label, kind="network_load_balancer" if kind == "network" else "interface",
                                             status="in-use", managed=True, requester="amazon-elb")
            if not internal:
                interface["Association"] = {"PublicIp": f"203.0.113.{len(ec2.interfaces) % 250 + 1}", "IpOwnerId": "amazon-elb"}
            interfaces.append(interface["NetworkInterfaceId"])
        scheme = "internal" if internal else "internet-facing"
        zones = [{"ZoneName": ec2.subnets[subnet]["AvailabilityZone"], "SubnetId": subnet} for subnet in subnets]
        record = {"name": name, "kind": kind, "vpc": vpc, "interfaces": interfaces, "tags": dict(tags or {})}
        if kind == "classic":
            record["shown"] = {"LoadBalancerName": name, "DNSName": dns, "VPCId": vpc, "Subnets": list(subnets), "SecurityGroups": list(groups), "Scheme": scheme,
                               "Instances": [], "AvailabilityZones": [zone["ZoneName"] for zone in zones], "CreatedTime": self.world.now(), "ListenerDescriptions": []}
            record["arn"] = self.world.arn("elasticloadbalancing", f"loadbalancer/{name}")
            self.classic[name] = record
            return record
        record["arn"] = self.world.arn("elasticloadbalancing", f"loadbalancer/{short}/{name}/{token}")
        record["shown"] = {"LoadBalancerArn": record["arn"], "DNSName": dns, "CanonicalHostedZoneId": "Z3F0SRJ5LGBH90", "CreatedTime": self.world.now(),
                           "LoadBalancerName": name, "Scheme": scheme, "VpcId": vpc, "State": {"Code": "provisioning"}, "Type": kind,
                           "AvailabilityZones": zones, "SecurityGroups": list(groups), "IpAddressType": "ipv4"}
        self.balancers[record["arn"]] = record
        self.world.after("elb.create", self._made, record["arn"])
        return record

    def _made(self, arn):
        if arn in self.balancers:
            self.balancers[arn]["shown"]["State"] = {"Code": "active"}
            self.world.record.state("elbv2", f"load-balancer/{self.balancers[arn]['name']}", "provisioning", "active")

    def create_group(self, name, vpc, balancers=(), tags=None, protocol="TCP", port=80):
        arn = self.world.arn("elasticloadbalancing", f"targetgroup/{name}/{secrets.token_hex(8)}")
        self.groups[arn] = {"tags": dict(tags or {}), "shown": {"TargetGroupArn": arn, "TargetGroupName": name, "Protocol": protocol, "Port": port, "VpcId": vpc,
                                                                "TargetType": "instance", "LoadBalancerArns": list(balancers)}}
        return self.groups[arn]

    def delete_balancer(self, record):
        """The balancer is gone at once; its interfaces follow later, and hold subnets and groups until then."""
        self.balancers.pop(record["arn"], None)
        if record["kind"] == "classic":
            self.classic.pop(record["name"], None)
        for group in self.groups.values():
            group["shown"]["LoadBalancerArns"] = [arn for arn in group["shown"]["LoadBalancerArns"] if arn != record["arn"]]
        self.world.after("ec2.interface.release", self._released, record["interfaces"])

    def _released(self, interfaces):
        for ident in interfaces:
            if self.world.state(Ec2).interfaces.pop(ident, None):
                self.world.record.state("ec2", f"network-interface/{ident}", "in-use", "deleted")

    def inventory(self):
        for record in [*self.balancers.values(), *self.classic.values()]:
            yield {"kind": "elasticloadbalancing:loadbalancer", "id": record["name"], "arn": record["arn"], "type": record["kind"], "vpc": record["vpc"],
                   "tags": record["tags"], "bills": True}
        for arn, group in self.groups.items():
            yield {"kind": "elasticloadbalancing:targetgroup", "id": group["shown"]["TargetGroupName"], "arn": arn, "tags": group["tags"]}


def _paged(call, found, member, token="Marker"):
    start, size = int(call.get("Marker", "0")), call.get("PageSize", 400)
    answer = {member: found[start:start + size]}
    if len(found) > start + size:
        answer["NextMarker"] = str(start + size)
    return answer


@operations("DescribeLoadBalancers")
def describe_classic(call):
    state, names = call.world.state(Elb), call.get("LoadBalancerNames")
    for name in names or []:
        if name not in state.classic:
            raise AwsError("LoadBalancerNotFound", f"There is no ACTIVE Load Balancer named '{name}'", 400)
    return _paged(call, [record["shown"] for name, record in state.classic.items() if not names or name in names], "LoadBalancerDescriptions")


@operations("DescribeTags")
def describe_classic_tags(call):
    state, found = call.world.state(Elb), []
    for name in call.parameters["LoadBalancerNames"]:
        if name not in state.classic:
            raise AwsError("LoadBalancerNotFound", f"There is no ACTIVE Load Balancer named '{name}'", 400)
        found.append({"LoadBalancerName": name, "Tags": tag_list(state.classic[name]["tags"])})
    return {"TagDescriptions": found}


@operations("DeleteLoadBalancer")
def delete_classic(call):
    record = call.world.state(Elb).classic.get(call.parameters["LoadBalancerName"])
    if record:
        call.world.state(Elb).delete_balancer(record)
    return {}


@operations_elbv2("DescribeLoadBalancers")
def describe_load_balancers(call):
    state, arns, names = call.world.state(Elb), call.get("LoadBalancerArns"), call.get("Names")
    found = [record for record in state.balancers.values() if (not arns or record["arn"] in arns) and (not names or record["name"] in names)]
    if len(found) < len(arns or names or []):
        raise AwsError("LoadBalancerNotFound", f"Load balancers '{arns or names}' not found", 400)
    return _paged(call, [record["shown"] for record in found], "LoadBalancers")


@operations_elbv2("DescribeTargetGroups")
def describe_target_groups(call):
    state, arns, names, balancer = call.world.state(Elb), call.get("TargetGroupArns"), call.get("Names"), call.get("LoadBalancerArn")
    found = [group["shown"] for arn, group in state.groups.items() if (not arns or arn in arns) and (not names or group["shown"]["TargetGroupName"] in names)
             and (not balancer or balancer in group["shown"]["LoadBalancerArns"])]
    if len(found) < len(arns or names or []):
        raise AwsError("TargetGroupNotFound", "One or more target groups not found", 400)
    return _paged(call, found, "TargetGroups")


@operations_elbv2("DescribeTags")
def describe_tags(call):
    state, found = call.world.state(Elb), []
    for arn in call.parameters["ResourceArns"]:
        record = state.balancers.get(arn) or state.groups.get(arn)
        if record is None:
            group = ":targetgroup/" in arn
            raise AwsError("TargetGroupNotFound" if group else "LoadBalancerNotFound", f"{'Target group' if group else 'Load balancer'} '{arn}' not found", 400)
        found.append({"ResourceArn": arn, "Tags": tag_list(record["tags"])})
    return {"TagDescriptions": found}


@operations_elbv2("DeleteLoadBalancer")
def delete_load_balancer(call):
    record = call.world.state(Elb).balancers.get(call.parameters["LoadBalancerArn"])
    if record is not None:
        call.world.state(Elb).delete_balancer(record)
    return {}


@operations_elbv2("DeleteTargetGroup")
def delete_target_group(call):
    state, arn = call.world.state(Elb), call.parameters["TargetGroupArn"]
    if arn in state.groups and state.groups[arn]["shown"]["LoadBalancerArns"]:
        raise AwsError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule", 400)
    state.groups.pop(arn, None)
    return {}
