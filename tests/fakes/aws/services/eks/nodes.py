"""Instances of node groups as Node objects, which kwok keeps alive once the network plugin is there."""
from ...kube import KubeError
from . import machines, versions

NODES = "/api/v1/nodes"
KWOK = "kwok.x-k8s.io/node"
GPU = "nvidia.com/gpu"


class Nodes:
    def __init__(self, simulation):
        self.simulation, self.cluster, self.world = simulation, simulation.cluster, simulation.world
        # Node name to the labels and taints that were last written.
        self._written = {}
        # Whether any node takes pods that tolerate nothing, and which nodes are ready.
        self.usable, self.ready = False, set()

    def tick(self, daemon_sets):
        kube = self.simulation.kube
        has_network = any(ds["metadata"]["name"] == "aws-node" for ds in daemon_sets) or self.cluster.is_auto
        plugins = [ds for ds in daemon_sets if any("device-plugin" in c.get("image", "") for c in ds["spec"]["template"]["spec"]["containers"])]
        there = {node["metadata"]["name"]: node for node in kube.list(NODES)}
        self.usable = any(_takes_pods(node) for node in there.values())
        self.ready = {name for name, node in there.items() if _is_ready(node)}
        with self.world.lock:
            groups = [*self.cluster.nodegroups.values(), *([self.cluster.auto] if self.cluster.auto else [])]
            wanted = {self.name(instance): (nodegroup, instance, instance.state) for nodegroup in groups for instance in nodegroup.instances}
            drafts = {name: (self._labels(nodegroup, instance), nodegroup.node_taints()) for name, (nodegroup, instance, _) in wanted.items()}
        for name, (nodegroup, instance, state) in wanted.items():
            labels, taints = drafts[name]
            node = there.get(name)
            if state == "joining" and node is None:
                kube.ask("POST", NODES, self._node(nodegroup, instance, labels, taints))
                self._written[name] = (labels, taints)
            elif state == "joining":
                self._keep(name, node, labels, taints, has_network)
                self._gpus(nodegroup, instance, name, node, plugins)
                is_ready = _is_ready(node)
                with self.world.lock:
                    instance.is_ready = is_ready
            elif state == "leaving":
                self._leave(nodegroup, instance, name, node)
        for name, node in there.items():
            # The cloud controller removes nodes whose machine is gone.
            if name not in wanted and {"eks.amazonaws.com/nodegroup", "karpenter.sh/nodepool"} & node["metadata"].get("labels", {}).keys():
                self._delete(name)

    def name(self, instance):
        return f"{instance.node_name}.{self.world.region}.compute.internal"

    def _labels(self, nodegroup, instance):
        labels = {
            "beta.kubernetes.io/arch": nodegroup.architecture, "beta.kubernetes.io/instance-type": instance.type, "beta.kubernetes.io/os": "linux",
            "failure-domain.beta.kubernetes.io/region": self.world.region,
            "failure-domain.beta.kubernetes.io/zone": instance.zone, "kubernetes.io/arch": nodegroup.architecture,
            "kubernetes.io/hostname": self.name(instance), "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": instance.type,
            "topology.k8s.aws/zone-id": instance.zone_id, "topology.kubernetes.io/region": self.world.region,
            "topology.kubernetes.io/zone": instance.zone,
        }
        return {**labels, **nodegroup.own_labels(instance), **nodegroup.labels}

    def _node(self, nodegroup, instance, labels, taints):
        vcpus, mib, pods = machines.size(instance.type)
        capacity = {"cpu": str(vcpus), "memory": f"{mib}Mi", "pods": str(pods), "ephemeral-storage": "80Gi"}
        # What the kubelet and the system keep: https://github.com/awslabs/amazon-eks-ami
        kept = 255 + 11 * pods + 100
        allocatable = {**capacity, "cpu": f"{vcpus * 1000 - 70}m", "memory": f"{mib - kept}Mi"}
        patch = versions.patch_of(instance.version)
        return {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name(instance), "labels": labels,
                         "annotations": {"alpha.kubernetes.io/provided-node-ip": instance.address}},
            "spec": {"providerID": f"aws:///{instance.zone}/{instance.id}", "taints": taints},
            "status": {
                "capacity": capacity, "allocatable": allocatable,
                "addresses": [{"type": "InternalIP", "address": instance.address}, {"type": "InternalDNS", "address": self.name(instance)},
                              {"type": "Hostname", "address": self.name(instance)}],
                "conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady",
                                "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                                           "message:Network plugin returns error: cni plugin not initialized"}],
                "nodeInfo": {"architecture": nodegroup.architecture, "operatingSystem": "linux", "osImage": "Amazon Linux 2023",
                             "kubeletVersion": f"v{patch}-eks-0123456", "kubeProxyVersion": f"v{patch}-eks-0123456", "kernelVersion": "6.12.0",
                             "containerRuntimeVersion": "containerd://2.1.4", "machineID": instance.id, "systemUUID": instance.id, "bootID": instance.id},
            },
        }

    def _keep(self, name, node, labels, taints, has_network):
        """Labels and taints of the group follow it; without a network plugin the node stays NotReady."""
        kube, change = self.simulation.kube, {}
        before = self._written.get(name)
        if before and before != (labels, taints):
            gone = {key: None for key in before[0] if key not in labels}
            own = {(taint["key"], taint["effect"]) for taint in before[1]}
            others = [taint for taint in node["spec"].get("taints", []) if (taint["key"], taint["effect"]) not in own]
            change = {"metadata": {"labels": {**gone, **labels}}, "spec": {"taints": others + taints}}
        if has_network and KWOK not in node["metadata"]["labels"]:
            change.setdefault("metadata", {}).setdefault("labels", {})[KWOK] = "fake"
        if change:
            kube.merge(f"{NODES}/{name}", change)
            self._written[name] = (labels, taints)

    def _gpus(self, nodegroup, instance, name, node, plugins):
        """A device plugin's pod on the node, or the one that Bottlerocket brings, makes the GPUs allocatable."""
        count = machines.gpus(self.world, instance.type)
        if not count or "NVIDIA" not in nodegroup.ami_type:
            return
        has = GPU in node["status"].get("allocatable", {})
        serves = nodegroup.brings_gpu_plugin or (bool(plugins) and self._plugin_runs(name, plugins))
        if serves != has:
            value = str(count) if serves else None
            self.simulation.kube.merge(f"{NODES}/{name}/status", {"status": {"capacity": {GPU: value}, "allocatable": {GPU: value}}})

    def _plugin_runs(self, name, plugins):
        wanted = {ds["metadata"]["uid"] for ds in plugins}
        return any(pod["status"].get("phase") == "Running" and any(owner["uid"] in wanted for owner in pod["metadata"].get("ownerReferences", []))
                   for pod in self._pods(name))

    def _pods(self, name):
        return self.simulation.kube.list(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}")

    def _leave(self, nodegroup, instance, name, node):
        """Cordon, drain, and the machine ends. EKS waits for disruption budgets, unless it is told not to."""
        kube = self.simulation.kube
        if node is not None:
            if not node["spec"].get("unschedulable"):
                kube.merge(f"{NODES}/{name}", {"spec": {"unschedulable": True}})
            blocked = False
            for pod in self._pods(name):
                meta = pod["metadata"]
                if any(owner["kind"] == "DaemonSet" for owner in meta.get("ownerReferences", [])):
                    continue
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                if instance.force:
                    kube.delete(path, {"gracePeriodSeconds": 0})
                    continue
                status, _ = kube.raw("POST", f"{path}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {
                    "name": meta["name"], "namespace": meta["namespace"]}, "deleteOptions": {"gracePeriodSeconds": 0}})
                blocked = blocked or status == 429
            with self.world.lock:
                instance.blocked = blocked
            if blocked:
                return
            self._delete(name)
        with self.world.lock:
            nodegroup.left(instance)

    def _delete(self, name):
        kube = self.simulation.kube
        kube.delete(f"{NODES}/{name}")
        self._written.pop(name, None)
        for pod in self._pods(name):
            try:
                kube.delete(f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
            except KubeError:
                continue


def _is_ready(node):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def _takes_pods(node):
    return _is_ready(node) and not any(taint["effect"] != "PreferNoSchedule" for taint in node["spec"].get("taints", []))
