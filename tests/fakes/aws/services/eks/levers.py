"""What tests may see behind the scenes of EKS: `GET /_fake/eks`."""
from ... import admin
from .state import Eks


@admin.route("GET", "/_fake/eks")
def clusters(world, request):
    """By cluster: the administrator's kubeconfig, the API server's audit log, and the last tokens that were refused."""
    eks = world.state(Eks)
    return {name: {"status": cluster.status, "kubeconfig": str(cluster.control_plane.kubeconfig), "auditLog": str(cluster.audit_log),
                   "refusedTokens": [each for each in eks.webhook.refusals if each["cluster"] == cluster.key]}
            for name, cluster in eks.clusters.items()}
