"""Regions, zones and a small catalogue of instance types, with the figures that AWS publishes."""

REGIONS = ("us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-central-1", "eu-west-1", "eu-west-2", "eu-north-1", "ca-central-1",
           "ap-southeast-1", "ap-northeast-1", "ap-east-1")
# The letters of an account are mixed against the ids of the zones, so that only ids say which zone is meant.
ZONES = {
    "us-east-1": {"a": "use1-az6", "b": "use1-az1", "c": "use1-az2", "d": "use1-az4", "e": "use1-az3", "f": "use1-az5"},
    "us-west-1": {"a": "usw1-az2", "b": "usw1-az3", "c": "usw1-az1"},
    "ca-central-1": {"a": "cac1-az1", "b": "cac1-az3", "d": "cac1-az4", "e": "cac1-az2"},
    "eu-central-1": {"a": "euc1-az2", "b": "euc1-az3", "c": "euc1-az1"},
}
SHORT = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c", "southeast": "se", "northeast": "ne"}


def zones(region):
    """Zone name to zone id, in the order of names."""
    area, direction, number = region.split("-")
    prefix = f"{area}{SHORT[direction]}{number}"
    letters = ZONES.get(region) or {"a": f"{prefix}-az1", "b": f"{prefix}-az2", "c": f"{prefix}-az3"}
    return {region + letter: zone for letter, zone in letters.items()}


def _type(vcpus, gib, arch="x86_64", gpus=None, interfaces=4, addresses=15, neuron=None, burst=False):
    return {"vcpus": vcpus, "mib": int(gib * 1024), "arch": arch, "gpus": gpus, "interfaces": interfaces, "addresses": addresses,
            "neuron": neuron, "burst": burst}


def _gpu(maker, name, count, mib):
    return {"Name": name, "Manufacturer": maker, "Count": count, "MemoryInfo": {"SizeInMiB": mib}}


TYPES = {
    "t3.medium": _type(2, 4, interfaces=3, addresses=6, burst=True), "t3.large": _type(2, 8, interfaces=3, addresses=12, burst=True),
    "t4g.medium": _type(2, 4, "arm64", interfaces=3, addresses=6, burst=True),
    "m5.large": _type(2, 8, interfaces=3, addresses=10), "m6i.large": _type(2, 8, interfaces=3, addresses=10),
    "m7i.large": _type(2, 8, interfaces=3, addresses=10), "m7i.xlarge": _type(4, 16), "m7i.2xlarge": _type(8, 32),
    "m7i.4xlarge": _type(16, 64, interfaces=8, addresses=30), "m7i-flex.large": _type(2, 8, interfaces=3, addresses=10),
    "m7a.large": _type(2, 8, interfaces=3, addresses=10), "m7g.large": _type(2, 8, "arm64", interfaces=3, addresses=10),
    "m7g.xlarge": _type(4, 16, "arm64"), "m8g.large": _type(2, 8, "arm64", interfaces=3, addresses=10),
    "c7i.large": _type(2, 4, interfaces=3, addresses=10), "c7i.xlarge": _type(4, 8), "c7g.large": _type(2, 4, "arm64", interfaces=3, addresses=10),
    "r7i.large": _type(2, 16, interfaces=3, addresses=10), "r7g.large": _type(2, 16, "arm64", interfaces=3, addresses=10),
    "g4dn.xlarge": _type(4, 16, gpus=[_gpu("NVIDIA", "T4", 1, 16384)], interfaces=3, addresses=10),
    "g5.xlarge": _type(4, 16, gpus=[_gpu("NVIDIA", "A10G", 1, 24576)]),
    "g5.12xlarge": _type(48, 192, gpus=[_gpu("NVIDIA", "A10G", 4, 24576)], interfaces=15, addresses=50),
    "g5g.xlarge": _type(4, 8, "arm64", gpus=[_gpu("NVIDIA", "T4g", 1, 16384)]),
    "g6.xlarge": _type(4, 16, gpus=[_gpu("NVIDIA", "L4", 1, 22888)]), "g6.2xlarge": _type(8, 32, gpus=[_gpu("NVIDIA", "L4", 1, 22888)]),
    "g6.12xlarge": _type(48, 192, gpus=[_gpu("NVIDIA", "L4", 4, 22888)], interfaces=8, addresses=30),
    "g6e.xlarge": _type(4, 32, gpus=[_gpu("NVIDIA", "L40S", 1, 45776)]),
    "g4ad.xlarge": _type(4, 16, gpus=[_gpu("AMD", "Radeon Pro V520", 1, 8192)], interfaces=2, addresses=4),
    "p4d.24xlarge": _type(96, 1152, gpus=[_gpu("NVIDIA", "A100", 8, 40960)], interfaces=60, addresses=50),
    "p5.48xlarge": _type(192, 2048, gpus=[_gpu("NVIDIA", "H100", 8, 81920)], interfaces=64, addresses=50),
    "inf2.xlarge": _type(4, 16, neuron="Inferentia2"), "trn1.2xlarge": _type(8, 32, neuron="Trainium"),
}
# Types that only the first zone offers, and types that no zone of most regions offers.
FIRST_ZONE_ONLY = ("p5.48xlarge", "p4d.24xlarge", "trn1.2xlarge")
SOME_REGIONS = {"g5g.xlarge": ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1"), "p5.48xlarge": ("us-east-1", "us-east-2", "us-west-2")}


def offered(world, region, name):
    """The zone names that offer the type, by region and scenario."""
    if name not in TYPES or region not in SOME_REGIONS.get(name, REGIONS):
        return []
    without = world.scenario.get("typeZonesWithout", {}).get(name, [])
    every = list(zones(region).items())
    if name in FIRST_ZONE_ONLY:
        every = every[:1]
    return [zone for zone, ident in every if "*" not in without and zone not in without and ident not in without and zone[-1] not in without]


def shown(name):
    """The type as DescribeInstanceTypes shows it."""
    kind = TYPES[name]
    family = name.split(".")[0]
    answer = {
        "InstanceType": name, "CurrentGeneration": True, "FreeTierEligible": False, "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"], "SupportedVirtualizationTypes": ["hvm"], "BareMetal": False, "Hypervisor": "nitro",
        "ProcessorInfo": {"SupportedArchitectures": [kind["arch"]], "SustainedClockSpeedInGhz": 3.0,
                          "Manufacturer": "AWS" if kind["arch"] == "arm64" else "Intel"},
        "VCpuInfo": {"DefaultVCpus": kind["vcpus"], "DefaultCores": max(1, kind["vcpus"] // 2), "DefaultThreadsPerCore": 2},
        "MemoryInfo": {"SizeInMiB": kind["mib"]}, "InstanceStorageSupported": family.startswith(("g", "p", "trn")),
        "EbsInfo": {"EbsOptimizedSupport": "default", "EncryptionSupport": "supported", "NvmeSupport": "required"},
        "NetworkInfo": {"NetworkPerformance": "Up to 12.5 Gigabit", "MaximumNetworkInterfaces": kind["interfaces"],
                        "MaximumNetworkCards": 1, "Ipv4AddressesPerInterface": kind["addresses"],
                        "Ipv6AddressesPerInterface": kind["addresses"], "Ipv6Supported": True, "EnaSupport": "required",
                        "EfaSupported": name in ("p4d.24xlarge", "p5.48xlarge")},
        "PlacementGroupInfo": {"SupportedStrategies": ["cluster", "partition", "spread"]}, "HibernationSupported": False,
        "BurstablePerformanceSupported": kind["burst"], "DedicatedHostsSupported": True, "AutoRecoverySupported": True,
        "SupportedBootModes": ["uefi"] if kind["arch"] == "arm64" else ["legacy-bios", "uefi"],
    }
    if kind["gpus"]:
        answer["GpuInfo"] = {"Gpus": kind["gpus"], "TotalGpuMemoryInMiB": sum(g["Count"] * g["MemoryInfo"]["SizeInMiB"] for g in kind["gpus"])}
    if kind["neuron"]:
        answer["NeuronInfo"] = {"NeuronDevices": [{"Count": 1, "Name": kind["neuron"], "CoreInfo": {"Count": 2, "Version": 2}, "MemoryInfo": {"SizeInMiB": 32768}}],
                                "TotalNeuronDeviceMemoryInMiB": 32768}
    return answer
