"""Auto Scaling groups: made by managed node groups; read, and tagged, by clients."""
import uuid

from ..errors import AwsError
from . import Operations
from .filters import matches, tag_map

operations = Operations()


class Autoscaling:
    """Groups by name, and what each tried."""

    def __init__(self, world):
        self.world, self.groups, self.activities = world, {}, {}

    def create_group(self, name, minimum, maximum, desired, subnets, zones, tags=None):
        """A record in AWS's shape; `tags` (a map) is shown as the group's tags."""
        group = {"AutoScalingGroupName": name, "AutoScalingGroupARN": self.world.arn("autoscaling", f"autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"),
                 "MinSize": minimum, "MaxSize": maximum, "DesiredCapacity": desired, "DefaultCooldown": 300, "AvailabilityZones": list(zones),
                 "HealthCheckType": "EC2", "HealthCheckGracePeriod": 15, "CreatedTime": self.world.now(), "VPCZoneIdentifier": ",".join(subnets),
                 "Instances": [], "SuspendedProcesses": [], "EnabledMetrics": [], "LoadBalancerNames": [], "TargetGroupARNs": [],
                 "TerminationPolicies": ["AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"], "NewInstancesProtectedFromScaleIn": False,
                 "tags": dict(tags or {}), "propagated": set(tags or {})}
        self.groups[name] = group
        self.activities[name] = []
        return group

    def add_activity(self, name, description, status="Successful", message=None, cause="At an instance was started in response to a difference between desired and actual capacity."):
        """`status` is a ScalingActivityStatusCode: `Successful`, `Failed`, `InProgress`."""
        now = self.world.now()
        activity = {"ActivityId": str(uuid.uuid4()), "AutoScalingGroupName": name, "Description": description, "Cause": cause, "StartTime": now,
                    "StatusCode": status, "Progress": 100, "Details": "{}"}
        if status != "InProgress":
            activity["EndTime"] = now
        if message:
            activity["StatusMessage"] = message
        self.activities[name].insert(0, activity)
        # AWS keeps six weeks of them; here a group that tries for ever must not fill the memory.
        del self.activities[name][200:]
        return activity

    def delete_group(self, name):
        self.groups.pop(name, None)

    def inventory(self):
        for name, group in self.groups.items():
            yield {"kind": "autoscaling:autoScalingGroup", "id": name, "arn": group["AutoScalingGroupARN"], "tags": group["tags"]}


def _shown(group):
    shown = {key: value for key, value in group.items() if key[0].isupper()}
    shown["Tags"] = [{"ResourceId": group["AutoScalingGroupName"], "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
                      "PropagateAtLaunch": key in group["propagated"]} for key, value in group["tags"].items()]
    return shown


def _paged(call, found, member, size):
    start, count = int(call.get("NextToken", "0")), call.get("MaxRecords", size)
    answer = {member: found[start:start + count]}
    if len(found) > start + count:
        answer["NextToken"] = str(start + count)
    return answer


@operations("DescribeAutoScalingGroups")
def describe_groups(call):
    names = call.get("AutoScalingGroupNames")
    found = [group for name, group in call.world.state(Autoscaling).groups.items() if not names or name in names]
    fields = {"tag-value": lambda group: list(group["tags"].values())}
    return _paged(call, [_shown(group) for group in found if matches(group, call.get("Filters"), fields)], "AutoScalingGroups", 50)


@operations("DescribeScalingActivities")
def describe_scaling_activities(call):
    state, name = call.world.state(Autoscaling), call.get("AutoScalingGroupName")
    if name and name not in state.groups and not call.get("IncludeDeletedGroups"):
        raise AwsError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup {name} not found", 400)
    found = [activity for group, activities in state.activities.items() if not name or group == name for activity in activities]
    return _paged(call, found, "Activities", 100)


@operations("CreateOrUpdateTags")
def create_or_update_tags(call):
    state = call.world.state(Autoscaling)
    for tag in call.parameters["Tags"]:
        group = state.groups.get(tag.get("ResourceId"))
        if group is None:
            raise AwsError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup {tag.get('ResourceId')} not found", 400)
        group["tags"][tag["Key"]] = tag.get("Value", "")
        (group["propagated"].add if tag.get("PropagateAtLaunch") else group["propagated"].discard)(tag["Key"])


@operations("DeleteTags")
def delete_tags(call):
    for tag in call.parameters["Tags"]:
        group = call.world.state(Autoscaling).groups.get(tag.get("ResourceId"))
        if group:
            group["tags"].pop(tag["Key"], None)


@operations("DescribeTags")
def describe_tags(call):
    found = [tag for group in call.world.state(Autoscaling).groups.values() for tag in _shown(group)["Tags"]]
    fields = {"auto-scaling-group": lambda tag: tag["ResourceId"], "key": lambda tag: tag["Key"], "value": lambda tag: tag["Value"]}
    return _paged(call, [tag for tag in found if matches(tag | {"tags": tag_map([])}, call.get("Filters"), fields)], "Tags", 50)
