"""Machines of node groups: their types and launch templates, what is in the way of one, how it starts and ends."""
import re

from ..ec2 import Ec2, catalog
from ..quotas import quota
from .base import invalid

# First letters of types, and the codes of their quotas: on demand, and spot.
FAMILIES = (("g", "L-DB2E81BA", "L-3819A6DF"), ("vt", "L-DB2E81BA", "L-3819A6DF"), ("p", "L-417A185B", "L-7212CCBC"),
            ("p5", "L-417A185B", "L-C4BD4855"), ("inf", "L-1945791B", None),
            ("trn", "L-2C3B7624", None))
STANDARD = ("L-1216C47A", "L-34B43A08")
# The size in GiB of the snapshot of a machine image of Amazon Linux 2023: no volume of it can be smaller.
SNAPSHOT = 20


def template(call, asked):
    """What CreateNodegroup's launchTemplate means: `shown` as EKS shows it, `data` of the version."""
    if not asked:
        return None
    ec2 = call.world.state(Ec2)
    found = [record for record in ec2.templates.values()
             if asked.get("id") == record["LaunchTemplateId"] or (not asked.get("id") and asked.get("name") == record["LaunchTemplateName"])]
    if not found:
        raise invalid(f"Launch template not found: {asked.get('id') or asked.get('name')}. The specified launch template does not exist.")
    record = found[0]
    number = asked.get("version") or str(record["DefaultVersionNumber"])
    number = {"$Latest": str(record["LatestVersionNumber"]), "$Default": str(record["DefaultVersionNumber"])}.get(number, number)
    data = next((version["LaunchTemplateData"] for version in record["versions"] if str(version["VersionNumber"]) == number), None)
    if data is None:
        raise invalid(f"Launch template version {number} does not exist for {record['LaunchTemplateId']}")
    return {"shown": {"id": record["LaunchTemplateId"], "name": record["LaunchTemplateName"], "version": number}, "data": data}


def template_data(world, shown):
    record = world.state(Ec2).templates.get(shown["id"]) if shown else None
    if record is None:
        return {}
    return next((version["LaunchTemplateData"] for version in record["versions"] if str(version["VersionNumber"]) == shown["version"]), {})


def type_exists(world, name):
    return bool(catalog.offered(world, world.region, name))


def architecture(world, name):
    return catalog.TYPES.get(name, {"arch": "x86_64"})["arch"]


def gpus(world, name):
    """How many NVIDIA GPUs the type has."""
    return sum(gpu["Count"] for gpu in catalog.TYPES.get(name, {}).get("gpus") or [] if gpu["Manufacturer"] == "NVIDIA")


def size(name):
    kind = catalog.TYPES.get(name, {"vcpus": 2, "mib": 8192, "interfaces": 3, "addresses": 10})
    return kind["vcpus"], kind["mib"], kind["interfaces"] * (kind["addresses"] - 1) + 2


def codes(name):
    """The codes of the quotas that a type counts against: on demand, and spot."""
    letters = re.match("p5|[a-z]*", name)[0]
    return next(((demand, spot) for prefix, demand, spot in FAMILIES if letters == prefix), STANDARD)


def choose_type(nodegroup, subnet_id):
    """The first type that the subnet's zone has room for, or why there is none, in the words of the Auto Scaling group's activity."""
    world = nodegroup.world
    ec2 = world.state(Ec2)
    way = "Spot" if nodegroup.capacity == "SPOT" else "On-Demand"
    subnet = ec2.subnets.get(subnet_id)
    if subnet is None:
        return None, f"The subnet ID '{subnet_id}' does not exist. Launching EC2 instance failed."
    zone, zone_id = subnet["AvailabilityZone"], subnet["AvailabilityZoneId"]
    volume = _volume(nodegroup)
    if volume < SNAPSHOT:
        return None, (f"Volume of size {volume}GB is smaller than snapshot 'snap-{nodegroup.image.removeprefix('ami-')}', expect size>= {SNAPSHOT}GB. "
                      "Launching EC2 instance failed.")
    types = nodegroup.types or [template_data(world, nodegroup.template).get("InstanceType", "t3.medium")]
    refusal = None
    for kind in types:
        empty = world.scenario.get("typeWithoutCapacity", {})
        without = [*empty.get(kind, []), *empty.get("*", [])]
        if zone not in catalog.offered(world, world.region, kind):
            refusal = (f"Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone}). Please retry your request by "
                       "not specifying an Availability Zone or choosing another one. Launching EC2 instance failed.")
        elif "*" in without or zone in without or zone_id in without or zone[-1] in without:
            code = "UnfulfillableCapacity" if way == "Spot" else "InsufficientInstanceCapacity"
            refusal = (f"Could not launch {way} Instances. {code} - We currently do not have sufficient {kind} capacity in the Availability Zone you requested "
                       f"({zone}). Our system will be working on provisioning additional capacity. Launching EC2 instance failed.")
        elif not _fits_quota(world, ec2, kind, way):
            limit = int(quota(world, codes(kind)[way == "Spot"] or codes(kind)[0]))
            code = "MaxSpotInstanceCountExceeded - Max spot instance count exceeded." if way == "Spot" else (
                f"VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket that the "
                "specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.")
            refusal = f"Could not launch {way} Instances. {code} Launching EC2 instance failed."
        elif ec2.free_addresses(subnet) < 2:
            refusal = f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances. Launching EC2 instance failed."
        else:
            return kind, None
    return None, refusal


def _volume(nodegroup):
    """The size of the root volume in GiB."""
    data = template_data(nodegroup.world, nodegroup.template)
    sizes = [mapping.get("Ebs", {}).get("VolumeSize") for mapping in data.get("BlockDeviceMappings", []) if mapping.get("DeviceName") == "/dev/xvda"]
    return next((int(size) for size in sizes if size), nodegroup.disk or SNAPSHOT)


def _fits_quota(world, ec2, kind, way):
    code = codes(kind)[way == "Spot"] or codes(kind)[0]
    used = sum(catalog.TYPES.get(instance["InstanceType"], {"vcpus": 2})["vcpus"] for instance in ec2.instances.values()
               if instance["State"]["Name"] == "running" and (instance.get("InstanceLifecycle") == "spot") == (way == "Spot")
               and (codes(instance["InstanceType"])[way == "Spot"] or codes(instance["InstanceType"])[0]) == code)
    return used + catalog.TYPES.get(kind, {"vcpus": 2})["vcpus"] <= quota(world, code)


def launch(nodegroup, subnet_id, kind):
    """A machine with its interface, and the second one that the CNI attaches."""
    from .nodegroup import Instance

    world, cluster = nodegroup.world, nodegroup.cluster
    ec2 = world.state(Ec2)
    subnet = ec2.subnets[subnet_id]
    data = template_data(world, nodegroup.template)
    tags = {"eks:cluster-name": cluster.name, "eks:nodegroup-name": nodegroup.name, f"kubernetes.io/cluster/{cluster.name}": "owned",
            "aws:autoscaling:groupName": nodegroup.group}
    for specification in data.get("TagSpecifications", []):
        if specification.get("ResourceType") == "instance":
            tags.update({tag["Key"]: tag["Value"] for tag in specification.get("Tags", [])})
    groups = data.get("SecurityGroupIds") or [cluster.group]
    groups = [group for group in groups if group in ec2.groups]
    record = ec2.run_instance(kind, subnet_id, groups, tags, nodegroup.disk or 20, nodegroup.capacity == "SPOT")
    record["ImageId"] = nodegroup.image
    ident = record["InstanceId"]
    extra = []
    if ec2.free_addresses(subnet) > 6:
        interface = ec2.create_interface(subnet_id, groups, f"aws-K8S-{ident}", _interface_tags(cluster, ident), status="in-use", instance=ident)
        extra.append(interface["NetworkInterfaceId"])
    return Instance(ident, kind, subnet["AvailabilityZone"], subnet["AvailabilityZoneId"], subnet_id, record["PrivateIpAddress"], nodegroup.image,
                    nodegroup.version, nodegroup.release, dict(nodegroup.template) if nodegroup.template else None, world.now(), extra)


def _interface_tags(cluster, instance):
    return {"cluster.k8s.amazonaws.com/name": cluster.name, "node.k8s.amazonaws.com/instance_id": instance,
            "node.k8s.amazonaws.com/createdAt": cluster.world.now().strftime("%Y-%m-%dT%H:%M:%SZ")}


def terminate(nodegroup, instance):
    """The machine ends. The CNI detaches and deletes its interface first, unless it lost the race: then it stays, as `available`.

    Scenario `eksLeakedInterfaces`: how often it loses.
    """
    ec2, cluster = nodegroup.world.state(Ec2), nodegroup.cluster
    if instance.interfaces and cluster.leaked < int(nodegroup.world.scenario.get("eksLeakedInterfaces", 0)):
        cluster.leaked += 1
    else:
        for ident in instance.interfaces:
            ec2.interfaces.pop(ident, None)
    ec2.terminate_instance(instance.id)
