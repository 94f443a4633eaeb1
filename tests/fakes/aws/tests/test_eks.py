"""EKS with its real control plane, driven by awscli and kubectl: one cluster for all tests of a class."""
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
        cls.stage = stage = Stage(speed=60)
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
        self.stage.world.scenario.values.update(eksLeakedInterfaces=0)

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
        self.assertEqual((seen.returncode, len(seen.stdout.split())), (0, 2), seen.stderr)
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
            taints={"addOrUpdateTaints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]})["update"]
        self.refused("ResourceInUseException", "in progress", self.eks.update_nodegroup_config, clusterName="demo", nodegroupName="change",
                     scalingConfig={"desiredSize": 1})
        self.assertEqual(self.update(update, nodegroupName="change"), "Successful")

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
        for name in ("quota", "full"):
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

    def test_log_events_make_the_log_group_again(self):
        logs, name = self.stage.world.state(Logs), "/aws/eks/demo/cluster"
        until(lambda: name in logs.groups)
        self.stage.client("logs").delete_log_group(logGroupName=name)
        until(lambda: name in logs.groups)
        self.assertNotIn("retentionInDays", logs.groups[name])


class Leftovers(unittest.TestCase):
    """What a cluster that is deleted leaves behind, and that its programs do not outlive it."""

    def test_leaked_interfaces_hold_the_group_of_the_cluster(self):
        stage = Stage(speed=120)
        self.addCleanup(stage.close)
        _, subnets = stage.network()
        role, node_role = stage.roles()
        eks = stage.client("eks")
        stage.world.scenario.merge({"eksLeakedInterfaces": 1})
        eks.create_cluster(name="leaky", roleArn=role, resourcesVpcConfig={"subnetIds": subnets, "endpointPrivateAccess": True},
                           accessConfig={"authenticationMode": "API"})
        until(lambda: eks.describe_cluster(name="leaky")["cluster"]["status"] == "ACTIVE")
        # The creator asked for no add-ons: the self-managed ones come, and the nodes get ready.
        eks.create_nodegroup(clusterName="leaky", nodegroupName="ng", nodeRole=node_role, subnets=subnets, scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
        until(lambda: eks.describe_nodegroup(clusterName="leaky", nodegroupName="ng")["nodegroup"]["status"] == "ACTIVE")
        folder = stage.world.state(Eks).clusters["leaky"].control_plane.folder
        eks.delete_nodegroup(clusterName="leaky", nodegroupName="ng")
        until(lambda: not eks.list_nodegroups(clusterName="leaky")["nodegroups"])
        eks.delete_cluster(name="leaky")
        self.assertEqual(eks.describe_cluster(name="leaky")["cluster"]["status"], "DELETING")
        until(lambda: not eks.list_clusters()["clusters"])
        until(lambda: not folder.exists())
        self.assertNotIn(str(folder), subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True).stdout)
        left = stage.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        self.assertEqual([(each["Status"], each["Description"][:10]) for each in left], [("available", "aws-K8S-i-")])
        groups = stage.client("ec2").describe_security_groups(Filters=[{"Name": "tag:kubernetes.io/cluster/leaky", "Values": ["owned"]}])["SecurityGroups"]
        self.assertTrue(groups[0]["GroupName"].startswith("eks-cluster-sg-leaky-"))
        self.assertEqual([each for each in stage.world.record.violations if each["side"] != "request"], [])


if __name__ == "__main__":
    unittest.main()
