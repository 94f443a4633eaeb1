"""Resource types: their properties and how each changes, what they give, and what they do to the world.

`replaces` are the properties whose change makes a new resource; every other one is changed in place. A test holds
both sets against the resource schemas that cfn-lint ships.
"""
from ...errors import AwsError

KINDS = {}


def kind(name, properties, replaces=(), required=(), attributes=(), tagged=True):
    """Registers a class as the type `name`."""
    def add(cls):
        cls.type, cls.properties, cls.replaces = name, frozenset(properties.split()), frozenset(replaces.split() if replaces else ())
        cls.required, cls.attributes = frozenset(required.split() if required else ()), frozenset(attributes.split() if attributes else ())
        cls.tagged = tagged
        KINDS[name] = cls()
        return cls
    return add


class Context:
    """What a kind is given: the world, its stack and its resource."""

    def __init__(self, world, stack, resource):
        self.world, self.stack, self.resource = world, stack, resource

    @property
    def physical(self):
        return self.resource.physical

    @property
    def properties(self):
        return self.resource.properties

    def generated(self, limit=64):
        """A name as CloudFormation makes it: stack, logical id and letters."""
        letters = self.world.new_id("x")[3:15].upper()
        return f"{self.stack.name}-{self.resource.logical}"[:limit - 13] + "-" + letters

    def tags(self, properties, marks=True):
        """The resource's own tags, the stack's, and the marks of CloudFormation."""
        own = {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}
        marked = {"aws:cloudformation:stack-name": self.stack.name, "aws:cloudformation:stack-id": self.stack.ident,
                  "aws:cloudformation:logical-id": self.resource.logical} if marks else {}
        return {**marked, **self.stack.tags, **own}


class Kind:
    """How a type is made, changed and removed. A method that fails raises the AwsError of the API behind it."""

    # The service that is named in failures.
    service = "Ec2"

    def check(self, properties):
        extra, missing = set(properties) - self.properties, self.required - set(properties)
        if extra:
            raise AwsError("InvalidRequest", f"#: extraneous key [{sorted(extra)[0]}] is not permitted")
        if missing:
            raise AwsError("InvalidRequest", f"#: required key [{sorted(missing)[0]}] not found")
        for tag in properties.get("Tags", []):
            if set(tag) != {"Key", "Value"} or str(tag["Key"]).startswith("aws:"):
                raise AwsError("InvalidRequest", f"#/Tags: {tag} is not a tag")

    def create(self, cx, properties):
        """Starts it; returns the physical id."""
        raise NotImplementedError

    def made(self, cx):
        """Its time has passed: it stands."""

    def update(self, cx, before, after):
        """Changes in place what differs and is not in `replaces`."""

    def delete(self, cx):
        """Starts its removal; raises DependencyViolation while something holds it."""

    def gone(self, cx):
        """The time of its removal has passed."""

    def ref(self, cx):
        return cx.physical

    def attribute(self, cx, name):
        return cx.physical


def boolean(value):
    return value if isinstance(value, bool) else str(value).lower() == "true"
