"""Describes and deletes of networks: VPCs, subnets, routes, NAT, addresses, endpoints, groups, interfaces."""
import json

from ...errors import AwsError
from ..filters import matches, page, tag_list
from . import operations
from .state import Ec2


def shown(record):
    """A record as the API shows it: ours left out, tags as a list."""
    return {key: value for key, value in record.items() if key[0].isupper()} | {"Tags": tag_list(record["tags"])}


def select(call, kind, ids, noun, fields, filters="Filters", lag=True):
    """The records asked for by ids and filters; an unknown id is EC2's error."""
    state = call.world.state(Ec2)
    for ident in ids:
        state.one(kind, ident, noun)
    found = [record for ident, record in getattr(state, kind).items() if not ids or ident in ids]
    late = call.world.lag("ec2", call.action) if lag else 0
    if late:
        found = [record for record in found if (call.world.now() - record["made"]).total_seconds() >= late]
        if ids and len(found) < len(set(ids)):
            state.one(kind, "not-yet-visible", noun)
    return [record for record in found if matches(record, call.get(filters), fields)]


def member(name):
    return lambda record: record.get(name)


@operations("DescribeVpcs")
def describe_vpcs(call):
    fields = {"vpc-id": member("VpcId"), "cidr": member("CidrBlock"), "cidr-block-association.cidr-block": member("CidrBlock"), "state": member("State"),
              "is-default": member("IsDefault"), "isDefault": member("IsDefault"), "owner-id": member("OwnerId")}
    return page(call, [shown(vpc) for vpc in select(call, "vpcs", call.get("VpcIds", []), "vpc", fields)], "Vpcs")


@operations("DescribeVpcAttribute")
def describe_vpc_attribute(call):
    vpc = call.world.state(Ec2).one("vpcs", call.parameters["VpcId"], "vpc")
    name = {"enableDnsSupport": ("EnableDnsSupport", "dnsSupport"), "enableDnsHostnames": ("EnableDnsHostnames", "dnsHostnames")}.get(call.parameters["Attribute"])
    if name is None:
        raise AwsError("InvalidParameterValue", f"Value ({call.parameters['Attribute']}) for parameter attribute is invalid.", 400)
    return {"VpcId": vpc["VpcId"], name[0]: {"Value": vpc[name[1]]}}


@operations("DescribeSubnets")
def describe_subnets(call):
    fields = {"subnet-id": member("SubnetId"), "vpc-id": member("VpcId"), "availability-zone": member("AvailabilityZone"), "state": member("State"),
              "availabilityZone": member("AvailabilityZone"), "availability-zone-id": member("AvailabilityZoneId"), "cidr-block": member("CidrBlock"),
              "map-public-ip-on-launch": member("MapPublicIpOnLaunch"), "default-for-az": member("DefaultForAz")}
    state = call.world.state(Ec2)
    found = select(call, "subnets", call.get("SubnetIds", []), "subnet", fields)
    return page(call, [shown(subnet) | {"AvailableIpAddressCount": state.free_addresses(subnet)} for subnet in found], "Subnets")


@operations("DescribeRouteTables")
def describe_route_tables(call):
    fields = {"route-table-id": member("RouteTableId"), "vpc-id": member("VpcId"),
              "association.subnet-id": lambda table: [a.get("SubnetId") for a in table["Associations"]],
              "association.main": lambda table: [a.get("Main", False) for a in table["Associations"]],
              "association.route-table-association-id": lambda table: [a["RouteTableAssociationId"] for a in table["Associations"]],
              "route.gateway-id": lambda table: [r.get("GatewayId") for r in table["Routes"]],
              "route.nat-gateway-id": lambda table: [r.get("NatGatewayId") for r in table["Routes"]],
              "route.destination-cidr-block": lambda table: [r.get("DestinationCidrBlock") for r in table["Routes"]]}
    state = call.world.state(Ec2)
    found = select(call, "tables", call.get("RouteTableIds", []), "routeTable", fields)
    return page(call, [shown(table) | {"Routes": [shown_route(state, table, route) for route in table["Routes"]]} for table in found], "RouteTables")


def shown_route(state, table, route):
    """A route, as a black hole where what it leads to is gone or detached."""
    nat, gateway = state.nats.get(route.get("NatGatewayId")), state.gateways.get(route.get("GatewayId"))
    leads = route.get("GatewayId") == "local" or (nat is not None and nat["State"] in ("pending", "available")) or (
        gateway is not None and any(each["VpcId"] == table["VpcId"] for each in gateway["Attachments"]))
    return route | {"State": "active" if leads else "blackhole"}


@operations("DescribeInternetGateways")
def describe_internet_gateways(call):
    fields = {"internet-gateway-id": member("InternetGatewayId"), "attachment.vpc-id": lambda gateway: [a["VpcId"] for a in gateway["Attachments"]]}
    return page(call, [shown(gateway) for gateway in select(call, "gateways", call.get("InternetGatewayIds", []), "internetGateway", fields)], "InternetGateways")


@operations("DescribeNatGateways")
def describe_nat_gateways(call):
    fields = {"nat-gateway-id": member("NatGatewayId"), "vpc-id": member("VpcId"), "subnet-id": member("SubnetId"), "state": member("State")}
    return page(call, [shown(nat) for nat in select(call, "nats", call.get("NatGatewayIds", []), "NatGateway", fields, "Filter")], "NatGateways")


@operations("DeleteNatGateway")
def delete_nat_gateway(call):
    call.world.state(Ec2).delete_nat(call.parameters["NatGatewayId"])
    return {"NatGatewayId": call.parameters["NatGatewayId"]}


@operations("DescribeAddresses")
def describe_addresses(call):
    fields = {"allocation-id": member("AllocationId"), "association-id": member("AssociationId"), "public-ip": member("PublicIp"), "domain": member("Domain"),
              "network-interface-id": member("NetworkInterfaceId")}
    found = select(call, "addresses", call.get("AllocationIds", []), "allocation", fields)
    return {"Addresses": [shown(address) for address in found]}


@operations("ReleaseAddress")
def release_address(call):
    call.world.state(Ec2).release_address(call.parameters["AllocationId"])


@operations("DescribeVpcEndpoints")
def describe_vpc_endpoints(call):
    fields = {"vpc-id": member("VpcId"), "vpc-endpoint-id": member("VpcEndpointId"), "service-name": member("ServiceName"),
              "vpc-endpoint-type": member("VpcEndpointType"), "vpc-endpoint-state": member("State")}
    return page(call, [shown(endpoint) for endpoint in select(call, "endpoints", call.get("VpcEndpointIds", []), "VpcEndpoint", fields)], "VpcEndpoints")


@operations("DeleteVpcEndpoints")
def delete_vpc_endpoints(call):
    failed = []
    for ident in call.parameters["VpcEndpointIds"]:
        try:
            call.world.state(Ec2).delete_endpoint(ident)
        except AwsError as error:
            failed.append({"ResourceId": ident, "Error": {"Code": error.code, "Message": error.message}})
    return {"Unsuccessful": failed}


@operations("DescribeNetworkInterfaces")
def describe_network_interfaces(call):
    fields = {"network-interface-id": member("NetworkInterfaceId"), "vpc-id": member("VpcId"), "subnet-id": member("SubnetId"), "status": member("Status"),
              "description": member("Description"), "interface-type": member("InterfaceType"), "requester-managed": member("RequesterManaged"),
              "requester-id": member("RequesterId"), "group-id": lambda record: [group["GroupId"] for group in record["Groups"]],
              "group-name": lambda record: [group["GroupName"] for group in record["Groups"]],
              "attachment.instance-id": lambda record: record.get("Attachment", {}).get("InstanceId"),
              "availability-zone": member("AvailabilityZone"), "addresses.private-ip-address": member("PrivateIpAddress")}
    found = select(call, "interfaces", call.get("NetworkInterfaceIds", []), "networkInterface", fields)
    answer = []
    for interface in found:
        one = shown(interface)
        one["TagSet"] = one.pop("Tags")
        answer.append(one)
    return page(call, answer, "NetworkInterfaces")


@operations("DeleteNetworkInterface")
def delete_network_interface(call):
    call.world.state(Ec2).delete_interface(call.parameters["NetworkInterfaceId"])


@operations("DescribeSecurityGroups")
def describe_security_groups(call):
    fields = {"group-id": member("GroupId"), "group-name": member("GroupName"), "vpc-id": member("VpcId"), "description": member("Description"),
              "ip-permission.group-id": lambda group: [pair.get("GroupId") for p in group["IpPermissions"] for pair in p.get("UserIdGroupPairs", [])],
              "egress.ip-permission.group-id": lambda group: [pair.get("GroupId") for p in group["IpPermissionsEgress"] for pair in p.get("UserIdGroupPairs", [])]}
    return page(call, [shown(group) for group in select(call, "groups", call.get("GroupIds", []), "security group", fields)], "SecurityGroups")


@operations("DeleteSecurityGroup")
def delete_security_group(call):
    if not call.get("GroupId"):
        raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId", 400)
    call.world.state(Ec2).delete_group(call.parameters["GroupId"])
    return {"Return": True, "GroupId": call.parameters["GroupId"]}


def flat_rules(permissions):
    """Every rule on its own, as a text that two equal rules share."""
    rules = {}
    for permission in permissions:
        base = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if permission.get(key) is not None}
        for name, keys in (("IpRanges", ("CidrIp",)), ("Ipv6Ranges", ("CidrIpv6",)), ("UserIdGroupPairs", ("GroupId",)), ("PrefixListIds", ("PrefixListId",))):
            for source in permission.get(name, []):
                key = json.dumps([base, name, [source.get(part) for part in keys]], sort_keys=True)
                rules[key] = {**base, "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": [], name: [source]}
    return rules


def add_rules(group, side, permissions):
    have, more = flat_rules(group[side]), flat_rules(permissions)
    twice = [rule for rule in more if rule in have]
    if twice:
        raise AwsError("InvalidPermission.Duplicate", f"the specified rule \"{twice[0]}\" already exists", 400)
    group[side] = list({**have, **more}.values())


def remove_rules(group, side, permissions):
    have, less = flat_rules(group[side]), flat_rules(permissions)
    if any(rule not in have for rule in less):
        raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.", 400)
    group[side] = [rule for key, rule in have.items() if key not in less]


@operations("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress")
def change_rules(call):
    state = call.world.state(Ec2)
    group = state.one("groups", call.parameters.get("GroupId", ""), "security group")
    permissions = [dict(permission) for permission in call.get("IpPermissions", [])]
    if not permissions and call.get("IpProtocol"):
        permissions = [{"IpProtocol": call.parameters["IpProtocol"], "FromPort": call.get("FromPort"), "ToPort": call.get("ToPort"),
                        "IpRanges": [{"CidrIp": call.parameters["CidrIp"]}] if call.get("CidrIp") else []}]
    if not permissions:
        raise AwsError("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.", 400)
    for permission in permissions:
        for pair in permission.get("UserIdGroupPairs", []):
            pair.setdefault("UserId", call.world.account)
            state.one("groups", pair.get("GroupId", ""), "security group")
    side = "IpPermissions" if call.action.endswith("Ingress") else "IpPermissionsEgress"
    (add_rules if call.action.startswith("Authorize") else remove_rules)(group, side, permissions)
    return {"Return": True}
