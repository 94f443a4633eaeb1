"""Pods that run agnhost's `connect` end as the network of the cluster lets them; kwok only puts them on their nodes (`stages.py`)."""
import datetime

from .connections import Connections
from .network_policies import Policies

PLACED = "/api/v1/pods?fieldSelector=status.phase%3DPending,spec.nodeName%21%3D"
# What turns policies on in Auto Mode, whose nodes act on them by default: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
SWITCH = "/api/v1/namespaces/kube-system/configmaps/amazon-vpc-cni"


class Attempts:
    def __init__(self, simulation):
        self.simulation, self.cluster, self.world = simulation, simulation.cluster, simulation.world

    def tick(self):
        """One question while no such pod waits; the rest is asked when one does."""
        waiting = [pod for pod in self.simulation.kube.list(PLACED) if is_attempt(pod) and not pod["metadata"].get("deletionTimestamp")]
        if not waiting:
            return
        network = self._network()
        for pod in waiting:
            status = ended(pod, network)
            if status:
                meta = pod["metadata"]
                self.simulation.kube.ask("PATCH", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", {"status": status},
                                         "application/strategic-merge-patch+json")

    def _network(self):
        kube, policies = self.simulation.kube, None
        if self.enforces():
            policies = Policies(kube.list("/apis/networking.k8s.io/v1/networkpolicies"), kube.list("/api/v1/namespaces"))
        return Connections(kube.list("/api/v1/pods"), kube.list("/api/v1/services"), kube.list("/apis/discovery.k8s.io/v1/endpointslices"), policies,
                           own_dns=self.cluster.is_auto)

    def enforces(self):
        """Whether network policies act."""
        if self.cluster.is_auto:
            switch = self.simulation.kube.find(SWITCH) or {}
            return (switch.get("data") or {}).get("enable-network-policy-controller") == "true"
        with self.world.lock:
            addon = self.cluster.addons.get("vpc-cni")
            return addon is not None and addon.status != "DELETING" and addon.values().get("enableNetworkPolicy") == "true"


def is_attempt(pod):
    """Whether it is on its node and will end; as `stages.CONNECTS` has it."""
    spec = pod["spec"]
    return bool(pod["status"].get("podIP")) and spec.get("restartPolicy") != "Always" and any(map(_connects, spec["containers"]))


def _connects(container):
    return (container.get("args") or [])[:1] == ["connect"]


def ended(pod, network):
    """The status of `pod` once its containers have run: one after the other those of its beginning, then the rest. None
    where it fails and is to be started again: then it stays as it is, and the next look tries once more."""
    failed = False

    def run(container):
        nonlocal failed
        code, said = network.run(pod, container["args"][1:]) if _connects(container) else (0, "")
        failed = failed or code != 0
        return _terminated(container, code, said)

    spec = pod["spec"]
    first = []
    for container in spec.get("initContainers") or []:
        first.append(_waiting(container) if failed else run(container))
    is_begun = not failed
    rest = [run(container) if is_begun else _waiting(container) for container in spec["containers"]]
    if failed and spec.get("restartPolicy") != "Never":
        return None
    reason = "PodFailed" if failed else "PodCompleted"
    conditions = [{"type": "Initialized", "status": "True" if is_begun else "False"},
                  *({"type": kind, "status": "False", "reason": reason} for kind in ("ContainersReady", "Ready"))]
    return {"phase": "Failed" if failed else "Succeeded", "conditions": conditions, "initContainerStatuses": first, "containerStatuses": rest}


def _waiting(container):
    return {"name": container["name"], "image": container["image"], "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}


def _terminated(container, code, said):
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now, "finishedAt": now}
    if code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        state["message"] = f"{said}\n"
    return {"name": container["name"], "image": container["image"], "ready": False, "restartCount": 0, "state": {"terminated": state}}
