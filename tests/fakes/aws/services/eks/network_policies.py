"""NetworkPolicy objects (networking.k8s.io/v1): whether they let a connection through. They are judged as they are, nobody is asked.

https://kubernetes.io/docs/concepts/services-networking/network-policies/; what is EKS's own way is marked
(https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html).
"""
import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class End:
    """One end of a connection: an address, and the pod that has it for its own, if one has."""
    address: str
    pod: dict | None = None


class Policies:
    def __init__(self, policies, namespaces):
        self._policies = policies
        self._namespaces = {each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in namespaces}

    def let(self, source, target, port, protocol):
        """Both ends have their say: what the source may send, and what the target may get."""
        if source.pod is not None and source.pod is target.pod:
            return True
        ports = (port, protocol, target.pod)
        return self._says("Egress", source, target, ports) and self._says("Ingress", target, source, ports)

    def _says(self, direction, guarded, other, ports):
        """Nobody's pod is open; a pod that is chosen by a policy gets what any of those allows, and nothing else."""
        chosen = [policy for policy in self._policies if _guards(policy, direction, guarded.pod)]
        return not chosen or any(self._allows(policy, direction, other, ports) for policy in chosen)

    def _allows(self, policy, direction, other, ports):
        key, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        for rule in policy["spec"].get(key) or []:
            from_all, on_all = not rule.get(peers), not rule.get("ports")
            if (from_all or any(self._is_peer(peer, policy, other) for peer in rule[peers])) and (
                    on_all or any(_is_port(each, *ports) for each in rule["ports"])):
                return True
        return False

    def _is_peer(self, peer, policy, end):
        block = peer.get("ipBlock")
        if block:
            return _within(end.address, block["cidr"]) and not any(_within(end.address, each) for each in block.get("except") or [])
        if end.pod is None or end.pod["spec"].get("hostNetwork"):
            return False
        namespace, home = end.pod["metadata"]["namespace"], policy["metadata"]["namespace"]
        is_near = selects(peer["namespaceSelector"], self._namespaces.get(namespace, {})) if "namespaceSelector" in peer else namespace == home
        return is_near and selects(peer.get("podSelector") or {}, end.pod["metadata"].get("labels", {}))


def selects(selector, labels):
    """A LabelSelector; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or []:
        has, value = each["key"] in labels, labels.get(each["key"])
        values = each.get("values") or []
        holds = {"In": has and value in values, "NotIn": not has or value not in values, "Exists": has, "DoesNotExist": not has}
        if not holds[each["operator"]]:
            return False
    return True


def _guards(policy, direction, pod):
    # EKS: what nobody owns is not guarded. The network of the node is nobody's pod.
    if pod is None or pod["spec"].get("hostNetwork") or not pod["metadata"].get("ownerReferences"):
        return False
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return direction in types and policy["metadata"]["namespace"] == pod["metadata"]["namespace"] and selects(
        spec.get("podSelector") or {}, pod["metadata"].get("labels", {}))


def _is_port(rule, port, protocol, target):
    wanted = rule.get("port")
    if rule.get("protocol", "TCP") != protocol:
        return False
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return wanted <= port <= rule.get("endPort", wanted)
    # A name means what the container of the target calls so.
    containers = target["spec"]["containers"] if target else []
    return any(each.get("name") == wanted and each["containerPort"] == port and each.get("protocol", "TCP") == protocol
               for container in containers for each in container.get("ports", []))


def _within(address, block):
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)
