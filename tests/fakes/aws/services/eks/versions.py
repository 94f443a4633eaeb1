"""What EKS offers: Kubernetes versions, AMI releases, add-ons and their versions. Sample data in the service's form."""
import datetime
import json

UTC = datetime.timezone.utc
# Minor, patch, release, end of standard support, end of extended support.
MINORS = (
    ("1.32", "1.32.13", "2025-01-23", "2026-03-23", "2027-03-23"),
    ("1.33", "1.33.13", "2025-05-29", "2026-07-29", "2027-07-29"),
    ("1.34", "1.34.4", "2025-10-02", "2026-12-02", "2027-12-02"),
    ("1.35", "1.35.4", "2026-01-28", "2027-03-28", "2028-03-28"),
    ("1.36", "1.36.3", "2026-06-10", "2027-08-10", "2028-08-10"),
)
DEFAULT = "1.35"
NAMES = tuple(minor[0] for minor in MINORS)
PLATFORM = "eks.7"
# Newest first. A scenario may name a newer one.
RELEASES = ("20261112", "20261029")
POLICY = "arn:aws:iam::aws:policy/"


def day(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def patch_of(minor):
    return next(found[1] for found in MINORS if found[0] == minor)


def release_of(minor, stamp):
    """The release version of a node group: `1.35.4-20261112`."""
    return f"{patch_of(minor)}-{stamp}"


def number(minor):
    return int(minor.split(".")[1])


def describe(minor, now):
    name, patch, released, standard, extended = next(found for found in MINORS if found[0] == minor)
    is_standard = now < day(standard)
    return {
        "clusterVersion": name,
        "clusterType": "eks",
        "defaultPlatformVersion": PLATFORM,
        "defaultVersion": name == DEFAULT,
        "releaseDate": day(released),
        "endOfStandardSupportDate": day(standard),
        "endOfExtendedSupportDate": day(extended),
        "status": "standard-support" if is_standard else "extended-support",
        "versionStatus": "STANDARD_SUPPORT" if is_standard else "EXTENDED_SUPPORT",
        "kubernetesPatchVersion": patch,
    }


class AddonKind:
    """One add-on: its versions by minor, newest first; the second of each is the default."""

    def __init__(self, name, stem, kind, workload, account=None, policy=None, schema=None, namespace="kube-system"):
        self.name, self.stem, self.type, self.workload = name, stem, kind, workload
        self.account, self.policy, self.namespace = account, policy, namespace
        self.schema = schema or {}

    def versions(self, minor):
        # A format argument is the distance of the minor from the oldest one.
        distance = number(minor) - number(NAMES[0])
        newest = self.stem.format(distance)
        return [f"v{newest}-eksbuild.{build}" for build in (4, 3, 1)]

    def default(self, minor):
        return self.versions(minor)[1]

    def describe(self, minors):
        found = {}
        for minor in minors:
            for version in self.versions(minor):
                found.setdefault(version, []).append(
                    {"clusterVersion": minor, "platformVersions": ["*"], "defaultVersion": version == self.default(minor)})
        versions = [
            {
                "addonVersion": version,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "auto", "hybrid"] if self.workload == "Deployment" else ["ec2"],
                "compatibilities": compatibilities,
                "requiresConfiguration": False,
                "requiresIamPermissions": bool(self.policy),
            }
            for version, compatibilities in sorted(found.items(), reverse=True)
        ]
        return {"addonName": self.name, "type": self.type, "addonVersions": versions, "publisher": "eks", "owner": "aws",
                "defaultNamespace": self.namespace}

    def configuration_schema(self):
        return json.dumps({
            "$schema": "http://json-schema.org/draft-06/schema#",
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"type": kind} for name, kind in self.schema.items()},
        })


COMMON = {"resources": "object", "tolerations": "array", "nodeSelector": "object", "affinity": "object",
          "podAnnotations": "object", "podLabels": "object"}
ADDONS = {kind.name: kind for kind in (
    AddonKind("vpc-cni", "1.21.1", "networking", "DaemonSet", "aws-node", "AmazonEKS_CNI_Policy",
              {**COMMON, "enableNetworkPolicy": "string", "env": "object", "init": "object", "eniConfig": "object", "nodeAgent": "object"}),
    AddonKind("kube-proxy", "1.3{0}.3", "networking", "DaemonSet", schema={**COMMON, "ipvs": "object", "mode": "string"}),
    AddonKind("coredns", "1.13.{0}", "networking", "Deployment",
              schema={**COMMON, "corefile": "string", "replicaCount": "integer", "autoScaling": "object",
                      "podDisruptionBudget": "object", "topologySpreadConstraints": "array"}),
    AddonKind("eks-pod-identity-agent", "1.3.10", "security", "DaemonSet", schema={**COMMON, "agent": "object"}),
    AddonKind("aws-ebs-csi-driver", "1.54.0", "storage", "Deployment", "ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy",
              {"controller": "object", "node": "object", "sidecars": "object", "defaultStorageClass": "object"}),
    AddonKind("metrics-server", "0.8.1", "observability", "Deployment", schema={**COMMON, "replicas": "integer"}),
    AddonKind("aws-efs-csi-driver", "2.3.0", "storage", "Deployment", "efs-csi-controller-sa",
              "service-role/AmazonEFSCSIDriverPolicy", {"controller": "object", "node": "object"}),
    AddonKind("snapshot-controller", "8.4.0", "storage", "Deployment", schema=COMMON),
    AddonKind("amazon-cloudwatch-observability", "4.8.0", "observability", "Deployment", "cloudwatch-agent",
              "CloudWatchAgentServerPolicy", {"agent": "object"}, "amazon-cloudwatch"),
)}
