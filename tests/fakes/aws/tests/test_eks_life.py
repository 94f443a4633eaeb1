"""The life of a cluster: upgrades, Auto Mode, what a deleted one leaves behind. Each test has a control plane of its own."""
import subprocess
import unittest

from botocore.exceptions import ClientError

from ..kube import Kube
from ..services.ec2 import Ec2
from ..services.eks.state import Eks
from .stage import Stage, until


class Upgrades(unittest.TestCase):
    """A cluster without nodes."""

    def test_the_version_moves_by_one_minor_while_the_insights_let_it(self):
        stage = Stage(speed=240)
        self.addCleanup(stage.close)
        _, subnets = stage.network()
        eks, roles = stage.client("eks"), stage.roles()
        asked = {"name": "old", "roleArn": roles[0], "version": "1.33", "resourcesVpcConfig": {"subnetIds": subnets}, "deletionProtection": True}
        eks.create_cluster(**asked)
        with self.assertRaisesRegex(ClientError, "currently being created"):
            eks.delete_cluster(name="old")
        until(lambda: eks.describe_cluster(name="old")["cluster"]["status"] == "ACTIVE")
        # Its role may not make machines, volumes and balancers.
        with self.assertRaisesRegex(ClientError, "AmazonEKSComputePolicy"):
            eks.update_cluster_config(name="old", storageConfig={"blockStorage": {"enabled": True}}, computeConfig={
                "enabled": True, "nodePools": ["system"], "nodeRoleArn": roles[1]}, kubernetesNetworkConfig={"elasticLoadBalancing": {"enabled": True}})
        with self.assertRaisesRegex(ClientError, "from 1.33 to 1.35"):
            eks.update_cluster_version(name="old", version="1.35")
        stage.world.scenario.merge({"eksInsights": [{"name": "Deprecated APIs", "status": "ERROR"}]})
        with self.assertRaisesRegex(ClientError, "upgrade readiness issues"):
            eks.update_cluster_version(name="old", version="1.34")
        eks.update_cluster_version(name="old", version="1.34", force=True)
        self.assertEqual(eks.describe_cluster(name="old")["cluster"]["status"], "UPDATING")
        until(lambda: eks.describe_cluster(name="old")["cluster"]["status"] == "ACTIVE")
        self.assertEqual(eks.describe_cluster(name="old")["cluster"]["version"], "1.34")
        # Without a node nothing runs that is no DaemonSet.
        for addon in ("coredns", "kube-proxy"):
            eks.create_addon(clusterName="old", addonName=addon)

        def shown(addon):
            return eks.describe_addon(clusterName="old", addonName=addon)["addon"]
        until(lambda: (shown("coredns")["status"], shown("kube-proxy")["status"]) == ("DEGRADED", "ACTIVE"))
        self.assertEqual(shown("coredns")["health"]["issues"][0]["code"], "InsufficientNumberOfReplicas")
        # Its mode has no API: access entries are refused.
        with self.assertRaisesRegex(ClientError, "authentication mode must be set"):
            eks.list_access_entries(clusterName="old")
        with self.assertRaisesRegex(ClientError, "deletion protection"):
            eks.delete_cluster(name="old")
        eks.update_cluster_config(name="old", deletionProtection=False)
        until(lambda: not eks.describe_cluster(name="old")["cluster"]["deletionProtection"])
        until(lambda: eks.describe_cluster(name="old")["cluster"]["status"] == "ACTIVE")
        eks.delete_cluster(name="old")
        until(lambda: not eks.list_clusters()["clusters"])
        self.assertEqual([each for each in stage.world.record.violations if each["side"] != "request"], [])


class Leftovers(unittest.TestCase):
    """What a cluster that is deleted leaves behind, and that its programs do not outlive it."""

    def _pods_get_ready_again(self, kube):
        def ready(pod):
            return next((c for c in pod["status"].get("conditions", []) if c["type"] == "Ready" and c["status"] == "True"), None)
        path = "/api/v1/namespaces/kube-system/pods"
        until(lambda: any(ready(pod) for pod in kube.list(path)))
        name = next(pod["metadata"]["name"] for pod in kube.list(path) if ready(pod))
        # As the controller of nodes does for a node whose heartbeat is late.
        kube.ask("PATCH", f"{path}/{name}/status", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
                 "application/strategic-merge-patch+json")
        until(lambda: ready(kube.find(f"{path}/{name}")))

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
        template = stage.world.state(Ec2).create_template("ng", {"MetadataOptions": {"HttpTokens": "required"}}, {})["LaunchTemplateId"]
        eks.create_nodegroup(clusterName="leaky", nodegroupName="ng", nodeRole=node_role, subnets=subnets, scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1},
                             launchTemplate={"id": template})
        until(lambda: eks.describe_nodegroup(clusterName="leaky", nodegroupName="ng")["nodegroup"]["status"] == "ACTIVE")
        # Without its launch template it can make no machine any more.
        del stage.world.state(Ec2).templates[template]
        group = eks.describe_nodegroup(clusterName="leaky", nodegroupName="ng")["nodegroup"]
        self.assertEqual((group["status"], group["health"]["issues"][0]["code"]), ("DEGRADED", "Ec2LaunchTemplateNotFound"))
        self._pods_get_ready_again(stage.world.state(Eks).clusters["leaky"].simulation.kube)
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

    def _volumes_take_no_tags_of_users(self, kube):
        own = "ebs.csi.eks.amazonaws.com"
        for name, provisioner, more in (("tagged", own, {"tagSpecification_1": "team=a"}), ("plain", own, {}), ("other", "ebs.csi.aws.com", {})):
            kube.apply(f"/apis/storage.k8s.io/v1/storageclasses/{name}", {
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": provisioner,
                "parameters": {"type": "gp3", **more}})
            kube.apply(f"/api/v1/namespaces/default/persistentvolumeclaims/{name}", {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
                    "accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": {"requests": {"storage": "1Gi"}}}})

        def phase(name):
            return kube.find(f"/api/v1/namespaces/default/persistentvolumeclaims/{name}").get("status", {}).get("phase")
        until(lambda: phase("plain") == "Bound")
        self.assertEqual((phase("tagged"), phase("other")), ("Pending", "Pending"))
        for name in ("tagged", "plain", "other"):
            kube.delete(f"/api/v1/namespaces/default/persistentvolumeclaims/{name}")
        until(lambda: not kube.list("/api/v1/persistentvolumes"))

    def _balancers_are_internal_unless_told(self, kube, elb):
        for name, told in (("inside", {}), ("outside", {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"})):
            kube.apply(f"/api/v1/namespaces/default/services/{name}", {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": told},
                "spec": {"type": "LoadBalancer", "selector": {"app": "app"}, "ports": [{"port": 80}]}})
        until(lambda: len(elb.describe_load_balancers()["LoadBalancers"]) == 2)
        made = {each["LoadBalancerName"].split("-")[2]: each["Scheme"] for each in elb.describe_load_balancers()["LoadBalancers"]}
        self.assertEqual(made, {"inside": "internal", "outside": "internet-facing"})

    def test_pods_that_find_no_node_get_one_in_auto_mode(self):
        stage = Stage(speed=120)
        self.addCleanup(stage.close)
        _, subnets = stage.network()
        role = stage.role("auto", "eks.amazonaws.com", *(f"AmazonEKS{name}Policy" for name in ("Cluster", "Compute", "BlockStorage", "LoadBalancing", "Networking")))
        node_role = stage.role("auto-node", "ec2.amazonaws.com", "AmazonEKSWorkerNodeMinimalPolicy")
        eks = stage.client("eks")
        eks.create_cluster(name="auto", roleArn=role, resourcesVpcConfig={"subnetIds": subnets, "endpointPrivateAccess": True}, bootstrapSelfManagedAddons=False,
                           accessConfig={"authenticationMode": "API"}, storageConfig={"blockStorage": {"enabled": True}},
                           computeConfig={"enabled": True, "nodePools": ["general-purpose"], "nodeRoleArn": node_role},
                           kubernetesNetworkConfig={"elasticLoadBalancing": {"enabled": True}})
        until(lambda: eks.describe_cluster(name="auto")["cluster"]["status"] == "ACTIVE")
        kube = Kube(stage.world.state(Eks).clusters["auto"].control_plane)
        self.addCleanup(kube.close)
        path = "/apis/apps/v1/namespaces/default/deployments/app"
        kube.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}}, "spec": {
                "containers": [{"name": "app", "image": "app", "resources": {"requests": {"cpu": "1500m"}}}]}}}})
        until(lambda: kube.find(path)["status"].get("availableReplicas") == 2)
        # One more comes where the scheduler was slow to see the second.
        self.assertGreaterEqual(len(kube.list("/api/v1/nodes?labelSelector=eks.amazonaws.com/compute-type%3Dauto")), 2)
        self._volumes_take_no_tags_of_users(kube)
        self._balancers_are_internal_unless_told(kube, stage.client("elbv2"))
        # Policies act once somebody says so.
        attempts = stage.world.state(Eks).clusters["auto"].simulation.attempts
        self.assertFalse(attempts.enforces())
        kube.apply("/api/v1/namespaces/kube-system/configmaps/amazon-vpc-cni", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "amazon-vpc-cni"}, "data": {"enable-network-policy-controller": "true"}})
        self.assertTrue(attempts.enforces())
        eks.delete_cluster(name="auto")
        until(lambda: not eks.list_clusters()["clusters"])
        self.assertEqual([each for each in stage.client("ec2").describe_network_interfaces()["NetworkInterfaces"]], [])
        self.assertEqual([each for each in stage.world.record.violations if each["side"] != "request"], [])


if __name__ == "__main__":
    unittest.main()
