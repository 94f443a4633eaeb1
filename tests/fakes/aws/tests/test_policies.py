"""Network policies and `connect`, judged on objects alone: no control plane is needed."""
import unittest

from ..services.eks.attempts import ended
from ..services.eks.connections import Connections
from ..services.eks.network_policies import Policies, selects

NAMESPACES = [{"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}
              for name, labels in (("shop", {"team": "shop"}), ("other", {"team": "other"}), ("kube-system", {}))]


def pod(name, address, namespace="shop", labels=None, ports=(), **spec):
    containers = [{"name": "main", "image": "i", "ports": [{"name": called, "containerPort": port} for called, port in ports]}]
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "ownerReferences": [{"kind": "ReplicaSet"}]},
            "spec": {"containers": containers, **spec}, "status": {"phase": "Running", "podIP": address}}


def policy(selector, types, namespace="shop", **rules):
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": {"podSelector": selector, "policyTypes": types, **rules}}


def service(name, address, ports, namespace="shop"):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": address, "ports": ports}}


def slice_of(name, ports, *addresses, namespace="shop", ready=True):
    return {"metadata": {"namespace": namespace, "labels": {"kubernetes.io/service-name": name}}, "ports": ports,
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]}


CLIENT = pod("client", "10.0.0.1", labels={"app": "client"})
STRANGER = pod("stranger", "10.0.1.1", "other", labels={"app": "client"})
SERVER = pod("server", "10.0.0.2", labels={"app": "server"}, ports=[("http", 8080), ("admin", 9090)])
BARE = {**SERVER, "metadata": {**SERVER["metadata"], "name": "bare", "ownerReferences": []}, "status": {"phase": "Running", "podIP": "10.0.0.3"}}
NODE = pod("agent", "192.168.0.1", labels={"app": "server"}, ports=[("http", 8080)], hostNetwork=True)
OVER = pod("over", "10.0.0.4", ports=[("http", 8080)])
OVER["status"] = {"phase": "Succeeded", "podIP": "10.0.0.4"}
DNS = pod("coredns", "10.0.9.9", "kube-system", labels={"k8s-app": "kube-dns"})
DNS["spec"]["containers"][0]["ports"] = [{"containerPort": 53, "protocol": "UDP"}]
PODS = [CLIENT, STRANGER, SERVER, BARE, NODE, OVER, DNS]
SERVICES = [
    service("web", "172.20.0.1", [{"name": "http", "port": 80, "protocol": "TCP"}]),
    service("empty", "172.20.0.2", [{"port": 80}]),
    service("each", "None", [{"port": 8080}]),
    service("kubernetes", "172.20.0.3", [{"name": "https", "port": 443}], "default"),
    service("kube-dns", "172.20.0.10", [{"name": "dns", "port": 53, "protocol": "UDP"}], "kube-system"),
]
SLICES = [
    slice_of("web", [{"name": "http", "protocol": "TCP", "port": 8080}], "10.0.0.2"),
    slice_of("empty", [{"protocol": "TCP", "port": 8080}], "10.0.0.2", ready=False),
    slice_of("each", [{"protocol": "TCP", "port": 8080}], "10.0.0.2"),
    slice_of("kubernetes", [{"name": "https", "port": 443}], "198.51.100.1", namespace="default"),
    slice_of("kube-dns", [{"name": "dns", "protocol": "UDP", "port": 53}], "10.0.9.9", namespace="kube-system"),
]


def network(*policies, enforced=True, without=()):
    services = [each for each in SERVICES if each["metadata"]["name"] not in without]
    return Connections(PODS, services, SLICES, Policies(policies, NAMESPACES) if enforced else None)


def said(source, to, *policies, **how):
    return network(*policies, **how).run(source, [to, "--timeout=2s"])[1]


class Rules(unittest.TestCase):
    """What a policy lets through."""

    def reach(self, source, to, *policies):
        """Whether it connects; what does not, times out."""
        answer = said(source, to, *policies)
        self.assertIn(answer, ("", "TIMEOUT"))
        return answer == ""

    def ingress(self, *rules):
        return policy({"matchLabels": {"app": "server"}}, ["Ingress"], ingress=list(rules))

    def test_a_pod_that_is_chosen_gets_only_what_a_policy_allows(self):
        self.assertTrue(self.reach(CLIENT, "10.0.0.2:8080"))
        self.assertFalse(self.reach(CLIENT, "10.0.0.2:8080", self.ingress()))
        self.assertTrue(self.reach(CLIENT, "10.0.0.2:8080", self.ingress({})))
        self.assertTrue(self.reach(SERVER, "10.0.0.2:8080", self.ingress()), "a pod reaches itself")
        # Several policies add up, those of other namespaces and directions say nothing.
        self.assertTrue(self.reach(CLIENT, "10.0.0.2:8080", self.ingress(), self.ingress({})))
        self.assertTrue(self.reach(CLIENT, "10.0.0.2:8080", policy({}, ["Ingress"], "other"), policy({"matchLabels": {"app": "server"}}, ["Egress"])))
        self.assertFalse(self.reach(CLIENT, "10.0.0.2:8080", policy({"matchLabels": {"app": "client"}}, ["Egress"])))

    def test_peers_are_chosen_by_pod_by_namespace_or_by_both(self):
        near = self.ingress({"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]})
        far = self.ingress({"from": [{"namespaceSelector": {"matchLabels": {"team": "other"}}}]})
        both = self.ingress({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "nobody"}}}]})
        self.assertEqual([self.reach(source, "10.0.0.2:8080", near) for source in (CLIENT, STRANGER)], [True, False])
        self.assertEqual([self.reach(source, "10.0.0.2:8080", far) for source in (CLIENT, STRANGER)], [False, True])
        self.assertEqual([self.reach(source, "10.0.0.2:8080", both) for source in (CLIENT, STRANGER)], [False, False])

    def test_blocks_of_addresses_have_exceptions(self):
        block = {"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.0.1.0/24"]}}
        rule = self.ingress({"from": [block]})
        self.assertEqual([self.reach(source, "10.0.0.2:8080", rule) for source in (CLIENT, STRANGER)], [True, False])
        self.assertFalse(self.reach(CLIENT, "10.0.0.2:8080", self.ingress({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]})))

    def test_ports_are_numbers_names_or_ranges_of_a_protocol(self):
        def ports(*rules):
            rule = self.ingress({"ports": list(rules)})
            return [self.reach(CLIENT, f"10.0.0.2:{port}", rule) for port in (8080, 9090)]
        self.assertEqual(ports({"port": 8080}), [True, False])
        self.assertEqual(ports({"port": "admin", "protocol": "TCP"}), [False, True])
        self.assertEqual(ports({"port": 8000, "endPort": 9090}), [True, True])
        self.assertEqual(ports({"port": 8000, "endPort": 9089}), [True, False])
        self.assertEqual(ports({"port": 8080, "protocol": "UDP"}), [False, False])
        self.assertEqual(ports({"protocol": "TCP"}), [True, True])

    def test_a_way_out_is_needed_as_well_as_a_way_in(self):
        out = policy({}, ["Egress"], egress=[{"to": [{"podSelector": {"matchLabels": {"app": "server"}}}], "ports": [{"port": "http"}]}])
        self.assertEqual([self.reach(CLIENT, f"10.0.0.2:{port}", out) for port in (8080, 9090)], [True, False])
        self.assertFalse(self.reach(CLIENT, "10.0.0.2:8080", out, self.ingress()))
        # A Service is what stands behind it.
        self.assertTrue(self.reach(CLIENT, "172.20.0.1:80", out))

    def test_pods_that_nobody_owns_and_those_on_the_network_of_the_node_are_not_guarded(self):
        self.assertTrue(self.reach(CLIENT, "10.0.0.3:8080", self.ingress()))
        self.assertTrue(self.reach(CLIENT, "192.168.0.1:8080", self.ingress()))
        self.assertTrue(self.reach(NODE, "10.0.0.2:8080", policy({}, ["Egress"])))
        # Nor is one of them a pod to be let in.
        near = self.ingress({"from": [{"podSelector": {}}]})
        self.assertFalse(self.reach(NODE, "10.0.0.2:8080", near))

    def test_selectors_say_in_and_not_in_and_whether_there_is_one(self):
        def by(operator, *values):
            return selects({"matchExpressions": [{"key": "a", "operator": operator, "values": list(values)}]}, {"a": "1"})
        self.assertEqual([by("In", "1"), by("In", "2"), by("NotIn", "1"), by("NotIn", "2"), by("Exists"), by("DoesNotExist")],
                         [True, False, False, True, True, False])
        self.assertTrue(selects({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, {}))


class Ways(unittest.TestCase):
    """How `connect` ends."""

    def test_who_listens_answers_and_a_port_of_nobody_refuses(self):
        self.assertEqual(said(CLIENT, "10.0.0.2:8080"), "")
        self.assertEqual(said(CLIENT, "10.0.0.2:81"), "REFUSED")
        self.assertEqual([said(CLIENT, f"{address}:8080") for address in ("203.0.113.1", "10.0.0.4")], ["TIMEOUT", "TIMEOUT"])
        # A denied port does not tell whether anybody listens.
        self.assertEqual(said(CLIENT, "10.0.0.2:81", policy({}, ["Ingress"])), "TIMEOUT")
        self.assertEqual(network().run(CLIENT, ["10.0.0.2:8080", "--protocol", "udp"]), (1, "REFUSED"))

    def test_where_nothing_enforces_them_policies_say_nothing(self):
        self.assertEqual(said(CLIENT, "10.0.0.2:8080", policy({}, ["Ingress", "Egress"]), enforced=False), "")

    def test_agnhost_serves_on_the_ports_of_its_arguments(self):
        SERVER["spec"]["containers"][0]["args"] = ["netexec", "--http-port=8083"]
        self.addCleanup(SERVER["spec"]["containers"][0].pop, "args")
        self.assertEqual([said(CLIENT, f"10.0.0.2:{port}") for port in (8083, 8082)], ["", "REFUSED"])
        self.assertEqual(network().run(CLIENT, ["10.0.0.2:8081", "--protocol=udp"]), (0, ""))

    def test_a_service_is_its_ready_endpoints(self):
        self.assertEqual(said(CLIENT, "172.20.0.1:80"), "")
        self.assertEqual(said(CLIENT, "172.20.0.1:8080"), "TIMEOUT")
        self.assertEqual(said(CLIENT, "172.20.0.2:80"), "REFUSED")
        # The API server is no pod.
        self.assertEqual(said(CLIENT, "kubernetes.default.svc:443"), "")

    def test_names_are_those_of_services(self):
        for name in ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.svc.cluster.local."):
            self.assertEqual(said(CLIENT, f"{name}:80"), "")
        self.assertEqual(said(CLIENT, "each:8080"), "")
        self.assertEqual(said(STRANGER, "web:80"), "DNS: lookup web on 172.20.0.10:53: no such host")
        self.assertEqual(said(STRANGER, "web.shop:80"), "")
        self.assertEqual(said(CLIENT, "example.com:80"), "DNS: lookup example.com on 172.20.0.10:53: no such host")

    def test_names_need_a_way_to_a_server_that_knows_them(self):
        closed = policy({"matchLabels": {"app": "client"}}, ["Egress"], egress=[{"ports": [{"port": 8080}]}])
        self.assertEqual(said(CLIENT, "web:80", closed), "DNS: lookup web on 172.20.0.10:53: i/o timeout")
        self.assertEqual(said(CLIENT, "172.20.0.1:80", closed), "")
        self.assertTrue(said(CLIENT, "web:80", without=["kube-dns"]).startswith("DNS: "))


class Ends(unittest.TestCase):
    """What a pod's status says in the end."""

    def attempt(self, first, then):
        def container(name, to):
            return {"name": name, "image": "i", "args": ["connect", to, "--timeout=2s"], "terminationMessagePolicy": "FallbackToLogsOnError"}
        made = pod("try", "10.0.0.7", restartPolicy="Never")
        made["spec"].update(initContainers=[container("first", first), container("second", "10.0.0.2:8080")], containers=[container("then", then)])
        return ended(made, network())

    def test_containers_of_the_beginning_come_before_the_rest(self):
        status = self.attempt("10.0.0.2:8080", "10.0.0.2:81")
        self.assertEqual(status["phase"], "Failed")
        self.assertEqual(status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0)
        found = status["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual((found["exitCode"], found["reason"], found["message"]), (1, "Error", "REFUSED\n"))
        status = self.attempt("203.0.113.1:80", "10.0.0.2:8080")
        self.assertEqual(status["initContainerStatuses"][0]["state"]["terminated"]["message"], "TIMEOUT\n")
        behind = [status["initContainerStatuses"][1], status["containerStatuses"][0]]
        self.assertEqual((status["phase"], [each["state"] for each in behind]), ("Failed", [{"waiting": {"reason": "PodInitializing"}}] * 2))
        self.assertEqual(self.attempt("10.0.0.2:8080", "10.0.0.2:9090")["phase"], "Succeeded")

    def test_one_that_is_started_again_has_not_ended(self):
        made = pod("try", "10.0.0.7", restartPolicy="OnFailure")
        made["spec"]["containers"][0]["args"] = ["connect", "10.0.0.2:81"]
        self.assertIsNone(ended(made, network()))


if __name__ == "__main__":
    unittest.main()
