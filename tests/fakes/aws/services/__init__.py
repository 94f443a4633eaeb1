"""One module or package for each service; each names its operations in a table called `operations`."""
import functools
import importlib

# A service's module is named as its model, with underscores.
MODULES = {"resourcegroupstaggingapi": "tagging", "service-quotas": "quotas", "elb": "elb", "elbv2": "elb"}


class Operations:
    """Operation name to function. `@operations("CreateCluster")` adds one: it takes a Call and gives the answer's members."""

    def __init__(self):
        self.table = {}

    def __call__(self, *names):
        def add(function):
            for name in names:
                self.table[name] = function
            return function
        return add

    def get(self, name):
        return self.table.get(name)


@functools.cache
def table(service):
    name = MODULES.get(service, service.replace("-", "_"))
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{name}":
            return Operations()
        raise
    # ELB's two APIs share a module; the table of the newer one has its own name.
    return getattr(module, f"operations_{service}", None) or module.operations


def operation(service, action):
    return table(service).get(action)
