"""One cluster: what DescribeCluster shows, and its life from CREATING to gone."""
import copy
import threading

from ...control_plane import ControlPlane
from ..iam import Iam
from . import network, versions
from .base import Updates, hexadecimal
from .simulation import Simulation

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


class Cluster:
    def __init__(self, eks, asked, version, vpc, creator):
        self.eks, self.world, self.asked = eks, eks.world, asked
        self.name, self.version, self.vpc = asked["name"], version, vpc
        self.arn = self.world.arn("eks", f"cluster/{self.name}")
        self.status, self.created, self.creator = "CREATING", self.world.now(), creator
        self.role, self.tags = asked["roleArn"], dict(asked.get("tags") or {})
        self.number = str(int(hexadecimal(8), 16))[:10].rjust(10, "1")
        self.health, self.updates = [], Updates()
        self.nodegroups, self.addons, self.entries, self.associations = {}, {}, {}, {}
        self.network_config = self._network_config(asked["resourcesVpcConfig"])
        access = asked.get("accessConfig") or {}
        # The API's own defaults, not those of consoles and tools.
        self.authentication = access.get("authenticationMode", "CONFIG_MAP")
        self.bootstrap_admin = access.get("bootstrapClusterCreatorAdminPermissions", True)
        self.logging = _logging((asked.get("logging") or {}).get("clusterLogging") or [])
        self.support = (asked.get("upgradePolicy") or {}).get("supportType", "EXTENDED")
        self.zonal_shift = (asked.get("zonalShiftConfig") or {}).get("enabled", False)
        self.compute = copy.deepcopy(asked.get("computeConfig"))
        self.storage = copy.deepcopy(asked.get("storageConfig"))
        self.balancing = ((asked.get("kubernetesNetworkConfig") or {}).get("elasticLoadBalancing") or {}).get("enabled", False)
        self.encryption = copy.deepcopy(asked.get("encryptionConfig"))
        self.deletion_protection = asked.get("deletionProtection", False)
        self.group = None
        self.key = f"{self.name}-{self.number}"
        self.control_plane, self.simulation, self.auto, self.authority = None, None, None, None
        # The control plane's interfaces, and how many of the nodes' interfaces were left behind.
        self.interfaces, self.leaked = [], 0

    @staticmethod
    def _network_config(asked):
        return {"subnetIds": list(asked["subnetIds"]), "securityGroupIds": list(asked.get("securityGroupIds") or []),
                "endpointPublicAccess": asked.get("endpointPublicAccess", True), "endpointPrivateAccess": asked.get("endpointPrivateAccess", False),
                "publicAccessCidrs": list(asked.get("publicAccessCidrs") or ["0.0.0.0/0"])}

    @property
    def is_auto(self):
        return bool((self.compute or {}).get("enabled"))

    @property
    def is_live(self):
        return self.status not in ("CREATING", "DELETING", "FAILED")

    # What is shown.

    def describe(self):
        shown = {
            "name": self.name, "arn": self.arn, "createdAt": self.created, "version": self.version, "roleArn": self.role,
            "resourcesVpcConfig": {**copy.deepcopy(self.network_config), "vpcId": self.vpc},
            "kubernetesNetworkConfig": self._kubernetes_network(),
            "logging": self._logging_shown(), "status": self.status, "certificateAuthority": {}, "platformVersion": versions.PLATFORM,
            "tags": dict(self.tags), "health": {"issues": copy.deepcopy(self.health)},
            "accessConfig": {"authenticationMode": self.authentication}, "upgradePolicy": {"supportType": self.support},
            "deletionProtection": self.deletion_protection,
        }
        if self.zonal_shift:
            shown["zonalShiftConfig"] = {"enabled": True}
        if self.bootstrap_admin:
            shown["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] = True
        for name, value in (("computeConfig", self.compute), ("storageConfig", self.storage), ("encryptionConfig", self.encryption)):
            if value:
                shown[name] = copy.deepcopy(value)
        if self.group:
            shown["resourcesVpcConfig"]["clusterSecurityGroupId"] = self.group
        if self.status != "CREATING" and self.authority:
            hidden = None if self.network_config["endpointPublicAccess"] else self.world.scenario.get("eksPrivateEndpoint")
            shown["endpoint"] = hidden or self.control_plane.endpoint
            shown["certificateAuthority"] = {"data": self.authority}
            issuer = f"https://oidc.eks.{self.world.region}.amazonaws.com/id/{self.number}{'0' * 22}"
            shown["identity"] = {"oidc": {"issuer": issuer}}
        return shown

    def _services(self):
        # 172.20/16, unless the VPC lies in 172.16/12 too.
        asked = (self.asked.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr")
        return asked or ("10.100.0.0/16" if network.vpc_cidr(self.world, self.vpc).startswith("172.") else "172.20.0.0/16")

    def _kubernetes_network(self):
        asked = self.asked.get("kubernetesNetworkConfig") or {}
        family, range_ = asked.get("ipFamily", "ipv4"), self._services()
        shown = {"ipFamily": family, "elasticLoadBalancing": {"enabled": self.balancing}}
        shown["serviceIpv6Cidr" if family == "ipv6" else "serviceIpv4Cidr"] = "fd00:ec2::/108" if family == "ipv6" else range_
        return shown

    def _logging_shown(self):
        on = [kind for kind in LOG_TYPES if kind in self.logging]
        off = [kind for kind in LOG_TYPES if kind not in self.logging]
        return {"clusterLogging": [{"types": types, "enabled": enabled} for types, enabled in ((on, True), (off, False)) if types]}

    def set_status(self, status):
        if status != self.status:
            self.eks.changed("cluster", self.name, self.status, status)
            self.status = status

    # Its life.

    def begin(self):
        from . import access

        if self.authentication != "CONFIG_MAP" and self.bootstrap_admin:
            access.bootstrap(self)
        self.let_auto_nodes_in()
        self.control_plane = ControlPlane(self.eks.folder(), self.name, self.eks.webhook.url(self.key), self._services())
        self.simulation = Simulation(self)
        self.control_plane.start()
        self.simulation.start()
        self.world.timers.after(self.world.duration("eks.cluster.create") / 3, self._half_way)
        self.world.after("eks.cluster.create", self._created)

    def let_auto_nodes_in(self):
        """Their entry is of a kind of its own: a role that lets nodes of groups in already lets none of these in."""
        from . import access

        if self.is_auto and self.compute.get("nodeRoleArn"):
            access.own_entry(self, self.compute["nodeRoleArn"], "EC2")

    def may_run_auto_mode(self):
        """Whether its role has what EKS makes and removes machines, volumes and balancers by."""
        from .clusters import missing_policies

        role = self.world.state(Iam).role_of_arn(self.role)
        return role is not None and not missing_policies(role, True)

    def end_auto_mode(self):
        """EKS ends its machines and removes its balancers, not its volumes; without the rights for that they stay."""
        if self.auto and self.may_run_auto_mode():
            for instance in list(self.auto.instances):
                self.auto.left(instance)
            self.auto = None
            self.simulation.balancers.remove_all()

    def _half_way(self):
        if self.status == "CREATING":
            self.group = network.make_cluster_group(self)
            self.interfaces = network.make_control_plane_interfaces(self)

    @property
    def audit_log(self):
        return self.control_plane.cluster_folder / "logs" / "audit.log"

    def _created(self):
        if self.status != "CREATING":
            return
        reason = self.world.scenario.get("eksClusterFails")
        if reason:
            self.health = [{"code": "Other", "message": reason if isinstance(reason, str) else "the scenario says so", "resourceIds": [self.name]}]
            self.set_status("FAILED")
            threading.Thread(target=self.end, daemon=True).start()
            return
        if self.control_plane.error:
            self.world.record.bug(f"control plane of {self.name}", self.control_plane.error)
            self.set_status("FAILED")
            return
        if not self.simulation.prepared.is_set():
            # The real programs are slower than the published duration here.
            self.world.timers.after(0.05, self._created)
            return
        self.authority = self.control_plane.certificate_authority()
        self.set_status("ACTIVE")
        network.log_events(self)

    def begin_update(self, kind, params, duration, finish, status="UPDATING"):
        """One update in flight; `finish` takes effect when it ends."""
        update = self.updates.begin(kind, params, self.world.now())
        if status:
            self.set_status(status)
        self.eks.changed("update", update.id, None, "InProgress")

        def end():
            if update.status != "InProgress":
                return
            if self.world.scenario.get("eksUpdatesStay"):
                self.world.timers.after(0.05, end)
                return
            failure = self.world.scenario.get("eksUpdateFails")
            if failure:
                update.status = "Failed"
                update.errors = [{"errorCode": "Unknown", "errorMessage": str(failure), "resourceIds": [self.name]}]
            else:
                finish()
                update.status = "Successful"
            self.eks.changed("update", update.id, "InProgress", update.status)
            if self.status == "UPDATING":
                self.set_status("ACTIVE")

        self.world.after(duration, end)
        return update

    def delete(self):
        self.set_status("DELETING")
        for update in self.updates.all:
            if update.status == "InProgress":
                update.status = "Cancelled"
        # The API server is gone long before the cluster is.
        threading.Thread(target=self.end, name=f"end of {self.name}", daemon=True).start()
        self.world.timers.after(self.world.duration("eks.cluster.delete") * 0.8, self._release)
        self.world.after("eks.cluster.delete", self._deleted)

    def _release(self):
        network.release_control_plane_interfaces(self)
        if self.auto:
            # Auto Mode's machines and balancers go with the cluster.
            for instance in list(self.auto.instances):
                self.auto.left(instance)
            self.simulation.balancers.remove_all()

    def _deleted(self):
        # EKS tries once: a group that a leaked interface still holds stays behind.
        network.release_control_plane_interfaces(self)
        network.try_to_delete_group(self)
        self.eks.clusters.pop(self.name, None)
        self.eks.changed("cluster", self.name, "DELETING", None)

    def end(self):
        """Its programs and threads end; waits for them, outside the lock."""
        if self.simulation:
            self.simulation.stopping.set()
        if self.control_plane:
            # Before the simulation: it may be waiting for it to answer.
            self.control_plane.stop()
        if self.simulation:
            self.simulation.join()

    def inventory(self):
        yield {"kind": "eks:cluster", "id": self.name, "arn": self.arn, "state": self.status, "tags": dict(self.tags)}
        for nodegroup in self.nodegroups.values():
            yield {"kind": "eks:nodegroup", "id": f"{self.name}/{nodegroup.name}", "arn": nodegroup.arn, "state": nodegroup.status, "tags": dict(nodegroup.tags)}
        for addon in self.addons.values():
            yield {"kind": "eks:addon", "id": f"{self.name}/{addon.name}", "arn": addon.arn, "state": addon.status, "tags": dict(addon.tags)}
        for entry in self.entries.values():
            # What EKS made for itself is not somebody's resource.
            if entry.type == "STANDARD":
                yield {"kind": "eks:access-entry", "id": f"{self.name}/{entry.principal}", "arn": entry.arn, "tags": dict(entry.tags)}
        for association in self.associations.values():
            yield {"kind": "eks:pod-identity-association", "id": association.id, "name": f"{self.name}/{association.namespace}/{association.account}",
                   "arn": association.arn, "tags": dict(association.tags)}


def _logging(setups):
    on = set()
    for setup in setups:
        if setup.get("enabled"):
            on.update(setup.get("types") or [])
        else:
            on.difference_update(setup.get("types") or [])
    return on
