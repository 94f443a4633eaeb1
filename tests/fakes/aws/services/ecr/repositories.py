"""Repositories: made, shown, changed, tagged, deleted."""
import copy

from ..filters import tag_map
from . import operations
from .state import Ecr, named, page, refused, registry_of, repository_of


@operations("CreateRepository")
def create_repository(call):
    tags = tag_map(call.get("tags"))
    if any(key.startswith("aws:") for key in tags):
        raise refused("InvalidTagParameterException", "Invalid parameter at 'tags' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed'")
    encryption = call.get("encryptionConfiguration")
    if encryption and encryption["encryptionType"] != "AES256" and not encryption.get("kmsKey"):
        encryption = {**encryption, "kmsKey": call.world.arn("kms", "key/00000000-0000-4000-8000-000000000ecb")}
    repository = registry_of(call).create(call.parameters["repositoryName"], tags, call.get("imageTagMutability", "MUTABLE"),
                                        call.get("imageTagMutabilityExclusionFilters"), (call.get("imageScanningConfiguration") or {}).get("scanOnPush", False), encryption)
    return {"repository": copy.deepcopy(repository["shown"])}


@operations("DescribeRepositories")
def describe_repositories(call):
    state, names = registry_of(call), call.get("repositoryNames")
    found = [state.find(name) for name in names] if names else [state.repositories[name] for name in sorted(state.repositories)]
    lag = call.world.lag("ecr", "DescribeRepositories")
    seen = [each for each in found if (call.world.now() - each["shown"]["createdAt"]).total_seconds() >= lag]
    if names and len(seen) < len(found):
        hidden = next(each for each in found if each not in seen)["shown"]["repositoryName"]
        raise refused("RepositoryNotFoundException", f"The repository with name '{hidden}' does not exist in the registry with id '{call.world.account}'")
    return page(call, [copy.deepcopy(each["shown"]) for each in seen], "repositories")


@operations("DeleteRepository")
def delete_repository(call):
    repository = repository_of(call)
    name = repository["shown"]["repositoryName"]
    if repository["images"] and not call.get("force"):
        raise refused("RepositoryNotEmptyException", f"The repository with name '{name}' in registry with id '{call.world.account}' cannot be deleted because it "
                      "still contains images")
    return {"repository": copy.deepcopy(registry_of(call).repositories.pop(name)["shown"])}


@operations("PutImageTagMutability")
def put_image_tag_mutability(call):
    repository, filters = repository_of(call), call.get("imageTagMutabilityExclusionFilters")
    Ecr.set_mutability(repository, call.parameters["imageTagMutability"], filters)
    shown = {key: value for key, value in repository["shown"].items() if key.startswith("imageTagMutability")}
    return named(repository, **copy.deepcopy(shown))


@operations("PutImageScanningConfiguration")
def put_image_scanning_configuration(call):
    repository = repository_of(call)
    repository["shown"]["imageScanningConfiguration"] = {"scanOnPush": call.parameters["imageScanningConfiguration"].get("scanOnPush", False)}
    return named(repository, imageScanningConfiguration=dict(repository["shown"]["imageScanningConfiguration"]))


def _tagged(call):
    arn = call.parameters["resourceArn"]
    for repository in call.world.state(Ecr).repositories.values():
        if repository["shown"]["repositoryArn"] == arn:
            return repository
    if ":repository/" not in arn:
        raise refused("InvalidParameterException", f"Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN: {arn}'")
    raise refused("RepositoryNotFoundException", f"The repository with name '{arn.split(':repository/')[1]}' does not exist in the registry with id "
                  f"'{call.world.account}'")


@operations("TagResource")
def tag_resource(call):
    _tagged(call)["tags"].update(tag_map(call.parameters["tags"]))


@operations("UntagResource")
def untag_resource(call):
    tags = _tagged(call)["tags"]
    for key in call.parameters["tagKeys"]:
        tags.pop(key, None)


@operations("ListTagsForResource")
def list_tags_for_resource(call):
    return {"tags": [{"Key": key, "Value": value} for key, value in _tagged(call)["tags"].items()]}
