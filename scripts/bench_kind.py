"""The part `kind` of scripts/bench: a lab on the real kind, beside the same lab made by a script of kind, docker,
helm and kubectl. Needs docker, kind and, where no registry can be reached, BERTH_KIND_IMAGE and the images."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

PORT = 25001
ADDONS = ("metallb", "metrics-server", "traefik")
TENANTS = """tenants:
  - {name: checkout, namespaces: [checkout-ns], groups: {admin: [leads], editor: [developers]}, quota: {requests.cpu: 4, limits.memory: 8Gi}}
  - {name: inventory, namespaces: [inventory-ns], groups: {editor: [others]}, quota: {requests.cpu: 4, limits.memory: 8Gi}}
"""
# What a page of the internet would have you type, made safe to run again: the objects are berth's own.
SCRIPT = r"""
set -euo pipefail
export KUBECONFIG=$WORK/script.kubeconfig
docker container inspect bench-registry >/dev/null 2>&1 ||
	docker run -d --restart unless-stopped -p "127.0.0.1:$PORT:5000" --name bench-registry registry:3 >/dev/null
kind get clusters 2>/dev/null | grep -qx bench-script ||
	kind create cluster --name bench-script --config "$WORK/script.yaml" ${IMAGE:+--image "$IMAGE"} --wait 5m
docker network connect kind bench-registry 2>/dev/null || true
for node in $(kind get nodes --name bench-script); do
	docker exec "$node" mkdir -p "/etc/containerd/certs.d/localhost:$PORT"
	printf '[host."http://bench-registry:5000"]\n' | docker exec -i "$node" cp /dev/stdin "/etc/containerd/certs.d/localhost:$PORT/hosts.toml"
done
for addon in $ADDONS; do
	helm template "$addon" "$WORK/charts/$addon" | kubectl apply --server-side --field-manager=script -f - >/dev/null
done
kubectl apply --server-side --field-manager=script -f "$WORK/tenants" >/dev/null
date +%s.%N >"$WORK/applied"
kubectl -n metallb-system rollout status deployment --timeout 5m >/dev/null
until kubectl apply --server-side --field-manager=script -f "$WORK/pool.yaml" >/dev/null 2>&1; do sleep 0.5; done
date +%s.%N >"$WORK/accepted"
kubectl wait --for=condition=Ready node --all --timeout 5m >/dev/null
kubectl get deployments,daemonsets -A -o jsonpath='{range .items[*]}{.metadata.namespace}{" "}{.kind}{"/"}{.metadata.name}{"\n"}{end}' |
	while read -r namespace workload; do kubectl -n "$namespace" rollout status "$workload" --timeout 5m >/dev/null; done
"""


def folder_with_kind(work, helm):
    """A folder for PATH with this helm, and a kind that writes down how long it worked."""
    folder = work / "kind-path"
    folder.mkdir()
    real = shutil.which("kind")
    (folder / "kind").write_text(
        f'#!/bin/sh\nbegan=$(date +%s%N)\n"{real}" "$@"\ncode=$?\necho "$1 $2 $(($(date +%s%N) - began))" >>"{folder}/times"\nexit $code\n'
    )
    (folder / "kind").chmod(0o755)
    (folder / "helm").symlink_to(helm)
    return folder


def kind_seconds(folder, command):
    """How long kind worked on `command` since the last call of this."""
    times = folder / "times"
    lines = times.read_text().splitlines() if times.exists() else []
    times.write_text("")
    return sum(int(line.split()[-1]) for line in lines if line.startswith(command)) / 1e9


def charts(bench, work, environment):
    """The objects of the addons and tenants, as charts and files: without berth's marks."""
    bench.Run([bench.BERTH, "render", environment, "--out", work / "rendered"], work)
    for name in ADDONS:
        templates = work / "charts" / name / "templates"
        templates.mkdir(parents=True)
        (templates.parent / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    (work / "tenants").mkdir()
    for number, file in enumerate(sorted((work / "rendered").rglob("*.yaml"))):
        text = file.read_text()
        found = re.search(r"berth\.dev/set: (?:addon-)?(\S+)", text)
        text = re.sub(r"\n +berth\.dev/[^\n]*", "", text)
        text = re.sub(r"\n  (labels|annotations):(?=\n(?:  \S|\S|$))", "", text)
        if re.search(r"^apiVersion: metallb\.io/", text, re.M):
            continue
        name = found[1] if found else "tenants"
        place = work / "charts" / name / "templates" if name in ADDONS else work / "tenants"
        (place / f"{number:03}.yaml").write_text(text)


def pool(work):
    """The pool that a page would have you look up in the docker network."""
    network = json.loads(subprocess.run(["docker", "network", "inspect", "kind"], capture_output=True, text=True, check=True).stdout)[0]
    subnet = next(config["Subnet"] for config in network["IPAM"]["Config"] if "." in config["Subnet"])
    start = ".".join(subnet.split(".")[:2])
    (work / "pool.yaml").write_text(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: default, namespace: metallb-system}\n"
        f"spec: {{addresses: [{start}.240.1-{start}.240.20]}}\n---\n"
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: default, namespace: metallb-system}\n"
    )


def measure(bench, work, count=3):
    """The table of the page."""
    if not shutil.which("kind") or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return "\nNot measured: kind is not on PATH, or no Docker daemon answers.\n"
    image = os.environ.get("BERTH_KIND_IMAGE", "")
    ways = folder_with_kind(work, bench.HELM / "helm4")
    nodes = "nodeGroups: [{name: general, nodes: 2}]\nregistry: {local: {port: %d}}\n" % PORT
    addons = "addons: {metrics-server: {}, traefik: {}, metallb: {addresses: auto}}\n"
    environment = work / "benchkind.yaml"
    environment.write_text(bench.profile("benchkind", f'kind: {{version: "1.36"{f", image: {json.dumps(image)}" if image else ""}}}', nodes + addons + TENANTS))
    charts(bench, work, environment)
    (work / "script.yaml").write_text(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{role: control-plane}, {role: worker}, {role: worker}]\n"
    )
    (work / "script.sh").write_text(SCRIPT)
    figures = {}
    keep = lambda name, value: figures.setdefault(name, []).append(value)
    path = f"{ways}:{bench.TOOLS}:{os.environ['PATH']}"
    settings = {"PATH": path, "WORK": str(work), "PORT": str(PORT), "IMAGE": image, "ADDONS": " ".join(ADDONS)}
    script = lambda: bench.Run(["bash", work / "script.sh"], work, more=settings)
    berth = lambda *arguments: bench.Run([bench.BERTH, *arguments], work, more={"PATH": path})

    def accepted(run):
        """When all was accepted that waits for no program in the cluster, and when all was."""
        events = [json.loads(line) for line in run.out.splitlines()]
        times = [(event["resource"], event["elapsed_ms"] / 1000) for event in events if event["type"] == "accepted"]
        # MetalLB's pool is the last step of its set, once its webhook answers; the note of the pool comes behind it.
        pool = max(time for resource, time in times if resource == "addon/metallb")
        return max(time for resource, time in times if resource != "network/pools" and time != pool), max(time for _, time in times)

    try:
        for number in range(count):
            bench.say(f"kind, run {number + 1} of {count}: berth")
            kind_seconds(ways, "")
            up = berth("up", environment, "--output", "json")
            own = kind_seconds(ways, "create")
            keep("berth kind", own)
            applied, all_accepted = accepted(up)
            keep("berth applied", applied - own)
            keep("berth accepted", all_accepted - own)
            keep("berth ready", up.took)
            keep("berth again", berth("up", environment).took)
            down = berth("down", environment, "--yes", "--registries")
            keep("berth down", down.took - kind_seconds(ways, "delete"))
            bench.say(f"kind, run {number + 1} of {count}: the script")
            began = time.time()
            # The network is there by now; its range is looked up by hand, once.
            pool(work)
            up = script()
            own = kind_seconds(ways, "create")
            keep("script kind", own)
            for name in ("applied", "accepted"):
                keep(f"script {name}", float((work / name).read_text()) - began - own)
            keep("script ready", up.took)
            keep("script again", script().took)
            delete(work, path)
    finally:
        berth_down = [bench.BERTH, "down", environment, "--yes", "--registries"]
        bench.Run(berth_down, work, check=False, more={"PATH": path})
        delete(work, path)
    middle = lambda name: bench.seconds(bench.median(figures[name]))
    rows = [
        ("kind's own `create`", "kind", "≤ its own"),
        ("besides it, until everything is accepted that waits for no program in the cluster", "applied", "≤ 5 s"),
        ("besides it, until MetalLB's pool is accepted too, which its own webhook judges", "accepted", ""),
        ("from nothing until everything is ready, in all", "ready", ""),
        ("again, no change", "again", "≤ 1.5 s"),
    ]
    lines = [f"| {what} | {middle(f'berth {name}')} | {middle(f'script {name}')} | {target} |" for what, name, target in rows]
    lines.append(f"| `down`, without kind's own `delete` | {middle('berth down')} | | ≤ 1 s |")
    head = "| | berth | script | Target for berth |\n|---|---:|---:|---:|\n"
    return f"\n### Medians of {count} runs\n\n{head}" + "\n".join(lines) + "\n"


def delete(work, path):
    settings = {**os.environ, "PATH": path, "KUBECONFIG": str(work / "script.kubeconfig")}
    subprocess.run(["kind", "delete", "cluster", "--name", "bench-script"], env=settings, capture_output=True)
    subprocess.run(["docker", "rm", "--force", "--volumes", "bench-registry"], env=settings, capture_output=True)
