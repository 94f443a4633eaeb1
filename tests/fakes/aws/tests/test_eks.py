"""EKS with its real control plane, driven by awscli and kubectl: one cluster for all tests of a class."""
import ipaddress
import json
import pathlib
import subprocess
import unittest

from botocore.exceptions import ClientError

from ..control_plane import find_tools
from ..kube import Kube
from ..services.ec2 import Ec2
from ..services.eks.state import Eks
from ..services.elb import Elb
from ..services.iam import Iam
from ..services.logs import Logs
from .stage import Stage, until

ROLE = "arn:aws:iam::123456789012:role/"
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
EDIT_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
PLATFORM, CHECKOUT, STRANGER = "ASIAPLATFORM00000001", "ASIACHECKOUT00000001", "ASIASTRANGER00000001"


class Cluster(unittest.TestCase):
    """awscli makes what a platform has; a second class would cost another control plane."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage = Stage(speed=60, durations={"eks.cluster.update": 12})
        cls.addClassCleanup(stage.close)
        _, cls.subnets = stage.network()
        cls.role, cls.node_role = stage.roles()
        cls.eks = stage.client("eks")
        made = stage.aws("eks", "create-cluster", "--name", "demo", "--role-arn", cls.role, "--kubernetes-version", "1.35", "--resources-vpc-config",
                         f"subnetIds={','.join(cls.subnets)},endpointPrivateAccess=true", "--access-config",
                         "authenticationMode=API,bootstrapClusterCreatorAdminPermissions=false", "--no-bootstrap-self-managed-addons",
                         "--logging", json.dumps({"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}))
        assert made["cluster"]["status"] == "CREATING" and "endpoint" not in made["cluster"]
        until(lambda: cls.status() == "ACTIVE")
        cls.eks.create_access_entry(clusterName="demo", principalArn=ROLE + "platform")
        cls.eks.associate_access_policy(clusterName="demo", principalArn=ROLE + "platform", policyArn=ADMIN_POLICY, accessScope={"type": "cluster"})
        for addon in ("vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent"):
            stage.aws("eks", "create-addon", "--cluster-name", "demo", "--addon-name", addon)
        stage.aws("eks", "create-nodegroup", "--cluster-name", "demo", "--nodegroup-name", "ng", "--node-role", cls.node_role, "--subnets", *cls.subnets,
                  "--scaling-config", "minSize=1,maxSize=4,desiredSize=2", "--instance-types", "m7i.large", "--labels", "team=platform")
        until(lambda: cls.nodegroup("ng")["status"] != "CREATING")
        cls.kube = Kube(stage.world.state(Eks).clusters["demo"].control_plane)
        cls.addClassCleanup(cls.kube.close)

    def tearDown(self):
        self.assertEqual([each for each in self.stage.world.record.violations if each["side"] != "request"], [])

    @classmethod
    def status(cls):
        return cls.eks.describe_cluster(name="demo")["cluster"]["status"]

    @classmethod
    def nodegroup(cls, name):
        return cls.eks.describe_nodegroup(clusterName="demo", nodegroupName=name)["nodegroup"]

    @classmethod
    def addon_status(cls, name):
        return cls.eks.describe_addon(clusterName="demo", addonName=name)["addon"]["status"]

    def update(self, update, **of):
        """Its status once it is over."""
        def look():
            status = self.eks.describe_update(name="demo", updateId=update["id"], **of)["update"]["status"]
            return status if status != "InProgress" else None
        return until(look)

    def kubectl(self, who, *arguments):
        config = pathlib.Path(self.stage.home, f"kubeconfig-{who}")
        if not config.exists():
            self.stage.aws("eks", "update-kubeconfig", "--name", "demo", "--kubeconfig", str(config), who=who)
        environment = self.stage.environment(who)
        # A token names STS itself, never another endpoint.
        environment.pop("AWS_ENDPOINT_URL")
        return subprocess.run([str(find_tools() / "kubectl"), "--kubeconfig", str(config), *arguments], env=environment, capture_output=True, text=True)

    def refused(self, code, words, call, **arguments):
        with self.assertRaises(ClientError) as raised:
            call(**arguments)
        self.assertEqual(raised.exception.response["Error"]["Code"], code)
        self.assertIn(words, raised.exception.response["Error"]["Message"])
        return raised.exception.response

    def test_a_mapped_role_is_let_in_and_nobody_else(self):
        seen = self.kubectl(PLATFORM, "get", "nodes", "--output", "name")
        # The two of the group, and what an autoscaler has added for another test.
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertGreaterEqual(len(seen.stdout.split()), 2)
        who = json.loads(self.kubectl(PLATFORM, "auth", "whoami", "--output", "json").stdout)["status"]["userInfo"]
        self.assertEqual(who["username"], "arn:aws:sts::123456789012:assumed-role/platform/session")
        self.assertIn("You must be logged in", self.kubectl(STRANGER, "get", "nodes").stderr)

    def test_groups_and_scoped_policies_hold_in_their_namespaces_only(self):
        for name in ("shop", "other", "edit-here"):
            self.kube.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.kube.apply("/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/devs", {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "devs"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "shop-devs"}]})
        self.eks.create_access_entry(clusterName="demo", principalArn=ROLE + "checkout-dev", kubernetesGroups=["shop-devs"])
        self.eks.associate_access_policy(clusterName="demo", principalArn=ROLE + "checkout-dev", policyArn=EDIT_POLICY,
                                         accessScope={"type": "namespace", "namespaces": ["edit-*"]})
        self.assertEqual(self.kubectl(CHECKOUT, "get", "pods", "--namespace", "shop").returncode, 0)
        self.assertIn("Forbidden", self.kubectl(CHECKOUT, "get", "pods", "--namespace", "other").stderr)
        self.assertIn("is forbidden", self.kubectl(CHECKOUT, "create", "configmap", "a", "--namespace", "shop").stderr)

        def edits():
            return self.kubectl(CHECKOUT, "get", "configmaps", "--namespace", "edit-here").returncode == 0
        until(edits)
        self.eks.delete_access_entry(clusterName="demo", principalArn=ROLE + "checkout-dev")
        until(lambda: "You must be logged in" in self.kubectl(CHECKOUT, "get", "pods", "--namespace", "shop").stderr)

    def test_access_entries_are_checked_as_eks_checks_them(self):
        self.refused("ResourceInUseException", "already in use on this cluster", self.eks.create_access_entry, clusterName="demo", principalArn=ROLE + "platform")
        self.refused("InvalidParameterException", "invalid principal", self.eks.create_access_entry, clusterName="demo", principalArn=ROLE + "nobody")
        sso = "AWSReservedSSO_Admin_0123456789abcdef"
        self.refused("InvalidParameterException", "invalid principal", self.eks.create_access_entry, clusterName="demo", principalArn=ROLE + sso)
        self.eks.create_access_entry(clusterName="demo", principalArn=f"{ROLE}aws-reserved/sso.amazonaws.com/eu-central-1/{sso}")
        self.refused("InvalidParameterException", "cannot start with system:", self.eks.create_access_entry, clusterName="demo", principalArn=ROLE + "stranger",
                     kubernetesGroups=["system:masters"])

    def test_a_node_group_is_nodes_with_the_labels_of_eks(self):
        group = self.nodegroup("ng")
        self.assertEqual((group["status"], group["health"]["issues"]), ("ACTIVE", []))
        nodes = self.kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Dng")
        node = nodes[0]
        labels = node["metadata"]["labels"]
        self.assertEqual(labels["team"], "platform")
        self.assertEqual((labels["eks.amazonaws.com/capacityType"], labels["node.kubernetes.io/instance-type"]), ("ON_DEMAND", "m7i.large"))
        self.assertRegex(node["spec"]["providerID"], "^aws:///eu-central-1[abc]/i-")
        activities = self.stage.client("autoscaling").describe_scaling_activities(AutoScalingGroupName=group["resources"]["autoScalingGroups"][0]["name"])
        self.assertEqual({each["StatusCode"] for each in activities["Activities"]}, {"Successful"})
        until(lambda: self.addon_status("coredns") == "ACTIVE")

    def test_a_node_group_changes_in_place(self):
        self.eks.create_nodegroup(clusterName="demo", nodegroupName="change", nodeRole=self.node_role, subnets=self.subnets, instanceTypes=["t3.medium"],
                                  scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 1}, labels={"old": "1"})
        until(lambda: self.nodegroup("change")["status"] == "ACTIVE")
        update = self.eks.update_nodegroup_config(
            clusterName="demo", nodegroupName="change", scalingConfig={"desiredSize": 2}, labels={"addOrUpdateLabels": {"new": "1"}, "removeLabels": ["old"]},
            taints={"addOrUpdateTaints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]}, updateConfig={"maxUnavailablePercentage": 50})["update"]
        self.refused("ResourceInUseException", "in progress", self.eks.update_nodegroup_config, clusterName="demo", nodegroupName="change",
                     scalingConfig={"desiredSize": 1})
        self.assertEqual(self.update(update, nodegroupName="change"), "Successful")
        self.assertEqual(self.nodegroup("change")["updateConfig"], {"maxUnavailablePercentage": 50})
        for wrong in ({}, {"maxUnavailable": 1, "maxUnavailablePercentage": 50}, {"maxUnavailable": 101}):
            self.refused("InvalidParameterException", "maxUnavailable", self.eks.update_nodegroup_config, clusterName="demo", nodegroupName="change",
                         updateConfig=wrong)

        def look():
            nodes = self.kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Dchange,new%3D1,!old")
            return [node["spec"]["taints"] for node in nodes] if len(nodes) == 2 else None
        self.assertEqual(until(look), [[{"key": "k", "value": "v", "effect": "NoSchedule"}]] * 2)
        before = {node["metadata"]["name"] for node in self.kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Dchange")}
        self.stage.world.scenario.merge({"eksNewestRelease": "20261120"})
        update = self.eks.update_nodegroup_version(clusterName="demo", nodegroupName="change")["update"]
        self.assertEqual(self.update(update, nodegroupName="change"), "Successful")
        after = {node["metadata"]["name"] for node in self.kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Dchange")}
        self.assertEqual((len(after), before & after), (2, set()))
        self.assertEqual(self.nodegroup("change")["releaseVersion"], "1.35.4-20261120")
        self.eks.delete_nodegroup(clusterName="demo", nodegroupName="change")
        until(lambda: self.eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["ng"])

    def test_a_cluster_autoscaler_with_rights_scales_the_group(self):
        self.eks.create_nodegroup(clusterName="demo", nodegroupName="range", nodeRole=self.node_role, subnets=self.subnets, instanceTypes=["m7i.xlarge"],
                                  scalingConfig={"minSize": 1, "maxSize": 2, "desiredSize": 1}, labels={"pool": "range"})
        until(lambda: self.nodegroup("range")["status"] == "ACTIVE")

        def deploy(name, image, replicas, spec):
            path = f"/apis/apps/v1/namespaces/kube-system/deployments/{name}"
            self.kube.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": {
                    "containers": [{"name": name, "image": image, "resources": {"requests": {"cpu": "3"} if "nodeSelector" in spec else {}}}], **spec}}}})
            return path
        work = deploy("work", "work", 2, {"nodeSelector": {"pool": "range"}})
        scaler = deploy("scaler", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0", 1, {"serviceAccountName": "default"})
        until(lambda: self.kube.find(scaler)["status"].get("availableReplicas") == 1)
        self.assertEqual(self.nodegroup("range")["scalingConfig"]["desiredSize"], 1)
        role = self.stage.role("scaler", "pods.eks.amazonaws.com")
        made = self.eks.create_pod_identity_association(clusterName="demo", namespace="kube-system", serviceAccount="default", roleArn=role)["association"]
        until(lambda: self.kube.find(work)["status"].get("availableReplicas") == 2)
        self.assertEqual(self.nodegroup("range")["scalingConfig"]["desiredSize"], 2)
        self.kube.delete(work)
        until(lambda: self.nodegroup("range")["scalingConfig"]["desiredSize"] == 1)
        self.kube.delete(scaler)
        self.eks.delete_pod_identity_association(clusterName="demo", associationId=made["associationId"])
        self.eks.delete_nodegroup(clusterName="demo", nodegroupName="range")
        until(lambda: self.eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["ng"])

    def test_gpus_come_with_the_device_plugin(self):
        self.eks.create_nodegroup(clusterName="demo", nodegroupName="gpu", nodeRole=self.node_role, subnets=self.subnets, instanceTypes=["g5.xlarge"],
                                  amiType="AL2023_x86_64_NVIDIA", scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
        until(lambda: self.nodegroup("gpu")["status"] == "ACTIVE")

        def gpus():
            nodes = self.kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/nodegroup%3Dgpu")
            return [node["status"]["allocatable"].get("nvidia.com/gpu") for node in nodes]
        self.assertEqual(gpus(), [None])
        self.kube.apply("/apis/apps/v1/namespaces/kube-system/daemonsets/plugin", {
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "plugin"}, "spec": {
                "selector": {"matchLabels": {"app": "plugin"}}, "template": {"metadata": {"labels": {"app": "plugin"}}, "spec": {
                    "containers": [{"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"}]}}}})
        until(lambda: gpus() == ["1"])
        self.kube.delete("/apis/apps/v1/namespaces/kube-system/daemonsets/plugin")
        self.eks.delete_nodegroup(clusterName="demo", nodegroupName="gpu")
        until(lambda: self.eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["ng"])

    def test_no_quota_and_no_capacity_are_told(self):
        self.stage.world.scenario.merge({"quotas": {"L-417A185B": 0}, "typeWithoutCapacity": {"c7i.large": ["*"]}})
        for name, kind, ami in (("quota", "p4d.24xlarge", "AL2023_x86_64_NVIDIA"), ("full", "c7i.large", "AL2023_x86_64_STANDARD")):
            self.eks.create_nodegroup(clusterName="demo", nodegroupName=name, nodeRole=self.node_role, subnets=self.subnets[:1], instanceTypes=[kind],
                                      amiType=ami, scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
        until(lambda: {self.nodegroup("quota")["status"], self.nodegroup("full")["status"]} == {"CREATE_FAILED"})
        issue = self.nodegroup("quota")["health"]["issues"][0]
        self.assertEqual(issue["code"], "AsgInstanceLaunchFailures")
        self.assertIn("VcpuLimitExceeded", issue["message"])
        self.assertIn("InsufficientInstanceCapacity", self.nodegroup("full")["health"]["issues"][0]["message"])
        self.eks.create_nodegroup(clusterName="demo", nodegroupName="small", nodeRole=self.node_role, subnets=self.subnets[:1], diskSize=10,
                                  scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
        until(lambda: self.nodegroup("small")["status"] == "CREATE_FAILED")
        self.assertIn("Volume of size 10GB is smaller than snapshot", self.nodegroup("small")["health"]["issues"][0]["message"])
        for name in ("quota", "full", "small"):
            self.eks.delete_nodegroup(clusterName="demo", nodegroupName=name)
        until(lambda: self.eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["ng"])

    def test_a_service_becomes_a_balancer_and_takes_it_along(self):
        path, elb = "/api/v1/namespaces/default/services/web", self.stage.world.state(Elb)
        self.kube.apply(path, {"apiVersion": "v1", "kind": "Service", "metadata": {
            "name": "web", "annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
        until(lambda: self.kube.find(path)["status"]["loadBalancer"].get("ingress"))
        self.assertEqual({each["kind"] for each in elb.inventory()}, {"elasticloadbalancing:loadbalancer", "elasticloadbalancing:targetgroup"})
        self.kube.delete(path)
        until(lambda: self.kube.find(path) is None)
        self.assertEqual(list(elb.inventory()), [])
        groups = [group["GroupName"] for group in self.stage.world.state(Ec2).groups.values()]
        self.assertFalse([name for name in groups if name.startswith("k8s-elb-")])

    def test_one_update_at_a_time_and_one_kind_of_it(self):
        both = {"logging": {"clusterLogging": [{"types": ["scheduler"], "enabled": True}]}, "upgradePolicy": {"supportType": "STANDARD"}}
        self.refused("InvalidParameterException", "Only one type of update", self.eks.update_cluster_config, name="demo", **both)
        update = self.eks.update_cluster_config(name="demo", upgradePolicy={"supportType": "STANDARD"})["update"]
        self.refused("ResourceInUseException", update["id"], self.eks.update_cluster_config, name="demo", deletionProtection=True)
        self.assertEqual(self.update(update), "Successful")
        self.refused("InvalidParameterException", "already at the desired", self.eks.update_cluster_config, name="demo", upgradePolicy={"supportType": "STANDARD"})
        self.refused("InvalidParameterException", "Unsupported Kubernetes minor version update from 1.35 to 1.34", self.eks.update_cluster_version, name="demo",
                     version="1.34")
        self.update(self.eks.update_cluster_config(name="demo", deletionProtection=True)["update"])
        self.refused("ResourceInUseException", "Cluster has nodegroups attached", self.eks.delete_cluster, name="demo")
        self.update(self.eks.update_cluster_config(name="demo", deletionProtection=False)["update"])
        changes = ({"logging": {"clusterLogging": [{"types": ["scheduler"], "enabled": True}]}}, {"zonalShiftConfig": {"enabled": True}},
                   {"resourcesVpcConfig": {"publicAccessCidrs": ["203.0.113.0/24"]}}, {"resourcesVpcConfig": {"publicAccessCidrs": ["0.0.0.0/0"]}},
                   {"resourcesVpcConfig": {"subnetIds": list(reversed(self.subnets)), "securityGroupIds": [self.eks.describe_cluster(name="demo")["cluster"][
                       "resourcesVpcConfig"]["clusterSecurityGroupId"]]}})
        for change in changes:
            self.assertEqual(self.update(self.eks.update_cluster_config(name="demo", **change)["update"]), "Successful")
        self.assertIn("scheduler", self.eks.describe_cluster(name="demo")["cluster"]["logging"]["clusterLogging"][0]["types"])
        key = [{"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:eu-central-1:123456789012:key/a"}}]
        self.update(self.eks.associate_encryption_config(clusterName="demo", encryptionConfig=key)["update"])
        self.assertEqual(self.eks.describe_cluster(name="demo")["cluster"]["encryptionConfig"], key)

    def test_names_are_unique_and_tokens_replay(self):
        asked = {"name": "demo", "roleArn": self.role, "resourcesVpcConfig": {"subnetIds": self.subnets}}
        self.refused("ResourceInUseException", "Cluster already exists with name: demo", self.eks.create_cluster, **asked)
        self.refused("InvalidParameterException", "at least two different AZs", self.eks.create_cluster, name="a", roleArn=self.role,
                     resourcesVpcConfig={"subnetIds": self.subnets[:1]})
        self.stage.world.scenario.values["eksZonesWithout"] = ["eu-central-1a"]
        answer = self.refused("UnsupportedAvailabilityZoneException", "eu-central-1a", self.eks.create_cluster, name="a", roleArn=self.role,
                              resourcesVpcConfig={"subnetIds": self.subnets})
        self.stage.world.scenario.values["eksZonesWithout"] = []
        self.assertEqual(answer["validZones"], ["eu-central-1b", "eu-central-1c"])
        young = self.stage.role("young", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
        self.stage.world.state(Iam).roles["young"]["builtin"] = False
        self.stage.world.scenario.merge({"iamPropagation": 6000})
        self.refused("InvalidParameterException", "could not be assumed because it does not exist", self.eks.create_cluster, name="a", roleArn=young,
                     resourcesVpcConfig={"subnetIds": self.subnets})
        first = self.eks.create_access_entry(clusterName="demo", principalArn=ROLE + "admin", clientRequestToken="token-1")
        again = self.eks.create_access_entry(clusterName="demo", principalArn=ROLE + "admin", clientRequestToken="token-1")
        self.assertEqual(first["accessEntry"], again["accessEntry"])
        self.refused("InvalidParameterException", "different parameters", self.eks.create_access_entry, clusterName="demo", principalArn=ROLE + "stranger",
                     clientRequestToken="token-1")

    def test_an_addon_has_versions_a_configuration_and_updates(self):
        found = self.eks.describe_addon_versions(kubernetesVersion="1.35", addonName="metrics-server")["addons"][0]["addonVersions"]
        default = next(each["addonVersion"] for each in found if each["compatibilities"][0]["defaultVersion"])
        answer = self.eks.describe_addon_configuration(addonName="vpc-cni", addonVersion="v1.21.1-eksbuild.3")
        self.assertEqual(answer["podIdentityConfiguration"][0]["serviceAccount"], "aws-node")
        self.assertIn("enableNetworkPolicy", json.loads(answer["configurationSchema"])["properties"])
        self.refused("InvalidParameterException", "not supported", self.eks.create_addon, clusterName="demo", addonName="metrics-server", addonVersion="v9")
        self.refused("InvalidParameterException", "is not defined in the schema", self.eks.create_addon, clusterName="demo", addonName="metrics-server",
                     configurationValues='{"nonsense": 1}')
        made = self.eks.create_addon(clusterName="demo", addonName="metrics-server", tags={"a": "b"})["addon"]
        self.assertEqual((made["addonVersion"], made["status"]), (default, "CREATING"))
        self.refused("ResourceInUseException", "Addon already exists.", self.eks.create_addon, clusterName="demo", addonName="metrics-server")
        until(lambda: self.addon_status("metrics-server") == "ACTIVE")
        update = self.eks.update_addon(clusterName="demo", addonName="metrics-server", addonVersion=found[0]["addonVersion"], configurationValues='{"replicas": 1}')["update"]
        self.assertEqual(self.update(update, addonName="metrics-server"), "Successful")
        self.assertEqual(self.eks.list_updates(name="demo", addonName="metrics-server")["updateIds"], [update["id"]])
        until(lambda: self.addon_status("metrics-server") == "ACTIVE")
        self.stage.world.scenario.merge({"eksAddonFails": {"metrics-server": "somebody else has it"}})
        update = self.eks.update_addon(clusterName="demo", addonName="metrics-server", configurationValues='{"replicas": 2}')["update"]
        self.assertEqual(self.update(update, addonName="metrics-server"), "Failed")
        found = self.eks.describe_addon(clusterName="demo", addonName="metrics-server")["addon"]
        self.assertEqual((found["status"], found["configurationValues"]), ("UPDATE_FAILED", '{"replicas": 1}'))
        self.stage.world.scenario.merge({"eksAddonFails": {"metrics-server": None}})
        self.assertEqual(self.kube.find("/apis/apps/v1/namespaces/kube-system/deployments/metrics-server")["spec"]["replicas"], 1)
        self.eks.delete_addon(clusterName="demo", addonName="metrics-server")
        until(lambda: "metrics-server" not in self.eks.list_addons(clusterName="demo")["addons"])
        until(lambda: self.kube.find("/apis/apps/v1/namespaces/kube-system/deployments/metrics-server") is None)

    def test_claims_become_volumes_once_the_driver_has_a_role(self):
        role = self.stage.role("ebs", "pods.eks.amazonaws.com", "service-role/AmazonEBSCSIDriverPolicy")
        self.eks.create_addon(clusterName="demo", addonName="aws-ebs-csi-driver", podIdentityAssociations=[{"serviceAccount": "ebs-csi-controller-sa", "roleArn": role}])
        owned = self.eks.list_pod_identity_associations(clusterName="demo", namespace="kube-system")["associations"][0]
        self.assertIn("addon/demo/aws-ebs-csi-driver", owned["ownerArn"])
        claim, deployment = "/api/v1/namespaces/default/persistentvolumeclaims/data", "/apis/apps/v1/namespaces/default/deployments/db"
        self.kube.apply(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
            "storageClassName": "gp2", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}})
        self.kube.apply(deployment, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"}, "spec": {
            "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}}, "spec": {
                "containers": [{"name": "db", "image": "db"}], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}}}})
        until(lambda: self.kube.find(deployment)["status"].get("availableReplicas") == 1)

        def volumes():
            asked = [{"Name": "tag:kubernetes.io/cluster/demo", "Values": ["owned"]}, {"Name": "tag:ebs.csi.aws.com/cluster", "Values": ["true"]}]
            return self.stage.client("ec2").describe_volumes(Filters=asked)["Volumes"]
        self.assertEqual([volume["Size"] for volume in volumes()], [10])
        self.kube.delete(deployment)
        self.kube.delete(claim)
        until(lambda: not volumes())

    def test_network_policies_act_once_the_network_plugin_is_told_to(self):
        base = "/api/v1/namespaces/guard"
        self.kube.apply(base, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "guard"}})
        self.kube.apply("/apis/networking.k8s.io/v1/namespaces/guard/networkpolicies/a", {
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"},
            "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]}})
        deployment = "/apis/apps/v1/namespaces/guard/deployments/web"
        self.kube.apply(deployment, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "containers": [{"name": "web", "image": "agnhost", "args": ["netexec", "--http-port=80"]}]}}}})
        self.kube.apply(f"{base}/services/web", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 8080, "targetPort": 80}]}})
        until(lambda: self.kube.find(deployment)["status"].get("availableReplicas") == 1)
        until(lambda: self.addon_status("coredns") == "ACTIVE")
        # Services have addresses of their own range: no pod has one of them.
        shown = self.eks.describe_cluster(name="demo")["cluster"]["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
        address = ipaddress.ip_address(self.kube.find(f"{base}/services/web")["spec"]["clusterIP"])
        self.assertIn(address, ipaddress.ip_network(shown))

        def attempt(name, app, to):
            """The last words of a Job that tries, and whether it did well."""
            container = {"name": "a", "image": "agnhost", "args": ["connect", to, "--timeout=2s"], "terminationMessagePolicy": "FallbackToLogsOnError"}
            self.kube.ask("POST", "/apis/batch/v1/namespaces/guard/jobs", {
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {
                    "metadata": {"labels": {"app": app}}, "spec": {"restartPolicy": "Never", "containers": [container]}}}})
            job = until(lambda: next((each for each in [self.kube.find(f"/apis/batch/v1/namespaces/guard/jobs/{name}")]
                                      if {"Complete", "Failed"} & {c["type"] for c in each["status"].get("conditions", [])}), None))
            pods = self.kube.list(f"{base}/pods?labelSelector=batch.kubernetes.io/job-name%3D{name}")
            return pods[0]["status"]["containerStatuses"][0]["state"]["terminated"].get("message"), job["status"].get("succeeded", 0)

        self.assertEqual(attempt("open", "foe", "web:8080"), (None, 1))
        update = self.eks.update_addon(clusterName="demo", addonName="vpc-cni", configurationValues='{"enableNetworkPolicy":"true"}')["update"]
        self.update(update, addonName="vpc-cni")
        self.assertEqual(attempt("friend", "friend", "web:8080"), (None, 1))
        self.assertEqual(attempt("foe", "foe", "web:8080"), ("TIMEOUT\n", 0))
        self.assertEqual(attempt("nobody", "friend", "nobody:8080")[0].split(":")[0], "DNS")

    def test_pod_identities_and_tags_of_everything(self):
        role = self.stage.role("pods", "pods.eks.amazonaws.com")
        wrong = {"clusterName": "demo", "namespace": "a", "serviceAccount": "b", "roleArn": self.role}
        self.refused("InvalidParameterException", "Trust policy", self.eks.create_pod_identity_association, **wrong)
        made = self.eks.create_pod_identity_association(**{**wrong, "roleArn": role}, tags={"a": "b"})["association"]
        self.refused("ResourceInUseException", "Association already exists", self.eks.create_pod_identity_association, **{**wrong, "roleArn": role})
        of = {"clusterName": "demo", "associationId": made["associationId"]}
        self.assertEqual(self.eks.describe_pod_identity_association(**of)["association"]["roleArn"], role)
        self.eks.update_pod_identity_association(**of, roleArn=role, disableSessionTags=True)
        for arn in (made["associationArn"], self.nodegroup("ng")["nodegroupArn"], self.eks.describe_cluster(name="demo")["cluster"]["arn"]):
            self.eks.tag_resource(resourceArn=arn, tags={"berth.dev/x": "1"})
            self.assertEqual(self.eks.list_tags_for_resource(resourceArn=arn)["tags"]["berth.dev/x"], "1")
            self.eks.untag_resource(resourceArn=arn, tagKeys=["berth.dev/x"])
            self.assertNotIn("berth.dev/x", self.eks.list_tags_for_resource(resourceArn=arn)["tags"])
        self.eks.delete_pod_identity_association(**of)
        self.refused("ResourceNotFoundException", "No Association found", self.eks.describe_pod_identity_association, **of)

    def test_access_policies_come_and_go(self):
        stranger = {"clusterName": "demo", "principalArn": ROLE + "stranger"}
        self.eks.create_access_entry(**stranger, kubernetesGroups=["a"])
        self.eks.update_access_entry(**stranger, kubernetesGroups=["b"], username="bob")
        entry = self.eks.describe_access_entry(**stranger)["accessEntry"]
        self.assertEqual((entry["kubernetesGroups"], entry["username"], entry["type"]), (["b"], "bob", "STANDARD"))
        self.assertIn(EDIT_POLICY, [policy["arn"] for policy in self.eks.list_access_policies()["accessPolicies"]])
        self.refused("InvalidParameterException", "policyArn is invalid", self.eks.associate_access_policy, **stranger, policyArn=EDIT_POLICY + "x",
                     accessScope={"type": "cluster"})
        self.stage.world.scenario.merge({"lag": {"eks:AssociateAccessPolicy": 3600}})
        self.refused("ResourceNotFoundException", "principalArn could not be found", self.eks.associate_access_policy, **stranger, policyArn=EDIT_POLICY,
                     accessScope={"type": "cluster"})
        self.stage.world.scenario.merge({"lag": {"eks:AssociateAccessPolicy": 0}})
        self.eks.associate_access_policy(**stranger, policyArn=EDIT_POLICY, accessScope={"type": "cluster"})
        self.assertEqual(self.eks.list_access_entries(clusterName="demo", associatedPolicyArn=EDIT_POLICY)["accessEntries"], [ROLE + "stranger"])
        self.eks.disassociate_access_policy(**stranger, policyArn=EDIT_POLICY)
        self.assertEqual(self.eks.list_associated_access_policies(**stranger)["associatedAccessPolicies"], [])
        self.eks.delete_access_entry(**stranger)
        self.refused("ResourceNotFoundException", "could not be found", self.eks.describe_access_entry, **stranger)
        # The nodes' own entry is made by EKS.
        self.assertEqual(self.eks.describe_access_entry(clusterName="demo", principalArn=self.node_role)["accessEntry"]["type"], "EC2_LINUX")

    def test_versions_and_insights_are_told(self):
        offered = self.eks.describe_cluster_versions()["clusterVersions"]
        self.assertEqual([each["clusterVersion"] for each in offered if each["defaultVersion"]], ["1.35"])
        self.stage.world.scenario.values["eksInsights"] = [{"name": "Deprecated APIs", "status": "ERROR", "reason": "they are used", "version": "1.36"}]
        insight = self.eks.list_insights(clusterName="demo", filter={"statuses": ["ERROR"]})["insights"][0]
        self.assertEqual(self.eks.describe_insight(clusterName="demo", id=insight["id"])["insight"]["insightStatus"]["reason"], "they are used")
        self.stage.world.scenario.values["eksInsights"] = []
        self.assertEqual([each["insightStatus"]["status"] for each in self.eks.list_insights(clusterName="demo")["insights"]], ["PASSING"])

    def test_log_events_make_the_log_group_again(self):
        logs, name = self.stage.world.state(Logs), "/aws/eks/demo/cluster"
        until(lambda: name in logs.groups)
        self.stage.client("logs").delete_log_group(logGroupName=name)
        until(lambda: name in logs.groups)
        self.assertNotIn("retentionInDays", logs.groups[name])


if __name__ == "__main__":
    unittest.main()
