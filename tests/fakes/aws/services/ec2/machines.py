"""Zones, instance types, instances, volumes and launch templates."""
from ...errors import AwsError
from ..filters import matches, page
from ..quotas import quota
from . import catalog, operations
from .networks import member, select, shown
from .state import Ec2


@operations("DescribeRegions")
def describe_regions(call):
    disabled = call.world.scenario.get("disabledRegions", [])
    wanted = call.get("RegionNames")
    for name in wanted or []:
        if name not in catalog.REGIONS:
            raise AwsError("InvalidParameterValue", f"Invalid region provided: '{name}'", 400)
    regions = [{"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "not-opted-in" if name in disabled else "opt-in-not-required"}
               for name in catalog.REGIONS if (not wanted or name in wanted) and (call.get("AllRegions") or name not in disabled)]
    fields = {"region-name": member("RegionName"), "opt-in-status": member("OptInStatus"), "endpoint": member("Endpoint")}
    return {"Regions": [region for region in regions if matches(region, call.get("Filters"), fields)]}


@operations("DescribeAvailabilityZones")
def describe_availability_zones(call):
    region = call.world.region
    group = f"{region}-zg-1"
    found = [{"ZoneName": name, "ZoneId": ident, "RegionName": region, "State": "available", "OptInStatus": "opt-in-not-required", "GroupName": group,
              "NetworkBorderGroup": region, "ZoneType": "availability-zone", "Messages": []} for name, ident in catalog.zones(region).items()]
    if call.get("AllAvailabilityZones"):
        found.append({"ZoneName": f"{region}-ham-1a", "ZoneId": "euc1-ham1-az1", "RegionName": region, "State": "available", "OptInStatus": "not-opted-in",
                      "GroupName": f"{region}-ham-1", "NetworkBorderGroup": f"{region}-ham-1", "ZoneType": "local-zone", "Messages": []})
    names, ids = call.get("ZoneNames"), call.get("ZoneIds")
    for name in names or []:
        if name not in [zone["ZoneName"] for zone in found]:
            raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{name}]", 400)
    fields = {"zone-name": member("ZoneName"), "zone-id": member("ZoneId"), "state": member("State"), "zone-type": member("ZoneType"),
              "region-name": member("RegionName"), "opt-in-status": member("OptInStatus"), "group-name": member("GroupName")}
    return {"AvailabilityZones": [zone for zone in found if (not names or zone["ZoneName"] in names) and (not ids or zone["ZoneId"] in ids)
                                  and matches(zone, call.get("Filters"), fields)]}


@operations("DescribeInstanceTypes")
def describe_instance_types(call):
    world, wanted = call.world, call.get("InstanceTypes", [])
    known = [name for name in catalog.TYPES if catalog.offered(world, world.region, name)]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise AwsError("InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]", 400)
    fields = {"instance-type": member("InstanceType"), "processor-info.supported-architecture": lambda kind: kind["ProcessorInfo"]["SupportedArchitectures"],
              "current-generation": member("CurrentGeneration"), "bare-metal": member("BareMetal"), "vcpu-info.default-vcpus": lambda kind: kind["VCpuInfo"]["DefaultVCpus"]}
    found = [catalog.shown(name) for name in known if not wanted or name in wanted]
    return page(call, [kind for kind in found if matches(kind, call.get("Filters"), fields)], "InstanceTypes", 100)


@operations("DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(call):
    world, place = call.world, call.get("LocationType", "region")
    ids = catalog.zones(world.region)
    found = []
    for name in catalog.TYPES:
        zones = catalog.offered(world, world.region, name)
        places = {"region": [world.region] if zones else [], "availability-zone": zones, "availability-zone-id": [ids[zone] for zone in zones]}[place]
        found += [{"InstanceType": name, "LocationType": place, "Location": where} for where in places]
    fields = {"instance-type": member("InstanceType"), "location": member("Location")}
    return page(call, [one for one in found if matches(one, call.get("Filters"), fields)], "InstanceTypeOfferings", 1000)


@operations("DescribeInstances")
def describe_instances(call):
    fields = {"instance-id": member("InstanceId"), "vpc-id": member("VpcId"), "subnet-id": member("SubnetId"), "instance-type": member("InstanceType"),
              "instance-state-name": lambda record: record["State"]["Name"], "private-dns-name": member("PrivateDnsName")}
    found = select(call, "instances", call.get("InstanceIds", []), "instance", fields)
    return page(call, [{"ReservationId": record["InstanceId"].replace("i-", "r-"), "OwnerId": call.world.account, "Groups": [], "Instances": [shown(record)]}
                       for record in found], "Reservations")


@operations("TerminateInstances")
def terminate_instances(call):
    state, answer = call.world.state(Ec2), []
    for ident in call.parameters["InstanceIds"]:
        before = dict(state.one("instances", ident, "instance")["State"])
        state.terminate_instance(ident)
        answer.append({"InstanceId": ident, "PreviousState": before, "CurrentState": {"Code": 32, "Name": "shutting-down"}})
    return {"TerminatingInstances": answer}


@operations("DescribeVolumes")
def describe_volumes(call):
    fields = {"volume-id": member("VolumeId"), "status": member("State"), "availability-zone": member("AvailabilityZone"), "encrypted": member("Encrypted"),
              "volume-type": member("VolumeType"), "attachment.instance-id": lambda record: [a["InstanceId"] for a in record["Attachments"]]}
    return page(call, [shown(volume) for volume in select(call, "volumes", call.get("VolumeIds", []), "volume", fields)], "Volumes")


@operations("DeleteVolume")
def delete_volume(call):
    call.world.state(Ec2).delete_volume(call.parameters["VolumeId"])


def template_of(call):
    """The template that is named by id or by name."""
    state = call.world.state(Ec2)
    if call.get("LaunchTemplateId"):
        return state.one("templates", call.parameters["LaunchTemplateId"], "launch template")
    for template in state.templates.values():
        if template["LaunchTemplateName"] == call.get("LaunchTemplateName"):
            return template
    raise AwsError("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.", 400)


@operations("DescribeLaunchTemplates")
def describe_launch_templates(call):
    fields = {"launch-template-name": member("LaunchTemplateName"), "create-time": member("CreateTime")}
    found = select(call, "templates", call.get("LaunchTemplateIds", []), "launch template", fields)
    names = call.get("LaunchTemplateNames")
    missing = set(names or []) - {template["LaunchTemplateName"] for template in found}
    if missing:
        raise AwsError("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.", 400)
    return page(call, [shown(template) for template in found if not names or template["LaunchTemplateName"] in names], "LaunchTemplates", 200)


@operations("DescribeLaunchTemplateVersions")
def describe_launch_template_versions(call):
    template, wanted = template_of(call), call.get("Versions")
    numbers = {"$Default": template["DefaultVersionNumber"], "$Latest": template["LatestVersionNumber"]}
    found = []
    for version in template["versions"]:
        number = version["VersionNumber"]
        if not wanted or any(str(numbers.get(one, one)) == str(number) for one in wanted):
            found.append(version | {"DefaultVersion": number == template["DefaultVersionNumber"]})
    return page(call, found, "LaunchTemplateVersions", 200)


@operations("DescribeAccountAttributes")
def describe_account_attributes(call):
    values = {"supported-platforms": "VPC", "default-vpc": "none", "max-instances": "20", "vpc-max-security-groups-per-interface": "5",
              "max-elastic-ips": "5", "vpc-max-elastic-ips": str(quota(call.world, "L-0263D0A3"))}
    wanted = call.get("AttributeNames", values)
    return {"AccountAttributes": [{"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]} for name, value in values.items() if name in wanted]}
