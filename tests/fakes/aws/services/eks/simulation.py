"""What goes on inside the cluster: one thread that looks at the API server again and again, and acts for EKS, for the
cloud controller and for the nodes. It calls the API server without the world's lock, and changes the world with it."""
import threading

from ...control_plane import ControlPlaneError
from ...kube import Kube, KubeError
from . import manifests
from .access import matches
from .attempts import Attempts
from .balancers import Balancers
from .capacity import Capacity
from .metrics import Metrics
from .nodes import Nodes
from .pods import Pods
from .volumes import Volumes

PAUSE = 0.2


class Simulation:
    def __init__(self, cluster):
        self.cluster, self.world = cluster, cluster.world
        # Set once what every cluster has is in the cluster.
        self.prepared, self.stopping = threading.Event(), threading.Event()
        self.kube = None
        self.nodes, self.balancers, self.volumes = Nodes(self), Balancers(self), Volumes(self)
        self.capacity = Capacity(self)
        self.pods, self.attempts = Pods(self), Attempts(self)
        self.metrics = Metrics(self)
        self._applied, self._bound = {}, set()
        self._thread = threading.Thread(target=self._run, name=f"simulation of {cluster.name}", daemon=True)

    def start(self):
        self._thread.start()

    def join(self):
        """Waits for the end of what it does, once `stopping` is set; never called under the lock."""
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self):
        try:
            self.cluster.control_plane.wait()
            self.kube = Kube(self.cluster.control_plane)
        except (ControlPlaneError, KubeError):
            return
        while not self.stopping.is_set():
            try:
                if not self.prepared.is_set():
                    self._prepare()
                    self.prepared.set()
                self._tick()
            except (KubeError, OSError) as error:
                # Objects change meanwhile (404, 409); and at the end there is nobody to ask.
                if not self.stopping.is_set() and getattr(error, "status", 0) not in (0, 404, 409):
                    self.world.record.bug(f"simulation of {self.cluster.name}", error)
            except Exception as error:  # noqa: BLE001: a bug of the stand-in must be seen, and must not end the thread
                self.world.record.bug(f"simulation of {self.cluster.name}", error)
            self.stopping.wait(PAUSE)
        self.metrics.close()
        self.kube.close()

    def _prepare(self):
        for path, body in manifests.bootstrap():
            self.kube.apply(path, body)

    def _tick(self):
        self._access()
        self._addons()
        daemon_sets = self.kube.list("/apis/apps/v1/daemonsets")
        self.nodes.tick(daemon_sets)
        self.attempts.tick()
        self.pods.tick()
        self.balancers.tick()
        self.volumes.tick()
        self.capacity.tick()
        self.metrics.tick()

    def _access(self):
        with self.world.lock:
            scoped = [each for entry in self.cluster.entries.values() for each in entry.scoped()]
        if not scoped:
            return
        for namespace in self.kube.list("/api/v1/namespaces"):
            name = namespace["metadata"]["name"]
            for group, role, patterns in scoped:
                if (name, group) not in self._bound and matches(name, patterns) and not namespace["metadata"].get("deletionTimestamp"):
                    path, body = manifests.scoped_binding(name, group, role)
                    self.kube.apply(path, body)
                    self._bound.add((name, group))

    def _addons(self):
        with self.world.lock:
            wanted = {name: (addon, addon.version, addon.kind.namespace, addon.values(), addon.status, addon.preserve)
                      for name, addon in self.cluster.addons.items()}
            is_auto = self.cluster.is_auto
        if self.cluster.asked.get("bootstrapSelfManagedAddons", True) and not is_auto:
            for name in manifests.SELF_MANAGED:
                wanted.setdefault(name, (None, "v1", "kube-system", {}, "ACTIVE", False))
        for name, (addon, version, namespace, values, status, preserve) in wanted.items():
            if status == "DELETING":
                self._remove(name, preserve)
                continue
            objects = list(manifests.addon(name, version, namespace, values))
            if self._applied.get(name) != objects:
                for path, body in objects:
                    self.kube.apply(path, body)
                self._applied[name] = objects
            if addon:
                is_ready = all(self._is_ready(path) for path, body in objects if body["kind"] in ("Deployment", "DaemonSet"))
                with self.world.lock:
                    addon.is_ready = is_ready
                    if addon.status == "ACTIVE" and not is_ready and addon.waits_since is None and _has_deployment(objects):
                        addon.settle()
        for name in [name for name in self._applied if name not in wanted]:
            self._remove(name, False)

    def _remove(self, name, preserve):
        for path, _ in self._applied.pop(name, []):
            if not preserve:
                self.kube.delete(path)

    def _is_ready(self, path):
        found = self.kube.find(path)
        if found is None:
            return False
        status, generation = found.get("status", {}), found["metadata"].get("generation")
        if status.get("observedGeneration") != generation:
            return False
        if found["kind"] == "DaemonSet":
            return status.get("numberReady", 0) >= status.get("desiredNumberScheduled", 0)
        return status.get("availableReplicas", 0) >= found["spec"].get("replicas", 1)


def _has_deployment(objects):
    return any(body["kind"] == "Deployment" for _, body in objects)


