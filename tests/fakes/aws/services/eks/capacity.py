"""Who makes machines for pods that find no node: EKS Auto Mode, or a cluster autoscaler that runs in the cluster with rights."""
import datetime

from ..iam import Iam
from . import versions
from .nodegroup import Nodegroup

IDLE = 600


class AutoNodes(Nodegroup):
    """The machines of Auto Mode. They belong to the cluster: no node group shows them, and they go with it."""

    def __init__(self, cluster):
        asked = {"nodegroupName": "general-purpose", "subnets": cluster.network_config["subnetIds"], "nodeRole": cluster.compute.get("nodeRoleArn", "")}
        super().__init__(cluster, asked, {"ami_type": "BOTTLEROCKET_x86_64", "types": ["c7i.large", "m7i.large"], "disk": 80, "template": None,
                                          "scaling": {"minSize": 0, "maxSize": 20, "desiredSize": 0}, "stamp": versions.RELEASES[0]})

    def own_labels(self, instance):
        return {"eks.amazonaws.com/compute-type": "auto", "karpenter.sh/nodepool": self.name, "eks.amazonaws.com/nodeclass": "default",
                "karpenter.sh/capacity-type": "on-demand"}

    def _launch(self):
        self.launch_missing()


class Capacity:
    def __init__(self, simulation):
        self.simulation, self.cluster, self.world = simulation, simulation.cluster, simulation.world
        # Instance id to since when nothing but DaemonSets runs on it.
        self._idle = {}

    def tick(self):
        """One machine more while pods wait, one less while a machine is idle."""
        groups = self._groups()
        if not groups:
            return
        pods = self.simulation.kube.list("/api/v1/pods")
        waiting = [pod for pod in pods if any(c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", []))]
        busy = {pod["spec"].get("nodeName") for pod in pods if not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))}
        with self.world.lock:
            if any(len(group.living) < group.scaling["desiredSize"] or not all(i.is_ready for i in group.living) for group in groups):
                # What was asked for is not there yet.
                return
            for pod in waiting:
                group = next((group for group in groups if self._fits(group, pod)), None)
                if group:
                    group.scaling["desiredSize"] += 1
                    group.launch_missing()
                    return
            if not waiting:
                self._shrink(groups, busy)

    def _groups(self):
        with self.world.lock:
            if self.cluster.is_auto:
                entry = self.cluster.entries.get(self.cluster.compute.get("nodeRoleArn"))
                if entry is None or entry.type != "EC2" or not self.cluster.may_run_auto_mode():
                    return []
                if self.cluster.auto is None:
                    self.cluster.auto = AutoNodes(self.cluster)
                return [self.cluster.auto]
            ranges = [group for group in self.cluster.nodegroups.values()
                      if group.status == "ACTIVE" and group.scaling["minSize"] < group.scaling["maxSize"]]
            iam = self.world.state(Iam)
            accounts = {(a.namespace, a.account) for a in self.cluster.associations.values() if iam.role_of_arn(a.role)}
            has_agent = "eks-pod-identity-agent" in self.cluster.addons
        if not ranges or not accounts or not has_agent:
            return []
        for deployment in self.simulation.kube.list("/apis/apps/v1/deployments"):
            spec = deployment["spec"]["template"]["spec"]
            scales = any("cluster-autoscaler" in container.get("image", "") for container in spec["containers"])
            if scales and deployment["status"].get("availableReplicas") and (deployment["metadata"]["namespace"], spec.get("serviceAccountName")) in accounts:
                return ranges
        return []

    @staticmethod
    def _fits(group, pod):
        if group.scaling["desiredSize"] >= group.scaling["maxSize"]:
            return False
        labels = {**group.labels, "eks.amazonaws.com/nodegroup": group.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": group.architecture}
        tolerated = pod["spec"].get("tolerations", [])
        for taint in group.node_taints():
            if taint["effect"] != "PreferNoSchedule" and not any(
                    (each.get("key") in (None, taint.get("key"))) and each.get("effect") in (None, taint["effect"])
                    and (each.get("operator") == "Exists" or each.get("value") == taint.get("value")) for each in tolerated):
                return False
        return all(labels.get(key) == value for key, value in (pod["spec"].get("nodeSelector") or {}).items())

    def _shrink(self, groups, busy):
        now = self.world.now()
        for group in groups:
            for instance in group.living:
                if self.simulation.nodes.name(instance) in busy:
                    self._idle.pop(instance.id, None)
                    continue
                since = self._idle.setdefault(instance.id, now)
                if now - since > datetime.timedelta(seconds=self.world.seconds(IDLE)) and group.scaling["desiredSize"] > group.scaling["minSize"]:
                    group.scaling["desiredSize"] -= 1
                    group.leave(instance, force=False)
                    return
