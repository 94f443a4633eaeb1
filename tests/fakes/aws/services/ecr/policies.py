"""Lifecycle policies, checked as ECR checks them, and rights policies."""
import json

from . import operations
from .state import named, refused, repository_of


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
    repository, text = repository_of(call), call.parameters["lifecyclePolicyText"]
    check_lifecycle(text)
    repository["lifecycle"] = text
    return named(repository, lifecyclePolicyText=text)


def _lifecycle(call):
    repository = repository_of(call)
    if repository["lifecycle"] is None:
        raise refused("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for the repository with name "
                      f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
    return repository, named(repository, lifecyclePolicyText=repository["lifecycle"], lastEvaluatedAt=repository["shown"]["createdAt"])


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
    repository, text = repository_of(call), call.parameters["policyText"]
    try:
        statements = json.loads(text)["Statement"]
        assert all(statement["Effect"] in ("Allow", "Deny") and statement["Principal"] and statement["Action"] for statement in statements)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise refused("InvalidParameterException", "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'") from error
    # ECR gives the policy back in its own form, not as it was written.
    repository["policy"] = json.dumps(json.loads(text), indent=2)
    return named(repository, policyText=repository["policy"])


def _policy(call):
    repository = repository_of(call)
    if repository["policy"] is None:
        raise refused("RepositoryPolicyNotFoundException", f"Repository policy does not exist for the repository with name "
                      f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
    return repository, named(repository, policyText=repository["policy"])


@operations("GetRepositoryPolicy")
def get_repository_policy(call):
    return _policy(call)[1]


@operations("DeleteRepositoryPolicy")
def delete_repository_policy(call):
    repository, shown = _policy(call)
    repository["policy"] = None
    return shown
