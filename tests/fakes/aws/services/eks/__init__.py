"""EKS by botocore's model: clusters with a real control plane, node groups of simulated nodes, add-ons, access, pod identities."""
from .. import Operations

operations = Operations()

# Each module adds its own operations to the table.
from . import access, addons, clusters, insights, levers, nodegroups, pod_identity, tagging, update_clusters  # noqa: E402, F401
