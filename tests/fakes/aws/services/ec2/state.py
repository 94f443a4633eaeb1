"""What EC2 holds. A record has the members of AWS's own shape; what is ours begins with a small letter (`tags`, `made`)."""
import copy
import ipaddress
import itertools

from ...errors import AwsError
from ..quotas import quota
from . import catalog


def missing(code, text):
    return AwsError(code, text, 400)


def dependency(text):
    return AwsError("DependencyViolation", text, 400)


class Ec2:
    """Things by id. Methods are what the console of the world does; operations and CloudFormation call them."""

    KINDS = ("vpcs", "subnets", "gateways", "addresses", "nats", "tables", "endpoints", "groups", "interfaces", "templates", "volumes", "instances")

    def __init__(self, world):
        self.world = world
        for kind in self.KINDS:
            setattr(self, kind, {})
        self._hosts = itertools.count(10)
        self._public = itertools.count(1)

    def new(self, kind, prefix, key, tags, **members):
        ident = self.world.new_id(prefix)
        record = {key: ident, **members, "tags": dict(tags or {}), "made": self.world.now()}
        getattr(self, kind)[ident] = record
        return record

    def one(self, kind, ident, noun):
        """The record, or EC2's own error: `one("subnets", id, "Subnet")`."""
        codes = {"vpcs": "InvalidVpcID.NotFound", "subnets": "InvalidSubnetID.NotFound", "gateways": "InvalidInternetGatewayID.NotFound",
                 "addresses": "InvalidAllocationID.NotFound", "nats": "NatGatewayNotFound", "tables": "InvalidRouteTableID.NotFound",
                 "endpoints": "InvalidVpcEndpointId.NotFound", "groups": "InvalidGroup.NotFound", "interfaces": "InvalidNetworkInterfaceID.NotFound",
                 "templates": "InvalidLaunchTemplateId.NotFound", "volumes": "InvalidVolume.NotFound", "instances": "InvalidInstanceID.NotFound"}
        found = getattr(self, kind).get(ident)
        if found is None:
            raise missing(codes[kind], f"The {noun} ID '{ident}' does not exist")
        return found

    # Networks

    def create_vpc(self, cidr, tags=None, dns_support=True, dns_hostnames=False, tenancy="default"):
        if len(self.vpcs) >= quota(self.world, "L-F678F1CE"):
            raise AwsError("VpcLimitExceeded", "The maximum number of VPCs has been reached.", 400)
        block = ipaddress.ip_network(cidr)
        if not 16 <= block.prefixlen <= 28:
            raise AwsError("InvalidVpc.Range", f"The CIDR '{cidr}' is invalid.", 400)
        vpc = self.new("vpcs", "vpc", "VpcId", tags, CidrBlock=cidr, State="available", IsDefault=False, OwnerId=self.world.account,
                       DhcpOptionsId="dopt-0123456789abcdef0", InstanceTenancy=tenancy, dnsSupport=dns_support, dnsHostnames=dns_hostnames)
        vpc["CidrBlockAssociationSet"] = [{"AssociationId": self.world.new_id("vpc-cidr-assoc"), "CidrBlock": cidr, "CidrBlockState": {"State": "associated"}}]
        self.create_group(vpc["VpcId"], "default", "default VPC security group")
        self.create_table(vpc["VpcId"], main=True)
        return vpc

    def delete_vpc(self, ident):
        self.one("vpcs", ident, "vpc")
        groups = [group for group in self.groups.values() if group["VpcId"] == ident and group["GroupName"] != "default"]
        tables = [table for table in self.tables.values() if table["VpcId"] == ident and not table["main"]]
        attached = [gateway for gateway in self.gateways.values() if any(a["VpcId"] == ident for a in gateway["Attachments"])]
        endpoints = [endpoint for endpoint in self.endpoints.values() if endpoint["VpcId"] == ident]
        if self.in_vpc("subnets", ident) or groups or tables or attached or endpoints or self.in_vpc("interfaces", ident):
            raise dependency(f"The vpc '{ident}' has dependencies and cannot be deleted.")
        for kind in ("groups", "tables"):
            for record in self.in_vpc(kind, ident):
                key = "GroupId" if kind == "groups" else "RouteTableId"
                del getattr(self, kind)[record[key]]
        del self.vpcs[ident]

    def in_vpc(self, kind, vpc):
        return [record for record in getattr(self, kind).values() if record.get("VpcId") == vpc]

    def create_subnet(self, vpc_id, cidr, zone, tags=None, public=False):
        vpc = self.one("vpcs", vpc_id, "vpc")
        every = catalog.zones(self.world.region)
        by_id = {ident: name for name, ident in every.items()}
        zone = by_id.get(zone, zone) if zone else next(iter(every))
        if zone not in every:
            raise AwsError("InvalidParameterValue", f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: {', '.join(every)}.", 400)
        block = ipaddress.ip_network(cidr)
        if not block.subnet_of(ipaddress.ip_network(vpc["CidrBlock"])) or not 16 <= block.prefixlen <= 28:
            raise AwsError("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.", 400)
        for other in self.in_vpc("subnets", vpc_id):
            if block.overlaps(ipaddress.ip_network(other["CidrBlock"])):
                raise AwsError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet", 400)
        subnet = self.new("subnets", "subnet", "SubnetId", tags, VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=zone,
                          AvailabilityZoneId=every[zone], MapPublicIpOnLaunch=public, State="available", OwnerId=self.world.account,
                          DefaultForAz=False, AssignIpv6AddressOnCreation=False, Ipv6CidrBlockAssociationSet=[])
        subnet["SubnetArn"] = self.world.arn("ec2", f"subnet/{subnet['SubnetId']}")
        return subnet

    def free_addresses(self, subnet):
        used = sum(1 + interface["prefixes"] for interface in self.interfaces.values() if interface["SubnetId"] == subnet["SubnetId"])
        taken = self.world.scenario.get("takenAddresses", {}).get(subnet["SubnetId"], 0)
        return max(0, ipaddress.ip_network(subnet["CidrBlock"]).num_addresses - 5 - used - taken)

    def delete_subnet(self, ident):
        self.one("subnets", ident, "subnet")
        if any(interface["SubnetId"] == ident for interface in self.interfaces.values()):
            raise dependency(f"The subnet '{ident}' has dependencies and cannot be deleted.")
        for table in self.tables.values():
            table["Associations"] = [a for a in table["Associations"] if a.get("SubnetId") != ident]
        del self.subnets[ident]

    def create_gateway(self, tags=None):
        return self.new("gateways", "igw", "InternetGatewayId", tags, Attachments=[], OwnerId=self.world.account)

    def attach_gateway(self, ident, vpc):
        gateway = self.one("gateways", ident, "internetGateway")
        self.one("vpcs", vpc, "vpc")
        if gateway["Attachments"] or any(a["VpcId"] == vpc for g in self.gateways.values() for a in g["Attachments"]):
            raise AwsError("Resource.AlreadyAssociated", f"resource {ident} is already attached to network {vpc}", 400)
        gateway["Attachments"] = [{"VpcId": vpc, "State": "available"}]

    def detach_gateway(self, ident, vpc):
        gateway = self.gateways.get(ident)
        if gateway is None or not gateway["Attachments"]:
            return
        if any(interface.get("Association") for interface in self.in_vpc("interfaces", vpc)):
            raise dependency(f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.")
        gateway["Attachments"] = []

    def delete_gateway(self, ident):
        if self.one("gateways", ident, "internetGateway")["Attachments"]:
            raise dependency(f"The internetGateway '{ident}' has dependencies and cannot be deleted.")
        del self.gateways[ident]

    def allocate_address(self, tags=None):
        if len(self.addresses) >= quota(self.world, "L-0263D0A3"):
            raise AwsError("AddressLimitExceeded", "The maximum number of addresses has been reached.", 400)
        number = next(self._public)
        return self.new("addresses", "eipalloc", "AllocationId", tags, PublicIp=f"198.51.{number // 250}.{number % 250 + 1}", Domain="vpc",
                        PublicIpv4Pool="amazon", NetworkBorderGroup=self.world.region)

    def release_address(self, ident):
        address = self.one("addresses", ident, "allocation")
        if address.get("AssociationId"):
            raise AwsError("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.", 400)
        del self.addresses[ident]

    def associate(self, address, interface):
        address.update(AssociationId=self.world.new_id("eipassoc"), NetworkInterfaceId=interface["NetworkInterfaceId"],
                       NetworkInterfaceOwnerId=self.world.account, PrivateIpAddress=interface["PrivateIpAddress"])
        interface["Association"] = {"PublicIp": address["PublicIp"], "AllocationId": address["AllocationId"],
                                    "AssociationId": address["AssociationId"], "IpOwnerId": self.world.account}

    def create_nat(self, subnet_id, allocation, tags=None):
        """A NAT gateway in state `pending`; `nat_is_made` makes it available."""
        subnet, address = self.one("subnets", subnet_id, "subnet"), self.one("addresses", allocation, "allocation")
        if address.get("AssociationId"):
            raise AwsError("Resource.AlreadyAssociated", f"Elastic IP address [{allocation}] is already associated", 400)
        nat = self.new("nats", "nat", "NatGatewayId", tags, VpcId=subnet["VpcId"], SubnetId=subnet_id, State="pending", ConnectivityType="public")
        nat["CreateTime"] = nat["made"]
        interface = self.create_interface(subnet_id, [], f"Interface for NAT Gateway {nat['NatGatewayId']}", kind="nat_gateway", managed=True, status="in-use")
        self.associate(address, interface)
        nat["NatGatewayAddresses"] = [{"AllocationId": allocation, "NetworkInterfaceId": interface["NetworkInterfaceId"], "IsPrimary": True,
                                       "PrivateIp": interface["PrivateIpAddress"], "PublicIp": address["PublicIp"], "Status": "succeeded"}]
        return nat

    def set_state(self, record, kind, ident, state, member="State"):
        self.world.record.state("ec2", f"{kind}/{ident}", record.get(member), state)
        record[member] = state

    def nat_is_made(self, ident):
        if ident in self.nats:
            self.set_state(self.nats[ident], "nat-gateway", ident, "available")

    def delete_nat(self, ident):
        nat = self.one("nats", ident, "NatGateway")
        if nat["State"] not in ("deleting", "deleted"):
            self.set_state(nat, "nat-gateway", ident, "deleting")
            self.world.after("AWS::EC2::NatGateway.delete", self.nat_is_gone, ident)

    def nat_is_gone(self, ident):
        nat = self.nats.get(ident)
        if nat is None or nat["State"] == "deleted":
            return
        self.set_state(nat, "nat-gateway", ident, "deleted")
        nat["DeleteTime"] = self.world.now()
        for used in nat["NatGatewayAddresses"]:
            self.interfaces.pop(used["NetworkInterfaceId"], None)
            address = self.addresses.get(used["AllocationId"])
            if address:
                for member in ("AssociationId", "NetworkInterfaceId", "NetworkInterfaceOwnerId", "PrivateIpAddress"):
                    address.pop(member, None)

    def create_table(self, vpc_id, tags=None, main=False):
        vpc = self.one("vpcs", vpc_id, "vpc")
        table = self.new("tables", "rtb", "RouteTableId", tags, VpcId=vpc_id, OwnerId=self.world.account, Associations=[], PropagatingVgws=[], main=main,
                         Routes=[{"DestinationCidrBlock": vpc["CidrBlock"], "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}])
        if main:
            table["Associations"].append({"Main": True, "RouteTableAssociationId": self.world.new_id("rtbassoc"), "RouteTableId": table["RouteTableId"], "AssociationState": {"State": "associated"}})
        return table

    def delete_table(self, ident):
        if self.one("tables", ident, "routeTable")["Associations"]:
            raise dependency(f"The routeTable '{ident}' has dependencies and cannot be deleted.")
        for endpoint in self.endpoints.values():
            endpoint["RouteTableIds"] = [table for table in endpoint["RouteTableIds"] if table != ident]
        del self.tables[ident]

    def create_endpoint(self, vpc_id, service, kind="Gateway", tables=(), subnets=(), groups=(), tags=None, policy=None):
        self.one("vpcs", vpc_id, "vpc")
        endpoint = self.new("endpoints", "vpce", "VpcEndpointId", tags, VpcId=vpc_id, ServiceName=service, VpcEndpointType=kind, State="available",
                            RouteTableIds=list(tables), SubnetIds=list(subnets), OwnerId=self.world.account, RequesterManaged=False,
                            PrivateDnsEnabled=kind == "Interface", Groups=[{"GroupId": group, "GroupName": self.groups[group]["GroupName"]} for group in groups])
        if policy:
            endpoint["PolicyDocument"] = policy
        endpoint["CreationTimestamp"] = endpoint["made"]
        endpoint["NetworkInterfaceIds"] = [
            self.create_interface(subnet, groups, f"VPC Endpoint Interface {endpoint['VpcEndpointId']}", kind="vpc_endpoint", managed=True, status="in-use")["NetworkInterfaceId"]
            for subnet in subnets]
        return endpoint

    def delete_endpoint(self, ident):
        endpoint = self.one("endpoints", ident, "VpcEndpoint")
        for interface in endpoint["NetworkInterfaceIds"]:
            self.interfaces.pop(interface, None)
        del self.endpoints[ident]

    # Security groups and interfaces

    def create_group(self, vpc_id, name, description, tags=None):
        self.one("vpcs", vpc_id, "vpc")
        if any(group["GroupName"] == name for group in self.in_vpc("groups", vpc_id)):
            raise AwsError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'", 400)
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "UserIdGroupPairs": [], "Ipv6Ranges": [], "PrefixListIds": []}
        group = self.new("groups", "sg", "GroupId", tags, VpcId=vpc_id, GroupName=name, Description=description, OwnerId=self.world.account,
                         IpPermissions=[], IpPermissionsEgress=[everything])
        group["SecurityGroupArn"] = self.world.arn("ec2", f"security-group/{group['GroupId']}")
        return group

    def delete_group(self, ident):
        group = self.one("groups", ident, "security group")
        if group["GroupName"] == "default":
            raise AwsError("CannotDelete", f"the specified group: \"{ident}\" name: \"default\" cannot be deleted by a user", 400)
        used = any(ident in [g["GroupId"] for g in interface["Groups"]] for interface in self.interfaces.values())
        named = any(pair.get("GroupId") == ident for other in self.groups.values() if other is not group
                    for permission in other["IpPermissions"] + other["IpPermissionsEgress"] for pair in permission.get("UserIdGroupPairs", []))
        if used or named:
            raise dependency(f"resource {ident} has a dependent object")
        del self.groups[ident]

    def create_interface(self, subnet_id, groups, description, tags=None, kind="interface", status="available", managed=False, instance=None, requester=None, prefixes=0):
        subnet = self.one("subnets", subnet_id, "subnet")
        if self.free_addresses(subnet) < 1 + prefixes:
            raise AwsError("InsufficientFreeAddressesInSubnet", f"The specified subnet does not have enough free addresses to satisfy the request. ({subnet_id})", 400)
        network = ipaddress.ip_network(subnet["CidrBlock"])
        address = str(network[next(self._hosts) % max(1, network.num_addresses - 6) + 4])
        interface = self.new("interfaces", "eni", "NetworkInterfaceId", tags, SubnetId=subnet_id, VpcId=subnet["VpcId"], Description=description,
                             AvailabilityZone=subnet["AvailabilityZone"], Status=status, InterfaceType=kind, RequesterManaged=managed,
                             OwnerId=self.world.account, PrivateIpAddress=address, SourceDestCheck=True, prefixes=prefixes,
                             Groups=[{"GroupId": group, "GroupName": self.one("groups", group, "security group")["GroupName"]} for group in groups],
                             PrivateIpAddresses=[{"Primary": True, "PrivateIpAddress": address}])
        if requester:
            interface["RequesterId"] = requester
        if status == "in-use":
            interface["Attachment"] = {"AttachmentId": self.world.new_id("eni-attach" if kind == "interface" else "ela-attach"), "Status": "attached",
                                       "DeleteOnTermination": instance is not None, "DeviceIndex": 0 if instance else 1,
                                       "InstanceOwnerId": self.world.account if instance else "amazon-aws"}
            if instance:
                interface["Attachment"]["InstanceId"] = instance
        return interface

    def delete_interface(self, ident):
        """As a client deletes it: only what is attached to nothing."""
        interface = self.one("interfaces", ident, "networkInterface")
        if interface["Status"] == "in-use":
            raise AwsError("InvalidParameterValue", f"Network interface '{ident}' is currently in use.", 400)
        del self.interfaces[ident]

    # Machines

    def create_volume(self, zone, size, tags=None, instance=None, encrypted=True, kind="gp3"):
        volume = self.new("volumes", "vol", "VolumeId", tags, AvailabilityZone=zone, Size=size, VolumeType=kind, Encrypted=encrypted, Iops=3000,
                          Throughput=125, State="in-use" if instance else "available", MultiAttachEnabled=False, Attachments=[])
        volume["CreateTime"] = volume["made"]
        if instance:
            volume["Attachments"] = [{"VolumeId": volume["VolumeId"], "InstanceId": instance, "Device": "/dev/xvda", "State": "attached", "DeleteOnTermination": True}]
        return volume

    def delete_volume(self, ident):
        if self.one("volumes", ident, "volume")["State"] == "in-use":
            raise AwsError("VolumeInUse", f"Volume {ident} is currently attached to {self.volumes[ident]['Attachments'][0]['InstanceId']}", 400)
        del self.volumes[ident]

    def run_instance(self, kind, subnet_id, groups, tags=None, disk=20, spot=False, profile=None):
        """A running machine with its interface and its root volume."""
        subnet = self.one("subnets", subnet_id, "subnet")
        instance = self.new("instances", "i", "InstanceId", tags, InstanceType=kind, SubnetId=subnet_id, VpcId=subnet["VpcId"], ImageId="ami-0123456789abcdef0",
                            State={"Code": 16, "Name": "running"}, Placement={"AvailabilityZone": subnet["AvailabilityZone"], "Tenancy": "default"},
                            Architecture=catalog.TYPES.get(kind, {}).get("arch", "x86_64"))
        ident = instance["InstanceId"]
        instance["LaunchTime"] = instance["made"]
        if spot:
            instance["InstanceLifecycle"] = "spot"
        interface = self.create_interface(subnet_id, groups, "", tags, status="in-use", instance=ident)
        volume = self.create_volume(subnet["AvailabilityZone"], disk, tags, ident)
        host = f"ip-{interface['PrivateIpAddress'].replace('.', '-')}.{self.world.region}.compute.internal"
        instance.update(PrivateIpAddress=interface["PrivateIpAddress"], PrivateDnsName=host, interface=interface["NetworkInterfaceId"], volume=volume["VolumeId"])
        return instance

    def terminate_instance(self, ident):
        """The machine ends: what was made with it goes, what a CNI attached to it stays behind as `available`."""
        instance = self.instances.get(ident)
        if instance is None or instance["State"]["Name"] == "terminated":
            return
        instance["State"] = {"Code": 48, "Name": "terminated"}
        instance["gone"] = self.world.now()
        self.interfaces.pop(instance["interface"], None)
        self.volumes.pop(instance["volume"], None)
        for interface in self.interfaces.values():
            if interface.get("Attachment", {}).get("InstanceId") == ident:
                interface["Status"] = "available"
                interface.pop("Attachment")
        for volume in self.volumes.values():
            if any(a["InstanceId"] == ident for a in volume["Attachments"]):
                volume.update(State="available", Attachments=[])

    # Launch templates

    def create_template(self, name, data, tags=None, description=None):
        if any(template["LaunchTemplateName"] == name for template in self.templates.values()):
            raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.", 400)
        template = self.new("templates", "lt", "LaunchTemplateId", tags, LaunchTemplateName=name, CreatedBy=self.world.arn("iam", "user/admin", ""),
                            DefaultVersionNumber=1, LatestVersionNumber=0, versions=[])
        template["CreateTime"] = template["made"]
        self.add_version(template, data, description)
        return template

    def add_version(self, template, data, description=None):
        number = template["LatestVersionNumber"] = template["LatestVersionNumber"] + 1
        version = {"LaunchTemplateId": template["LaunchTemplateId"], "LaunchTemplateName": template["LaunchTemplateName"], "VersionNumber": number,
                   "CreateTime": self.world.now(), "CreatedBy": template["CreatedBy"], "LaunchTemplateData": copy.deepcopy(data)}
        if description:
            version["VersionDescription"] = description
        template["versions"].append(version)
        return number

    def tagged(self, ident):
        """The tags of whatever has this id, or None."""
        for kind in self.KINDS:
            if ident in getattr(self, kind):
                return getattr(self, kind)[ident]["tags"]
        return None

    def inventory(self):
        names = {"vpcs": "vpc", "subnets": "subnet", "gateways": "internet-gateway", "addresses": "elastic-ip", "nats": "natgateway",
                 "tables": "route-table", "endpoints": "vpc-endpoint", "groups": "security-group", "interfaces": "network-interface",
                 "templates": "launch-template", "volumes": "volume", "instances": "instance"}
        for kind, name in names.items():
            for ident, record in getattr(self, kind).items():
                state = record.get("State", record.get("Status"))
                state = state["Name"] if isinstance(state, dict) else state
                # A deleted gateway and a terminated machine are still shown by AWS; a VPC brings its own group and table.
                if state in ("deleted", "terminated") or record.get("GroupName") == "default" or record.get("main"):
                    continue
                yield {"kind": f"ec2:{name}", "id": ident, "arn": self.world.arn("ec2", f"{name}/{ident}"), "state": state, "tags": record["tags"], "vpc": record.get("VpcId"),
                       "name": record.get("GroupName") or record.get("Description") or record.get("LaunchTemplateName"),
                       "bills": name in ("natgateway", "elastic-ip", "instance", "volume")}
