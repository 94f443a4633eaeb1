"""TagResource, UntagResource, ListTagsForResource: everything of a cluster has tags, by its ARN."""
from . import operations
from .base import invalid, not_found
from .state import Eks


def things(eks):
    for cluster in eks.clusters.values():
        yield cluster
        for part in (cluster.nodegroups, cluster.addons, cluster.entries, cluster.associations):
            yield from part.values()


def _thing(call):
    arn = call.parameters["resourceArn"]
    found = next((thing for thing in things(call.world.state(Eks)) if thing.arn == arn), None)
    if found is None:
        raise not_found(f"Resource not found: {arn}")
    return found


@operations("TagResource")
def tag_resource(call):
    thing, tags = _thing(call), call.parameters["tags"]
    wrong = next((key for key in tags if key.lower().startswith("aws:")), None)
    if wrong:
        raise invalid(f"aws: prefixed tag key names are not allowed for external use: {wrong}")
    if len({**thing.tags, **tags}) > 50:
        raise invalid("A resource can have up to 50 tags")
    thing.tags.update(tags)
    return {}


@operations("UntagResource")
def untag_resource(call):
    thing = _thing(call)
    for key in call.parameters["tagKeys"]:
        thing.tags.pop(key, None)
    return {}


@operations("ListTagsForResource")
def list_tags_for_resource(call):
    return {"tags": dict(_thing(call).tags)}
