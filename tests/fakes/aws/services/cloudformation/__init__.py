"""CloudFormation: stacks of the resource types that a network and its roles need."""
from .. import Operations
from . import identities, networks  # noqa: F401: they register their types
from .stack import Stack
from .template import Template, invalid
from ..filters import tag_list, tag_map
from ...errors import AwsError

operations = Operations()

__all__ = ["CloudFormation", "operations"]

TERMINAL = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


class CloudFormation:
    def __init__(self, world):
        self.world = world
        # Every stack that ever was, by id; by name the one that stands.
        self.stacks, self.tokens = {}, {}

    def standing(self, name):
        return next((stack for stack in self.stacks.values() if stack.name == name and stack.status != "DELETE_COMPLETE"), None)

    def find(self, name_or_id):
        if name_or_id.startswith("arn:"):
            return self.stacks.get(name_or_id)
        return self.standing(name_or_id)

    def inventory(self):
        for stack in self.stacks.values():
            if stack.status != "DELETE_COMPLETE":
                yield {"kind": "cloudformation:stack", "id": stack.name, "arn": stack.ident, "state": stack.status, "tags": stack.tags}


def _stack(call, text="Stack with id {} does not exist"):
    name = call.parameters["StackName"]
    stack = call.world.state(CloudFormation).find(name)
    if stack is None:
        raise invalid(text.format(name))
    late = call.world.lag("cloudformation", call.action)
    if late and (call.world.now() - stack.created).total_seconds() < late:
        raise invalid(text.format(name))
    return stack


def _repeated(call, stack):
    """Whether this very call was made before: a token is good for one call and its repetitions."""
    token = call.get("ClientRequestToken")
    if not token:
        return False
    tokens = call.world.state(CloudFormation).tokens
    key, meant = (token, call.action), (stack.name if stack else call.parameters["StackName"])
    if key in tokens:
        if tokens[key] != meant:
            raise AwsError("TokenAlreadyExistsException", f"Token {token} is already used for another stack", 400)
        return True
    tokens[key] = meant
    return False


def _template(call, stack=None):
    if call.get("UsePreviousTemplate") and stack is not None:
        return stack.template
    body = call.get("TemplateBody")
    if body is None:
        raise invalid("Either Template URL or Template Body must be specified.")
    template = Template(call.world, body)
    needed, given = template.capabilities(), call.get("Capabilities", [])
    if needed and needed not in given and not (needed == "CAPABILITY_IAM" and "CAPABILITY_NAMED_IAM" in given):
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]", 400)
    return template


def _parameters(call, template, stack=None):
    given = {}
    for parameter in call.get("Parameters", []):
        key = parameter["ParameterKey"]
        given[key] = stack.parameters.get(key) if parameter.get("UsePreviousValue") and stack else parameter.get("ParameterValue")
    extra = set(given) - set(template.parameters)
    if extra:
        raise invalid(f"Parameters: [{', '.join(sorted(extra))}] do not exist in the template")
    values = {name: given.get(name, entry.get("Default")) for name, entry in template.parameters.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def _tags(call):
    tags = tag_map(call.get("Tags"))
    if len(tags) > 50 or any(key.startswith("aws:") for key in tags):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    return tags


@operations("CreateStack")
def create_stack(call):
    state, name = call.world.state(CloudFormation), call.parameters["StackName"]
    if call.get("DisableRollback") is not None and call.get("OnFailure"):
        raise invalid("You can specify either DisableRollback or OnFailure, but not both.")
    stack = state.standing(name)
    if stack is not None and _repeated(call, stack) and stack.options.get("ClientRequestToken") == call.get("ClientRequestToken"):
        return {"StackId": stack.ident}
    if stack is not None:
        raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists", 400)
    template = _template(call)
    options = {key: call.get(key) for key in ("DisableRollback", "OnFailure", "ClientRequestToken", "RetainExceptOnCreate", "EnableTerminationProtection", "Capabilities")}
    stack = Stack(call.world, name, template, _tags(call), _parameters(call, template), options)
    if call.get("ClientRequestToken"):
        state.tokens[call.parameters["ClientRequestToken"], call.action] = name
    state.stacks[stack.ident] = stack
    stack.caller = call.identity
    stack.start()
    return {"StackId": stack.ident}


@operations("UpdateStack")
def update_stack(call):
    stack = _stack(call, "Stack [{}] does not exist")
    token = call.get("ClientRequestToken")
    if token and stack.token == token and (token, call.action) in call.world.state(CloudFormation).tokens:
        return {"StackId": stack.ident}
    keeps = bool(call.get("DisableRollback"))
    if stack.status in ("CREATE_FAILED", "UPDATE_FAILED"):
        if not keeps:
            raise invalid(f"This stack is currently in a non-terminal [{stack.status}] state. To update the stack from this state, please use the disable-rollback "
                          "parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API.")
    elif stack.status not in TERMINAL:
        raise invalid(f"Stack:{stack.ident} is in {stack.status} state and can not be updated.")
    template = _template(call, stack)
    parameters = _parameters(call, template, stack)
    tags = _tags(call) if call.get("Tags") is not None else stack.tags
    same = all(template.document.get(section) == stack.template.document.get(section) for section in ("Resources", "Outputs", "Parameters"))
    if same and parameters == stack.parameters and tags == stack.tags and stack.status in TERMINAL:
        raise invalid("No updates are to be performed.")
    _repeated(call, stack)
    stack.caller = call.identity
    stack.update(template, tags, parameters, {"DisableRollback": keeps, "ClientRequestToken": token})
    return {"StackId": stack.ident}


@operations("DeleteStack")
def delete_stack(call):
    stack = call.world.state(CloudFormation).find(call.parameters["StackName"])
    if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
        return {}
    if stack.options.get("EnableTerminationProtection"):
        raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    if stack.status.endswith("_IN_PROGRESS") and stack.status not in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "REVIEW_IN_PROGRESS"):
        raise invalid(f"Stack [{stack.ident}] cannot be deleted while in status {stack.status}")
    retained = call.get("RetainResources", [])
    if (retained or call.get("DeletionMode") == "FORCE_DELETE_STACK") and stack.status != "DELETE_FAILED":
        raise invalid(f"Invalid operation on stack [{stack.ident}]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.")
    stack.caller = call.identity
    stack.delete(retained, {"ClientRequestToken": call.get("ClientRequestToken"), "DeletionMode": call.get("DeletionMode")})
    return {}


@operations("CancelUpdateStack")
def cancel_update_stack(call):
    stack = _stack(call, "Stack [{}] does not exist")
    if stack.status != "UPDATE_IN_PROGRESS":
        raise invalid("CancelUpdateStack cannot be called from current stack status")
    stack.roll_back_update("User Initiated")


@operations("ContinueUpdateRollback")
def continue_update_rollback(call):
    stack = _stack(call, "Stack [{}] does not exist")
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.ident} is in {stack.status} state and can not continue its rollback.")
    stack.continue_rollback(call.get("ResourcesToSkip", []))
    return {}


@operations("RollbackStack")
def rollback_stack(call):
    stack = _stack(call, "Stack [{}] does not exist")
    if stack.status == "UPDATE_FAILED" and stack.before and stack.before["status"] in TERMINAL:
        stack.roll_back_update("User Initiated")
    elif stack.status in ("CREATE_FAILED", "UPDATE_FAILED"):
        stack.roll_back()
    else:
        raise invalid(f"Stack:{stack.ident} is in {stack.status} state and can not be rolled back.")
    return {"StackId": stack.ident}


@operations("UpdateTerminationProtection")
def update_termination_protection(call):
    stack = _stack(call)
    stack.options["EnableTerminationProtection"] = call.parameters["EnableTerminationProtection"]
    return {"StackId": stack.ident}


def _shown(stack):
    shown = {"StackId": stack.ident, "StackName": stack.name, "CreationTime": stack.created, "StackStatus": stack.status,
             "DisableRollback": bool(stack.options.get("DisableRollback")), "NotificationARNs": [], "RollbackConfiguration": {},
             "EnableTerminationProtection": bool(stack.options.get("EnableTerminationProtection")), "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
             "Tags": tag_list(stack.tags), "Outputs": list(stack.outputs.values()), "Capabilities": stack.options.get("Capabilities") or [],
             "Parameters": [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in stack.parameters.items()]}
    if stack.template.document.get("Description"):
        shown["Description"] = stack.template.document["Description"]
    for key, value in (("StackStatusReason", stack.reason), ("LastUpdatedTime", stack.updated), ("DeletionTime", stack.deleted)):
        if value:
            shown[key] = value
    return shown


@operations("DescribeStacks")
def describe_stacks(call):
    if call.get("StackName"):
        return {"Stacks": [_shown(_stack(call))]}
    return {"Stacks": [_shown(stack) for stack in call.world.state(CloudFormation).stacks.values() if stack.status != "DELETE_COMPLETE"]}


@operations("ListStacks")
def list_stacks(call):
    wanted = call.get("StackStatusFilter")
    found = []
    for stack in call.world.state(CloudFormation).stacks.values():
        if not wanted or stack.status in wanted:
            shown = _shown(stack)
            found.append({key: shown[key] for key in ("StackId", "StackName", "CreationTime", "LastUpdatedTime", "DeletionTime", "StackStatus", "StackStatusReason", "DriftInformation") if key in shown})
    return {"StackSummaries": found}


def _paged(call, found, member, size=100):
    token = call.get("NextToken")
    start = int(token) if token and token.isdigit() else 0
    answer = {member: found[start:start + size]}
    if len(found) > start + size:
        answer["NextToken"] = str(start + size)
    return answer


@operations("DescribeStackEvents")
def describe_stack_events(call):
    stack = _stack(call, "Stack [{}] does not exist")
    token = call.get("NextToken")
    # A token holds its place from the oldest side: new events do not move a page that is being read.
    end = int(token) if token and token.isdigit() else len(stack.events)
    events = stack.events[len(stack.events) - end:]
    answer = {"StackEvents": events[:100]}
    if len(events) > 100:
        answer["NextToken"] = str(end - 100)
    return answer


def _resource(stack, resource, detail=False):
    shown = {"LogicalResourceId": resource.logical, "ResourceType": resource.type, "ResourceStatus": resource.status,
             "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"}}
    if resource.physical:
        shown["PhysicalResourceId"] = resource.physical
    if resource.reason:
        shown["ResourceStatusReason"] = resource.reason
    if detail:
        shown |= {"StackId": stack.ident, "StackName": stack.name}
    return shown


@operations("DescribeStackResources")
def describe_stack_resources(call):
    if call.get("PhysicalResourceId"):
        wanted = call.parameters["PhysicalResourceId"]
        stacks = [stack for stack in call.world.state(CloudFormation).stacks.values() if any(resource.physical == wanted for resource in stack.resources.values())]
        if not stacks:
            raise invalid(f"Stack for {wanted} does not exist")
        stack = stacks[0]
    else:
        stack = _stack(call)
    logical = call.get("LogicalResourceId")
    found = [_resource(stack, resource, True) | {"Timestamp": resource.updated} for resource in stack.resources.values() if not logical or resource.logical == logical]
    return {"StackResources": found[:100]}


@operations("DescribeStackResource")
def describe_stack_resource(call):
    stack, logical = _stack(call), call.parameters["LogicalResourceId"]
    if logical not in stack.resources:
        raise invalid(f"Resource {logical} does not exist for stack {stack.name}")
    resource = stack.resources[logical]
    return {"StackResourceDetail": _resource(stack, resource, True) | {"LastUpdatedTimestamp": resource.updated}}


@operations("ListStackResources")
def list_stack_resources(call):
    stack = _stack(call)
    return _paged(call, [_resource(stack, resource) | {"LastUpdatedTimestamp": resource.updated} for resource in stack.resources.values()], "StackResourceSummaries")


@operations("GetTemplate")
def get_template(call):
    return {"TemplateBody": _stack(call).template.body, "StagesAvailable": ["Original", "Processed"]}


@operations("ValidateTemplate")
def validate_template(call):
    template = Template(call.world, call.get("TemplateBody", ""))
    needed = template.capabilities()
    return {"Parameters": [{"ParameterKey": name} for name in template.parameters], "Capabilities": [needed] if needed else [],
            **({"Description": template.document["Description"]} if "Description" in template.document else {})}
