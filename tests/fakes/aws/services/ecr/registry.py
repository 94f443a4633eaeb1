"""What the registry has as a whole: pull-through caches, scanning, templates for repositories that a pull makes."""
import copy
import re

from . import operations
from .state import Ecr, page, refused, registry_of

# Upstreams that need no credential: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
OPEN = {"public.ecr.aws": "ecr-public", "registry.k8s.io": "k8s", "quay.io": "quay"}
CLOSED = {"registry-1.docker.io": "docker-hub", "ghcr.io": "github-container-registry", "registry.gitlab.com": "gitlab-container-registry",
          "cgr.dev": "chainguard"}


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
    state, asked = registry_of(call), call.parameters
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
    rule = registry_of(call).rules.get(prefix)
    if rule is None:
        raise refused("PullThroughCacheRuleNotFoundException", f"The pull through cache rule with the repository prefix '{prefix}' does not exist in the registry "
                      f"with id '{call.world.account}'")
    return rule


@operations("DescribePullThroughCacheRules")
def describe_pull_through_cache_rules(call):
    state, prefixes = registry_of(call), call.get("ecrRepositoryPrefixes")
    for prefix in prefixes or []:
        if prefix not in state.rules:
            raise refused("PullThroughCacheRuleNotFoundException", f"The pull through cache rule with the repository prefix '{prefix}' does not exist in the "
                          f"registry with id '{call.world.account}'")
    found = [{"updatedAt": rule["createdAt"], **rule} for prefix, rule in sorted(state.rules.items()) if not prefixes or prefix in prefixes]
    return page(call, copy.deepcopy(found), "pullThroughCacheRules")


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
    rule = registry_of(call).rules.pop(_rule(call)["ecrRepositoryPrefix"])
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
    return {**page(call, found, "repositoryCreationTemplates"), "registryId": call.world.account}


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
