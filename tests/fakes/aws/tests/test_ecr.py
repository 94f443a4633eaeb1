"""ECR, driven by awscli and botocore."""
import base64
import json
import unittest

from botocore.exceptions import ClientError

from ..services.ecr import Ecr
from .stage import Stage

LIFECYCLE = {"rules": [
    {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}, "action": {"type": "expire"}},
    {"rulePriority": 2, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 100}, "action": {"type": "expire"}}]}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": ["ecr:BatchGetImage"]}]}


class Registry(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.ecr, self.state = self.stage.client("ecr"), self.stage.world.state(Ecr)

    def tearDown(self):
        self.assertEqual([each for each in self.stage.world.record.violations if each["side"] != "request"], [])

    def refused(self, code, call, **arguments):
        with self.assertRaises(ClientError) as raised:
            call(**arguments)
        self.assertEqual(raised.exception.response["Error"]["Code"], code)

    def test_a_repository_is_made_shown_changed_and_deleted(self):
        made = self.stage.aws("ecr", "create-repository", "--repository-name", "dev/shop", "--image-tag-mutability", "IMMUTABLE_WITH_EXCLUSION",
                              "--image-tag-mutability-exclusion-filters", "filterType=WILDCARD,filter=latest*", "--image-scanning-configuration", "scanOnPush=true",
                              "--tags", "Key=owner,Value=me")["repository"]
        self.assertEqual(made["repositoryUri"], "123456789012.dkr.ecr.eu-central-1.amazonaws.com/dev/shop")
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"], [{"Key": "owner", "Value": "me"}])
        self.refused("RepositoryAlreadyExistsException", self.ecr.create_repository, repositoryName="dev/shop")
        changed = self.ecr.put_image_tag_mutability(repositoryName="dev/shop", imageTagMutability="IMMUTABLE")
        self.assertNotIn("imageTagMutabilityExclusionFilters", changed)
        self.assertEqual(self.ecr.describe_repositories(repositoryNames=["dev/shop"])["repositories"][0]["imageTagMutability"], "IMMUTABLE")
        self.refused("InvalidParameterException", self.ecr.put_image_tag_mutability, repositoryName="dev/shop", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
        self.ecr.delete_repository(repositoryName="dev/shop")
        self.refused("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=["dev/shop"])

    def test_what_holds_images_is_deleted_by_force_only(self):
        self.ecr.create_repository(repositoryName="shop", imageTagMutability="IMMUTABLE")
        first = self.state.push("shop", "v1")
        with self.assertRaisesRegex(Exception, "immutable"):
            self.state.push("shop", "v1")
        self.assertEqual(self.ecr.list_images(repositoryName="shop")["imageIds"], [{"imageDigest": first["digest"], "imageTag": "v1"}])
        self.assertEqual(self.ecr.describe_images(repositoryName="shop")["imageDetails"][0]["imageTags"], ["v1"])
        self.refused("RepositoryNotEmptyException", self.ecr.delete_repository, repositoryName="shop")
        self.ecr.delete_repository(repositoryName="shop", force=True)
        self.assertEqual(list(self.state.inventory()), [])

    def test_policies_are_kept_and_checked(self):
        self.ecr.create_repository(repositoryName="shop")
        self.refused("LifecyclePolicyNotFoundException", self.ecr.get_lifecycle_policy, repositoryName="shop")
        self.refused("RepositoryPolicyNotFoundException", self.ecr.get_repository_policy, repositoryName="shop")
        self.ecr.put_lifecycle_policy(repositoryName="shop", lifecyclePolicyText=json.dumps(LIFECYCLE))
        self.assertEqual(json.loads(self.ecr.get_lifecycle_policy(repositoryName="shop")["lifecyclePolicyText"]), LIFECYCLE)
        twisted = json.loads(json.dumps(LIFECYCLE))
        twisted["rules"][0]["rulePriority"] = 9
        self.refused("InvalidParameterException", self.ecr.put_lifecycle_policy, repositoryName="shop", lifecyclePolicyText=json.dumps(twisted))
        self.ecr.set_repository_policy(repositoryName="shop", policyText=json.dumps(POLICY))
        self.assertEqual(json.loads(self.ecr.get_repository_policy(repositoryName="shop")["policyText"]), POLICY)
        self.refused("InvalidParameterException", self.ecr.set_repository_policy, repositoryName="shop", policyText="{}")

    def test_a_token_holds_a_name_and_a_password_for_twelve_hours(self):
        data = self.ecr.get_authorization_token()["authorizationData"][0]
        name, password = base64.b64decode(data["authorizationToken"]).decode().split(":")
        self.assertEqual((name, password in self.state.passwords), ("AWS", True))
        self.assertEqual(data["proxyEndpoint"], "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com")
        self.assertEqual(self.stage.aws("ecr", "get-login-password").strip() in self.state.passwords, True)

    def test_caches_of_closed_registries_need_a_credential(self):
        self.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="k8s", upstreamRegistryUrl="registry.k8s.io")
        self.refused("PullThroughCacheRuleAlreadyExistsException", self.ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="k8s", upstreamRegistryUrl="quay.io")
        self.refused("InvalidParameterException", self.ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io")
        self.refused("UnsupportedUpstreamRegistryException", self.ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="elsewhere", upstreamRegistryUrl="example.org")
        self.assertEqual([rule["upstreamRegistryUrl"] for rule in self.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]], ["registry.k8s.io"])
        self.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="k8s")
        self.refused("PullThroughCacheRuleNotFoundException", self.ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=["k8s"])

    def test_scanning_is_the_registrys(self):
        rules = [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "dev/*", "filterType": "WILDCARD"}]}]
        self.ecr.put_registry_scanning_configuration(scanType="BASIC", rules=rules)
        self.assertEqual(self.ecr.get_registry_scanning_configuration()["scanningConfiguration"], {"scanType": "BASIC", "rules": rules})


if __name__ == "__main__":
    unittest.main()
