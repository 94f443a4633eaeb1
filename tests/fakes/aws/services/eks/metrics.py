"""The metrics API behind the add-on metrics-server: figures that are made up, for nodes and pods that are there."""
import http.server
import json
import ssl
import threading

from ...clock import now
from ...kube import Kube, KubeError

BASE = "/apis/metrics.k8s.io/v1beta1"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
SERVICE = "/api/v1/namespaces/kube-system/services/metrics-server"
RESOURCES = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": [
    {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
    {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}]}


def _metrics(kind, found, **more):
    kept = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    return {"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": kept, "timestamp": now().strftime("%Y-%m-%dT%H:%M:%SZ"), "window": "15s", **more}


def _node(found):
    return _metrics("NodeMetrics", found, usage={"cpu": "120m", "memory": "700Mi"})


def _pod(found):
    containers = [{"name": container["name"], "usage": {"cpu": "5m", "memory": "20Mi"}} for container in found["spec"]["containers"]]
    return _metrics("PodMetrics", found, containers=containers)


def _ready(node):
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in node.get("status", {}).get("conditions", []))


class Metrics:
    """Served on loopback by this program; the API server reaches it as an aggregated API, once the add-on's pods are ready."""

    def __init__(self, simulation):
        self.simulation, self.server = simulation, None

    def tick(self):
        cluster = self.simulation.cluster
        with cluster.world.lock:
            addon = cluster.addons.get("metrics-server")
            wanted = addon is not None and addon.is_ready and addon.status != "DELETING"
        if wanted and self.server is None:
            self._begin()
        elif not wanted and self.server is not None and (addon is None or addon.status == "DELETING"):
            self.simulation.kube.delete(API_SERVICE)
            self.simulation.kube.delete(SERVICE)
            self.close()

    def _begin(self):
        _, certificate, key = self.simulation.cluster.control_plane.client_files()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        kube = Kube(self.simulation.cluster.control_plane)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                try:
                    status, answer = 200, _answer(kube, self.path.partition("?")[0])
                except KubeError as error:
                    status, answer = error.status or 503, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": error.status or 503, "message": str(error)}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                """Nothing: the API server's audit log has what it was asked."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, name=f"metrics of {self.simulation.cluster.name}", daemon=True).start()
        port = self.server.server_port
        labels = {"app.kubernetes.io/name": "metrics-server", "app.kubernetes.io/managed-by": "EKS"}
        self.simulation.kube.apply(SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics-server", "namespace": "kube-system", "labels": labels},
                                             "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]}})
        self.simulation.kube.apply(API_SERVICE, {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": labels},
            "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
                     "service": {"name": "metrics-server", "namespace": "kube-system", "port": port}}})

    def close(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def _answer(kube, path):
    parts = path.removeprefix(BASE).strip("/").split("/")
    match parts:
        case [""] if path.startswith(BASE):
            return RESOURCES
        case ["nodes"]:
            return _list("NodeMetricsList", [_node(node) for node in kube.list("/api/v1/nodes") if _ready(node)])
        case ["nodes", name]:
            return _node(kube.ask("GET", f"/api/v1/nodes/{name}"))
        case ["pods"]:
            return _list("PodMetricsList", [_pod(pod) for pod in kube.list("/api/v1/pods") if pod["status"].get("phase") == "Running"])
        case ["namespaces", namespace, "pods"]:
            return _list("PodMetricsList", [_pod(pod) for pod in kube.list(f"/api/v1/namespaces/{namespace}/pods") if pod["status"].get("phase") == "Running"])
        case ["namespaces", namespace, "pods", name]:
            return _pod(kube.ask("GET", f"/api/v1/namespaces/{namespace}/pods/{name}"))
    raise KubeError(404, f"no {path}")


def _list(kind, items):
    return {"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}
