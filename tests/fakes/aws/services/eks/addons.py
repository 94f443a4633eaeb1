"""EKS add-ons: their versions, their life, and the objects that they put into the cluster."""
import copy
import json

from . import operations, pod_identity, versions
from .base import Updates, in_use, invalid, new_id, not_found, page, refused
from .state import Eks

# Real seconds that the programs of this machine may take for what a cluster does at once, whatever the speed.
PATIENCE = 120
TOO_FEW = "The add-on is unhealthy because it doesn't have the desired number of replicas."


class Addon:
    def __init__(self, cluster, kind, asked):
        self.cluster, self.world, self.kind, self.name = cluster, cluster.world, kind, kind.name
        self.version = asked.get("addonVersion") or kind.default(cluster.version)
        self.configuration = asked.get("configurationValues")
        self.role, self.tags = asked.get("serviceAccountRoleArn"), dict(asked.get("tags") or {})
        self.arn = self.world.arn("eks", f"addon/{cluster.name}/{self.name}/{new_id()}")
        self.status, self.created = "CREATING", self.world.now()
        self.modified, self.issues, self.updates, self.associations = self.created, [], Updates(), []
        # Set by the simulation: whether what the add-on runs is ready.
        self.is_ready, self.preserve, self.waits_since = False, False, None

    def describe(self):
        shown = {"addonName": self.name, "clusterName": self.cluster.name, "status": self.status, "addonVersion": self.version,
                 "health": {"issues": copy.deepcopy(self.issues)}, "addonArn": self.arn, "createdAt": self.created, "modifiedAt": self.modified,
                 "tags": dict(self.tags), "publisher": "eks", "owner": "aws", "namespaceConfig": {"namespace": self.kind.namespace}}
        if self.role:
            shown["serviceAccountRoleArn"] = self.role
        if self.configuration:
            shown["configurationValues"] = self.configuration
        if self.associations:
            shown["podIdentityAssociations"] = [association.arn for association in self.associations]
        return shown

    def values(self):
        return json.loads(self.configuration) if self.configuration else {}

    def set_status(self, status):
        if status != self.status:
            self.cluster.eks.changed("addon", f"{self.cluster.name}/{self.name}", self.status, status)
            self.status = status

    @property
    def is_there(self):
        return self.cluster.addons.get(self.name) is self

    def settle(self):
        """After its time: ACTIVE once its workload is ready; DEGRADED when there is no node for it, or it takes too long."""
        if not self.is_there or self.status not in ("CREATING", "DEGRADED", "ACTIVE", "UPDATING"):
            return
        failure = self.world.scenario.get("eksAddonFails", {}).get(self.name)
        if failure:
            self.issues = [{"code": "ConfigurationConflict", "message": str(failure), "resourceIds": []}]
            self.set_status("CREATE_FAILED" if self.status == "CREATING" else "DEGRADED")
            return
        if self.is_ready:
            self.issues, self.waits_since = [], None
            self.set_status("ACTIVE")
            return
        self.waits_since = self.waits_since or self.world.now()
        has_place = self.cluster.simulation.nodes.usable or self.kind.workload == "DaemonSet"
        if has_place and (self.world.now() - self.waits_since).total_seconds() < PATIENCE and self.status != "DEGRADED":
            self.world.timers.after(0.05, self.settle)
            return
        self.issues = [{"code": "InsufficientNumberOfReplicas", "message": TOO_FEW, "resourceIds": []}]
        self.set_status("DEGRADED")
        self.world.timers.after(0.05, self.settle)

    def associate(self, asked):
        """All associations are replaced by those that are asked for."""
        for association in self.associations:
            self.cluster.associations.pop(association.id, None)
        self.associations = []
        for each in asked:
            self.associations.append(pod_identity.add(self.cluster, self.kind.namespace, each["serviceAccount"], each["roleArn"], owner=self.arn))

    def gone(self):
        if self.is_there:
            self.associate([])
            del self.cluster.addons[self.name]
            self.cluster.eks.changed("addon", f"{self.cluster.name}/{self.name}", "DELETING", None)


def _kind(name):
    kind = versions.ADDONS.get(name)
    if kind is None:
        raise invalid(f"Addon {name} specified is not supported", addonName=name)
    return kind


def _check(cluster, kind, asked):
    fields = {"clusterName": cluster.name, "addonName": kind.name}
    version = asked.get("addonVersion")
    if version and version not in kind.versions(cluster.version):
        raise invalid(f"Addon version specified is not supported: {version} for cluster version {cluster.version}", **fields)
    if asked.get("configurationValues"):
        try:
            values = json.loads(asked["configurationValues"])
        except ValueError as error:
            raise invalid("ConfigurationValue provided in request is not supported: it is no JSON", **fields) from error
        for name, value in values.items():
            expected = kind.schema.get(name)
            types = {"string": str, "object": dict, "array": list, "integer": int, "boolean": bool}
            if expected is None:
                raise invalid(f"ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
                              f"[$.{name}: is not defined in the schema and the schema does not allow additional properties]", **fields)
            if not isinstance(value, types[expected]):
                raise invalid(f"ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
                              f"[$.{name}: {type(value).__name__} found, {expected} expected]", **fields)
    for each in asked.get("podIdentityAssociations") or []:
        pod_identity.check_role(cluster.world, each["roleArn"])


def _find(call):
    cluster = call.world.state(Eks).find(call.parameters["clusterName"])
    addon = cluster.addons.get(call.parameters["addonName"])
    if addon is None:
        raise not_found(f"No addon: {call.parameters['addonName']} found in cluster: {cluster.name}", clusterName=cluster.name,
                        addonName=call.parameters["addonName"])
    return addon


@operations("CreateAddon")
def create_addon(call):
    eks, asked = call.world.state(Eks), call.parameters

    def act():
        cluster, kind = eks.find(asked["clusterName"]), _kind(asked["addonName"])
        if kind.name in cluster.addons:
            raise in_use("Addon already exists.", clusterName=cluster.name, addonName=kind.name)
        if cluster.status not in ("ACTIVE", "UPDATING"):
            raise refused("Addons cannot be created when the cluster is not in ACTIVE status", clusterName=cluster.name, addonName=kind.name)
        _check(cluster, kind, asked)
        addon = Addon(cluster, kind, asked)
        addon.associate(asked.get("podIdentityAssociations") or [])
        cluster.addons[kind.name] = addon
        eks.changed("addon", f"{cluster.name}/{kind.name}", None, "CREATING")
        call.world.after("eks.addon.create", addon.settle)
        return {"addon": addon.describe()}
    return eks.tokens.answer("CreateAddon", asked, act)


@operations("DescribeAddon")
def describe_addon(call):
    addon = _find(call)
    if not call.world.state(Eks).seen(addon, "DescribeAddon"):
        raise not_found(f"No addon: {addon.name} found in cluster: {addon.cluster.name}", clusterName=addon.cluster.name, addonName=addon.name)
    return {"addon": addon.describe()}


@operations("ListAddons")
def list_addons(call):
    return page(sorted(call.world.state(Eks).find(call.parameters["clusterName"]).addons), call.parameters, "addons")


@operations("UpdateAddon")
def update_addon(call):
    eks, asked = call.world.state(Eks), call.parameters

    def act():
        addon = _find(call)
        fields = {"clusterName": addon.cluster.name, "addonName": addon.name}
        if addon.updates.in_flight() or addon.status in ("CREATING", "UPDATING", "DELETING"):
            raise in_use(f"Addon {addon.name} cannot be updated as it is currently in {addon.status} state", **fields)
        _check(addon.cluster, addon.kind, asked)
        params = []
        for name, key in (("AddonVersion", "addonVersion"), ("ServiceAccountRoleArn", "serviceAccountRoleArn"), ("ResolveConflicts", "resolveConflicts"),
                          ("ConfigurationValues", "configurationValues")):
            if asked.get(key):
                params.append((name, asked[key]))
        if asked.get("podIdentityAssociations") is not None:
            params.append(("PodIdentityAssociations", json.dumps(asked["podIdentityAssociations"])))
        failure = call.world.scenario.get("eksAddonFails", {}).get(addon.name)
        if not failure:
            # One that fails applies nothing.
            addon.version = asked.get("addonVersion") or addon.version
            addon.configuration = asked["configurationValues"] if "configurationValues" in asked else addon.configuration
            addon.role = asked.get("serviceAccountRoleArn") or addon.role
            if asked.get("podIdentityAssociations") is not None:
                addon.associate(asked["podIdentityAssociations"])
        addon.modified = call.world.now()
        update = addon.updates.begin("AddonUpdate", params, call.world.now())
        addon.set_status("UPDATING")

        def end():
            if update.status != "InProgress" or not addon.is_there:
                return
            if failure:
                update.status = "Failed"
                update.errors = [{"errorCode": "ConfigurationConflict", "errorMessage": str(failure), "resourceIds": []}]
                addon.set_status("UPDATE_FAILED")
            else:
                update.status = "Successful"
                addon.settle()
            addon.cluster.eks.changed("update", update.id, "InProgress", update.status)
        call.world.after("eks.addon.update", end)
        return {"update": update.describe()}
    return eks.tokens.answer("UpdateAddon", asked, act)


@operations("DeleteAddon")
def delete_addon(call):
    addon = _find(call)
    if addon.status == "DELETING":
        raise in_use(f"Addon {addon.name} is already in DELETING state", clusterName=addon.cluster.name, addonName=addon.name)
    addon.preserve = call.get("preserve", False)
    addon.set_status("DELETING")
    call.world.after("eks.addon.delete", addon.gone)
    return {"addon": addon.describe()}


@operations("DescribeAddonVersions")
def describe_addon_versions(call):
    asked = call.parameters
    if asked.get("addonName"):
        _kind(asked["addonName"])
    wanted = asked.get("kubernetesVersion")
    minors = [minor for minor in versions.NAMES if wanted in (None, minor)]
    found = [kind.describe(minors) for kind in versions.ADDONS.values()
             if asked.get("addonName") in (None, kind.name)
             and (not asked.get("types") or kind.type in asked["types"])
             and (not asked.get("owners") or "aws" in asked["owners"])
             and (not asked.get("publishers") or "eks" in asked["publishers"])]
    return page(found, asked, "addons")


@operations("DescribeAddonConfiguration")
def describe_addon_configuration(call):
    kind, version = _kind(call.parameters["addonName"]), call.parameters["addonVersion"]
    if not any(version in kind.versions(minor) for minor in versions.NAMES):
        raise invalid(f"Addon version specified is not supported: {version}", addonName=kind.name)
    answer = {"addonName": kind.name, "addonVersion": version, "configurationSchema": kind.configuration_schema()}
    if kind.policy:
        answer["podIdentityConfiguration"] = [{"serviceAccount": kind.account, "recommendedManagedPolicies": [versions.POLICY + kind.policy]}]
    return answer
