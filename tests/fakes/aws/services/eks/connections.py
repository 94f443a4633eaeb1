"""The network of a cluster as its objects tell it at one moment, and agnhost's `connect` in it.

What it says is agnhost's: https://github.com/kubernetes/kubernetes/blob/master/test/images/agnhost/connect/connect.go
"""
import ipaddress

from .network_policies import End

DOMAIN = "cluster.local"
DNS = ("kube-system", "kube-dns")
# Where the nodes of Auto Mode answer for names.
NODE_DNS = "172.20.0.10"


class Connections:
    """`policies` is None where nothing enforces them; `own_dns`: the nodes answer for names themselves (Auto Mode)."""

    def __init__(self, pods, services, slices, policies, own_dns=False):
        self._policies, self._own_dns = policies, own_dns
        self._services = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in services}
        self._at = {}
        for pod in pods:
            # The address of one that has ended is free again.
            if pod["status"].get("podIP") and pod["status"].get("phase") in ("Pending", "Running"):
                self._at.setdefault(pod["status"]["podIP"], []).append(pod)
        # Service to (name of the port, protocol, address, port) of its ready endpoints.
        self._ready = {}
        for each in slices:
            meta = each["metadata"]
            service = (meta["namespace"], meta.get("labels", {}).get("kubernetes.io/service-name"))
            for endpoint in each.get("endpoints") or []:
                if (endpoint.get("conditions") or {}).get("ready", True):
                    self._ready.setdefault(service, []).extend(
                        (port.get("name") or "", port.get("protocol") or "TCP", address, port["port"])
                        for address in endpoint["addresses"] for port in each.get("ports") or [])

    def run(self, pod, arguments):
        """Exit code and words of `connect HOST:PORT [--timeout=…] [--protocol=…]` in a container of `pod`."""
        places, options = _parse(arguments)
        host, colon, port = (places[0] if places else "").rpartition(":")
        if len(places) != 1 or not colon or not port.isdigit():
            return 1, f"UNKNOWN: address {' '.join(places)}: no HOST:PORT"
        protocol = (options.get("protocol") or "tcp").upper()
        source = End(pod["status"]["podIP"], pod)
        try:
            address = str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            address, why = self._resolve(source, host)
            if address is None:
                return 1, f"DNS: {why}"
        said = self._connect(source, address, int(port), protocol)
        return (1, said) if said else (0, "")

    def _connect(self, source, address, port, protocol):
        """What went wrong, or nothing. A Service is its first ready endpoint: policies see what it stands for."""
        service = next((key for key, each in self._services.items() if each["spec"].get("clusterIP") == address), None)
        if service:
            name = next((each.get("name") or "" for each in self._services[service]["spec"].get("ports") or []
                         if each["port"] == port and each.get("protocol", "TCP") == protocol), None)
            if name is None:
                return "TIMEOUT"
            found = next((each for each in self._ready.get(service, []) if each[:2] == (name, protocol)), None)
            if found is None:
                return "REFUSED"
            address, port = found[2:]
        pods = self._at.get(address, [])
        alone = pods[0] if len(pods) == 1 else None
        if self._policies and not self._policies.let(source, End(address, alone), port, protocol):
            return "TIMEOUT"
        if pods:
            return "" if any(_listens(pod, port, protocol) for pod in pods) else "REFUSED"
        # An endpoint that is no pod is the API server. What else is outside cannot be reached from here.
        return "" if any(each[1:] == (protocol, address, port) for found in self._ready.values() for each in found) else "TIMEOUT"

    def _resolve(self, source, name):
        """(address, None) or (None, why). Names of Services are known, others are not."""
        server = ""
        if self._own_dns:
            # No pod answers, and so no policy lets a pod ask but by the address (aws/containers-roadmap 2552).
            server = f" on {NODE_DNS}:53"
            if self._policies and not self._policies.let(source, End(NODE_DNS), 53, "UDP"):
                return None, f"lookup {name}{server}: i/o timeout"
        else:
            service = self._services.get(DNS)
            if service is None:
                return None, f"lookup {name}: no DNS server answers"
            address = service["spec"]["clusterIP"]
            server = f" on {address}:53"
            if self._connect(source, address, 53, "UDP"):
                return None, f"lookup {name}{server}: i/o timeout"
        namespace = source.pod["metadata"]["namespace"]
        searched = [f".{namespace}.svc.{DOMAIN}", f".svc.{DOMAIN}", f".{DOMAIN}", ""]
        for candidate in [name[:-1]] if name.endswith(".") else [name + each for each in searched]:
            labels = candidate.removesuffix(f".svc.{DOMAIN}").split(".")
            service = tuple(reversed(labels))
            if candidate.endswith(f".svc.{DOMAIN}") and service in self._services:
                own = self._services[service]["spec"].get("clusterIP")
                address = own if own not in (None, "", "None") else next((each[2] for each in self._ready.get(service, [])), None)
                if address:
                    return address, None
        return None, f"lookup {name}{server}: no such host"


def _parse(arguments):
    """(what is no option, options): `--name=value` or `--name value`."""
    places, options, rest = [], {}, list(arguments)
    while rest:
        each = rest.pop(0)
        if not each.startswith("--"):
            places.append(each)
        elif "=" in each:
            options.update([each[2:].split("=", 1)])
        else:
            options[each[2:]] = rest.pop(0) if rest else ""
    return places, options


def _listens(pod, port, protocol):
    """Somebody listens on the ports that a container declares, and on those of agnhost's `netexec`."""
    if pod["status"].get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
        return False
    for container in pod["spec"]["containers"]:
        if any((each["containerPort"], each.get("protocol", "TCP")) == (port, protocol) for each in container.get("ports", [])):
            return True
        arguments = container.get("args") or []
        if arguments[:1] == ["netexec"]:
            options = _parse(arguments[1:])[1]
            if str(port) == {"TCP": options.get("http-port", "8080"), "UDP": options.get("udp-port", "8081")}.get(protocol):
                return True
    return False
