"""The types of EC2."""
from ... import check, models
from ...errors import AwsError
from ..ec2 import Ec2
from ..ec2.networks import add_rules, flat_rules, remove_rules
from .kinds import Kind, boolean, kind


def ec2(cx):
    return cx.world.state(Ec2)


class Tagged(Kind):
    """A thing of EC2 whose tags change in place."""

    store = ""

    def record(self, cx):
        return getattr(ec2(cx), self.store).get(cx.physical)

    def update(self, cx, before, after):
        record = self.record(cx)
        if record is None:
            raise AwsError("NotFound", f"{self.type} {cx.physical} was not found.")
        record["tags"] = cx.tags(after)
        self.change(cx, record, after)

    def change(self, cx, record, after):
        pass


@kind("AWS::EC2::VPC", "CidrBlock EnableDnsHostnames EnableDnsSupport InstanceTenancy Tags", "CidrBlock",
      attributes="VpcId CidrBlock DefaultSecurityGroup DefaultNetworkAcl CidrBlockAssociations")
class Vpc(Tagged):
    store = "vpcs"

    def create(self, cx, properties):
        vpc = ec2(cx).create_vpc(properties.get("CidrBlock", ""), cx.tags(properties), tenancy=properties.get("InstanceTenancy", "default"))
        self.change(cx, vpc, properties)
        return vpc["VpcId"]

    def change(self, cx, record, after):
        record["dnsSupport"] = boolean(after.get("EnableDnsSupport", True))
        record["dnsHostnames"] = boolean(after.get("EnableDnsHostnames", False))

    def delete(self, cx):
        ec2(cx).delete_vpc(cx.physical)

    def attribute(self, cx, name):
        if name == "DefaultSecurityGroup":
            return next(group["GroupId"] for group in ec2(cx).in_vpc("groups", cx.physical) if group["GroupName"] == "default")
        return {"CidrBlock": self.record(cx)["CidrBlock"], "DefaultNetworkAcl": "acl-0123456789abcdef0",
                "CidrBlockAssociations": [a["AssociationId"] for a in self.record(cx)["CidrBlockAssociationSet"]]}.get(name, cx.physical)


@kind("AWS::EC2::Subnet", "AvailabilityZone AvailabilityZoneId CidrBlock MapPublicIpOnLaunch Tags VpcId AssignIpv6AddressOnCreation",
      "VpcId AvailabilityZone AvailabilityZoneId CidrBlock", "VpcId", "SubnetId AvailabilityZone AvailabilityZoneId CidrBlock VpcId")
class Subnet(Tagged):
    store = "subnets"

    def create(self, cx, properties):
        zone = properties.get("AvailabilityZone") or properties.get("AvailabilityZoneId")
        public = boolean(properties.get("MapPublicIpOnLaunch", False))
        return ec2(cx).create_subnet(properties["VpcId"], properties.get("CidrBlock", ""), zone, cx.tags(properties), public)["SubnetId"]

    def change(self, cx, record, after):
        record["MapPublicIpOnLaunch"] = boolean(after.get("MapPublicIpOnLaunch", False))

    def delete(self, cx):
        ec2(cx).delete_subnet(cx.physical)

    def attribute(self, cx, name):
        return self.record(cx)[name]


@kind("AWS::EC2::InternetGateway", "Tags", attributes="InternetGatewayId")
class InternetGateway(Tagged):
    store = "gateways"

    def create(self, cx, properties):
        return ec2(cx).create_gateway(cx.tags(properties))["InternetGatewayId"]

    def delete(self, cx):
        ec2(cx).delete_gateway(cx.physical)


@kind("AWS::EC2::VPCGatewayAttachment", "InternetGatewayId VpcId VpnGatewayId", "VpcId", "VpcId", "AttachmentType", tagged=False)
class VpcGatewayAttachment(Kind):
    def create(self, cx, properties):
        ec2(cx).attach_gateway(properties.get("InternetGatewayId", ""), properties["VpcId"])
        return f"IGW|{properties['VpcId']}"

    def update(self, cx, before, after):
        ec2(cx).detach_gateway(before["InternetGatewayId"], before["VpcId"])
        ec2(cx).attach_gateway(after["InternetGatewayId"], after["VpcId"])

    def delete(self, cx):
        ec2(cx).detach_gateway(cx.properties["InternetGatewayId"], cx.properties["VpcId"])

    def attribute(self, cx, name):
        return "IGW"


@kind("AWS::EC2::EIP", "Domain InstanceId NetworkBorderGroup PublicIpv4Pool Tags", "NetworkBorderGroup", attributes="AllocationId PublicIp")
class Eip(Tagged):
    store = "addresses"

    # The physical id of an address is its public IP.
    def record(self, cx):
        return next((address for address in ec2(cx).addresses.values() if address["PublicIp"] == cx.physical), None)

    def create(self, cx, properties):
        return ec2(cx).allocate_address(cx.tags(properties))["PublicIp"]

    def delete(self, cx):
        record = self.record(cx)
        if record:
            ec2(cx).release_address(record["AllocationId"])

    def attribute(self, cx, name):
        return self.record(cx)[name]


@kind("AWS::EC2::NatGateway", "AllocationId ConnectivityType MaxDrainDurationSeconds PrivateIpAddress SubnetId Tags",
      "SubnetId ConnectivityType AllocationId PrivateIpAddress", attributes="NatGatewayId EniId")
class NatGateway(Tagged):
    store = "nats"

    def create(self, cx, properties):
        state = ec2(cx)
        subnet = state.one("subnets", properties.get("SubnetId", ""), "subnet")
        if not any(a["VpcId"] == subnet["VpcId"] for gateway in state.gateways.values() for a in gateway["Attachments"]):
            raise AwsError("Gateway.NotAttached", f"Network {subnet['VpcId']} has no Internet gateway attached")
        return state.create_nat(properties["SubnetId"], properties.get("AllocationId", ""), cx.tags(properties))["NatGatewayId"]

    def made(self, cx):
        ec2(cx).nat_is_made(cx.physical)

    def delete(self, cx):
        if cx.physical in ec2(cx).nats:
            ec2(cx).delete_nat(cx.physical)

    def gone(self, cx):
        ec2(cx).nat_is_gone(cx.physical)

    def attribute(self, cx, name):
        return cx.physical if name == "NatGatewayId" else self.record(cx)["NatGatewayAddresses"][0]["NetworkInterfaceId"]


@kind("AWS::EC2::RouteTable", "Tags VpcId", "VpcId", "VpcId", "RouteTableId")
class RouteTable(Tagged):
    store = "tables"

    def create(self, cx, properties):
        return ec2(cx).create_table(properties["VpcId"], cx.tags(properties))["RouteTableId"]

    def delete(self, cx):
        ec2(cx).delete_table(cx.physical)


@kind("AWS::EC2::Route", "DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId GatewayId NatGatewayId RouteTableId InstanceId "
      "NetworkInterfaceId VpcEndpointId TransitGatewayId", "RouteTableId DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId",
      "RouteTableId", "CidrBlock", tagged=False)
class Route(Kind):
    def route(self, cx, properties):
        state = ec2(cx)
        table = state.one("tables", properties["RouteTableId"], "routeTable")
        gateway, nat = properties.get("GatewayId"), properties.get("NatGatewayId")
        if gateway:
            if not any(a["VpcId"] == table["VpcId"] for a in state.one("gateways", gateway, "internetGateway")["Attachments"]):
                raise AwsError("InvalidParameterValue", f"route table {table['RouteTableId']} and network gateway {gateway} belong to different networks")
        elif nat:
            if state.one("nats", nat, "NatGateway")["State"] not in ("pending", "available"):
                raise AwsError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")
        else:
            raise AwsError("MissingParameter", "The request must contain exactly one target of the route")
        target = {"GatewayId": gateway} if gateway else {"NatGatewayId": nat}
        return table, {"DestinationCidrBlock": properties.get("DestinationCidrBlock", "0.0.0.0/0"), "Origin": "CreateRoute", "State": "active", **target}

    def create(self, cx, properties):
        table, route = self.route(cx, properties)
        if any(other["DestinationCidrBlock"] == route["DestinationCidrBlock"] for other in table["Routes"]):
            raise AwsError("RouteAlreadyExists", f"The route identified by {route['DestinationCidrBlock']} already exists.")
        table["Routes"].append(route)
        return f"{table['RouteTableId']}|{route['DestinationCidrBlock']}"

    def update(self, cx, before, after):
        self.delete(cx)
        self.create(cx, after)

    def delete(self, cx):
        ident, _, destination = cx.physical.partition("|")
        table = ec2(cx).tables.get(ident)
        if table:
            table["Routes"] = [route for route in table["Routes"] if route["DestinationCidrBlock"] != destination]

    def attribute(self, cx, name):
        return cx.physical.partition("|")[2]


@kind("AWS::EC2::SubnetRouteTableAssociation", "RouteTableId SubnetId", "RouteTableId SubnetId", "RouteTableId SubnetId", "Id", tagged=False)
class SubnetRouteTableAssociation(Kind):
    def create(self, cx, properties):
        state = ec2(cx)
        table, subnet = state.one("tables", properties["RouteTableId"], "routeTable"), state.one("subnets", properties["SubnetId"], "subnet")
        if any(a.get("SubnetId") == subnet["SubnetId"] for other in state.tables.values() for a in other["Associations"]):
            raise AwsError("Resource.AlreadyAssociated", f"the specified association for route table {table['RouteTableId']} conflicts with an existing association")
        ident = cx.world.new_id("rtbassoc")
        table["Associations"].append({"Main": False, "RouteTableAssociationId": ident, "RouteTableId": table["RouteTableId"],
                                      "SubnetId": subnet["SubnetId"], "AssociationState": {"State": "associated"}})
        return ident

    def delete(self, cx):
        for table in ec2(cx).tables.values():
            table["Associations"] = [a for a in table["Associations"] if a["RouteTableAssociationId"] != cx.physical]


@kind("AWS::EC2::VPCEndpoint", "PolicyDocument PrivateDnsEnabled RouteTableIds SecurityGroupIds ServiceName SubnetIds Tags VpcEndpointType VpcId IpAddressType DnsOptions",
      "ServiceName VpcEndpointType VpcId", "VpcId", "Id CreationTimestamp NetworkInterfaceIds DnsEntries")
class VpcEndpoint(Tagged):
    store = "endpoints"

    def create(self, cx, properties):
        service = properties.get("ServiceName", "")
        if not service.startswith(f"com.amazonaws.{cx.world.region}."):
            raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{service}' does not exist")
        return ec2(cx).create_endpoint(properties["VpcId"], service, properties.get("VpcEndpointType", "Gateway"), properties.get("RouteTableIds", []),
                                       properties.get("SubnetIds", []), properties.get("SecurityGroupIds", []), cx.tags(properties))["VpcEndpointId"]

    def change(self, cx, record, after):
        record["RouteTableIds"] = list(after.get("RouteTableIds", []))

    def delete(self, cx):
        ec2(cx).delete_endpoint(cx.physical)

    def attribute(self, cx, name):
        record = self.record(cx)
        return {"Id": cx.physical, "NetworkInterfaceIds": record["NetworkInterfaceIds"], "DnsEntries": [], "CreationTimestamp": record["made"].isoformat()}[name]


def permission(rule, far):
    """A rule of a template as EC2's permission; `far` is `Source` or `Destination`."""
    found = {"IpProtocol": str(rule["IpProtocol"]), "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []}
    for side in ("FromPort", "ToPort"):
        if side in rule:
            found[side] = int(rule[side])
    note = {"Description": rule["Description"]} if "Description" in rule else {}
    if "CidrIp" in rule:
        found["IpRanges"] = [{"CidrIp": rule["CidrIp"], **note}]
    elif "CidrIpv6" in rule:
        found["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **note}]
    elif f"{far}SecurityGroupId" in rule:
        found["UserIdGroupPairs"] = [{"GroupId": rule[f"{far}SecurityGroupId"], **note}]
    else:
        raise AwsError("MissingParameter", "The request must contain the parameter source of the rule")
    return found


@kind("AWS::EC2::SecurityGroup", "GroupDescription GroupName SecurityGroupEgress SecurityGroupIngress Tags VpcId", "GroupDescription GroupName VpcId",
      "GroupDescription", "GroupId Id VpcId")
class SecurityGroup(Tagged):
    store = "groups"

    def create(self, cx, properties):
        name = properties.get("GroupName") or cx.generated(255)
        group = ec2(cx).create_group(properties.get("VpcId", ""), name, properties["GroupDescription"], cx.tags(properties))
        self.change(cx, group, properties)
        return group["GroupId"]

    def change(self, cx, record, after):
        old = cx.resource.properties or {}
        for name, side, far in (("SecurityGroupIngress", "IpPermissions", "Source"), ("SecurityGroupEgress", "IpPermissionsEgress", "Destination")):
            # Only what the template says is changed: rules that others added stay.
            before = flat_rules([permission(rule, far) for rule in old.get(name, [])])
            wanted = flat_rules([permission(rule, far) for rule in after.get(name, [])])
            if name == "SecurityGroupEgress" and wanted and not before:
                record[side] = []
            remove_rules(record, side, [rule for key, rule in before.items() if key not in wanted and key in flat_rules(record[side])])
            add_rules(record, side, [rule for key, rule in wanted.items() if key not in flat_rules(record[side])])

    def delete(self, cx):
        ec2(cx).delete_group(cx.physical)

    def attribute(self, cx, name):
        return self.record(cx)["VpcId"] if name == "VpcId" else cx.physical


class Rule(Kind):
    """One rule of a group, a resource of its own."""

    side, far = "", ""

    def create(self, cx, properties):
        group = ec2(cx).one("groups", properties.get("GroupId", ""), "security group")
        add_rules(group, self.side, [permission(properties, self.far)])
        return cx.world.new_id("sgr")

    def delete(self, cx):
        group = ec2(cx).groups.get(cx.properties["GroupId"])
        rule = permission(cx.properties, self.far)
        if group and flat_rules([rule]).keys() <= flat_rules(group[self.side]).keys():
            remove_rules(group, self.side, [rule])


@kind("AWS::EC2::SecurityGroupIngress", "CidrIp CidrIpv6 Description FromPort GroupId IpProtocol SourceSecurityGroupId ToPort",
      "IpProtocol SourceSecurityGroupId ToPort CidrIp FromPort GroupId CidrIpv6", "IpProtocol", "Id", tagged=False)
class Ingress(Rule):
    side, far = "IpPermissions", "Source"


@kind("AWS::EC2::SecurityGroupEgress", "CidrIp CidrIpv6 Description FromPort GroupId IpProtocol DestinationSecurityGroupId ToPort",
      "IpProtocol DestinationSecurityGroupId ToPort CidrIp FromPort GroupId CidrIpv6", "IpProtocol GroupId", "Id", tagged=False)
class Egress(Rule):
    side, far = "IpPermissionsEgress", "Destination"


@kind("AWS::EC2::LaunchTemplate", "LaunchTemplateData LaunchTemplateName TagSpecifications VersionDescription", "LaunchTemplateName",
      "LaunchTemplateData", "LaunchTemplateId DefaultVersionNumber LatestVersionNumber")
class LaunchTemplate(Tagged):
    store = "templates"

    def data(self, properties):
        """The data as EC2 takes it, held against EC2's own model."""
        shape = models.service_model("ec2").shape_for("RequestLaunchTemplateData")
        data = coerced(shape, properties["LaunchTemplateData"])
        problems = check.problems_of_input(shape, data)
        if problems:
            raise AwsError("InvalidRequest", f"#/LaunchTemplateData: {'; '.join(problems)}")
        return data

    def own_tags(self, cx, properties):
        specified = [tag for each in properties.get("TagSpecifications", []) if each.get("ResourceType") == "launch-template" for tag in each.get("Tags", [])]
        return cx.tags({"Tags": specified}, marks=False)

    def create(self, cx, properties):
        name = properties.get("LaunchTemplateName") or cx.generated(125)
        return ec2(cx).create_template(name, self.data(properties), self.own_tags(cx, properties), properties.get("VersionDescription"))["LaunchTemplateId"]

    def update(self, cx, before, after):
        record = ec2(cx).one("templates", cx.physical, "launch template")
        record["tags"] = self.own_tags(cx, after)
        if before["LaunchTemplateData"] != after["LaunchTemplateData"] or before.get("VersionDescription") != after.get("VersionDescription"):
            # A new version; the default stays the first one, as with CloudFormation.
            ec2(cx).add_version(record, self.data(after), after.get("VersionDescription"))

    def delete(self, cx):
        ec2(cx).one("templates", cx.physical, "launch template")
        del ec2(cx).templates[cx.physical]

    def attribute(self, cx, name):
        return cx.physical if name == "LaunchTemplateId" else str(self.record(cx)[name])


def coerced(shape, value):
    """CloudFormation takes numbers and booleans as texts too."""
    kind_name = shape.type_name
    if kind_name == "structure" and isinstance(value, dict):
        return {key: coerced(shape.members[key], below) if key in shape.members else below for key, below in value.items()}
    if kind_name == "list" and isinstance(value, list):
        return [coerced(shape.member, below) for below in value]
    if kind_name == "integer" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if kind_name == "boolean" and isinstance(value, str):
        return boolean(value)
    return str(value) if kind_name == "string" and isinstance(value, (int, float)) and not isinstance(value, bool) else value
