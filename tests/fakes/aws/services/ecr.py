"""ECR: repositories and what hangs on them, pull-through caches, the registry's scanning, tokens."""
import base64
import copy
import datetime
import hashlib
import json
import re
import secrets

from .. import admin
from ..errors import AwsError
from . import Operations
from .filters import tag_map

operations = Operations()

NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
EXCLUDING = ("IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
# Upstreams that need no credential: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
OPEN = {"public.ecr.aws": "ecr-public", "registry.k8s.io": "k8s", "quay.io": "quay"}
CLOSED = {"registry-1.docker.io": "docker-hub", "ghcr.io": "github-container-registry", "registry.gitlab.com": "gitlab-container-registry",
          "cgr.dev": "chainguard"}
TOKEN_LIFE = datetime.timedelta(hours=12)


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


def _registry(call):
    """The registry, which is the caller's own."""
    wanted = call.get("registryId", call.world.account)
    if wanted != call.world.account:
        raise refused("RepositoryNotFoundException" if "repositoryName" in call.parameters else "InvalidParameterException",
                      f"The registry with id '{wanted}' is another account's")
    return call.world.state(Ecr)


def _repository(call):
    return _registry(call).find(call.parameters["repositoryName"])


def _named(repository, **members):
    return {"registryId": repository["shown"]["registryId"], "repositoryName": repository["shown"]["repositoryName"], **members}


def _page(call, found, member, size=100):
    token = call.get("nextToken") or "0"
    if not token.isdigit():
        raise refused("InvalidParameterException", "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
    start, count = int(token), call.get("maxResults", size)
    answer = {member: found[start:start + count]}
    if len(found) > start + count:
        answer["nextToken"] = str(start + count)
    return answer


# Repositories.


@operations("CreateRepository")
def create_repository(call):
    tags = tag_map(call.get("tags"))
    if any(key.startswith("aws:") for key in tags):
        raise refused("InvalidTagParameterException", "Invalid parameter at 'tags' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed'")
    encryption = call.get("encryptionConfiguration")
    if encryption and encryption["encryptionType"] != "AES256" and not encryption.get("kmsKey"):
        encryption = {**encryption, "kmsKey": call.world.arn("kms", "key/00000000-0000-4000-8000-000000000ecb")}
    repository = _registry(call).create(call.parameters["repositoryName"], tags, call.get("imageTagMutability", "MUTABLE"),
                                        call.get("imageTagMutabilityExclusionFilters"), (call.get("imageScanningConfiguration") or {}).get("scanOnPush", False), encryption)
    return {"repository": copy.deepcopy(repository["shown"])}


@operations("DescribeRepositories")
def describe_repositories(call):
    state, names = _registry(call), call.get("repositoryNames")
    found = [state.find(name) for name in names] if names else [state.repositories[name] for name in sorted(state.repositories)]
    lag = call.world.lag("ecr", "DescribeRepositories")
    seen = [each for each in found if (call.world.now() - each["shown"]["createdAt"]).total_seconds() >= lag]
    if names and len(seen) < len(found):
        hidden = next(each for each in found if each not in seen)["shown"]["repositoryName"]
        raise refused("RepositoryNotFoundException", f"The repository with name '{hidden}' does not exist in the registry with id '{call.world.account}'")
    return _page(call, [copy.deepcopy(each["shown"]) for each in seen], "repositories")


@operations("DeleteRepository")
def delete_repository(call):
    repository = _repository(call)
    name = repository["shown"]["repositoryName"]
    if repository["images"] and not call.get("force"):
        raise refused("RepositoryNotEmptyException", f"The repository with name '{name}' in registry with id '{call.world.account}' cannot be deleted because it "
                      "still contains images")
    return {"repository": copy.deepcopy(_registry(call).repositories.pop(name)["shown"])}


@operations("PutImageTagMutability")
def put_image_tag_mutability(call):
    repository, filters = _repository(call), call.get("imageTagMutabilityExclusionFilters")
    Ecr.set_mutability(repository, call.parameters["imageTagMutability"], filters)
    shown = {key: value for key, value in repository["shown"].items() if key.startswith("imageTagMutability")}
    return _named(repository, **copy.deepcopy(shown))


@operations("PutImageScanningConfiguration")
def put_image_scanning_configuration(call):
    repository = _repository(call)
    repository["shown"]["imageScanningConfiguration"] = {"scanOnPush": call.parameters["imageScanningConfiguration"].get("scanOnPush", False)}
    return _named(repository, imageScanningConfiguration=dict(repository["shown"]["imageScanningConfiguration"]))


# Policies.


def check_lifecycle(text):
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"""
    def wrong(reason):
        return refused("InvalidParameterException", f"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: {reason}'")
    try:
        rules = json.loads(text)["rules"]
    except (ValueError, KeyError, TypeError) as error:
        raise wrong("the policy is no JSON with rules") from error
    priorities = [rule.get("rulePriority") for rule in rules]
    if not rules or len(set(priorities)) != len(priorities) or not all(isinstance(each, int) and each > 0 for each in priorities):
        raise wrong("rulePriority must be unique and positive")
    for rule in rules:
        unknown = set(rule) - {"rulePriority", "description", "selection", "action"}
        selection = rule.get("selection") or {}
        status, kind = selection.get("tagStatus"), selection.get("countType")
        if unknown or (rule.get("action") or {}).get("type") != "expire":
            raise wrong(f"instance has properties which are not allowed by the schema: {sorted(unknown)}")
        if status not in ("tagged", "untagged", "any") or kind not in ("imageCountMoreThan", "sinceImagePushed"):
            raise wrong("tagStatus or countType is not known")
        if not isinstance(selection.get("countNumber"), int) or selection["countNumber"] < 1:
            raise wrong("countNumber must be at least 1")
        if (kind == "sinceImagePushed") != (selection.get("countUnit") == "days"):
            raise wrong("countUnit must be days for sinceImagePushed, and only there")
        patterns, prefixes = selection.get("tagPatternList"), selection.get("tagPrefixList")
        if (status == "tagged") != bool(patterns or prefixes) or (patterns and prefixes):
            raise wrong("tagPatternList or tagPrefixList must be given for tagStatus tagged, and only there")
        if any(pattern.count("*") > 4 for pattern in patterns or []):
            raise wrong("a tag pattern may have 4 wildcards")
        if status == "any" and rule["rulePriority"] != max(priorities):
            raise wrong("a rule with tagStatus any must have the highest value for rulePriority")


@operations("PutLifecyclePolicy")
def put_lifecycle_policy(call):
    repository, text = _repository(call), call.parameters["lifecyclePolicyText"]
    check_lifecycle(text)
    repository["lifecycle"] = text
    return _named(repository, lifecyclePolicyText=text)


def _lifecycle(call):
    repository = _repository(call)
    if repository["lifecycle"] is None:
        raise refused("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for the repository with name "
                      f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
    return repository, _named(repository, lifecyclePolicyText=repository["lifecycle"], lastEvaluatedAt=repository["shown"]["createdAt"])


@operations("GetLifecyclePolicy")
def get_lifecycle_policy(call):
    return _lifecycle(call)[1]


@operations("DeleteLifecyclePolicy")
def delete_lifecycle_policy(call):
    repository, shown = _lifecycle(call)
    repository["lifecycle"] = None
    return shown


@operations("SetRepositoryPolicy")
def set_repository_policy(call):
    repository, text = _repository(call), call.parameters["policyText"]
    try:
        statements = json.loads(text)["Statement"]
        assert all(statement["Effect"] in ("Allow", "Deny") and statement["Principal"] and statement["Action"] for statement in statements)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise refused("InvalidParameterException", "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'") from error
    # ECR gives the policy back in its own form, not as it was written.
    repository["policy"] = json.dumps(json.loads(text), indent=2)
    return _named(repository, policyText=repository["policy"])


def _policy(call):
    repository = _repository(call)
    if repository["policy"] is None:
        raise refused("RepositoryPolicyNotFoundException", f"Repository policy does not exist for the repository with name "
                      f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
    return repository, _named(repository, policyText=repository["policy"])


@operations("GetRepositoryPolicy")
def get_repository_policy(call):
    return _policy(call)[1]


@operations("DeleteRepositoryPolicy")
def delete_repository_policy(call):
    repository, shown = _policy(call)
    repository["policy"] = None
    return shown


# Tags.


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


# Images and tokens.


@operations("GetAuthorizationToken")
def get_authorization_token(call):
    state, password = call.world.state(Ecr), secrets.token_urlsafe(300)
    expires = call.world.now() + TOKEN_LIFE
    state.passwords[password] = expires
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    registries = call.get("registryIds") or [call.world.account]
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires,
                                   "proxyEndpoint": f"https://{registry}.dkr.ecr.{call.world.region}.amazonaws.com"} for registry in registries]}


def _image(repository, ident):
    digest, tag = ident.get("imageDigest"), ident.get("imageTag")
    for image in repository["images"].values():
        if (digest is None or image["digest"] == digest) and (tag is None or tag in image["tags"]):
            return image
    return None


@operations("DescribeImages")
def describe_images(call):
    repository, found = _repository(call), []
    if call.get("imageIds"):
        for ident in call.parameters["imageIds"]:
            image = _image(repository, ident)
            if image is None:
                raise refused("ImageNotFoundException", f"The image with imageId {json.dumps(ident)} does not exist within the repository with name "
                              f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
            found.append(image)
    else:
        status = (call.get("filter") or {}).get("tagStatus", "ANY")
        found = [image for image in repository["images"].values() if status == "ANY" or (status == "TAGGED") == bool(image["tags"])]
    details = []
    for image in found:
        detail = _named(repository, imageDigest=image["digest"], imageSizeInBytes=image["size"], imagePushedAt=image["pushed"],
                        imageManifestMediaType="application/vnd.oci.image.manifest.v1+json", artifactMediaType="application/vnd.oci.image.config.v1+json")
        details.append({**detail, "imageTags": list(image["tags"])} if image["tags"] else detail)
    return _page(call, details, "imageDetails")


@operations("ListImages")
def list_images(call):
    repository, status = _repository(call), (call.get("filter") or {}).get("tagStatus", "ANY")
    found = []
    for image in repository["images"].values():
        found += [{"imageDigest": image["digest"], "imageTag": tag} for tag in image["tags"]] if status != "UNTAGGED" else []
        if not image["tags"] and status != "TAGGED":
            found.append({"imageDigest": image["digest"]})
    return _page(call, found, "imageIds")


@operations("BatchDeleteImage")
def batch_delete_image(call):
    repository, gone, failures = _repository(call), [], []
    for ident in call.parameters["imageIds"]:
        image = _image(repository, ident)
        if image is None:
            failures.append({"imageId": ident, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
        elif ident.get("imageTag") and not ident.get("imageDigest"):
            image["tags"].remove(ident["imageTag"])
            gone.append({"imageDigest": image["digest"], "imageTag": ident["imageTag"]})
            if not image["tags"]:
                del repository["images"][image["digest"]]
        else:
            gone += [{"imageDigest": image["digest"], "imageTag": tag} for tag in image["tags"]] or [{"imageDigest": image["digest"]}]
            del repository["images"][image["digest"]]
    return {"imageIds": gone, "failures": failures}


# The registry.


def _upstream(url):
    """The name of an upstream registry, and whether it needs a credential."""
    if url in OPEN:
        return OPEN[url], False
    if url in CLOSED:
        return CLOSED[url], True
    if re.fullmatch(r"[a-z0-9]{5,50}\.azurecr\.(io|cn|us)", url):
        return "azure-container-registry", True
    if re.fullmatch(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com", url):
        return "ecr", False
    raise refused("UnsupportedUpstreamRegistryException", f"The specified upstream registry isn't supported: {url}")


@operations("CreatePullThroughCacheRule")
def create_pull_through_cache_rule(call):
    state, asked = _registry(call), call.parameters
    prefix, url = asked["ecrRepositoryPrefix"], asked["upstreamRegistryUrl"].removeprefix("https://")
    if prefix in state.rules:
        raise refused("PullThroughCacheRuleAlreadyExistsException", f"A pull through cache rule with the repository prefix '{prefix}' already exists in the registry "
                      f"with id '{call.world.account}'")
    name, is_closed = _upstream(url)
    if is_closed and not asked.get("credentialArn"):
        raise refused("InvalidParameterException", f"Invalid parameter at 'credentialArn' failed to satisfy constraint: 'credentialArn is required for {url}'")
    if asked.get("credentialArn") and ":secret:ecr-pullthroughcache/" not in asked["credentialArn"]:
        raise refused("InvalidParameterException", "Invalid parameter at 'credentialArn' failed to satisfy constraint: 'the secret's name must begin with "
                      "ecr-pullthroughcache/'")
    rule = {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": url, "createdAt": call.world.now(), "registryId": call.world.account,
            "upstreamRegistry": asked.get("upstreamRegistry", name), "upstreamRepositoryPrefix": asked.get("upstreamRepositoryPrefix", "ROOT")}
    for key in ("credentialArn", "customRoleArn"):
        if asked.get(key):
            rule[key] = asked[key]
    state.rules[prefix] = rule
    return copy.deepcopy(rule)


def _rule(call):
    prefix = call.parameters["ecrRepositoryPrefix"]
    rule = _registry(call).rules.get(prefix)
    if rule is None:
        raise refused("PullThroughCacheRuleNotFoundException", f"The pull through cache rule with the repository prefix '{prefix}' does not exist in the registry "
                      f"with id '{call.world.account}'")
    return rule


@operations("DescribePullThroughCacheRules")
def describe_pull_through_cache_rules(call):
    state, prefixes = _registry(call), call.get("ecrRepositoryPrefixes")
    for prefix in prefixes or []:
        if prefix not in state.rules:
            raise refused("PullThroughCacheRuleNotFoundException", f"The pull through cache rule with the repository prefix '{prefix}' does not exist in the "
                          f"registry with id '{call.world.account}'")
    found = [{"updatedAt": rule["createdAt"], **rule} for prefix, rule in sorted(state.rules.items()) if not prefixes or prefix in prefixes]
    return _page(call, copy.deepcopy(found), "pullThroughCacheRules")


@operations("UpdatePullThroughCacheRule")
def update_pull_through_cache_rule(call):
    rule = _rule(call)
    for key in ("credentialArn", "customRoleArn"):
        if call.get(key):
            rule[key] = call.parameters[key]
    rule["updatedAt"] = call.world.now()
    return {key: value for key, value in rule.items() if key not in ("createdAt", "upstreamRegistryUrl", "upstreamRegistry")}


@operations("DeletePullThroughCacheRule")
def delete_pull_through_cache_rule(call):
    rule = _registry(call).rules.pop(_rule(call)["ecrRepositoryPrefix"])
    return {key: value for key, value in rule.items() if key not in ("updatedAt", "upstreamRegistry")}


@operations("GetRegistryScanningConfiguration")
def get_registry_scanning_configuration(call):
    return {"registryId": call.world.account, "scanningConfiguration": copy.deepcopy(call.world.state(Ecr).scanning)}


@operations("PutRegistryScanningConfiguration")
def put_registry_scanning_configuration(call):
    kind, rules = call.get("scanType", "BASIC"), call.get("rules", [])
    allowed = {"BASIC": ("SCAN_ON_PUSH", "MANUAL"), "ENHANCED": ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")}[kind]
    wrong = next((rule["scanFrequency"] for rule in rules if rule["scanFrequency"] not in allowed), None)
    if wrong:
        raise refused("InvalidParameterException", f"Invalid parameter at 'rules' failed to satisfy constraint: '{wrong} is not allowed for {kind} scanning'")
    call.world.state(Ecr).scanning = {"scanType": kind, "rules": copy.deepcopy(rules)}
    return {"registryScanningConfiguration": copy.deepcopy(call.world.state(Ecr).scanning)}


@operations("DescribeRegistry")
def describe_registry(call):
    return {"registryId": call.world.account, "replicationConfiguration": {"rules": []}}


@operations("CreateRepositoryCreationTemplate")
def create_repository_creation_template(call):
    state, prefix = call.world.state(Ecr), call.parameters["prefix"]
    if prefix in state.templates:
        raise refused("TemplateAlreadyExistsException", f"The repository creation template with the prefix '{prefix}' already exists in the registry")
    state.templates[prefix] = {"imageTagMutability": "MUTABLE", "encryptionConfiguration": {"encryptionType": "AES256"}, "resourceTags": [],
                               **copy.deepcopy(call.parameters), "createdAt": call.world.now(), "updatedAt": call.world.now()}
    return {"registryId": call.world.account, "repositoryCreationTemplate": copy.deepcopy(state.templates[prefix])}


def _template(call):
    template = call.world.state(Ecr).templates.get(call.parameters["prefix"])
    if template is None:
        raise refused("TemplateNotFoundException", f"The repository creation template with the prefix '{call.parameters['prefix']}' does not exist in the registry")
    return template


@operations("DescribeRepositoryCreationTemplates")
def describe_repository_creation_templates(call):
    state, prefixes = call.world.state(Ecr), call.get("prefixes")
    found = [copy.deepcopy(template) for prefix, template in sorted(state.templates.items()) if not prefixes or prefix in prefixes]
    return {**_page(call, found, "repositoryCreationTemplates"), "registryId": call.world.account}


@operations("UpdateRepositoryCreationTemplate")
def update_repository_creation_template(call):
    template = _template(call)
    template.update({**copy.deepcopy(call.parameters), "updatedAt": call.world.now()})
    return {"registryId": call.world.account, "repositoryCreationTemplate": copy.deepcopy(template)}


@operations("DeleteRepositoryCreationTemplate")
def delete_repository_creation_template(call):
    template = _template(call)
    del call.world.state(Ecr).templates[template["prefix"]]
    return {"registryId": call.world.account, "repositoryCreationTemplate": template}
