"""The Resource Groups Tagging API: everything that has an ARN and tags, of every service here.

It shows no IAM roles (AWS's does not either) and nothing that never had a tag.
"""
from . import Operations
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


@operations("GetResources")
def get_resources(call):
    arns, token, size = call.get("ResourceARNList"), call.get("PaginationToken") or "0", call.get("ResourcesPerPage", 100)
    found = [{"ResourceARN": thing["arn"], "Tags": tag_list(thing["tags"])}
             for state in call.world.states() if hasattr(state, "inventory") for thing in state.inventory()
             if _wanted(thing, call.get("TagFilters", []), call.get("ResourceTypeFilters", [])) and (not arns or thing["arn"] in arns)]
    start = int(token)
    more = len(found) > start + size
    return {"ResourceTagMappingList": found[start:start + size], "PaginationToken": str(start + size) if more else ""}
