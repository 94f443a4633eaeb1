"""The part of the cloud controller, and of Auto Mode, for Services of type LoadBalancer: balancers, target groups, security
groups, addresses.

It works while the control plane lives. What a dead control plane leaves behind stays.
"""
import hashlib

from ...errors import AwsError
from ..ec2 import Ec2
from ..elb import Elb

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
# Of Auto Mode, which takes every Service that is made without a class.
AUTO_CLASS, AUTO_TAG = "eks.amazonaws.com/nlb", "service.eks.amazonaws.com/"
ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer-"


class Balancers:
    def __init__(self, simulation):
        self.simulation, self.cluster, self.world = simulation, simulation.cluster, simulation.world
        # Service uid to what was made for it.
        self._made = {}
        # Uids of those that Auto Mode took: it gave them its class, and no other controller takes them any more.
        self._taken = set()

    def tick(self):
        for service in self.simulation.kube.list("/api/v1/services"):
            meta, annotations = service["metadata"], service["metadata"].get("annotations", {})
            if meta.get("deletionTimestamp") or service["spec"]["type"] != "LoadBalancer":
                if FINALIZER in meta.get("finalizers", []):
                    self._remove(service)
                continue
            # Another controller's: the AWS Load Balancer Controller's, or one of its own class.
            kind = service["spec"].get("loadBalancerClass")
            is_new = meta["uid"] not in self._made
            is_for_auto = kind == AUTO_CLASS or meta["uid"] in self._taken or (not kind and is_new and self.cluster.is_auto)
            if not is_for_auto and (kind or annotations.get(f"{ANNOTATION}type") in ("external", "nlb-ip")):
                continue
            if is_for_auto:
                if not self.cluster.is_auto:
                    continue
                self._taken.add(meta["uid"])
            self._keep(service, annotations)

    def _path(self, service):
        return f"/api/v1/namespaces/{service['metadata']['namespace']}/services/{service['metadata']['name']}"

    def _keep(self, service, annotations):
        meta, kube = service["metadata"], self.simulation.kube
        if FINALIZER not in meta.get("finalizers", []):
            kube.merge(self._path(service), {"metadata": {"finalizers": [*meta.get("finalizers", []), FINALIZER]}})
        with self.world.lock:
            made = self._made.get(meta["uid"])
            if made is None:
                made = self._made[meta["uid"]] = self._make(service, annotations)
            record = made and made["balancer"]
            is_up = bool(record) and record["shown"].get("State", {"Code": "active"})["Code"] == "active"
            host = record["shown"]["DNSName"] if is_up else None
        if not made:
            del self._made[meta["uid"]]
        elif host and not service.get("status", {}).get("loadBalancer", {}).get("ingress"):
            kube.merge(f"{self._path(service)}/status", {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}})

    def _make(self, service, annotations):
        """Under the lock. None when EC2 refuses; it is tried again."""
        ec2, elb, cluster, meta = self.world.state(Ec2), self.world.state(Elb), self.cluster, service["metadata"]
        stack, is_auto = f"{meta['namespace']}/{meta['name']}", cluster.is_auto
        if is_auto and not cluster.may_run_auto_mode():
            return None
        kind = "network" if annotations.get(f"{ANNOTATION}type") == "nlb" or is_auto else "classic"
        if is_auto:
            # https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html: internal, unless it is said otherwise.
            internal = annotations.get(f"{ANNOTATION}scheme") != "internet-facing"
            digest = hashlib.sha256(meta["uid"].encode()).hexdigest()[:10]
            name = f"k8s-{meta['namespace'][:8]}-{meta['name'][:8]}-{digest}"
            tags = {"eks:eks-cluster-name": cluster.name, f"{AUTO_TAG}stack": stack, f"{AUTO_TAG}resource": "LoadBalancer"}
        else:
            internal = annotations.get(f"{ANNOTATION}internal") == "true"
            name = ("a" + meta["uid"].replace("-", ""))[:32]
            tags = {f"kubernetes.io/cluster/{cluster.name}": "owned", "kubernetes.io/service-name": stack}
        for pair in annotations.get(f"{ANNOTATION}additional-resource-tags", "").split(","):
            if "=" in pair and is_auto:
                # The managed policies of Auto Mode let nobody set tags of his own.
                return None
            if "=" in pair:
                tags.update([pair.strip().split("=", 1)])
        group = None
        try:
            subnets = self._subnets(ec2, internal)
            if not subnets:
                return None
            group_name, text = (name, "[k8s] Managed SecurityGroup for LoadBalancer") if is_auto else (
                f"k8s-elb-{name}", f"Security group for Kubernetes ELB {name} ({stack})")
            of_group = {**tags, f"{AUTO_TAG}resource": "ManagedLBSecurityGroup"} if is_auto else tags
            group = ec2.create_group(cluster.vpc, group_name, text, of_group)["GroupId"]
            # The nodes' group lets the balancer in, and so its rule holds the balancer's group.
            if cluster.group in ec2.groups:
                ec2.groups[cluster.group]["IpPermissions"].append(
                    {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "UserId": self.world.account}], "IpRanges": [], "Ipv6Ranges": [],
                     "PrefixListIds": []})
            balancer = elb.create_balancer(name, kind, subnets, [group], tags, internal)
        except AwsError:
            if group in ec2.groups:
                self._forget_rule(ec2, group)
                ec2.groups.pop(group)
            return None
        targets = []
        if kind == "network":
            for port in service["spec"].get("ports", []):
                made = elb.create_group(f"k8s-{meta['name'][:8]}-{meta['uid'][:8]}-{port['port']}"[:32], cluster.vpc, [balancer["arn"]], tags, port.get("protocol", "TCP"),
                                        port.get("nodePort") or port["port"])
                targets.append(made["shown"]["TargetGroupArn"])
        return {"balancer": balancer, "group": group, "targets": targets, "is_auto": is_auto}

    def _subnets(self, ec2, internal):
        """One of each zone: by role tag, then by any subnet of the VPC."""
        role = "kubernetes.io/role/internal-elb" if internal else "kubernetes.io/role/elb"
        every = ec2.in_vpc("subnets", self.cluster.vpc)
        chosen = {}
        for subnet in [each for each in every if role in each["tags"]] or [each for each in every if each["MapPublicIpOnLaunch"] != internal] or every:
            chosen.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
        return [chosen[zone] for zone in sorted(chosen)]

    def _forget_rule(self, ec2, group):
        if self.cluster.group in ec2.groups:
            rules = ec2.groups[self.cluster.group]["IpPermissions"]
            rules[:] = [rule for rule in rules if not any(pair.get("GroupId") == group for pair in rule.get("UserIdGroupPairs", []))]

    def _unmake(self, ec2, elb, made):
        """Whether nothing is left; the interfaces of a balancer hold its group for a while."""
        balancer = made["balancer"]
        if balancer["arn"] in elb.balancers or balancer["name"] in elb.classic:
            elb.delete_balancer(balancer)
        for arn in made["targets"]:
            elb.groups.pop(arn, None)
        self._forget_rule(ec2, made["group"])
        if made["group"] in ec2.groups:
            try:
                ec2.delete_group(made["group"])
            except AwsError:
                return False
        return True

    def remove_all(self):
        """Those of Auto Mode, under the lock, when it ends or its cluster is deleted."""
        ec2, elb = self.world.state(Ec2), self.world.state(Elb)
        for uid, made in list(self._made.items()):
            if not made or not made["is_auto"]:
                continue
            for ident in made["balancer"]["interfaces"]:
                ec2.interfaces.pop(ident, None)
            if self._unmake(ec2, elb, made):
                del self._made[uid]

    def _remove(self, service):
        """The balancer first; the group once its interfaces have let go; then the Service may go."""
        meta, kube = service["metadata"], self.simulation.kube
        with self.world.lock:
            ec2, elb = self.world.state(Ec2), self.world.state(Elb)
            made = self._made.get(meta["uid"])
            if made:
                if not self._unmake(ec2, elb, made):
                    return
                del self._made[meta["uid"]]
        rest = [finalizer for finalizer in meta["finalizers"] if finalizer != FINALIZER]
        kube.merge(self._path(service), {"metadata": {"finalizers": rest}})
        if not meta.get("deletionTimestamp"):
            kube.merge(f"{self._path(service)}/status", {"status": {"loadBalancer": None}})
