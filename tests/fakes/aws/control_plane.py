"""A real Kubernetes control plane behind one EKS cluster, made by kwokctl: etcd, API server, controller
manager, scheduler and kwok, all on loopback.

The API server asks this program's token webhook who a bearer token is. Its programs end with this program,
however that ends: a guard waits for the end of a pipe that only this program holds.
"""

import base64
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import stages
from .kube import Kube, KubeError

PORTS = (
    "etcdPort",
    "etcdPeerPort",
    "kubeApiserverPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
)
BINARIES = (
    ("etcd", "etcd"),
    ("kube-apiserver", "kube-apiserver"),
    ("kube-controller-manager", "kube-controller-manager"),
    ("kube-scheduler", "kube-scheduler"),
    ("kwok-controller", "kwok"),
)
AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
# Reads the folder, waits for the end of its standard input, and ends every program that names the folder.
# The guard itself names it nowhere. It looks again until it has found none twice: a kwokctl that was just
# killed may have started more.
GUARD = r"""trap '' INT TERM HUP
read -r folder
cat >/dev/null
quiet=0
while [ "$quiet" -lt 2 ]; do
  quiet=$((quiet + 1))
  while read -r pid arguments; do
    case $arguments in *"$folder"/*) kill -KILL "$pid" 2>/dev/null && quiet=0 ;; esac
  done <<END
$(ps -eo pid=,args= -ww)
END
  sleep 0.1
done
rm -rf "$folder"
rmdir "${folder%/*}" 2>/dev/null
"""
# No two control planes of this program look for free ports at the same time.
PORT_LOCK = threading.Lock()


class ControlPlaneError(Exception):
    """kwokctl did not make a cluster that answers."""


def find_tools():
    """The folder of the programs that `scripts/tools` builds."""
    named = os.environ.get("BERTH_TOOLS")
    if named:
        return pathlib.Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    found = pathlib.Path(cache, "berth", "tools", "current")
    if not (found / "kwokctl").exists():
        raise ControlPlaneError(f"`{found}` has no kwokctl: run scripts/tools first")
    return found


def free_ports(count):
    """Ports below those that the system gives to outgoing connections."""
    ports = []
    port = 20_000 + random.randrange(12_000)
    while len(ports) < count:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass
        port += 1
    return ports


class ControlPlane:
    """One cluster of kwokctl. `start` returns at once; `wait` tells when it answers."""

    def __init__(self, folder, name, webhook_url, services, tools=None):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.webhook_url = webhook_url
        # The addresses of Services: kwok gives pods some of 10.0.0.0/24, the API server's own choice too.
        self.services = services
        self.tools = pathlib.Path(tools) if tools else find_tools()
        self.ready = threading.Event()
        self.error = None
        self._stopping = False
        self._guard = None
        self._kwokctl = None
        self._thread = None
        self._lock = threading.Lock()

    # Where things are.

    @property
    def cluster_folder(self):
        return self.folder / "kwok" / "clusters" / self.name

    @property
    def kubeconfig(self):
        return self.folder / "kubeconfig"

    @property
    def endpoint(self):
        """`https://127.0.0.1:PORT`, known as soon as the ports are chosen."""
        return f"https://127.0.0.1:{self.ports['kubeApiserverPort']}"

    def certificate_authority(self):
        """The cluster's CA as EKS shows it: base64 of PEM."""
        return base64.b64encode((self.cluster_folder / "pki" / "ca.crt").read_bytes()).decode()

    def client_files(self):
        """CA, certificate and key of the administrator."""
        pki = self.cluster_folder / "pki"
        return str(pki / "ca.crt"), str(pki / "admin.crt"), str(pki / "admin.key")

    def audit_log(self):
        path = self.cluster_folder / "logs" / "audit.log"
        return path.read_text() if path.exists() else ""

    # Its life.

    def start(self):
        """Starts it in the background."""
        self.folder.mkdir(parents=True, mode=0o700)
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._guard.stdin.write(f"{self.folder}\n".encode())
        self._guard.stdin.flush()
        self._thread = threading.Thread(target=self._run, name=f"control plane {self.name}", daemon=True)
        self._thread.start()

    def wait(self, timeout=None):
        """Whether it answers; raises what went wrong."""
        done = self.ready.wait(timeout)
        if self.error:
            raise self.error
        return done

    def _run(self):
        try:
            for attempt in range(3):
                try:
                    self._create()
                    return
                except ControlPlaneError:
                    # Somebody else was quicker to take a port.
                    if attempt == 2 or self._stopping:
                        raise
                    self._end_programs()
                    self._remove(self.cluster_folder)
        except (ControlPlaneError, OSError) as error:
            self.error = error if isinstance(error, ControlPlaneError) else ControlPlaneError(str(error))
        finally:
            self.ready.set()

    def _create(self):
        with PORT_LOCK:
            self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        options = {"bindAddress": "127.0.0.1", **self.ports}
        config = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": options,
            # A node is kept alive only once it is marked: without a network plugin it stays NotReady.
            "componentsPatches": [
                {
                    "name": "kwok-controller",
                    "extraArgs": [
                        {"key": "manage-all-nodes", "value": "false", "override": True},
                        {"key": "manage-nodes-with-label-selector", "value": "kwok.x-k8s.io/node=fake"},
                    ],
                }
            ],
        }
        webhook = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "webhook", "cluster": {"server": self.webhook_url}}],
            "users": [{"name": "apiserver", "user": {}}],
            "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "apiserver"}}],
            "current-context": "webhook",
        }
        (self.folder / "kwokctl.yaml").write_text(stages.documents(config))
        (self.folder / "webhook.yaml").write_text(json.dumps(webhook))
        (self.folder / "audit.yaml").write_text(AUDIT)
        pki = self.cluster_folder / "pki"
        # The first of each component comes before the second of any: kwokctl 0.8 panics otherwise.
        extra = (
            f"kube-apiserver=authentication-token-webhook-config-file={self.folder / 'webhook.yaml'}",
            f"kube-controller-manager=cluster-signing-cert-file={pki / 'ca.crt'}",
            f"kube-controller-manager=cluster-signing-key-file={pki / 'ca.key'}",
            "kube-apiserver=authentication-token-webhook-version=v1",
            "kube-apiserver=authentication-token-webhook-cache-ttl=1s",
            f"kube-apiserver=service-cluster-ip-range={self.services}",
        )
        arguments = [str(self.tools / "kwokctl"), "create", "cluster", "--name", self.name]
        arguments += ["--runtime", "binary", "--wait", "120s"]
        arguments += ["--config", str(self.folder / "kwokctl.yaml"), "--kubeconfig", str(self.kubeconfig)]
        arguments += ["--kube-audit-policy", str(self.folder / "audit.yaml")]
        arguments += [f"--{part}-binary={self.tools / program}" for part, program in BINARIES]
        for argument in extra:
            arguments += ["--extra-args", argument]
        log = open(self.folder / "kwokctl.log", "ab")
        with self._lock, log:
            if self._stopping:
                raise ControlPlaneError("it was stopped while it was made")
            self._kwokctl = subprocess.Popen(
                arguments,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        code = self._kwokctl.wait()
        # kwokctl says 0 also when its wait has failed.
        if code != 0 or not self._answers():
            said = (self.folder / "kwokctl.log").read_text().strip().splitlines()
            raise ControlPlaneError(f"kwokctl ended with {code}: {said[-1] if said else 'it said nothing'}")

    def _environment(self):
        return {
            "HOME": str(self.folder),
            "KWOK_WORKDIR": str(self.folder / "kwok"),
            "PATH": f"{self.tools}:/usr/local/bin:/usr/bin:/bin",
        }

    def _answers(self):
        try:
            kube = Kube(self)
            status, _ = kube.raw("GET", "/readyz")
            kube.close()
            return status == 200
        except KubeError:
            return False

    def stop(self):
        """Ends its programs and removes its folder. May be called while it starts, and twice."""
        with self._lock:
            self._stopping = True
            kwokctl = self._kwokctl
        if kwokctl and kwokctl.poll() is None:
            kwokctl.kill()
        if self._thread:
            self._thread.join(10)
        with self._lock:
            guard, self._guard = self._guard, None
        if guard:
            # It does what it would do had this program been killed.
            guard.stdin.close()
            guard.wait()

    def _pids(self):
        for path in (self.cluster_folder / "pids").glob("*.pid"):
            try:
                yield int(path.read_text())
            except (OSError, ValueError):
                continue

    def _is_ours(self, pid):
        try:
            return str(self.folder) in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return False

    def _end_programs(self):
        # At once: nothing of it is wanted again.
        alive = [pid for pid in self._pids() if self._is_ours(pid)]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 5
        while any(self._is_ours(pid) for pid in alive) and time.monotonic() < deadline:
            time.sleep(0.01)

    @staticmethod
    def _remove(folder):
        shutil.rmtree(folder, ignore_errors=True)
