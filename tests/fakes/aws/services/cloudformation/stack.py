"""A stack: its states, its resources and its events, through create, update, rollback and delete."""
import copy
import fnmatch
import json
import secrets
import uuid

from ...errors import AwsError
from . import kinds, rights
from .kinds import Context
from .template import resolve
from .walk import Walk

# A thing that something else holds is tried again for this long before it counts as failed.
PATIENCE = 300


class Lacking(AwsError):
    """A right that CloudFormation needs of the caller and does not have."""

    def __init__(self, action, error):
        super().__init__(error.code, error.message, error.status)
        self.action = action

    def words(self):
        """EC2 leaves out who lacks what, others say it."""
        said = "You are not authorized to perform this operation." if self.action.startswith("ec2:") else self.message
        return f"API: {self.action} {said}"


class Resource:
    def __init__(self, logical, kind):
        self.logical, self.type = logical, kind
        self.physical = self.properties = self.status = self.reason = None
        self.tags, self.entry, self.updated = {}, {}, None


class Stack:
    def __init__(self, world, name, template, tags, parameters, options):
        self.world, self.name, self.template, self.tags, self.parameters = world, name, template, tags, parameters
        self.ident = world.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")
        self.options = options
        self.resources, self.events, self.walk, self.outputs = {}, [], None, {}
        self.status = self.reason = self.updated = self.deleted = None
        self.created = world.now()
        # What an update can be taken back to: template, tags, parameters and each touched resource as it was.
        self.before, self.touched, self.leftover, self.token = None, {}, [], None
        # In whose name the resources are made: the rights of the last caller count.
        self.caller = None

    # States and events

    def context(self, resource):
        return Context(self.world, self, resource)

    def enter(self, status, reason=None):
        self.world.record.state("cloudformation", f"stack/{self.name}", self.status, status)
        self.status, self.reason = status, reason
        self._event(str(uuid.uuid4()), self.name, self.ident, "AWS::CloudFormation::Stack", status, reason)

    def mark(self, resource, status, reason=None, again=False):
        if not again:
            self.world.record.state("cloudformation", f"{self.name}/{resource.logical}", resource.status, status, type=resource.type)
        resource.status, resource.reason, resource.updated = status, reason, self.world.now()
        properties = json.dumps(resource.properties or resource.entry.get("Properties", {}))
        stamp = resource.updated.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        self._event(f"{resource.logical}-{status}-{stamp}-{secrets.token_hex(2)}" if again else f"{resource.logical}-{status}-{stamp}",
                    resource.logical, resource.physical or "", resource.type, status, reason, properties)

    def _event(self, ident, logical, physical, kind, status, reason, properties=None):
        event = {"StackId": self.ident, "EventId": ident, "StackName": self.name, "LogicalResourceId": logical, "PhysicalResourceId": physical,
                 "ResourceType": kind, "Timestamp": self.world.now(), "ResourceStatus": status}
        if reason:
            event["ResourceStatusReason"] = reason
        if properties:
            event["ResourceProperties"] = properties
        if self.token:
            event["ClientRequestToken"] = self.token
        self.events.insert(0, event)

    def failure(self, resource, error):
        """The reason in CloudFormation's words."""
        service = kinds.KINDS[resource.type].service
        if isinstance(error, Lacking):
            return error.words()
        if error.code == "InvalidRequest":
            return f"Properties validation failed for resource {resource.logical} with message:\n{error.message}"
        codes = {"AlreadyExists": "AlreadyExists", "DependencyViolation": "InvalidRequest", "NotFound": "NotFound", "NoSuchEntity": "NotFound",
                 "Limit": "ServiceLimitExceeded", "Denied": "AccessDenied", "Unauthorized": "AccessDenied", "Duplicate": "AlreadyExists"}
        code = next((value for part, value in codes.items() if part in error.code), "InvalidRequest")
        return (f'Resource handler returned message: "{error.message} (Service: {service}, Status Code: {error.status or 400}, Request ID: {uuid.uuid4()})" '
                f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})")

    def stuck(self, resource, on):
        """The scenario's reason why this resource fails now, or None."""
        for rule in self.world.scenario.get("stuckResources", []):
            fits = fnmatch.fnmatchcase(resource.logical, rule.get("logicalId", "*")) and fnmatch.fnmatchcase(self.name, rule.get("stack", "*"))
            if fits and fnmatch.fnmatchcase(resource.type, rule.get("type", "*")) and rule.get("on", "create") == on and rule.get("times", 1) > 0:
                rule["times"] = rule.get("times", 1) - 1
                return rule.get("reason", f"Resource handler returned message: \"Service unavailable\" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: InternalFailure)")
        return None

    def allowed(self, actions):
        """The caller's rights, asked one by one as the calls would be made."""
        for action in actions:
            try:
                self.world.require(self.caller, action)
            except AwsError as error:
                raise Lacking(action, error) from error

    def after(self, logical, seconds, action, *arguments):
        walk = self.walk
        walk.timer(logical, self.world.timers.after(seconds, action, *arguments))

    def seconds(self, resource, on):
        name = f"{resource.type}.{on}" if on else resource.type
        try:
            return self.world.duration(name)
        except KeyError:
            return self.world.seconds(3)

    # Create

    def start(self):
        self.token = self.options.get("ClientRequestToken")
        self.enter("CREATE_IN_PROGRESS", "User Initiated")
        # Made known at once: a resource that fails early must be there to be described.
        self.world.after("cloudformation.start", self._create)

    def _create(self):
        if self.status != "CREATE_IN_PROGRESS":
            return
        self.walk = Walk(self.template.resources, self.template.needs, self.make, self._created, self._cancelled, self.keeps)
        self.walk.pump()

    @property
    def keeps(self):
        return bool(self.options.get("DisableRollback")) or self.options.get("OnFailure") == "DO_NOTHING"

    def _cancelled(self, logical):
        resource = self.resources[logical]
        verb = resource.status.split("_")[0]
        word = {"CREATE": "creation", "UPDATE": "update", "DELETE": "deletion"}[verb]
        self.mark(resource, f"{verb}_FAILED", f"Resource {word} cancelled")

    def make(self, logical):
        """Creates a resource of the current template."""
        entry = self.template.resources[logical]
        resource = self.resources.get(logical)
        if resource is None or resource.type != entry["Type"]:
            resource = self.resources[logical] = Resource(logical, entry["Type"])
        resource.entry, resource.physical, resource.properties = entry, None, None
        self.mark(resource, "CREATE_IN_PROGRESS")
        reason = self.stuck(resource, "create")
        if reason:
            self.after(logical, self.seconds(resource, None), self._failed, resource, "CREATE_FAILED", reason)
            return
        kind, cx = kinds.KINDS[resource.type], self.context(resource)
        try:
            properties = resolve(entry.get("Properties", {}), self)
            kind.check(properties)
            self.allowed(rights.to_create(resource.type, properties, kind.tagged and self.tags))
            resource.physical = kind.create(cx, properties)
        except AwsError as error:
            self._failed(resource, "CREATE_FAILED", self.failure(resource, error))
            return
        resource.properties, resource.tags = properties, dict(self.tags)
        self.mark(resource, "CREATE_IN_PROGRESS", "Resource creation Initiated", again=True)
        self.after(logical, self.seconds(resource, None), self._stands, resource)

    def _failed(self, resource, status, reason):
        self.mark(resource, status, reason)
        self.walk.finish(resource.logical, False)

    def _stands(self, resource):
        kinds.KINDS[resource.type].made(self.context(resource))
        self.mark(resource, "CREATE_COMPLETE")
        self.walk.finish(resource.logical, True)

    def _created(self):
        failed = [resource.logical for resource in self.resources.values() if resource.status == "CREATE_FAILED"]
        if not failed:
            self.world.after("cloudformation.finish", self._finish, "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
            return
        text = f"The following resource(s) failed to create: [{', '.join(failed)}]. "
        if self.keeps:
            self.enter("CREATE_FAILED", text)
        elif self.options.get("OnFailure") == "DELETE":
            self.enter("DELETE_IN_PROGRESS", text + "Delete requested by user.")
            self._remove(list(self.resources), "DELETE_COMPLETE", "DELETE_FAILED")
        else:
            self.roll_back(text)

    def roll_back(self, text=""):
        """Takes a creation back: everything goes."""
        self.enter("ROLLBACK_IN_PROGRESS", text + "Rollback requested by user.")
        self._remove(list(self.resources), "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")

    def _finish(self, expected, status):
        if self.status != expected:
            return
        self.outputs = {name: {"OutputKey": name, "OutputValue": str(resolve(output["Value"], self)),
                               **({"Description": output["Description"]} if "Description" in output else {})}
                        for name, output in self.template.outputs.items()}
        self.enter(status)

    # Update

    def update(self, template, tags, parameters, options):
        self.before = {"template": self.template, "tags": self.tags, "parameters": self.parameters, "status": self.status}
        self.template, self.tags, self.parameters = template, tags, parameters
        self.options = {**self.options, "OnFailure": None, **options}
        self.touched, self.leftover, self.token, self.updated = {}, [], options.get("ClientRequestToken"), self.world.now()
        self.enter("UPDATE_IN_PROGRESS", "User Initiated")
        self.world.after("cloudformation.start", self._update)

    def _update(self):
        if self.status != "UPDATE_IN_PROGRESS":
            return
        self.walk = Walk(self.template.resources, self.template.needs, self.change, self._updated, self._cancelled, self.keeps)
        self.walk.pump()

    def change(self, logical):
        """Brings one resource to the current template, when it differs."""
        entry, resource = self.template.resources[logical], self.resources.get(logical)
        # What failed to be made is made anew; what is left of it goes first.
        if resource is None or resource.physical is None or resource.status in ("CREATE_FAILED", "DELETE_COMPLETE"):
            if resource is not None and resource.physical is not None:
                self._discard(resource)
            self.touched[logical] = None
            self.make(logical)
            return
        kind, cx = kinds.KINDS[entry["Type"]], self.context(resource)
        properties = resolve(entry.get("Properties", {}), self)
        changed = {name for name in properties.keys() | (resource.properties or {}).keys() if properties.get(name) != (resource.properties or {}).get(name)}
        retagged = kind.tagged and resource.tags != self.tags
        if resource.type == entry["Type"] and not changed and not retagged:
            resource.entry = entry
            if resource.status == "UPDATE_FAILED":
                self.mark(resource, "UPDATE_COMPLETE")
            self.walk.finish(logical, True)
            return
        self.touched.setdefault(logical, (resource.physical, copy.deepcopy(resource.properties), dict(resource.tags), resource.entry, resource.type))
        resource.entry = entry
        if resource.type != entry["Type"] or changed & kind.replaces:
            self._replace(resource, entry, properties, changed)
            return
        self.mark(resource, "UPDATE_IN_PROGRESS")
        reason = self.stuck(resource, "update")
        if reason:
            self.after(logical, self.seconds(resource, "update"), self._failed, resource, "UPDATE_FAILED", reason)
            return
        try:
            kind.check(properties)
            untagged = _keys(resource.tags, resource.properties) - _keys(self.tags, properties) if kind.tagged else set()
            self.allowed(rights.to_change(resource.type, changed, retagged or "Tags" in changed, untagged))
            kind.update(cx, resource.properties, properties)
        except AwsError as error:
            self._failed(resource, "UPDATE_FAILED", self.failure(resource, error))
            return
        resource.properties, resource.tags = properties, dict(self.tags)
        self.after(logical, self.seconds(resource, "update"), self._changed, resource)

    def _replace(self, resource, entry, properties, changed):
        """A new physical resource; the old one goes in the cleanup."""
        self.world.record.state("cloudformation", f"{self.name}/{resource.logical}", resource.status, "REPLACED", type=resource.type, changed=sorted(changed))
        old = copy.copy(resource)
        self.mark(resource, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
        fresh = Resource(resource.logical, entry["Type"])
        fresh.entry, fresh.status = entry, "UPDATE_IN_PROGRESS"
        kind = kinds.KINDS[fresh.type]
        try:
            kind.check(properties)
            self.allowed(rights.to_create(fresh.type, properties, kind.tagged and self.tags))
            fresh.physical = kind.create(self.context(fresh), properties)
        except AwsError as error:
            self._failed(resource, "UPDATE_FAILED", self.failure(resource, error))
            return
        fresh.properties, fresh.tags = properties, dict(self.tags)
        self.resources[resource.logical] = fresh
        self.leftover.append(old)
        self.after(resource.logical, self.seconds(fresh, None), self._changed, fresh)

    def _changed(self, resource):
        kinds.KINDS[resource.type].made(self.context(resource))
        self.mark(resource, "UPDATE_COMPLETE")
        self.walk.finish(resource.logical, True)

    def _discard(self, resource):
        try:
            kinds.KINDS[resource.type].delete(self.context(resource))
            kinds.KINDS[resource.type].gone(self.context(resource))
        except AwsError as error:
            self.world.record.state("cloudformation", f"{self.name}/{resource.logical}", resource.status, "LEFT_BEHIND", reason=str(error))

    def _updated(self):
        failed = [logical for logical in self.walk.failed]
        if failed:
            text = f"The following resource(s) failed to update: [{', '.join(failed)}]. "
            if self.keeps:
                # A failed change is taken back to the last state that stood; the resource stays UPDATE_FAILED.
                self.enter("UPDATE_FAILED", text)
            else:
                self.roll_back_update(text)
            return
        self.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        removed = [logical for logical in self.resources if logical not in self.template.resources]
        self._clean(removed, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")

    def _clean(self, removed, status, final):
        """Removes what the template no longer has and what was replaced; a failure there does not fail the update."""
        for old in self.leftover:
            self._discard(old)
        self.leftover = []

        def done():
            for logical in removed:
                if self.resources[logical].status in ("DELETE_COMPLETE", "DELETE_SKIPPED"):
                    del self.resources[logical]
            self.world.after("cloudformation.finish", self._finish, status, final)

        self._removal(removed, done)

    def roll_back_update(self, text=""):
        """Takes an update back to what stood before it."""
        self.enter("UPDATE_ROLLBACK_IN_PROGRESS", text)
        if self.walk and not self.walk.over:
            self.walk.end()
        new = [logical for logical, old in self.touched.items() if old is None]
        for key in ("template", "tags", "parameters"):
            setattr(self, key, self.before[key])
        self.walk = Walk([logical for logical, old in self.touched.items() if old is not None], {}, self._take_back, lambda: self._taken_back(new), self._cancelled, True)
        self.world.after("cloudformation.start", self.walk.pump)

    def _take_back(self, logical):
        physical, properties, tags, entry, kind_name = self.touched[logical]
        resource = self.resources[logical]
        self.mark(resource, "UPDATE_IN_PROGRESS")
        reason = self.stuck(resource, "rollback")
        if reason:
            self._failed(resource, "UPDATE_FAILED", reason)
            return
        if resource.physical != physical:
            old = copy.copy(resource)
            resource.physical, resource.properties, resource.type = physical, properties, kind_name
            self.leftover = [each for each in self.leftover if each.physical != physical] + [old]
        elif resource.properties != properties or resource.tags != tags:
            try:
                kinds.KINDS[resource.type].update(self.context(resource), resource.properties, properties)
            except AwsError as error:
                self._failed(resource, "UPDATE_FAILED", self.failure(resource, error))
                return
        resource.properties, resource.tags, resource.entry = properties, tags, entry
        self.after(logical, self.seconds(resource, "update"), self._changed, resource)

    def _taken_back(self, new):
        if self.walk.failed:
            self.enter("UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{', '.join(self.walk.failed)}]. ")
            return
        self.enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._clean([logical for logical in new if logical in self.resources], "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")

    def continue_rollback(self, skipped):
        for logical in skipped:
            self.touched.pop(logical, None)
            self.mark(self.resources[logical], "UPDATE_COMPLETE")
        self.roll_back_update()

    # Delete

    def delete(self, retained, options):
        self.token = options.get("ClientRequestToken")
        if self.walk and not self.walk.over:
            self.walk.end()
        self.enter("DELETE_IN_PROGRESS", "User Initiated")
        for logical in retained:
            if logical in self.resources:
                self.mark(self.resources[logical], "DELETE_SKIPPED")
        for old in self.leftover:
            self._discard(old)
        self.leftover = []
        if options.get("DeletionMode") == "FORCE_DELETE_STACK":
            self.options["force"] = True
        self.world.after("cloudformation.start", self._remove, list(self.resources), "DELETE_COMPLETE", "DELETE_FAILED")

    def _remove(self, logicals, final, failed_status):
        def done():
            failed = [logical for logical in self.walk.failed]
            blocked = [logical for logical in logicals if self.resources[logical].status not in ("DELETE_COMPLETE", "DELETE_SKIPPED") and logical not in failed]
            if failed or blocked:
                if self.options.pop("force", False):
                    for logical in failed + blocked:
                        self.mark(self.resources[logical], "DELETE_SKIPPED")
                else:
                    self.enter(failed_status, f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
                    return
            self.world.after("cloudformation.finish", self._gone, final)

        self._removal(logicals, done)

    def _gone(self, final):
        self.outputs = {}
        if final == "DELETE_COMPLETE":
            self.deleted = self.world.now()
        self.enter(final)

    def _removal(self, logicals, done):
        """A walk backwards: what needs a thing goes before it."""
        known = {**(self.before or {}).get("template", self.template).needs, **self.template.needs}
        users = {logical: {other for other in logicals if logical in known.get(other, set()) and other in self.resources} for logical in logicals}
        self.walk = Walk(logicals, users, self.remove, done, self._cancelled, True)
        self.walk.pump()

    def remove(self, logical):
        resource = self.resources[logical]
        policy = resource.entry.get("DeletionPolicy", "Delete")
        if resource.status in ("DELETE_COMPLETE", "DELETE_SKIPPED") or resource.physical is None:
            if resource.physical is None and resource.status != "DELETE_COMPLETE":
                self.mark(resource, "DELETE_COMPLETE")
            self.walk.finish(logical, True)
            return
        if policy == "Retain" or (policy == "RetainExceptOnCreate" and not self.status.startswith("ROLLBACK")):
            self.mark(resource, "DELETE_SKIPPED")
            self.walk.finish(logical, True)
            return
        self.mark(resource, "DELETE_IN_PROGRESS")
        reason = self.stuck(resource, "delete")
        if reason:
            self.after(logical, self.seconds(resource, "delete"), self._failed, resource, "DELETE_FAILED", reason)
            return
        self._try_removal(resource, self.world.now(), self.world.seconds(PATIENCE))

    def _try_removal(self, resource, since, patience):
        kind = kinds.KINDS[resource.type]
        try:
            self.allowed(rights.to_delete(resource.type, resource.properties or {}))
            kind.delete(self.context(resource))
        except AwsError as error:
            if "NotFound" not in error.code and error.code != "NoSuchEntity":
                held = error.code in ("DependencyViolation", "DeleteConflict", "InvalidIPAddress.InUse")
                if held and (self.world.now() - since).total_seconds() < patience:
                    self.after(resource.logical, patience / 20, self._try_removal, resource, since, patience)
                else:
                    self._failed(resource, "DELETE_FAILED", self.failure(resource, error))
                return
        self.after(resource.logical, self.seconds(resource, "delete"), self._removed, resource)

    def _removed(self, resource):
        kinds.KINDS[resource.type].gone(self.context(resource))
        self.mark(resource, "DELETE_COMPLETE")
        self.walk.finish(resource.logical, True)


def _keys(tags, properties):
    """The keys of all tags of a resource: those of its stack, and its own."""
    return tags.keys() | {tag["Key"] for tag in (properties or {}).get("Tags", [])}
