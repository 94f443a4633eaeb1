"""Tags of everything in EC2."""
from ...errors import AwsError
from ..filters import matches, page, tag_map
from . import operations
from .networks import member
from .state import Ec2

PREFIXES = {"vpcs": "vpc", "subnets": "subnet", "gateways": "internet-gateway", "addresses": "elastic-ip", "nats": "natgateway", "tables": "route-table",
            "endpoints": "vpc-endpoint", "groups": "security-group", "interfaces": "network-interface", "templates": "launch-template",
            "volumes": "volume", "instances": "instance"}


def _tags(call, ident):
    tags = call.world.state(Ec2).tagged(ident)
    if tags is None:
        raise AwsError("InvalidID", f"The ID '{ident}' is not valid", 400)
    return tags


@operations("CreateTags")
def create_tags(call):
    more = tag_map(call.parameters["Tags"])
    if any(key.startswith("aws:") for key in more):
        raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use", 400)
    every = [_tags(call, ident) for ident in call.parameters["Resources"]]
    for tags in every:
        tags.update(more)


@operations("DeleteTags")
def delete_tags(call):
    for ident in call.parameters["Resources"]:
        tags = _tags(call, ident)
        for tag in call.get("Tags", [{"Key": key} for key in tags]):
            if tag.get("Value") in (None, tags.get(tag["Key"])):
                tags.pop(tag["Key"], None)


@operations("DescribeTags")
def describe_tags(call):
    state, found = call.world.state(Ec2), []
    for kind, name in PREFIXES.items():
        for ident, record in getattr(state, kind).items():
            found += [{"ResourceId": ident, "ResourceType": name, "Key": key, "Value": value} for key, value in record["tags"].items()]
    fields = {"resource-id": member("ResourceId"), "resource-type": member("ResourceType"), "key": member("Key"), "value": member("Value")}
    return page(call, [tag for tag in found if matches(tag, call.get("Filters"), fields)], "Tags")
