"""One registry, what is looked up in it, and the lever that pushes an image."""
import copy
import hashlib
import re
import secrets

from ... import admin
from ...errors import AwsError
from ..filters import tag_map

NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
EXCLUDING = ("IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")


def refused(code, message):
    return AwsError(code, message, 400)


class Ecr:
    """One registry: the account's in the region."""

    def __init__(self, world):
        self.world = world
        self.repositories, self.rules, self.templates = {}, {}, {}
        self.scanning = {"scanType": "BASIC", "rules": []}
        # What `docker login` may use, and until when.
        self.passwords = {}

    @property
    def host(self):
        return f"{self.world.account}.dkr.ecr.{self.world.region}.amazonaws.com"

    def find(self, name):
        repository = self.repositories.get(name)
        if repository is None:
            raise refused("RepositoryNotFoundException",
                          f"The repository with name '{name}' does not exist in the registry with id '{self.world.account}'")
        return repository

    def create(self, name, tags=None, mutability="MUTABLE", filters=None, scan=False, encryption=None):
        if name in self.repositories:
            raise refused("RepositoryAlreadyExistsException",
                          f"The repository with name '{name}' already exists in the registry with id '{self.world.account}'")
        check_name(name)
        repository = {
            "shown": {"repositoryArn": self.world.arn("ecr", f"repository/{name}"), "registryId": self.world.account, "repositoryName": name,
                      "repositoryUri": f"{self.host}/{name}", "createdAt": self.world.now(), "imageScanningConfiguration": {"scanOnPush": scan},
                      "encryptionConfiguration": copy.deepcopy(encryption) or {"encryptionType": "AES256"}},
            "tags": dict(tags or {}), "policy": None, "lifecycle": None, "images": {}}
        self.set_mutability(repository, mutability, filters)
        self.repositories[name] = repository
        return repository

    @staticmethod
    def set_mutability(repository, mutability, filters):
        if (mutability in EXCLUDING) != bool(filters):
            raise refused("InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
                          f"'imageTagMutabilityExclusionFilters must be given for, and only for, {' and '.join(EXCLUDING)}'")
        if len(filters or []) > 5:
            raise refused("InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'at most 5 filters'")
        for each in filters or []:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
            if not re.fullmatch(r"[0-9a-zA-Z._*-]{1,128}", each["filter"]) or each["filter"].count("*") > 2:
                raise refused("InvalidParameterException", f"Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
                              f"'the filter {each['filter']} is not valid'")
        repository["shown"]["imageTagMutability"] = mutability
        repository["shown"].pop("imageTagMutabilityExclusionFilters", None)
        if filters:
            repository["shown"]["imageTagMutabilityExclusionFilters"] = copy.deepcopy(filters)

    def push(self, name, tag=None, digest=None, size=1_000_000):
        """An image as a push leaves it: an immutable tag stays where it is."""
        repository = self.find(name)
        digest = digest or "sha256:" + hashlib.sha256(secrets.token_bytes(16)).hexdigest()
        holder = next((image for image in repository["images"].values() if tag in image["tags"]), None) if tag else None
        if holder is not None and holder["digest"] != digest and self.is_fixed(repository, tag):
            raise refused("ImageTagAlreadyExistsException", f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because "
                          "the tag is immutable.")
        if holder is not None:
            holder["tags"].remove(tag)
        image = repository["images"].setdefault(digest, {"digest": digest, "tags": [], "size": size, "pushed": self.world.now()})
        if tag:
            image["tags"].append(tag)
        return image

    @staticmethod
    def is_fixed(repository, tag):
        mutability, filters = repository["shown"]["imageTagMutability"], repository["shown"].get("imageTagMutabilityExclusionFilters", [])
        excluded = any(re.fullmatch(re.escape(each["filter"]).replace(r"\*", ".*"), tag) for each in filters)
        return mutability.startswith("IMMUTABLE") != excluded

    def inventory(self):
        for name, repository in self.repositories.items():
            yield {"kind": "ecr:repository", "id": name, "arn": repository["shown"]["repositoryArn"], "tags": repository["tags"], "images": len(repository["images"])}
        for prefix in self.rules:
            yield {"kind": "ecr:pull-through-cache-rule", "id": prefix, "tags": {}}
        for prefix, template in self.templates.items():
            yield {"kind": "ecr:repository-creation-template", "id": prefix, "tags": tag_map(template.get("resourceTags"))}


@admin.route("POST", "/_fake/ecr/push")
def push(world, request):
    """`{repository, tag, digest, size}`: an image is in the repository, as if somebody had pushed it."""
    spec = request.json()
    return {"digest": world.state(Ecr).push(spec["repository"], spec.get("tag"), spec.get("digest"), spec.get("size", 1_000_000))["digest"]}


def check_name(name):
    if not NAME.fullmatch(name) or not 2 <= len(name) <= 256:
        raise refused("InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
                      "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''")


def registry_of(call):
    """The registry, which is the caller's own."""
    wanted = call.get("registryId", call.world.account)
    if wanted != call.world.account:
        raise refused("RepositoryNotFoundException" if "repositoryName" in call.parameters else "InvalidParameterException",
                      f"The registry with id '{wanted}' is another account's")
    return call.world.state(Ecr)


def repository_of(call):
    return registry_of(call).find(call.parameters["repositoryName"])


def named(repository, **members):
    return {"registryId": repository["shown"]["registryId"], "repositoryName": repository["shown"]["repositoryName"], **members}


def page(call, found, member, size=100):
    token = call.get("nextToken") or "0"
    if not token.isdigit():
        raise refused("InvalidParameterException", "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
    start, count = int(token), call.get("maxResults", size)
    answer = {member: found[start:start + count]}
    if len(found) > start + count:
        answer["nextToken"] = str(start + count)
    return answer
