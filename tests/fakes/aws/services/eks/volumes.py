"""The EBS CSI driver: claims become volumes, which stay when nobody is left to delete them."""
import re

from ..ec2 import Ec2

DRIVER = "ebs.csi.aws.com"
# The in-tree name is served by the driver too.
PROVISIONERS = (DRIVER, "kubernetes.io/aws-ebs")
# That of Auto Mode, whose role may set no tags of users: https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html
AUTO_DRIVER = "ebs.csi.eks.amazonaws.com"
ACCOUNT = "ebs-csi-controller-sa"
SELECTED = "volume.kubernetes.io/selected-node"
VOLUMES = "/api/v1/persistentvolumes"


def gibibytes(quantity):
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", quantity).groups()
    factor = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}[unit]
    return max(1, round(float(number) * factor / 2**30))


class Volumes:
    def __init__(self, simulation):
        self.simulation, self.cluster, self.world = simulation, simulation.cluster, simulation.world

    def _drivers(self):
        """The drivers that run here, with rights in EC2, by what classes call them."""
        with self.world.lock:
            auto = {AUTO_DRIVER: AUTO_DRIVER} if self.cluster.is_auto and self.cluster.may_run_auto_mode() else {}
            return {**(dict.fromkeys(PROVISIONERS, DRIVER) if self._addon_drives() else {}), **auto}

    def _addon_drives(self):
        addon = self.cluster.addons.get("aws-ebs-csi-driver")
        has_rights = addon is not None and (addon.role or (
            "eks-pod-identity-agent" in self.cluster.addons
            and any(association.account == ACCOUNT for association in self.cluster.associations.values())))
        return bool(has_rights and addon.is_ready and addon.status != "DELETING")

    def tick(self):
        drivers = self._drivers()
        if not drivers:
            return
        kube = self.simulation.kube
        claims = kube.list("/api/v1/persistentvolumeclaims")
        volumes = kube.list(VOLUMES)
        if any(claim["status"].get("phase") == "Pending" for claim in claims):
            classes = {each["metadata"]["name"]: each for each in kube.list("/apis/storage.k8s.io/v1/storageclasses")}
            for claim in claims:
                if claim["status"].get("phase") == "Pending" and not claim["metadata"].get("deletionTimestamp"):
                    self._provision(claim, classes.get(claim["spec"].get("storageClassName")), volumes, drivers)
        for volume in volumes:
            driver = volume["spec"].get("csi", {}).get("driver")
            if driver in drivers.values() and volume["status"].get("phase") == "Released" and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
                with self.world.lock:
                    self.world.state(Ec2).volumes.pop(volume["spec"]["csi"]["volumeHandle"], None)
                kube.delete(f"{VOLUMES}/{volume['metadata']['name']}")

    def _provision(self, claim, storage_class, volumes, drivers):
        if storage_class is None or storage_class["provisioner"] not in drivers or claim["spec"].get("volumeName"):
            return
        driver = drivers[storage_class["provisioner"]]
        meta = claim["metadata"]
        selected = meta.get("annotations", {}).get(SELECTED)
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not selected:
            return
        name = f"pvc-{meta['uid']}"
        if any(volume["metadata"]["name"] == name for volume in volumes):
            return
        zone = self._zone(selected)
        if zone is None:
            return
        parameters = storage_class.get("parameters") or {}
        size = claim["spec"]["resources"]["requests"]["storage"]
        tags = {"CSIVolumeName": name, "ebs.csi.aws.com/cluster": "true", f"kubernetes.io/cluster/{self.cluster.name}": "owned",
                "KubernetesCluster": self.cluster.name, "Name": f"{self.cluster.name}-dynamic-{name}", "kubernetes.io/created-for/pv/name": name,
                "kubernetes.io/created-for/pvc/name": meta["name"], "kubernetes.io/created-for/pvc/namespace": meta["namespace"]}
        if driver == AUTO_DRIVER:
            del tags["ebs.csi.aws.com/cluster"]
            tags.update({"eks:eks-cluster-name": self.cluster.name, f"{AUTO_DRIVER}/cluster": "true"})
        for key, value in parameters.items():
            if key.startswith("tagSpecification") and driver == AUTO_DRIVER:
                # EC2 refuses the volume (UnauthorizedOperation), and the driver tries again for ever.
                return
            if key.startswith("tagSpecification"):
                tags.update([value.split("=", 1)])
        with self.world.lock:
            volume = self.world.state(Ec2).create_volume(zone, gibibytes(size), tags, encrypted=parameters.get("encrypted", "false") == "true",
                                                         kind=parameters.get("type", "gp3"))
        mode = storage_class.get("reclaimPolicy") or "Delete"
        self.simulation.kube.apply(f"{VOLUMES}/{name}", {
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": driver}},
            "spec": {
                "capacity": {"storage": size}, "accessModes": claim["spec"]["accessModes"], "persistentVolumeReclaimPolicy": mode,
                "storageClassName": claim["spec"]["storageClassName"], "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
                "csi": {"driver": driver, "volumeHandle": volume["VolumeId"], "fsType": parameters.get("csi.storage.k8s.io/fstype", "ext4")},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}]}},
            }}, driver)

    def _zone(self, node):
        if node:
            found = self.simulation.kube.find(f"/api/v1/nodes/{node}")
            return found and found["metadata"]["labels"].get("topology.kubernetes.io/zone")
        with self.world.lock:
            groups = [*self.cluster.nodegroups.values(), *([self.cluster.auto] if self.cluster.auto else [])]
            return next((instance.zone for nodegroup in groups for instance in nodegroup.living), None)
