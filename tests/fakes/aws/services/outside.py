"""Things that appear without a call of the client: what others made, what a cluster left behind. `POST /_fake/make`."""
from .ec2 import Ec2, catalog
from .ec2.networks import add_rules
from .elb import Elb
from .iam import Iam
from .logs import Logs


def make(world, spec):
    """`{"kind": …, …}`: the ids of what was made. `vpc` may be an id or `owner=VALUE` of any tag."""
    kind = spec["kind"]
    if kind not in MAKERS:
        raise ValueError(f"`kind` must be one of {', '.join(MAKERS)}")
    return MAKERS[kind](world, world.state(Ec2), spec)


def _vpc(ec2, wanted):
    """The VPC by its id or by a `KEY=VALUE` tag; the only one when nothing is said."""
    if wanted in ec2.vpcs:
        return wanted
    key, _, value = (wanted or "").partition("=")
    found = [ident for ident, vpc in ec2.vpcs.items() if not wanted or vpc["tags"].get(key) == value]
    if len(found) != 1:
        raise ValueError(f"`{wanted}` names {len(found)} VPCs")
    return found[0]


def _subnets(ec2, spec):
    vpc = _vpc(ec2, spec.get("vpc"))
    found = spec.get("subnets") or [subnet["SubnetId"] for subnet in ec2.in_vpc("subnets", vpc)]
    if not found:
        raise ValueError(f"VPC {vpc} has no subnets yet")
    return found


def vpc(world, ec2, spec):
    """A network of somebody else: `{cidr, tags, subnets: [{zone: "a", cidr, public, tags}], nat: true}`."""
    cidr = spec.get("cidr", "10.20.0.0/16")
    made = ec2.create_vpc(cidr, spec.get("tags"), dns_hostnames=spec.get("dnsHostnames", True))
    ident, zones = made["VpcId"], list(catalog.zones(world.region))
    gateway = ec2.create_gateway()
    ec2.attach_gateway(gateway["InternetGatewayId"], ident)
    subnets, nat = [], None
    for number, one in enumerate(spec.get("subnets", [{"zone": zone[-1]} for zone in zones[:3]])):
        first = ".".join(cidr.split(".")[:2])
        zone = one.get("zone", zones[number % len(zones)][-1])
        zone = world.region + zone if len(zone) == 1 else zone
        subnet = ec2.create_subnet(ident, one.get("cidr", f"{first}.{number * 16}.0/20"), zone, one.get("tags"), one.get("public", False))
        table = ec2.create_table(ident)
        table["Associations"].append({"Main": False, "RouteTableAssociationId": world.new_id("rtbassoc"), "RouteTableId": table["RouteTableId"],
                                      "SubnetId": subnet["SubnetId"], "AssociationState": {"State": "associated"}})
        route = {"DestinationCidrBlock": "0.0.0.0/0", "Origin": "CreateRoute", "State": "active"}
        if one.get("public"):
            table["Routes"].append({**route, "GatewayId": gateway["InternetGatewayId"]})
        elif spec.get("nat", True):
            if nat is None:
                nat = ec2.create_nat(subnet["SubnetId"], ec2.allocate_address()["AllocationId"])["NatGatewayId"]
                ec2.nat_is_made(nat)
            table["Routes"].append({**route, "NatGatewayId": nat})
        subnets.append(subnet["SubnetId"])
    return {"vpc": ident, "subnets": subnets}


def interface(world, ec2, spec):
    """A leaked interface: `{vpc, subnets, description, tags, groups, status, count}`; `available` unless said otherwise."""
    subnets, made = _subnets(ec2, spec), []
    for number in range(spec.get("count", 1)):
        made.append(ec2.create_interface(subnets[number % len(subnets)], spec.get("groups", []), spec.get("description", "aws-K8S-i-0123456789abcdef0"),
                                         spec.get("tags"), status=spec.get("status", "available"))["NetworkInterfaceId"])
    return {"interfaces": made}


def group(world, ec2, spec):
    """`{vpc, name, tags, lets: GROUP}`: the one that it lets in and out on port 80."""
    made = ec2.create_group(_vpc(ec2, spec.get("vpc")), spec["name"], spec.get("description", spec["name"]), spec.get("tags"))
    if spec.get("lets"):
        rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": spec["lets"], "UserId": world.account}]}
        for side in ("IpPermissions", "IpPermissionsEgress"):
            add_rules(made, side, [rule])
    return {"group": made["GroupId"]}


def balancer(world, ec2, spec):
    """`{vpc, name, type: network|application|classic, tags, groups, internal, targetGroup}`."""
    elb = world.state(Elb)
    made = elb.create_balancer(spec["name"], spec.get("type", "network"), _subnets(ec2, spec), spec.get("groups", []), spec.get("tags"), spec.get("internal", False))
    target = None
    if spec.get("targetGroup"):
        target = elb.create_group(spec["targetGroup"], made["vpc"], [made["arn"]], spec.get("tags"))["shown"]["TargetGroupArn"]
    return {"arn": made["arn"], "name": made["name"], "targetGroup": target}


def volume(world, ec2, spec):
    zone = spec.get("zone") or next(iter(catalog.zones(world.region)))
    return {"volume": ec2.create_volume(zone, spec.get("size", 10), spec.get("tags"))["VolumeId"]}


def endpoint(world, ec2, spec):
    """An interface endpoint such as GuardDuty makes in a VPC that runs a cluster, with its group."""
    ident, subnets = _vpc(ec2, spec.get("vpc")), _subnets(ec2, spec)
    tags = spec.get("tags", {"GuardDutyManaged": "true"})
    made = ec2.create_group(ident, f"GuardDutyManagedSecurityGroup-{ident}", "Associated with VPC endpoint for GuardDuty", tags)
    service = spec.get("service", f"com.amazonaws.{world.region}.guardduty-data")
    return {"endpoint": ec2.create_endpoint(ident, service, "Interface", (), subnets, [made["GroupId"]], tags)["VpcEndpointId"], "group": made["GroupId"]}


def log_group(world, ec2, spec):
    return {"arn": world.state(Logs).create(spec["name"], spec.get("tags"))["arn"]}


def role(world, ec2, spec):
    """`{name, path, trust, policies, tags}`."""
    trust = spec.get("trust", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": world.account}, "Action": "sts:AssumeRole"}]})
    made = world.state(Iam).create_role(spec["name"], spec.get("path", "/"), trust, tags=spec.get("tags"))
    for policy in spec.get("policies", []):
        world.state(Iam).attach(made, policy)
    return {"arn": made["Arn"]}


def address(world, ec2, spec):
    return {"allocation": ec2.allocate_address(spec.get("tags"))["AllocationId"]}


def stack(world, ec2, spec):
    """A stack that a change set of type CREATE made and nobody executed: `{name, tags}`."""
    from .cloudformation import CloudFormation, Stack, Template

    made = Stack(world, spec["name"], Template(world, '{"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}}}'), dict(spec.get("tags") or {}), {}, {})
    world.state(CloudFormation).stacks[made.ident] = made
    made.status, made.reason = "REVIEW_IN_PROGRESS", "User Initiated"
    world.record.state("cloudformation", f"stack/{made.name}", None, made.status)
    return {"stack": made.ident}


MAKERS = {"vpc": vpc, "interface": interface, "group": group, "balancer": balancer, "volume": volume, "endpoint": endpoint, "log-group": log_group,
          "role": role, "address": address, "stack": stack}
