"""The part `eks` of scripts/bench: `berth up` against the stand-in for AWS at published durations divided by 30, what of the
time is berth's own, the same environment in eksctl's order (eksctl_order.py), runs without a change, and `berth token`."""

import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

SPEED = 30
RUNS = int(os.environ.get("BERTH_BENCH_RUNS", "3"))
# The longest pause of berth between two looks at something of AWS, in seconds.
LONGEST_PAUSE = 5
ADMIN = {
    "AWS_ACCESS_KEY_ID": "AKIAADMIN00000000001",
    "AWS_SECRET_ACCESS_KEY": "admin-secret-key-of-the-stand-in-000001",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
PROFILE = """access:
  admins: [platform]
  groups:
    platform: {eks: ["arn:aws:iam::123456789012:role/platform"]}
    developers: {eks: ["arn:aws:iam::123456789012:role/developers"]}
nodeGroups: [{name: general, machine: m7i.large, nodes: 2, zones: [a, b]}]
addons: {metrics-server: {}}
tenants:
  - {name: checkout, namespaces: [checkout-ns], groups: {editor: [developers]}, quota: {requests.cpu: 4, limits.memory: 8Gi}}
"""
# What a control plane is made from; each is known to CloudFormation by its end.
GROUND = ("PrivateSubnet", "ClusterRole", "LogGroup")


class Fake:
    """The stand-in on a port of its own."""

    def __init__(self, bench):
        self.script = bench.ROOT / "scripts/aws-fake"
        environment = {**os.environ, "BERTH_TOOLS": str(bench.TOOLS)}
        self.process = subprocess.Popen([self.script, "--speed", str(SPEED)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.environment = {**ADMIN, "AWS_ENDPOINT_URL": self.url}

    def log(self, since=0):
        with urllib.request.urlopen(f"{self.url}/_fake/log?since={since}", timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def last(self):
        return max((entry["seq"] for entry in self.log()), default=0)

    def reset(self):
        request = urllib.request.Request(f"{self.url}/_fake/reset", b"{}", method="POST")
        urllib.request.urlopen(request, timeout=60).read()

    def listed_nodes(self, name):
        """When a client that is not the cluster's own asked for its nodes, in seconds since the epoch."""
        with urllib.request.urlopen(f"{self.url}/_fake/eks", timeout=60) as answer:
            path = json.loads(answer.read())[name]["auditLog"]
        moments = []
        for line in pathlib.Path(path).read_text().splitlines():
            event = json.loads(line)
            if event["verb"] == "list" and event.get("objectRef", {}).get("resource") == "nodes" and event.get("userAgent", "").startswith("berth"):
                moments.append(stamp(event["stageTimestamp"]))
        return moments

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def stamp(text):
    import datetime

    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def gaps(log, began, nodes):
    """By dependent call: from the change that it waited for to the look that saw it, and from that look to the call.

    A look that saw it is the first question about it that was asked after the change."""
    calls = [entry for entry in log if entry["kind"] == "call"]
    states = [entry for entry in log if entry["kind"] == "state"]
    made = lambda action, **about: next(call["time"] for call in calls if call["action"] == action and all(call["parameters"].get(key) == value for key, value in about.items()))
    reached = lambda resource, state: next(entry["time"] for entry in states if entry["resource"].endswith(resource) and entry["to"] == state)
    asked = lambda action, since: next(call["time"] + call["took"] for call in calls if call["action"] == action and call["time"] >= since)
    ground = max(entry["time"] for entry in states if entry["to"] == "CREATE_COMPLETE" and entry["resource"].split("/")[-1].startswith(GROUND))
    active = reached("cluster/dev", "ACTIVE")
    rows = [("the command → CreateStack", began, began, made("CreateStack"))]
    rows.append(("the last of subnets, role and log group → CreateCluster", ground, asked("ListStackResources", ground), made("CreateCluster")))
    seen = asked("DescribeCluster", active)
    rows.append(("control plane ACTIVE → CreateNodegroup", active, seen, made("CreateNodegroup")))
    rows.append(("control plane ACTIVE → the last of three CreateAddon", active, seen, max(made("CreateAddon", addonName=name) for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"))))
    rows.append(("control plane ACTIVE → the first CreateAccessEntry", active, seen, made("CreateAccessEntry")))
    for name in ("coredns", "aws-ebs-csi-driver", "metrics-server"):
        call = made("CreateAddon", addonName=name)
        # When the node became Ready only the list of nodes tells: what lies before it is polling.
        seen = max((moment for moment in nodes if moment <= call), default=call)
        rows.append((f"the first node Ready → CreateAddon {name}", None, seen, call))
    return rows


def late(log, milestone):
    """How much later than it came berth saw the last of what `milestone` takes, in seconds."""
    calls = [entry for entry in log if entry["kind"] == "call" and entry["action"] in ("DescribeNodegroup", "DescribeAddon")]
    name = lambda resource: resource.split("/")[-1]
    came = {name(entry["resource"]): entry["time"] for entry in log if entry["kind"] == "state" and entry["to"] == "ACTIVE" and entry["resource"].startswith(milestone)}
    last = max(came, key=came.get)
    about = lambda call: last in (call["parameters"].get("nodegroupName"), call["parameters"].get("addonName"))
    return next(call["time"] + call["took"] for call in calls if about(call) and call["time"] >= came[last]) - came[last]


def in_full(took, waited, own):
    """A time against the stand-in in AWS's own: what AWS takes times 30, what berth takes as it is, and each of its
    three waits for a next look as long as one can be there."""
    return (took - waited - own) * SPEED + own + 3 * LONGEST_PAUSE


def ready(run, milestone):
    """When the last resource that `milestone` takes was ready, in seconds since the start."""
    events = [json.loads(line) for line in run.out.splitlines()]
    return max(event["elapsed_ms"] for event in events if event["type"] == "finished" and milestone(event["resource"])) / 1000


def token(bench, work, fake):
    """`berth token` beside `aws eks get-token`: neither makes a call."""
    berth = [bench.BERTH, "token", "--cluster", "dev", "--region", "eu-central-1"]
    aws = [fake.script, "--run", "aws", "--region", "eu-central-1", "eks", "get-token", "--cluster-name", "dev"]
    # awscli itself, without the script that finds it.
    found = subprocess.run([fake.script, "--prepare"], capture_output=True, text=True, check=True).stdout.strip()
    aws = [f"{found}/bin/aws", *aws[3:]]
    # The region of its token is AWS's own: no endpoint is asked for.
    more = dict(ADMIN)
    took = {}
    for name, command, count in (("berth", berth, 51), ("aws", aws, 6)):
        took[name] = [bench.Run(command, work, more=more).took for _ in range(count)][1:]
    return took


def measure(bench, work):
    """The tables of the page."""
    path = work / "dev.yaml"
    path.write_text(bench.profile("dev", 'eks: {region: eu-central-1, version: "1.36"}', PROFILE))
    fake, figures, rows = Fake(bench), {}, {}
    keep = lambda name, value: figures.setdefault(name, []).append(value)
    berth = lambda *arguments: bench.Run([bench.BERTH, *arguments], work, more=fake.environment)
    try:
        for number in range(RUNS):
            bench.say(f"eks, run {number + 1} of {RUNS}: berth up")
            since, began = fake.last(), time.time()
            run = berth("up", path, "--yes", "--output", "json")
            keep("up", run.took)
            keep("peak", run.peak)
            keep("nodes", ready(run, lambda resource: resource.startswith("node-group")))
            keep("addons", ready(run, lambda resource: resource.startswith(("node-group", "eks-addon"))))
            log = fake.log(since)
            found = gaps(log, began, fake.listed_nodes("dev"))
            # On the way to every milestone: the stack, the control plane's ground, the control plane.
            waited, own = (sum(column) for column in zip(*((max(0, seen - change), max(0, call - seen)) for _, change, seen, call in found[:3])))
            for name, milestone in (("nodes", ("nodegroup/",)), ("addons", ("nodegroup/", "addon/"))):
                keep(f"{name} in full", in_full(figures[name][-1], waited + late(log, milestone), own))
            for what, change, seen, call in found:
                rows.setdefault(what, []).append((max(0, seen - change) if change is not None else None, max(0, call - seen)))
            for name, arguments in (("again", ("up", path, "--yes")), ("plan", ("plan", path)), ("status", ("status", path))):
                since = fake.last()
                run = berth(*arguments)
                keep(name, run.took)
                keep(f"{name} calls", sum(entry["kind"] == "call" for entry in fake.log(since)))
            fake.reset()
            shutil.rmtree(work / ".local", ignore_errors=True)
            bench.say(f"eks, run {number + 1} of {RUNS}: eksctl's order")
            other = subprocess.run([fake.script, "--run", "python", bench.ROOT / "scripts/eksctl_order.py", fake.url, str(SPEED)], capture_output=True, text=True, env={**os.environ, **fake.environment})
            if other.returncode != 0:
                raise SystemExit(f"bench: eksctl_order.py ended with {other.returncode}\n{other.stderr}")
            for name, value in json.loads(other.stdout).items():
                keep(f"order {name}", value)
            fake.reset()
        bench.say("eks, tokens")
        tokens = token(bench, work, fake)
    finally:
        fake.close()
    return page(bench, figures, rows, tokens)


def minutes(seconds):
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def page(bench, figures, rows, tokens):
    middle = lambda name: bench.median(figures[name])
    lines = [
        "| | berth | eksctl's order |\n|---|---:|---:|",
        *(f"| {what} | {bench.seconds(middle(name))} | {bench.seconds(middle(f'order {name}'))} |" for what, name in (("from nothing to the node group ready", "nodes"), ("— and all six addons ACTIVE", "addons"))),
        *(f"| {what}, in AWS's own time | {minutes(middle(f'{name} in full'))} | {minutes(middle(f'order {name}') * SPEED)} |" for what, name in (("the node group ready", "nodes"), ("— and all six addons", "addons"))),
        f"| the whole command, with tenants and the proof of network policies | {bench.seconds(middle('up'))} | has none |",
    ]
    own = sum(bench.median([own for _, own in values]) for values in rows.values())
    waits = [
        "| From → to | until the next look | berth's own |\n|---|---:|---:|",
        *(f"| {what} | {bench.seconds(bench.median([poll for poll, _ in values])) if values[0][0] is not None else '—'} | {bench.seconds(bench.median([own for _, own in values]))} |" for what, values in rows.items()),
        f"| **in all** (target ≤ 1 s) | | **{bench.seconds(own)}** |",
    ]
    again = [
        "| | Median | Calls to AWS | Target |\n|---|---:|---:|---:|",
        f"| `berth up`, no change | {bench.seconds(middle('again'))} | {middle('again calls'):.0f} | ≤ 1 s |",
        f"| `berth plan`, no change | {bench.seconds(middle('plan'))} | {middle('plan calls'):.0f} | |",
        f"| `berth status` | {bench.seconds(middle('status'))} | {middle('status calls'):.0f} | |",
        f"| `berth token`, median of 50 | {bench.seconds(bench.median(tokens['berth']))} | 0 | ≤ 15 ms |",
        f"| `aws eks get-token`, median of 5 | {bench.seconds(bench.median(tokens['aws']))} | 0 | |",
    ]
    size = bench.BERTH.stat().st_size / 1024 / 1024
    tail = f"\nPeak memory of `berth up`: {max(figures['peak']):.0f} MiB. The program: {size:.1f} MiB (target ≤ 30 MiB).\n"
    title = f"Medians of {RUNS} runs" if RUNS > 1 else "One run"
    return f"\n### {title}\n\n" + "\n\n".join("\n".join(table) for table in (lines, waits, again)) + "\n" + tail
