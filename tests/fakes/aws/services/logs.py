"""CloudWatch Logs: log groups and their retention."""
from ..errors import AwsError
from . import Operations

operations = Operations()


class Logs:
    def __init__(self, world):
        self.world, self.groups = world, {}

    def create(self, name, tags=None, retention=None, kms=None, by=None):
        if name in self.groups:
            raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists", 400)
        self.groups[name] = {"logGroupName": name, "creationTime": int(self.world.now().timestamp() * 1000), "metricFilterCount": 0, "storedBytes": 0,
                             "arn": f"{self.world.arn('logs', f'log-group:{name}')}:*", "logGroupClass": "STANDARD", "tags": dict(tags or {}), "by": by}
        if retention:
            self.groups[name]["retentionInDays"] = retention
        if kms:
            self.groups[name]["kmsKeyId"] = kms
        return self.groups[name]

    def delete(self, name):
        if name not in self.groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.", 400)
        del self.groups[name]

    def inventory(self):
        for name, group in self.groups.items():
            yield {"kind": "logs:log-group", "id": name, "arn": group["arn"].removesuffix(":*"), "tags": group["tags"], "bills": True}


def _group(call):
    name = call.parameters["logGroupName"]
    group = call.world.state(Logs).groups.get(name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.", 400)
    return group


@operations("DescribeLogGroups")
def describe_log_groups(call):
    prefix, pattern = call.get("logGroupNamePrefix", ""), call.get("logGroupNamePattern", "")
    found = [group for name, group in sorted(call.world.state(Logs).groups.items()) if name.startswith(prefix) and pattern in name]
    token, count = int(call.get("nextToken", "0")), call.get("limit", 50)
    answer = {"logGroups": [{key: value for key, value in group.items() if key not in ("tags", "by")} for group in found[token:token + count]]}
    if len(found) > token + count:
        answer["nextToken"] = str(token + count)
    return answer


@operations("CreateLogGroup")
def create_log_group(call):
    call.world.state(Logs).create(call.parameters["logGroupName"], call.get("tags"), kms=call.get("kmsKeyId"))


@operations("DeleteLogGroup")
def delete_log_group(call):
    call.world.state(Logs).delete(call.parameters["logGroupName"])


@operations("PutRetentionPolicy")
def put_retention_policy(call):
    days = call.parameters["retentionInDays"]
    if days not in (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653):
        raise AwsError("InvalidParameterException", f"Invalid retention value. {days} is not one of the allowed values.", 400)
    _group(call)["retentionInDays"] = days


@operations("DeleteRetentionPolicy")
def delete_retention_policy(call):
    _group(call).pop("retentionInDays", None)


def _by_arn(call):
    for group in call.world.state(Logs).groups.values():
        if group["arn"].removesuffix(":*") == call.parameters["resourceArn"].removesuffix(":*"):
            return group
    raise AwsError("ResourceNotFoundException", "The specified resource does not exist.", 400)


@operations("ListTagsForResource")
def list_tags_for_resource(call):
    return {"tags": _by_arn(call)["tags"]}


@operations("TagResource")
def tag_resource(call):
    _by_arn(call)["tags"].update(call.parameters["tags"])


@operations("UntagResource")
def untag_resource(call):
    for key in call.parameters["tagKeys"]:
        _by_arn(call)["tags"].pop(key, None)
