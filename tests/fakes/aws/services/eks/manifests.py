"""What EKS and its add-ons put into a cluster: as much of it as a client can see the state by."""
from .access import ROLES

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"
# Deployments and DaemonSets of each add-on, by name, with the number of replicas of a Deployment.
WORKLOADS = {
    "vpc-cni": [("DaemonSet", "aws-node", 0)],
    "kube-proxy": [("DaemonSet", "kube-proxy", 0)],
    "coredns": [("Deployment", "coredns", 2)],
    "eks-pod-identity-agent": [("DaemonSet", "eks-pod-identity-agent", 0)],
    "aws-ebs-csi-driver": [("Deployment", "ebs-csi-controller", 2), ("DaemonSet", "ebs-csi-node", 0)],
    "metrics-server": [("Deployment", "metrics-server", 2)],
    "aws-efs-csi-driver": [("Deployment", "efs-csi-controller", 2), ("DaemonSet", "efs-csi-node", 0)],
    "snapshot-controller": [("Deployment", "snapshot-controller", 2)],
    "amazon-cloudwatch-observability": [("Deployment", "amazon-cloudwatch-observability-controller-manager", 1)],
}
# What the containers of a workload listen on, where somebody asks.
PORTS = {"coredns": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}, {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"}]}
SELF_MANAGED = ("vpc-cni", "kube-proxy", "coredns")


def workload_path(kind, namespace, name):
    return f"/apis/apps/v1/namespaces/{namespace}/{kind.lower()}s/{name}"


def bootstrap():
    """(path, object) of what every cluster has."""
    for policy, role in ROLES.items():
        name = f"eks:access-policy:{policy}"
        yield BINDINGS + name, {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}]}
    yield "/apis/rbac.authorization.k8s.io/v1/clusterroles/eks:admin-view", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "eks:admin-view"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]}
    # Not marked as default since 1.30.
    yield "/apis/storage.k8s.io/v1/storageclasses/gp2", {
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp2"}, "provisioner": "kubernetes.io/aws-ebs",
        "parameters": {"fsType": "ext4", "type": "gp2"}, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"}


def scoped_binding(namespace, group, role):
    name = group.rsplit(":", 1)[1] + "-" + group.split(":")[2][:8]
    name = f"eks:{name}"
    return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{name}", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}]}


def addon(name, version, namespace, values):
    """(path, object) of an add-on."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "EKS"}
    if namespace != "kube-system":
        yield f"/api/v1/namespaces/{namespace}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for kind, workload, replicas in WORKLOADS[name]:
        is_node = kind == "DaemonSet"
        selector = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": workload}
        tolerations = [{"operator": "Exists"}] if is_node else [
            {"key": "CriticalAddonsOnly", "operator": "Exists"}, {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
            *values.get("tolerations", [])]
        spec = {
            "containers": [{"name": workload, "image": f"602401143452.dkr.ecr.eu-central-1.amazonaws.com/eks/{workload}:{version}",
                            "ports": PORTS.get(workload, [])}],
            "tolerations": tolerations, "priorityClassName": "system-node-critical" if is_node else "system-cluster-critical",
            "hostNetwork": is_node, "nodeSelector": values.get("nodeSelector", {})}
        body = {"selector": {"matchLabels": selector}, "template": {"metadata": {"labels": {**labels, **selector}}, "spec": spec}}
        if not is_node:
            body["replicas"] = values.get("replicaCount", values.get("replicas", replicas))
        yield workload_path(kind, namespace, workload), {
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": workload, "namespace": namespace, "labels": labels}, "spec": body}
    if name == "coredns":
        yield f"/api/v1/namespaces/{namespace}/services/kube-dns", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": namespace, "labels": labels},
            "spec": {"selector": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "coredns"},
                     "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}}
    if name == "aws-ebs-csi-driver":
        yield "/apis/storage.k8s.io/v1/csidrivers/ebs.csi.aws.com", {
            "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "ebs.csi.aws.com"},
            "spec": {"attachRequired": False, "podInfoOnMount": False}}
        if values.get("defaultStorageClass", {}).get("enabled"):
            yield "/apis/storage.k8s.io/v1/storageclasses/ebs-csi-default-sc", {
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                "metadata": {"name": "ebs-csi-default-sc", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": True}
