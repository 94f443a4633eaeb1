"""The part `images` of scripts/bench: an image of half a gigabyte into the three nodes of a lab, by `berth image load`
and by `kind load docker-image` in turn. Needs docker, kind and, where no registry can be reached, BERTH_KIND_IMAGE."""

import json
import os
import shutil
import subprocess

ENVIRONMENT = "benchimages"
IMAGE = "localhost/berth-bench-images:v1"
LAYERS = 5
MEGABYTES = 100


def build(work):
    """The image: random bytes, which nobody can compress, in some layers of 100 MB."""
    folder = work / "image"
    folder.mkdir()
    lines = ["FROM scratch"]
    for number in range(LAYERS):
        with open(folder / f"layer{number}", "wb") as file:
            for _ in range(MEGABYTES):
                file.write(os.urandom(1_000_000))
        lines.append(f"COPY layer{number} /layer{number}")
    # Nothing in it runs, but an image without a command is odd.
    (folder / "Dockerfile").write_text("\n".join([*lines, 'CMD ["/layer0"]']) + "\n")
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, folder], capture_output=True, check=True)
    shutil.rmtree(folder)


def measure(bench, work, count=3):
    """The table of the page."""
    if not shutil.which("kind") or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return "\nNot measured: kind is not on PATH, or no Docker daemon answers.\n"
    image = os.environ.get("BERTH_KIND_IMAGE", "")
    path = f"{bench.TOOLS}:{os.environ['PATH']}"
    environment = work / f"{ENVIRONMENT}.yaml"
    cluster = f'kind: {{version: "1.36"{f", image: {json.dumps(image)}" if image else ""}}}'
    environment.write_text(bench.profile(ENVIRONMENT, cluster, "nodeGroups: [{name: general, nodes: 2}]\n"))
    berth = lambda *arguments, **more: bench.Run([bench.BERTH, *arguments], work, more={"PATH": path}, **more)
    ways = {
        "berth": lambda: berth("image", "load", IMAGE, "--environment", environment),
        "kind": lambda: bench.Run(["kind", "load", "docker-image", IMAGE, "--name", ENVIRONMENT], work, more={"PATH": path}),
    }
    nodes = [f"{ENVIRONMENT}-{name}" for name in ("control-plane", "worker", "worker2")]
    figures, peaks = {}, []
    try:
        bench.say("images: an image and a cluster")
        build(work)
        berth("up", environment, "--yes")
        for number in range(count):
            # Each goes first in turn, since the second one finds the layers in memory.
            for way in sorted(ways, reverse=number % 2 == 1):
                bench.say(f"images, run {number + 1} of {count}: {way}")
                for node in nodes:
                    subprocess.run(["docker", "exec", node, "crictl", "rmi", IMAGE], capture_output=True)
                loaded = ways[way]()
                figures.setdefault((way, "first"), []).append(loaded.took)
                figures.setdefault((way, "again"), []).append(ways[way]().took)
                if way == "berth":
                    peaks.append(loaded.peak)
    finally:
        berth("down", environment, "--yes", check=False)
        subprocess.run(["docker", "rmi", IMAGE], capture_output=True)
    middle = lambda way, kind: bench.median(figures[way, kind])
    row = lambda what, kind, target: f"| {what} | {bench.seconds(middle('berth', kind))} | {bench.seconds(middle('kind', kind))} | {target} |"
    size = LAYERS * MEGABYTES
    lines = [
        row(f"{size} MB, {LAYERS} layers, into three nodes that lack them", "first", "≤ kind's"),
        row("again: every node has it", "again", ""),
    ]
    head = "| | `berth image load` | `kind load docker-image` | Target for berth |\n|---|---:|---:|---:|\n"
    tail = f"\nPeak memory of berth: {bench.median(peaks):.0f} MiB.\n"
    return f"\n### Medians of {count} runs\n\n{head}" + "\n".join(lines) + "\n" + tail
