"""The Resource Groups Tagging API: everything that has an ARN and tags, of every service here.

It shows no IAM roles (AWS's does not either), nothing that never had a tag, and for a while what is gone already.
"""
from . import Operations
from .ec2 import Ec2
from .filters import tag_list

operations = Operations()
UNSUPPORTED = ("iam:role", "autoscaling:autoScalingGroup")


def _wanted(thing, filters, types):
    if thing["kind"] in UNSUPPORTED or not thing.get("arn") or not thing.get("tags"):
        return False
    if types and not any(thing["kind"] == kind or thing["kind"].startswith(f"{kind}:") for kind in types):
        return False
    for each in filters:
        value = thing["tags"].get(each.get("Key"))
        if value is None or (each.get("Values") and value not in each["Values"]):
            return False
    return True


def _gone(world):
    """What EC2 has deleted and still shows: the tagging API lists it too, and does not say that it is gone."""
    stay = world.seconds(world.scenario.get("deletedStay", 0))
    ec2 = world.state(Ec2)
    for kind, records in (("natgateway", ec2.nats), ("instance", ec2.instances)):
        for ident, record in records.items():
            since = record.get("DeleteTime") or record.get("gone")
            if since and (world.now() - since).total_seconds() < stay:
                yield {"kind": f"ec2:{kind}", "arn": world.arn("ec2", f"{kind}/{ident}"), "tags": record["tags"]}


@operations("GetResources")
def get_resources(call):
    arns, token, size = call.get("ResourceARNList"), call.get("PaginationToken") or "0", call.get("ResourcesPerPage", 100)
    things = [thing for state in call.world.states() if hasattr(state, "inventory") for thing in state.inventory()] + list(_gone(call.world))
    found = [{"ResourceARN": thing["arn"], "Tags": tag_list(thing["tags"])}
             for thing in things if _wanted(thing, call.get("TagFilters", []), call.get("ResourceTypeFilters", [])) and (not arns or thing["arn"] in arns)]
    start = int(token)
    more = len(found) > start + size
    return {"ResourceTagMappingList": found[start:start + size], "PaginationToken": str(start + size) if more else ""}
