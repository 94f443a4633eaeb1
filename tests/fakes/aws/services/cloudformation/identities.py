"""The types of IAM, CloudWatch Logs and ECR."""
from ...errors import AwsError
from ..iam import Iam
from ..logs import Logs
from .kinds import Kind, kind


def iam(cx):
    return cx.world.state(Iam)


class IamKind(Kind):
    service = "Iam"


@kind("AWS::IAM::Role", "AssumeRolePolicyDocument Description ManagedPolicyArns MaxSessionDuration Path PermissionsBoundary Policies RoleName Tags",
      "Path RoleName", "AssumeRolePolicyDocument", "Arn RoleId")
class Role(IamKind):
    def create(self, cx, properties):
        name = properties.get("RoleName") or cx.generated()
        if len(name) > 64:
            raise AwsError("ValidationError", f"1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64")
        role = iam(cx).create_role(name, properties.get("Path", "/"), properties["AssumeRolePolicyDocument"])
        try:
            self.fill(cx, role, properties)
        except AwsError:
            iam(cx).delete_role(name)
            raise
        return name

    def fill(self, cx, role, properties):
        for arn in properties.get("ManagedPolicyArns", []):
            if not iam(cx).policy_exists(arn):
                raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
        others = [arn for arn in role["attached"] if arn not in (cx.properties or {}).get("ManagedPolicyArns", [])]
        role.update(trust=properties["AssumeRolePolicyDocument"], Description=properties.get("Description"), boundary=properties.get("PermissionsBoundary"),
                    MaxSessionDuration=int(properties.get("MaxSessionDuration", 3600)), tags=cx.tags(properties, marks=False),
                    attached=others + list(properties.get("ManagedPolicyArns", [])))
        role["inline"].update({policy["PolicyName"]: policy["PolicyDocument"] for policy in properties.get("Policies", [])})

    def update(self, cx, before, after):
        role = iam(cx).roles.get(cx.physical)
        if role is None:
            raise AwsError("NoSuchEntity", f"The role with name {cx.physical} cannot be found.", 404)
        for policy in before.get("Policies", []):
            role["inline"].pop(policy["PolicyName"], None)
        attached = set(role["attached"])
        self.fill(cx, role, after)
        if set(role["attached"]) - attached:
            role["attachedSince"] = cx.world.now()

    def delete(self, cx):
        role = iam(cx).roles.get(cx.physical)
        if role and set(role["attached"]) - set(cx.properties.get("ManagedPolicyArns", [])):
            raise AwsError("DeleteConflict", "Cannot delete entity, must detach all policies first.", 409)
        iam(cx).delete_role(cx.physical)

    def attribute(self, cx, name):
        return iam(cx).roles[cx.physical][name]


@kind("AWS::IAM::ManagedPolicy", "Description Groups ManagedPolicyName Path PolicyDocument Roles Users", "ManagedPolicyName Description Path", "PolicyDocument",
      "PolicyArn PolicyId", tagged=False)
class ManagedPolicy(IamKind):
    def create(self, cx, properties):
        arn = cx.world.arn("iam", f"policy{properties.get('Path', '/')}{properties.get('ManagedPolicyName') or cx.generated(128)}", "")
        if arn in iam(cx).policies:
            raise AwsError("EntityAlreadyExists", f"A policy called {arn.rsplit('/', 1)[1]} already exists. Duplicate names are not allowed.", 409)
        iam(cx).policies[arn] = {"document": properties["PolicyDocument"], "tags": {}, "PolicyId": cx.world.new_id("ANPA").upper()}
        self.put(cx, arn, [], properties.get("Roles", []))
        return arn

    def put(self, cx, arn, before, after):
        for name in set(before) - set(after):
            if name in iam(cx).roles and arn in iam(cx).roles[name]["attached"]:
                iam(cx).roles[name]["attached"].remove(arn)
        for name in after:
            if name not in iam(cx).roles:
                raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
            iam(cx).attach(iam(cx).roles[name], arn)

    def update(self, cx, before, after):
        iam(cx).policies[cx.physical]["document"] = after["PolicyDocument"]
        self.put(cx, cx.physical, before.get("Roles", []), after.get("Roles", []))

    def delete(self, cx):
        self.put(cx, cx.physical, cx.properties.get("Roles", []), [])
        if any(cx.physical in role["attached"] for role in iam(cx).roles.values()):
            raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
        iam(cx).policies.pop(cx.physical, None)

    def attribute(self, cx, name):
        return iam(cx).policies[cx.physical]["PolicyId"] if name == "PolicyId" else cx.physical


@kind("AWS::IAM::Policy", "Groups PolicyDocument PolicyName Roles Users", "", "PolicyDocument PolicyName", "Id", tagged=False)
class Policy(IamKind):
    def create(self, cx, properties):
        if not properties.get("Roles"):
            raise AwsError("InvalidRequest", "At least one of [Groups,Roles,Users] must be non-empty.")
        for name in properties["Roles"]:
            if name not in iam(cx).roles:
                raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
            iam(cx).roles[name]["inline"][properties["PolicyName"]] = properties["PolicyDocument"]
        return cx.generated(128)

    def update(self, cx, before, after):
        self.remove(cx, before)
        self.create(cx, after)

    def remove(self, cx, properties):
        for name in properties["Roles"]:
            if name in iam(cx).roles:
                iam(cx).roles[name]["inline"].pop(properties["PolicyName"], None)

    def delete(self, cx):
        self.remove(cx, cx.properties)


@kind("AWS::IAM::InstanceProfile", "InstanceProfileName Path Roles", "InstanceProfileName Path", "Roles", "Arn", tagged=False)
class InstanceProfile(IamKind):
    def create(self, cx, properties):
        name = properties.get("InstanceProfileName") or cx.generated(128)
        if name in iam(cx).profiles:
            raise AwsError("EntityAlreadyExists", f"Instance Profile {name} already exists.", 409)
        iam(cx).profiles[name] = {"roles": list(properties["Roles"]), "tags": {}, "arn": cx.world.arn("iam", f"instance-profile{properties.get('Path', '/')}{name}", "")}
        return name

    def update(self, cx, before, after):
        iam(cx).profiles[cx.physical]["roles"] = list(after["Roles"])

    def delete(self, cx):
        iam(cx).profiles.pop(cx.physical, None)

    def attribute(self, cx, name):
        return iam(cx).profiles[cx.physical]["arn"]


@kind("AWS::Logs::LogGroup", "KmsKeyId LogGroupClass LogGroupName RetentionInDays Tags DeletionProtectionEnabled", "LogGroupName", "", "Arn")
class LogGroup(Kind):
    service = "CloudWatchLogs"

    def create(self, cx, properties):
        name = properties.get("LogGroupName") or cx.generated(512)
        retention = properties.get("RetentionInDays")
        cx.world.state(Logs).create(name, cx.tags(properties), int(retention) if retention else None, properties.get("KmsKeyId"))
        return name

    def update(self, cx, before, after):
        group = cx.world.state(Logs).groups.get(cx.physical)
        if group is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        group["tags"] = cx.tags(after)
        group.pop("retentionInDays", None)
        if after.get("RetentionInDays"):
            group["retentionInDays"] = int(after["RetentionInDays"])

    def delete(self, cx):
        cx.world.state(Logs).delete(cx.physical)

    def attribute(self, cx, name):
        return cx.world.state(Logs).groups[cx.physical]["arn"]
