"""Templates: parsed and refused as CloudFormation does, references found, values resolved.

JSON only. Ref and Fn::GetAtt, parameters and pseudo parameters; another function is refused, and kept as
something that this program does not model, instead of being half understood.
"""
import json

from ...errors import AwsError
from . import kinds

MAXIMUM = 51_200
SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Resources", "Outputs"}
ENTRIES = {"Type", "Properties", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")


def invalid(text):
    return AwsError("ValidationError", text, 400)


class Template:
    def __init__(self, world, body):
        if len(body.encode()) > MAXIMUM:
            raise invalid(f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {MAXIMUM}")
        try:
            self.document = json.loads(body)
        except ValueError as error:
            raise invalid(f"Template format error: JSON not well-formed. ({error})") from None
        if not isinstance(self.document, dict):
            raise invalid("Template format error: unsupported structure.")
        self.body, self._world = body, world
        unknown = set(self.document) - SECTIONS
        if unknown:
            self._unmodelled(f"template sections {sorted(unknown)}")
            raise invalid(f"Invalid template property or properties [{', '.join(sorted(unknown))}]")
        self.resources = self.document.get("Resources")
        if not isinstance(self.resources, dict) or not self.resources:
            raise invalid("Template format error: At least one Resources member must be defined.")
        self.parameters = self.document.get("Parameters", {})
        self.outputs = self.document.get("Outputs", {})
        self._check_resources()
        self.needs = {logical: self._needs(logical, entry) for logical, entry in self.resources.items()}
        for output in self.outputs.values():
            self._references(output.get("Value"), "Outputs")
        self._check_circles()

    def _unmodelled(self, what):
        self._world.record.violation("fake", "cloudformation", "template", [f"the stand-in does not model {what}"])

    def _check_resources(self):
        if len(self.resources) > 500:
            raise invalid("Template format error: Number of resources, %d, is greater than maximum allowed, 500" % len(self.resources))
        unknown = []
        for logical, entry in self.resources.items():
            if not logical.isalnum():
                raise invalid(f"Template format error: Resource name {logical} is non alphanumeric.")
            if not isinstance(entry, dict) or not isinstance(entry.get("Type"), str):
                raise invalid(f"Template format error: [/Resources/{logical}] Every Resources object must contain a Type member.")
            extra = set(entry) - ENTRIES
            if extra:
                raise invalid(f"Invalid template resource property '{sorted(extra)[0]}'")
            if entry.get("DeletionPolicy", "Delete") not in POLICIES:
                raise invalid(f"Template format error: Unrecognized DeletionPolicy {entry['DeletionPolicy']} for resource {logical}")
            if entry["Type"] not in kinds.KINDS:
                unknown.append(entry["Type"])
        if unknown:
            self._unmodelled(f"the resource types {unknown}")
            raise invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")

    def _needs(self, logical, entry):
        depends = entry.get("DependsOn", [])
        depends = [depends] if isinstance(depends, str) else depends
        missing = [name for name in depends if name not in self.resources]
        if missing:
            raise invalid(f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the Resources block of the template")
        return set(depends) | self._references(entry.get("Properties", {}), "Resources")

    def _references(self, value, block):
        found = set()
        if isinstance(value, dict):
            if len(value) == 1:
                name, argument = next(iter(value.items()))
                if name == "Ref":
                    if argument in self.resources:
                        return {argument}
                    if argument in self.parameters or str(argument).startswith("AWS::"):
                        return set()
                    raise invalid(f"Template format error: Unresolved resource dependencies [{argument}] in the {block} block of the template")
                if name == "Fn::GetAtt":
                    logical, attribute = get_att(argument)
                    if logical not in self.resources:
                        raise invalid(f"Template error: instance of Fn::GetAtt references undefined resource {logical}")
                    kind = kinds.KINDS[self.resources[logical]["Type"]]
                    if attribute not in kind.attributes:
                        raise invalid(f"Template error: resource {logical} does not support attribute type {attribute} in Fn::GetAtt")
                    return {logical}
                if name.startswith("Fn::") or name == "Condition":
                    self._unmodelled(f"the function {name}")
                    raise invalid(f"Template error: the stand-in does not model {name}")
            for below in value.values():
                found |= self._references(below, block)
        elif isinstance(value, list):
            for below in value:
                found |= self._references(below, block)
        return found

    def _check_circles(self):
        left = {logical: set(needs) for logical, needs in self.needs.items()}
        while left:
            free = [logical for logical, needs in left.items() if not needs & left.keys()]
            if not free:
                raise invalid(f"Circular dependency between resources: [{', '.join(sorted(left))}]")
            for logical in free:
                del left[logical]

    def capabilities(self):
        """The capability that the template asks for, or None."""
        needed = None
        for entry in self.resources.values():
            if entry["Type"].startswith("AWS::IAM::"):
                needed = needed or "CAPABILITY_IAM"
                named = {"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::IAM::InstanceProfile": "InstanceProfileName"}
                if named.get(entry["Type"]) in entry.get("Properties", {}):
                    return "CAPABILITY_NAMED_IAM"
        return needed


def get_att(argument):
    if isinstance(argument, str):
        logical, _, attribute = argument.partition(".")
        return logical, attribute
    return argument[0], argument[1]


NO_VALUE = object()


def resolve(value, stack):
    """The value with references replaced by what stands."""
    if isinstance(value, dict):
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return _ref(argument, stack)
            if name == "Fn::GetAtt":
                logical, attribute = get_att(argument)
                resource = stack.resources[logical]
                return kinds.KINDS[resource.type].attribute(stack.context(resource), attribute)
        found = {key: resolve(below, stack) for key, below in value.items()}
        return {key: below for key, below in found.items() if below is not NO_VALUE}
    if isinstance(value, list):
        return [below for below in (resolve(each, stack) for each in value) if below is not NO_VALUE]
    return value


def _ref(name, stack):
    pseudo = {"AWS::Region": stack.world.region, "AWS::AccountId": stack.world.account, "AWS::StackName": stack.name, "AWS::StackId": stack.ident,
              "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": NO_VALUE}
    if name in pseudo:
        return pseudo[name]
    if name in stack.resources:
        resource = stack.resources[name]
        return kinds.KINDS[resource.type].ref(stack.context(resource))
    return stack.parameters[name]
