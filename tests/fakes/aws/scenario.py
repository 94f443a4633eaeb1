"""What the world is like: set by tests, read by the services. Seconds are AWS's, divided by the speed like all others."""
import copy
import fnmatch

DEFAULTS = {
    # Seconds for which calls do not see what was just made, by "service:Action": {"eks:DescribeCluster": 5}; of access entries writes too.
    "lag": {},
    # Rights that callers lack: [{"action": "eks:Create*", "principal": "arn:… or *"}], or just "eks:CreateCluster".
    "deny": [],
    # Seconds after which a new role can be assumed by a service; before that EKS refuses it. None: `iam.propagation`.
    "iamPropagation": None,
    # Calls a second that are answered, in real time: {"cloudformation:DescribeStacks": 10}; more are throttled.
    "rates": {},
    # For how many seconds the tagging API still shows NAT gateways and machines that are gone: it does for about an hour.
    "deletedStay": 3600,
    # How wrong the caller's clock is, in real seconds, and the code to answer with (None: the service's own).
    "clock": {"offset": 0, "code": None},
    # Zone names or ids in which EKS has no capacity, and zones in which an instance type is not offered or has none.
    "eksZonesWithout": ["use1-az3", "usw1-az2", "cac1-az3"],
    "typeZonesWithout": {},
    "typeWithoutCapacity": {},
    # Quota code to value; what is not named has AWS's default.
    "quotas": {},
    # EKS: whether updates of clusters do not come to their end;
    # words with which a cluster, an update, a node group's update or deletion fails; add-on name to words; interfaces that a CNI loses;
    # the address shown while the public endpoint is off ("https://192.0.2.1"), which is else the one on loopback;
    # upgrade insights [{"name", "status": PASSING|WARNING|ERROR, "reason", "version"}]; the newest AMI release ("20261120"); subnet id to addresses taken.
    "eksUpdatesStay": False,
    "eksClusterFails": None, "eksUpdateFails": None, "eksNodegroupUpdateFails": None, "eksNodegroupDeleteFails": None, "eksAddonFails": {},
    "eksLeakedInterfaces": 0, "eksPrivateEndpoint": None, "eksInsights": [], "eksNewestRelease": None, "takenAddresses": {},
    # [{"logicalId": "Nat*", "stack": "*", "on": "create|update|delete", "reason": "…", "times": 1}]
    "stuckResources": [],
    # Regions of which the account has not opted in, and published durations to replace.
    "disabledRegions": ["ap-east-1"],
    "durations": {},
}


class Scenario:
    def __init__(self):
        self.values = copy.deepcopy(DEFAULTS)

    def merge(self, changes):
        """Maps merge, everything else replaces; a key that no service reads is kept: services may have their own."""
        _merge(self.values, changes)

    def get(self, path, default=None):
        """A value by its dotted path."""
        value = self.values
        for part in path.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    def denies(self, action, principals):
        for rule in self.values["deny"]:
            rule = {"action": rule} if isinstance(rule, str) else rule
            who = rule.get("principal", "*")
            if fnmatch.fnmatchcase(action.lower(), rule["action"].lower()) and (who == "*" or who in principals):
                return True
        return False


def _merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
