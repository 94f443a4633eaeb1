"""Measures berth and writes a page: bench.py BERTH TOOLS HELM PAGE [PART …]. Called by scripts/bench.
With parts (start-up, lab, tenants, addons, kind, images, eks) it prints their tables and leaves the page alone.

Times are medians; each line says of how many runs. Requests are counted by the API server's audit log,
bytes by a TCP relay on 127.0.0.1 between client and API server, memory by the kernel (VmHWM)."""

import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BERTH, TOOLS, HELM, PAGE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:5])
PARTS = sys.argv[5:]
ROOT = PAGE.parent.parent
POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Run:
    """One program from start to end."""

    def __init__(self, arguments, home, check=True, more=None):
        began = time.monotonic()
        environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "NO_COLOR": "1", **(more or {})}
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            env=environment, cwd=home, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.peak = 0
        watcher = threading.Thread(target=self.watch, args=(process,))
        watcher.start()
        self.out, self.err = process.communicate()
        self.took = time.monotonic() - began
        watcher.join()
        if check and process.returncode != 0:
            sys.exit(f"bench: {arguments} ended with {process.returncode}\n{self.out}\n{self.err}")

    def watch(self, process):
        """The peak is the kernel's own mark, read until the process ends: it only grows."""
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                self.peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
            except (OSError, TypeError):
                pass
            time.sleep(0.005)


class Relay:
    """Passes TCP connections on to `port` and counts their bytes in both directions."""

    def __init__(self, port):
        self.target, self.sent, self.received = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(client, server, "sent"), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, "received"), daemon=True).start()

    def pump(self, source, sink, direction):
        try:
            while data := source.recv(65536):
                setattr(self, direction, getattr(self, direction) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Log:
    """The audit log of an API server, from where it was last read."""

    def __init__(self, path):
        self.path, self.offset = path, 0
        self.read()

    def read(self):
        time.sleep(0.3)
        with open(self.path, encoding="utf-8") as file:
            file.seek(self.offset)
            lines = file.readlines()
            self.offset = file.tell()
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def of(self, agent):
        """Requests, those of them that write, and the most LISTs of one kind."""
        mine = [event for event in self.read() if event.get("userAgent", "").lower().startswith(agent)]
        writes = [event for event in mine if event["verb"] in ("create", "update", "patch", "delete", "deletecollection")]
        lists = collections.Counter(str(event.get("objectRef")) for event in mine if event["verb"] == "list")
        return len(mine), len(writes), max(lists.values(), default=0)


def tools_with_wrapper(folder, audit):
    """The tools, with a kwokctl that writes down how long it took, and may switch the audit log on."""
    folder.mkdir()
    for program in TOOLS.iterdir():
        (folder / program.name).symlink_to(program)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    extra = f"--kube-audit-policy {policy}" if audit else ""
    (folder / "kwokctl").unlink()
    (folder / "kwokctl").write_text(
        "#!/bin/sh\nbegan=$(date +%s%N)\n"
        f'case "$1 $2" in "create cluster") "{TOOLS}/kwokctl" "$@" {extra} ;; *) "{TOOLS}/kwokctl" "$@" ;; esac\ncode=$?\n'
        f'echo "$1 $2 $(($(date +%s%N) - began))" >>"{folder}/times"\nexit $code\n'
    )
    (folder / "kwokctl").chmod(0o755)
    return folder


def kwokctl_seconds(tools):
    """How long kwokctl worked since the last call of this."""
    times = tools / "times"
    lines = times.read_text().splitlines() if times.exists() else []
    times.write_text("")
    return sum(int(line.split()[-1]) for line in lines) / 1e9


def tenants(count, quota):
    return "tenants:\n" + "".join(
        f"  - {{name: t{n}, namespaces: [t{n}-ns], groups: {{admin: [t{n}-leads], editor: [t{n}-devs]}}, quota: {quota}}}\n"
        for n in range(count)
    )


def profile(name, cluster, rest):
    return f"apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {name}\nid: bench{name}\ncluster:\n  {cluster}\n{rest}"


def median(values):
    return statistics.median(values)


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def start_up(work, rows):
    say("start-up and validate")
    version = [Run([BERTH, "--version"], work) for _ in range(51)]
    # The first run reads the binary from disk.
    rows.append(("`berth --version`", 50, seconds(median([run.took for run in version[1:]])), "≤ 15 ms", ""))
    path = work / "many.yaml"
    path.write_text(profile("many", "kwok: {version: \"1.36\"}", "nodeGroups: [{name: general, nodes: 3}]\n" + tenants(1000, "{requests.cpu: 1, limits.memory: 1Gi}")))
    runs = [Run([BERTH, "validate", path], work) for _ in range(11)][1:]
    rows.append(("`berth validate`, 1,000 tenants", 10, seconds(median([run.took for run in runs])), "≤ 150 ms", f"{max(run.peak for run in runs):.0f} MiB"))


def rendering(work, rows, count=60):
    """What the addons add to `berth validate`, which renders them all: the rest of the program is taken off."""
    say("rendering of every addon")
    offered = {"traefik": "{}", "metrics-server": "{}", "metallb": "{addresses: 192.0.2.0/28}", "nvidia-device-plugin": "{}"}
    cluster = "existing: {kubeconfig: kubeconfig, context: none}"
    path = lambda name: work / f"render-{name}.yaml"
    there = []
    for name, options in offered.items():
        path("one").write_text(profile("one", cluster, f"addons: {{{name}: {options}}}\n"))
        if "no manifests" not in Run([BERTH, "render", path("one"), "--out", work / f"render-{name}"], work, check=False).err:
            there.append(name)
    path("all").write_text(profile("all", cluster, "addons: {" + ", ".join(f"{name}: {offered[name]}" for name in there) + "}\n"))
    path("none").write_text(profile("none", cluster, ""))
    times = {name: [] for name in ("none", "all")}
    # In turn, so that both have the same moments of the machine.
    for _ in range(count):
        for name in times:
            began = time.monotonic()
            subprocess.run([BERTH, "validate", path(name)], cwd=work, capture_output=True, check=True, env={"HOME": str(work)})
            times[name].append(time.monotonic() - began)
    took = {name: median(values) for name, values in times.items()}
    rows.append((f"rendering {len(there)} addons ({', '.join(there)}): `berth validate` with them less without", count, f"{(took['all'] - took['none']) * 1000:.1f} ms", "≤ 5 ms", ""))


def lab(work, rows, count=3):
    tools = tools_with_wrapper(work / "tools-lab", audit=False)
    target = ["lab", "--rehearse", "--tools", tools]
    figures = {}
    keep = lambda name, value: figures.setdefault(name, []).append(value)
    for number in range(count):
        say(f"lab --rehearse, run {number + 1} of {count}")
        keep("plan of nothing", Run([BERTH, "plan", *target], work))
        kwokctl_seconds(tools)
        up = Run([BERTH, "up", *target, "--output", "json"], work)
        events = [json.loads(line) for line in up.out.splitlines()]
        # What is only waited for is never accepted: there is nothing to send.
        accepted = [event["elapsed_ms"] / 1000 for event in events if event["type"] == "accepted"]
        cluster = next(event["elapsed_ms"] for event in events if event["type"] == "finished" and event["resource"].startswith("cluster/")) / 1000
        rest = {name: event["elapsed_ms"] / 1000 for event in events if event["type"] == "finished" for name in [event["resource"]] if name != "addon/metrics-server"}
        keep("up", up)
        keep("kwokctl", kwokctl_seconds(tools))
        keep("cluster", cluster)
        keep("accepted", max(accepted))
        keep("ready but metrics", max(rest.values()))
        metrics = [event["elapsed_ms"] / 1000 for event in events if event["type"] == "finished" and event["resource"] == "addon/metrics-server"]
        keep("metrics after", metrics[0] - cluster)
        keep("no-op", Run([BERTH, "up", *target], work))
        keep("plan", Run([BERTH, "plan", *target, "--detailed-exitcode"], work))
        kwokctl_seconds(tools)
        keep("down", Run([BERTH, "down", *target, "--yes"], work))
        keep("down kwokctl", kwokctl_seconds(tools))
    took = lambda name: seconds(median([run.took for run in figures[name]]))
    peak = lambda name: f"{max(run.peak for run in figures[name]):.0f} MiB"
    own = [accepted - kwokctl for accepted, kwokctl in zip(figures["accepted"], figures["kwokctl"])]
    after = [accepted - cluster for accepted, cluster in zip(figures["accepted"], figures["cluster"])]
    rows += [
        ("`berth plan lab --rehearse`, nothing there", count, took("plan of nothing"), "", peak("plan of nothing")),
        ("`berth up lab --rehearse` from nothing: all accepted", count, seconds(median(figures["accepted"])), "≤ 8 s", ""),
        ("— in it: kwokctl", count, seconds(median(figures["kwokctl"])), "", ""),
        ("— in it: all but kwokctl (berth, and waiting for the API server)", count, seconds(median(own)), "≤ 1.5 s", ""),
        ("— in it: from the API server being ready to all accepted", count, seconds(median(after)), "≤ 3 s", ""),
        ("— all ready but the metrics API", count, seconds(median(figures["ready but metrics"])), "", ""),
        ("— all ready, with metrics-server's first scrapes (whole command)", count, took("up"), "", peak("up")),
        ("— in it: from the API server being ready on (two scrapes, 15 s apart, and 2 s)", count, seconds(median(figures["metrics after"])), "≤ 32 s", ""),
        ("second `berth up lab --rehearse`, no change", count, took("no-op"), "≤ 0.6 s", peak("no-op")),
        ("`berth plan lab --rehearse`, no change", count, took("plan"), "", peak("plan")),
        ("`berth down lab --rehearse --yes`", count, took("down"), "≤ 2 s", peak("down")),
        ("— in it: kwokctl", count, seconds(median(figures["down kwokctl"])), "", ""),
    ]


def side_by_side(work, tables, parts):
    """berth on an existing cluster beside other programs with the same objects."""
    tools = tools_with_wrapper(work / "tools-shared", audit=True)
    shared = work / "shared.yaml"
    shared.write_text(profile("shared", "kwok: {version: \"1.36\"}", "nodeGroups: [{name: general, nodes: 3}]\n"))
    try:
        Run([BERTH, "up", shared, "--tools", tools], work)
        kubeconfig = pathlib.Path(Run([BERTH, "kubeconfig", shared], work).out.strip()).read_text()
        port = int(re.search(r"server: https://127\.0\.0\.1:(\d+)", kubeconfig)[1])
        relay = Relay(port)
        (work / "direct").write_text(kubeconfig)
        (work / "relayed").write_text(kubeconfig.replace(f":{port}", f":{relay.port}"))
        context = re.search(r"current-context: (\S+)", kubeconfig)[1]
        cluster = f"existing: {{kubeconfig: {work}/kubeconfig, context: {context}}}"
        log = Log(next((work / ".local/state/berth").rglob("audit.log")))
        for count, runs in ((2, 3), (100, 1)) if "tenants" in parts else ():
            path = work / f"team{count}.yaml"
            path.write_text(profile(f"team{count}", cluster, "addons: {traefik: {}}\n" + tenants(count, "{requests.cpu: 10, limits.memory: 20Gi}")))
            tables["tenants"] = tables.get("tenants", "") + compare(work, path, count, runs, relay, log)
        if "addons" in parts:
            tables["addons"] = addons(work, cluster, log)
    finally:
        Run([BERTH, "down", shared, "--yes", "--tools", tools], work, check=False)


def addon_objects(work, cluster):
    """The objects of the addons of `lab`, by addon, that a cluster of simulated nodes can hold."""
    path = work / "objects.yaml"
    path.write_text(profile("objects", cluster, "addons: {traefik: {service: {type: ClusterIP}}, metrics-server: {}, metallb: {addresses: 192.0.2.0/28}}\n"))
    Run([BERTH, "render", path, "--out", work / "objects"], work)
    objects = {}
    for file in sorted((work / "objects").rglob("*.yaml")):
        text = file.read_text()
        kind = re.search(r"^kind: (\S+)", text, re.M)[1]
        # Nothing answers a webhook or an aggregated API here, and custom resources wait for their webhook.
        if kind in ("ValidatingWebhookConfiguration", "APIService") or re.search(r"^apiVersion: metallb\.io/", text, re.M):
            continue
        name = re.search(r"berth\.dev/set: addon-(\S+)", text)[1]
        text = re.sub(r"\n +berth\.dev/[^\n]*", "", text)
        text = re.sub(r"\n  (labels|annotations):(?=\n(?:  \S|\S|$))", "", text)
        objects.setdefault(name, []).append((kind, text))
    return objects


def addons(work, cluster, log, runs=3):
    """The same objects by berth, helm and kubectl: first install and again without change."""
    way = lambda name: shutil.copyfile(work / name, work / "kubeconfig")
    way("direct")
    objects = addon_objects(work, cluster)
    everything = [text for texts in objects.values() for _, text in texts]
    first = lambda kind: {"CustomResourceDefinition": 0, "Namespace": 1}.get(kind, 2)
    ordered = [text for _, text in sorted((entry for texts in objects.values() for entry in texts), key=lambda entry: first(entry[0]))]
    whole = work / "whole.yaml"
    whole.write_text("\n---\n".join(ordered))
    # For berth: addons of the user's own with the same objects.
    for name, texts in objects.items():
        folder = work / "own" / f"bench-{name}"
        (folder / "manifests").mkdir(parents=True)
        (folder / "addon.yaml").write_text(
            f"apiVersion: berth.dev/v1alpha1\nkind: Addon\nname: bench-{name}\nsummary: the objects of {name}\n"
            'versions: [{version: 1.0.0, kubernetes: {from: "1.33", to: "1.37"}, images: {}}]\noptions: {type: object}\n'
            "providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}\nrehearsal: applied\n"
        )
        (folder / "manifests/objects.yaml").write_text("\n---\n".join(text for _, text in texts))
    path = work / "addons.yaml"
    names = ", ".join(f"bench-{name}: {{}}" for name in objects)
    path.write_text(profile("addons", cluster, f"addonsFrom: [own]\naddons: {{{names}}}\n"))
    # For helm: a chart. Its templates hold the definitions too: what lies in crds/ is never looked at again.
    chart = work / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: bench\nversion: 1.0.0\n")
    (chart / "templates/objects.yaml").write_text(whole.read_text())
    kubectl = [TOOLS / "kubectl", "--kubeconfig", work / "kubeconfig"]
    helm = lambda program: [HELM / program, "upgrade", "--install", "bench", chart, "--namespace", "default", "--kubeconfig", work / "kubeconfig"]
    ways = {
        "`berth up`": ([BERTH, "up", path, "--output", "json"], "berth"),
        "`kubectl apply --server-side`": ([*kubectl, "apply", "--server-side", "--field-manager=bench", "-f", whole], "kubectl"),
        **{f"`helm upgrade --install` ({version(program)})": (helm(program), "helm") for program in ("helm3", "helm4")},
    }

    def clear():
        say("addons, clearing")
        Run([BERTH, "down", path, "--yes"], work)
        Run([*kubectl, "delete", "-f", whole, "--ignore-not-found", "--wait"], work)
        Run([*kubectl, "delete", "secret", "-n", "default", "-l", "owner=helm", "--ignore-not-found"], work)

    figures = {}
    # In turn, so that all have the same moments of the machine.
    for number in range(runs):
        for title, (command, agent) in ways.items():
            clear()
            for kind in ("first", "no change"):
                say(f"addons, {len(everything)} objects, {title}, {kind}, run {number + 1} of {runs}")
                log.read()
                run = Run(command, work)
                requests, writes, lists = log.of(agent)
                if not requests:
                    sys.exit(f"bench: the audit log has no request of {agent}")
                accepted = run.took
                if agent == "berth" and kind == "first":
                    accepted = max(event["elapsed_ms"] for event in map(json.loads, run.out.splitlines()) if event["type"] == "accepted") / 1000
                figures.setdefault((title, kind), []).append((accepted, run.took, requests, writes, lists))
    clear()
    middle = {key: [median(column) for column in zip(*values)] for key, values in figures.items()}
    rows = []
    for (title, kind), (accepted, took, requests, writes, lists) in middle.items():
        times = accepted / middle["`berth up`", kind][0]
        rows.append(f"| {title}, {kind} | {seconds(accepted)} | {times:.1f} × | {seconds(took) if 'berth' in title else 'does not wait'} | {requests:.0f} | {writes:.0f} | {lists:.0f} |")
    head = "| | Accepted | against berth | Ready | Requests | of them writes | most LISTs of one kind |\n|---|---:|---:|---:|---:|---:|---:|\n"
    return f"\n### {len(everything)} objects of {len(objects)} addons ({', '.join(objects)}), medians of {runs} runs\n\n{head}" + "\n".join(rows) + "\n"


def version(program):
    return "helm " + re.search(r"v\d[\d.]*", subprocess.run([HELM / program, "version", "--short"], capture_output=True, text=True).stdout)[0]


def compare(work, path, count, runs, relay, log):
    way = lambda name: shutil.copyfile(work / name, work / "kubeconfig")
    way("direct")
    out = work / f"rendered{count}"
    Run([BERTH, "render", path, "--out", out], work)
    objects = len(list(out.rglob("*.yaml")))
    folders = sorted(folder for folder in out.iterdir() if folder.is_dir())
    apply = " && ".join(f"{TOOLS}/kubectl --kubeconfig {work}/kubeconfig apply --server-side --field-manager=berth -f {folder}" for folder in folders)
    commands = {
        "`berth up`": ([BERTH, "up", path], "berth"),
        "`kubectl apply --server-side`": (["/bin/sh", "-c", apply], "kubectl"),
    }
    rows = []
    for title, (command, agent) in commands.items():
        for kind in ("first", "no change"):
            figures = []
            # The last run goes through the relay and is not timed.
            for number in range(runs + 1):
                say(f"{objects} objects, {title}, {kind}, run {number + 1} of {runs + 1}")
                if kind == "first":
                    Run([BERTH, "down", path, "--yes"], work)
                way("direct" if number < runs else "relayed")
                log.read()
                relay.sent = relay.received = 0
                run = Run(command + (["--output", "json"] if agent == "berth" else []), work)
                way("direct")
                requests, writes, _ = log.of(agent)
                accepted = run.took
                if agent == "berth" and kind == "first":
                    events = [json.loads(line) for line in run.out.splitlines()]
                    accepted = max(event["elapsed_ms"] for event in events if event["type"] == "accepted") / 1000
                if number < runs:
                    figures.append((accepted, run.took, run.peak, requests, writes))
            if not figures[0][3]:
                sys.exit(f"bench: the audit log has no request of {agent}")
            accepted, whole, peak, requests, writes = (median(column) for column in zip(*figures))
            rows.append(
                f"| {title}, {kind} | {seconds(accepted)} | {seconds(whole) if agent == 'berth' else 'does not wait'} | {requests:.0f} | {writes:.0f} "
                f"| {relay.sent / 1024:.0f} KiB | {relay.received / 1024:.0f} KiB | {f'{peak:.0f} MiB' if agent == 'berth' else '—'} |"
            )
    Run([BERTH, "down", path, "--yes"], work)
    head = "| | Accepted | Ready | Requests | of them writes | Sent | Received | Peak memory |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
    return f"\n### {count} tenants and traefik: {objects} objects, {len(folders)} folders, {'medians of ' + str(runs) + ' runs' if runs > 1 else 'one run'}\n\n{head}" + "\n".join(rows) + "\n"


def machine():
    cpu = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 1024 / 1024
    rust = subprocess.run(["rustc", "--version"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    kubernetes = subprocess.run([TOOLS / "kube-apiserver", "--version"], capture_output=True, text=True).stdout.strip()
    kwok = subprocess.run([TOOLS / "kwokctl", "--version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return [
        f"- {datetime.date.today()}, commit {commit or 'unknown'}",
        f"- {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {os.uname().release}; load average before the start {os.getloadavg()[0]:.1f}",
        f"- release build, {rust}; {kubernetes}; {kwok}",
    ]


def main():
    about, rows, tables = machine(), [], {}
    parts = PARTS or ["start-up", "lab", "tenants", "addons", "kind", "images", "eks"]
    work = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-"))
    # Ended by a signal, it takes its cluster away too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if "start-up" in parts:
            start_up(work, rows)
        if "addons" in parts:
            rendering(work, rows)
        if "lab" in parts:
            lab(work, rows)
        if "tenants" in parts or "addons" in parts:
            side_by_side(work, tables, parts)
        if "kind" in parts:
            import bench_kind
            tables["kind"] = bench_kind.measure(sys.modules[__name__], work)
        if "images" in parts:
            import bench_images
            tables["images"] = bench_images.measure(sys.modules[__name__], work)
        if "eks" in parts:
            import bench_eks
            tables["eks"] = bench_eks.measure(sys.modules[__name__], work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    table = "| What | Runs | Median | Target | Peak memory |\n|---|---:|---:|---:|---:|\n"
    table += "".join(f"| {what} | {runs} | {value} | {target} | {memory} |\n" for what, runs, value, target, memory in rows)
    page = "# Benchmarks\n\nMade by `scripts/bench`:\n\n" + "\n".join(about) + "\n\n"
    page += "Targets are for 2 idle cores. Peak memory is that of the berth process (target ≤ 40 MiB), without the programs that it starts.\n\n" + table
    if "tenants" in tables:
        page += TENANTS + tables["tenants"]
    if "addons" in tables:
        page += ADDONS + tables["addons"]
    if "kind" in tables:
        page += KIND + tables["kind"]
    if "images" in tables:
        page += IMAGES + tables["images"]
    if "eks" in tables:
        page += EKS + tables["eks"]
    if PARTS:
        print(page)
        return
    PAGE.write_text(page)
    say(f"{PAGE} is written")


TENANTS = """
## Beside kubectl

The same objects on the same cluster (a real API server, provider `existing`), one after the other, each from nothing and again without change. \
kubectl applies the folders of `berth render` in turn, as `berth render` says; it prunes nothing, waits for nothing and does not look for objects of others. \
Requests are counted by the API server's audit log, bytes (with TLS) by a relay on 127.0.0.1 in one more run, which is not timed. \
`berth up` also plans, holds a lease, records what it makes and waits until everything is ready.
"""
ADDONS = """
## Addons beside helm and kubectl

The objects of the addons of the profile `lab`, from nothing and again without change, on one cluster, the programs in turn (`scripts/bench addons`). \
berth has them as addons of the user's own, helm as one chart with everything in its templates, kubectl as one file. \
Left out, for everybody: webhook configurations, the custom resources that they guard, and the APIService, since nothing answers them on simulated nodes. \
helm and kubectl wait for nothing here; `berth up` goes on until all pods run. \
Targets: first install accepted in a third of helm's time, no change in a fifth of both; no write and one LIST for each kind in the second `berth up`.
"""
KIND = """
## A lab on kind, beside a script

The same lab of one control plane and two workers, with a registry, metrics-server, Traefik, MetalLB and two tenants, from nothing and again without change \
(`scripts/bench kind`): by `berth up`, and by a script of kind, docker, helm and kubectl that applies the same objects and is safe to run again. \
The images are in the node image; kind's own time is taken by a wrapper of it. \
berth also checks the machine, plans, chooses a free range of addresses and finds out whether network policies act; the script is told a range.

MetalLB's pool is a line of its own: a custom resource is sent only once its webhook answers, and that program starts when nodes are ready, which they are \
seconds after kind has ended. It then makes its certificate, which comes back to it by way of the kubelet, and listens after a pause of its own. \
No caller can make that shorter; the script waits for the same.

`down` removes the container of the registry only once the cluster is gone: the last lab takes it along, and two that end at once \
would each leave it to the other. So the engine's own time for that container is in its figure.
"""
IMAGES = """
## Images into the nodes, beside kind

An image of 500 MB of random bytes in five layers, from Docker into the three nodes of a lab that lack it, and again (`scripts/bench images`): \
by `berth image load` and by `kind load docker-image`, in turn.
"""
EKS = """
## An environment on EKS, beside eksctl's order

Against the [stand-in for AWS](../tests/fakes/aws/README.md), whose durations are published ones (control plane 9 min, node group 3 min, NAT gateway 2 min, \
addon 30 s) divided by 30, with a real API server behind the cluster (`scripts/bench eks`). No figure of this section was measured on AWS. \
berth looks at what it waits for after a tenth of the time that it has waited, between 0.5 and 5 s, in real time: at a thirtieth of \
AWS's durations these pauses weigh more than they would there.

The other column is not eksctl but its order: `scripts/eksctl_order.py` makes the calls that eksctl v0.230 has made, one stack after the other and with its own pauses \
(divided by 30 as well), as read in its source. The program itself cannot be run here: its templates hold the control plane and the node groups, and the \
stand-in's CloudFormation has no EKS types. The replay leaves out what would cost eksctl more time (the OIDC provider, stacks for roles of addons).

In AWS's own time: the figures times 30; but berth's waits for a next look are not times 30, they are each counted as the longest that one can be, 5 s.

What is berth's own is the time between the answer in which it saw a change and the call that waited for it.
"""


main()
