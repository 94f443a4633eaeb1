"""What kwok forgets of the pods on its nodes when the machine is busy, and a kubelet would not."""

PODS = "/api/v1/pods?fieldSelector=spec.nodeName!="
# Every so many looks of the simulation.
SELDOM = 10
TOUCHED = "eks.fake/touched"


class Pods:
    def __init__(self, simulation):
        self.simulation = simulation
        self._looks, self._pending = 0, set()

    def tick(self):
        """A node whose heartbeat was late makes its pods not ready, and kwok leaves them so
        (https://github.com/kubernetes-sigs/kwok/issues/1464); one that is bound while kwok takes its node over may
        wait for ever."""
        self._looks += 1
        if self._looks % SELDOM:
            return
        kube = self.simulation.kube
        pending = set()
        for pod in kube.list(PODS):
            metadata, status = pod["metadata"], pod.get("status", {})
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            if metadata.get("deletionTimestamp") or pod["spec"]["nodeName"] not in self.simulation.nodes.ready:
                continue
            if status.get("phase") == "Pending":
                pending.add(metadata["uid"])
                if metadata["uid"] in self._pending:
                    kube.merge(path, {"metadata": {"annotations": {TOUCHED: str(self._looks)}}})
            elif status.get("phase") == "Running":
                conditions = status.get("conditions", [])
                if any(each["type"] == "Ready" and each["status"] == "False" for each in conditions):
                    again = [{**each, "status": "True"} if each["type"] == "Ready" else each for each in conditions]
                    kube.merge(f"{path}/status", {"status": {"conditions": again}})
        self._pending = pending
