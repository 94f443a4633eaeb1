"""One managed node group: its Auto Scaling group, its instances, and what keeps them from joining."""
import copy
import dataclasses
import datetime

from ..ec2 import Ec2
from ..iam import Iam
from . import machines, network, scaling, versions
from .base import Updates, new_id

EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
# Real seconds: retries are not quicker, and the programs of this machine may take so long for what AWS does at once, whatever the speed.
PAUSE, PATIENCE = 0.2, 120
# The same for a caller who makes the network plugin beside the group: at a great speed the group would have failed before.
CALLER = 15
NOT_JOINED = "Instances failed to join the kubernetes cluster"
NOT_READY = "Unhealthy nodes in the kubernetes cluster"
NO_TEMPLATE = "We couldn't find the Amazon EC2 launch template for your managed node group. You may be able to recreate a launch template with the same settings to recover."


@dataclasses.dataclass
class Instance:
    id: str
    type: str
    zone: str
    zone_id: str
    subnet: str
    address: str
    image: str
    version: str
    release: str
    template: dict | None
    launched: datetime.datetime
    interfaces: list
    # launched -> joining (the kubelet may register) -> leaving (drained and removed) -> gone
    state: str = "launched"
    # Set by the simulation: whether the node object is Ready, and whether its pods may be thrown out.
    is_ready: bool = False
    force: bool = False
    blocked: bool = False

    @property
    def node_name(self):
        return f"ip-{self.address.replace('.', '-')}"


class Nodegroup:
    def __init__(self, cluster, asked, details):
        self.cluster, self.world, self.asked = cluster, cluster.world, asked
        self.name, self.id = asked["nodegroupName"], new_id()
        self.arn = self.world.arn("eks", f"nodegroup/{cluster.name}/{self.name}/{self.id}")
        self.status, self.created = "CREATING", self.world.now()
        self.modified = self.created
        self.version = asked.get("version") or cluster.version
        self.release = asked.get("releaseVersion") or versions.release_of(self.version, details["stamp"])
        self.ami_type, self.capacity = details["ami_type"], asked.get("capacityType") or "ON_DEMAND"
        self.types, self.disk = details["types"], details["disk"]
        self.subnets, self.role = list(asked["subnets"]), asked["nodeRole"]
        self.scaling = details["scaling"]
        self.labels, self.taints = dict(asked.get("labels") or {}), copy.deepcopy(asked.get("taints") or [])
        self.tags, self.template = dict(asked.get("tags") or {}), details["template"]
        self.update_config = copy.deepcopy(asked.get("updateConfig")) or {"maxUnavailable": 1}
        self.repair = copy.deepcopy(asked.get("nodeRepairConfig"))
        self.issues, self.updates, self.instances = [], Updates(), []
        self.group = f"eks-{self.name}-{self.id}"
        self.image = self.world.new_id("ami")
        self.balancer = 0

    # What is shown.

    def describe(self):
        self._miss_template()
        shown = {
            "nodegroupName": self.name, "nodegroupArn": self.arn, "clusterName": self.cluster.name, "version": self.version,
            "releaseVersion": self.release, "createdAt": self.created, "modifiedAt": self.modified, "status": self.status,
            "capacityType": self.capacity, "scalingConfig": dict(self.scaling), "subnets": list(self.subnets), "amiType": self.ami_type,
            "nodeRole": self.role, "labels": dict(self.labels), "resources": {"autoScalingGroups": [{"name": self.group}]},
            "health": {"issues": copy.deepcopy(self.issues)}, "updateConfig": dict(self.update_config), "tags": dict(self.tags),
        }
        if self.types:
            shown["instanceTypes"] = list(self.types)
        for name, value in (("taints", self.taints), ("nodeRepairConfig", self.repair), ("launchTemplate", self.template), ("diskSize", self.disk)):
            if value:
                shown[name] = copy.deepcopy(value)
        return shown

    def _miss_template(self):
        """A group whose launch template somebody deleted can make no machine any more."""
        if self.template and self.status == "ACTIVE" and self.template["id"] not in self.world.state(Ec2).templates:
            self.blames("Ec2LaunchTemplateNotFound", NO_TEMPLATE, [self.template["id"]])
            self.set_status("DEGRADED")

    def set_status(self, status):
        if status != self.status:
            self.cluster.eks.changed("nodegroup", f"{self.cluster.name}/{self.name}", self.status, status)
            self.status = status

    @property
    def living(self):
        return [instance for instance in self.instances if instance.state in ("launched", "joining")]

    @property
    def architecture(self):
        return "arm64" if "ARM_64" in self.ami_type else "amd64"

    @property
    def brings_gpu_plugin(self):
        return self.ami_type.startswith("BOTTLEROCKET") and "NVIDIA" in self.ami_type

    def own_labels(self, instance):
        """What EKS itself writes on a node of the group."""
        labels = {"eks.amazonaws.com/capacityType": self.capacity, "eks.amazonaws.com/nodegroup": self.name,
                  "eks.amazonaws.com/nodegroup-image": instance.image}
        if instance.template:
            labels["eks.amazonaws.com/sourceLaunchTemplateId"] = instance.template["id"]
            labels["eks.amazonaws.com/sourceLaunchTemplateVersion"] = instance.template["version"]
        return labels

    def node_taints(self):
        return [{key: value for key, value in (("key", taint.get("key")), ("value", taint.get("value")), ("effect", EFFECTS[taint["effect"]])) if value}
                for taint in self.taints]

    def blames(self, code, message, resources):
        """A health issue, once."""
        if not any(issue["code"] == code for issue in self.issues):
            self.issues.append({"code": code, "message": message, "resourceIds": resources})

    # Its life.

    def begin(self):
        scaling.create(self)
        # EKS's own instance profile holds the role: it cannot be deleted before the group.
        self.world.state(Iam).profiles[f"eks-{self.id}"] = {
            "roles": [self.role.rsplit("/", 1)[1]], "tags": {}, "arn": self.world.arn("iam", f"instance-profile/eks-{self.id}", "")}
        whole = self.world.duration("eks.nodegroup.create")
        self.world.timers.after(whole * 0.25, self._launch)
        self.world.timers.after(whole, self._created)
        self.fail_at = self.world.now() + datetime.timedelta(seconds=self.world.duration("eks.nodegroup.fail"))

    def _launch(self):
        if self.status in ("DELETING", "CREATE_FAILED") or self.cluster.nodegroups.get(self.name) is not self:
            return
        self.launch_missing()

    def launch_missing(self):
        """The Auto Scaling group launches what it lacks, over its zones in turn; a launch that failed is an activity."""
        whole = self.world.duration("eks.nodegroup.create")
        while len(self.living) < self.scaling["desiredSize"]:
            subnet = self.subnets[self.balancer % len(self.subnets)]
            self.balancer += 1
            kind, refusal = machines.choose_type(self, subnet)
            if refusal:
                scaling.failed(self, refusal)
                # It tries again later, and is told the same.
                self.world.timers.after(max(PAUSE, whole / 2), self._launch)
                self.world.timers.after(self.world.duration("eks.nodegroup.fail") / 4, self._tell, refusal)
                return
            instance = machines.launch(self, subnet, kind)
            self.instances.append(instance)
            scaling.launched(self, instance)
            self.world.timers.after(whole * 0.4, self._boot, instance)

    def _tell(self, refusal):
        """The service itself comes to see it, minutes after the Auto Scaling group."""
        if self.cluster.nodegroups.get(self.name) is self and len(self.living) < self.scaling["desiredSize"]:
            code = "InsufficientFreeAddresses" if "free addresses" in refusal else "AsgInstanceLaunchFailures"
            self.blames(code, refusal, [self.group])
            if self.status == "ACTIVE":
                self.set_status("DEGRADED")

    def _boot(self, instance):
        if instance.state != "launched":
            return
        if not network.has_egress(self.world, instance.subnet) or not network.cluster_reachable(self.cluster, instance.subnet):
            # The kubelet's bootstrap tries again and again.
            self.world.timers.after(max(PAUSE / 10, self.world.seconds(5)), self._boot, instance)
            return
        if self.role in self.cluster.entries or self.cluster.authentication != "API":
            instance.state = "joining"

    def _created(self):
        if self.status != "CREATING" or self.cluster.nodegroups.get(self.name) is not self:
            return
        if len(self.living) >= self.scaling["desiredSize"] and all(instance.is_ready for instance in self.living):
            self.issues = []
            self.set_status("ACTIVE")
        elif self.world.now() < self.fail_at or self._is_coming():
            self.world.timers.after(0.05, self._created)
        else:
            lost = [instance.id for instance in self.living if not instance.is_ready]
            if lost:
                joined = all(instance.state == "joining" for instance in self.living)
                self.blames("NodeCreationFailure", NOT_READY if joined else NOT_JOINED, lost)
            self.set_status("CREATE_FAILED")

    def _is_coming(self):
        """Whether nothing that is modelled here keeps the nodes from being ready: then only this machine is slow."""
        cluster = self.cluster
        has_network = "vpc-cni" in cluster.addons or cluster.asked.get("bootstrapSelfManagedAddons", True)
        joins = len(self.living) >= self.scaling["desiredSize"] and all(instance.state == "joining" for instance in self.living)
        return joins and (self.world.now() - self.created).total_seconds() < (PATIENCE if has_network else CALLER)

    def scale_to_desired(self):
        scaling.follow(self)
        surplus = len(self.living) - self.scaling["desiredSize"]
        # The newest go first, as the default termination policy has it for one launch template.
        for instance in list(reversed(self.living))[:max(surplus, 0)]:
            self.leave(instance, force=True)
        self.launch_missing()

    def leave(self, instance, force):
        if instance.state in ("launched", "joining"):
            instance.state = "leaving"
            instance.force = force
            scaling.terminating(self, instance)

    def left(self, instance):
        """The instance is terminated. Called by the simulation, or by a timer when no API server lives."""
        if instance.state == "gone":
            return
        instance.state = "gone"
        self.instances.remove(instance)
        machines.terminate(self, instance)
        scaling.terminated(self, instance)

    def begin_update(self, kind, params, duration, is_done, finish=None):
        update = self.updates.begin(kind, params, self.world.now())
        self.set_status("UPDATING")
        self.modified = self.world.now()
        begun = self.world.now()
        deadline = begun + datetime.timedelta(seconds=self.world.duration("eks.nodegroup.fail"))

        def end():
            if update.status != "InProgress":
                return
            if is_done():
                if finish:
                    finish()
                update.status = "Successful"
            elif not self.world.scenario.get("eksNodegroupUpdateFails") and (self.world.now() < deadline or (
                    self.world.now() < begun + datetime.timedelta(seconds=PATIENCE) and not any(instance.blocked for instance in self.instances))):
                self.world.timers.after(0.05, end)
                return
            else:
                blocked = [instance.id for instance in self.instances if instance.blocked]
                code = "PodEvictionFailure" if blocked else "NodeCreationFailure"
                message = "Reached max retries while trying to evict pods from nodes in node group " + self.name if blocked else NOT_READY
                update.status = "Failed"
                update.errors = [{"errorCode": code, "errorMessage": message, "resourceIds": blocked}]
                for instance in self.instances:
                    if instance.blocked:
                        instance.state, instance.blocked = "joining", False
            self.cluster.eks.changed("update", update.id, "InProgress", update.status)
            if self.status == "UPDATING":
                self.set_status("ACTIVE")

        self.world.timers.after(self.world.duration(duration), end)
        return update

    def roll(self, force):
        """New instances first, then the old ones are drained: maxUnavailable at a time in the real one, all here."""
        old = list(self.living)
        wanted = self.scaling["desiredSize"]
        self.scaling["desiredSize"] = wanted + len(old)
        self.launch_missing()
        self.scaling["desiredSize"] = wanted

        def done():
            fresh = [instance for instance in self.living if instance not in old]
            if len(fresh) >= wanted and all(instance.is_ready for instance in fresh):
                for instance in old:
                    self.leave(instance, force)
            return len(fresh) >= wanted and not any(instance in self.instances for instance in old)
        return done

    def delete(self):
        self.set_status("DELETING")
        self.modified = self.world.now()
        for update in self.updates.all:
            if update.status == "InProgress":
                update.status = "Cancelled"
        for instance in list(self.living):
            self.leave(instance, force=True)
        self.world.after("eks.nodegroup.delete", self._deleted)

    def _deleted(self):
        stuck = self.world.scenario.get("eksNodegroupDeleteFails")
        if stuck:
            self.blames("Ec2SecurityGroupDeletionFailure", str(stuck), [self.group])
            self.set_status("DELETE_FAILED")
            return
        is_draining = self.instances and self.cluster.is_live and (self.world.now() - self.modified).total_seconds() < PATIENCE
        if is_draining:
            # The nodes go first, as long as there is an API server to ask.
            self.world.timers.after(PAUSE, self._deleted)
            return
        for instance in list(self.instances):
            self.left(instance)
        scaling.delete(self)
        self.world.state(Iam).profiles.pop(f"eks-{self.id}", None)
        self.cluster.nodegroups.pop(self.name, None)
        self.cluster.eks.changed("nodegroup", f"{self.cluster.name}/{self.name}", "DELETING", None)
