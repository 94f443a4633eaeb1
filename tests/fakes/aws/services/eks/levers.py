"""What tests may see and do behind the scenes of EKS: `GET /_fake/eks`, `POST /_fake/eks/kill`."""
import threading

from ... import admin
from .state import Eks


@admin.route("GET", "/_fake/eks")
def clusters(world, request):
    """By cluster: the administrator's kubeconfig, the API server's audit log, and the last tokens that were refused."""
    eks = world.state(Eks)
    return {name: {"status": cluster.status, "kubeconfig": str(cluster.control_plane.kubeconfig), "auditLog": str(cluster.audit_log),
                   "refusedTokens": [each for each in eks.webhook.refusals if each["cluster"] == cluster.key]}
            for name, cluster in eks.clusters.items()}


@admin.route("POST", "/_fake/eks/kill")
def kill(world, request):
    """`{name}`: the programs of a control plane end for good, and the controllers in it with them; EKS goes on saying ACTIVE."""
    cluster = world.state(Eks).clusters[request.json()["name"]]
    threading.Thread(target=cluster.end, name=f"end of {cluster.name}", daemon=True).start()
    return {"name": cluster.name}
