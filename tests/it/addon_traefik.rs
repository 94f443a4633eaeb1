//! What the options of traefik come to on each platform.

use serde_json::{Value, json};

use super::addons::{Objects, on, refusal};

const EKS: &str = "eks: {account: \"123456789012\", region: eu-central-1}";
const GKE: &str = "gke: {project: acme-prod, location: europe-west4}";
const KIND: &str = "kind: {}";
const EXISTING: &str = "existing: {kubeconfig: /nonexistent, context: acme}";

fn service(cluster: &str, options: &str) -> Value {
    on(cluster, &format!("traefik: {options}")).one("Service")
}

fn pod(objects: &Objects, kind: &str) -> Value {
    objects.one(kind)["spec"]["template"]["spec"].clone()
}

fn arguments(options: &str) -> Vec<String> {
    let pod = pod(&on(GKE, &format!("traefik: {options}")), "Deployment");
    let arguments = pod["containers"][0]["args"].as_array().expect("a list").iter();
    arguments.map(|argument| argument.as_str().expect("a text").to_string()).collect()
}

#[test]
fn on_eks_it_is_an_nlb_from_the_start() {
    let service = service(EKS, "{}");
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"].get("loadBalancerClass"), None);
    // The second and third are for the controller of EKS Auto Mode, which takes it without a class.
    let annotations = json!({
        "service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
    });
    assert_eq!(service["metadata"]["annotations"], annotations);
}

#[test]
fn on_eks_the_controller_of_a_class_balances_straight_to_the_pods() {
    let service = service(EKS, "{service: {loadBalancerClass: service.k8s.aws/nlb}}");
    assert_eq!(service["spec"]["loadBalancerClass"], "service.k8s.aws/nlb");
    let annotations = json!({
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
    });
    assert_eq!(service["metadata"]["annotations"], annotations);
}

#[test]
fn an_internal_load_balancer_is_asked_for_as_the_platform_wants_it() {
    let annotation = |cluster, name: &str| {
        service(cluster, "{service: {internal: true}}")["metadata"]["annotations"][name].clone()
    };
    assert_eq!(annotation(EKS, "service.beta.kubernetes.io/aws-load-balancer-internal"), "true");
    assert_eq!(annotation(EKS, "service.beta.kubernetes.io/aws-load-balancer-scheme"), "internal");
    assert_eq!(annotation(GKE, "networking.gke.io/load-balancer-type"), "Internal");
    assert_eq!(service(GKE, "{}")["metadata"].get("annotations"), None);
}

#[test]
fn annotations_of_the_profile_win_over_those_of_the_platform() {
    let given = "{service: {loadBalancerClass: service.k8s.aws/nlb, \
                  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: instance, a: b}}}";
    let service = service(EKS, given);
    let annotations = &service["metadata"]["annotations"];
    assert_eq!(annotations["service.beta.kubernetes.io/aws-load-balancer-nlb-target-type"], "instance");
    assert_eq!(annotations["service.beta.kubernetes.io/aws-load-balancer-scheme"], "internet-facing");
    assert_eq!(annotations["a"], "b");
}

#[test]
fn the_address_and_who_may_connect_reach_the_service() {
    let on_gke = service(GKE, "{service: {addresses: [203.0.113.7], sourceRanges: [198.51.100.0/24]}}");
    assert_eq!(on_gke["spec"]["loadBalancerIP"], "203.0.113.7");
    assert_eq!(on_gke["spec"]["loadBalancerSourceRanges"], json!(["198.51.100.0/24"]));
    let given = "{service: {type: LoadBalancer, addresses: [10.0.0.7, \"fd00::7\"]}}";
    let on_premises = service(EXISTING, given);
    assert_eq!(on_premises["metadata"]["annotations"]["metallb.io/loadBalancerIPs"], "10.0.0.7,fd00::7");
    assert_eq!(on_premises["spec"].get("loadBalancerIP"), None);
}

#[test]
fn on_kind_without_metallb_each_node_serves_on_its_own_ports() {
    let objects = on(KIND, "traefik: {}");
    assert_eq!(objects.one("Service")["spec"]["type"], "ClusterIP");
    assert!(objects.all("Deployment").is_empty());
    let daemon_set = objects.one("DaemonSet");
    assert_eq!(
        daemon_set["spec"]["updateStrategy"]["rollingUpdate"],
        json!({"maxUnavailable": 1, "maxSurge": 0})
    );
    let ports = pod(&objects, "DaemonSet")["containers"][0]["ports"].clone();
    let taken: Vec<&Value> =
        ports.as_array().expect("a list").iter().filter_map(|port| port.get("hostPort")).collect();
    assert_eq!(taken, [80, 443]);
    let level = |objects: &Objects| {
        objects.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone()
    };
    assert_eq!(level(&objects), "privileged");
    assert_eq!(level(&on(KIND, "traefik: {hostPorts: false}")), "restricted");
    assert_eq!(service(EXISTING, "{}")["spec"]["type"], "NodePort");
}

#[test]
fn several_pods_are_spread_and_go_one_at_a_time() {
    let alone = on(GKE, "traefik: {}");
    assert!(alone.all("PodDisruptionBudget").is_empty());
    assert_eq!(pod(&alone, "Deployment").get("topologySpreadConstraints"), None);
    let several = on(GKE, "traefik: {replicas: 3}");
    assert_eq!(several.one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    let how = |objects: &Objects| {
        let constraints = pod(objects, "Deployment")["topologySpreadConstraints"].clone();
        let constraints = constraints.as_array().expect("a list").clone();
        constraints.iter().map(|constraint| constraint["whenUnsatisfiable"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(how(&several), ["ScheduleAnyway", "ScheduleAnyway"]);
    assert_eq!(how(&on(GKE, "traefik: {replicas: 3, spread: demand}")), ["DoNotSchedule", "DoNotSchedule"]);
    // Its nodes may have no zones.
    let on_premises = on(EXISTING, "traefik: {replicas: 3, spread: demand}");
    assert_eq!(how(&on_premises), ["DoNotSchedule", "ScheduleAnyway"]);
}

#[test]
fn each_switch_reaches_the_program() {
    let plain = arguments("{}");
    for (options, flag) in [
        ("{redirect: true}", "--entrypoints.web.http.redirections.entrypoint.scheme=https"),
        ("{nginx: true}", "--providers.kubernetesingressnginx=true"),
        ("{defaultCertificate: wildcard}", "--providers.file.directory=/etc/traefik/certificate"),
        ("{gateway: {crds: false}}", "--providers.kubernetesgateway=true"),
        ("{accessLog: json}", "--accesslog.format=json"),
        ("{logLevel: DEBUG}", "--log.level=DEBUG"),
    ] {
        let flag = flag.to_string();
        assert!(!plain.contains(&flag) && arguments(options).contains(&flag), "{options}");
    }
}

#[test]
fn the_class_of_ingress_nginx_is_made_only_when_asked() {
    let classes = |options: &str| on(GKE, &format!("traefik: {options}")).all("IngressClass").len();
    assert_eq!((classes("{nginx: true}"), classes("{nginx: {ingressClass: true}}")), (1, 2));
    let rules =
        |options: &str| on(GKE, &format!("traefik: {options}")).one("ClusterRole")["rules"].to_string();
    assert!(rules("{nginx: true}").contains("configmaps") && !rules("{}").contains("configmaps"));
}

#[test]
fn gateways_have_a_class_and_their_rights_come_with_it() {
    let with = on(GKE, "traefik: {gateway: {crds: false}}");
    assert_eq!(with.one("GatewayClass")["spec"]["controllerName"], "traefik.io/gateway-controller");
    assert!(with.one("ClusterRole")["rules"].to_string().contains("httproutes/status"));
    let without = on(GKE, "traefik: {}");
    assert!(without.all("GatewayClass").is_empty());
    assert!(!without.one("ClusterRole")["rules"].to_string().contains("gateway"));
}

#[test]
fn resources_are_merged_and_the_collector_knows_the_limit() {
    let pod = pod(&on(GKE, "traefik: {resources: {limits: {cpu: 2, memory: 1Gi}}}"), "Deployment");
    let container = &pod["containers"][0];
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": 2, "memory": "1Gi"}})
    );
    assert_eq!(container["env"], json!([{"name": "GOMEMLIMIT", "value": "966367641"}]));
}

#[test]
fn metrics_have_a_service_of_their_own() {
    let objects = on(GKE, "traefik: {metrics: true}");
    let services = objects.all("Service");
    let metrics =
        services.iter().find(|service| service["metadata"]["name"] == "traefik-metrics").expect("made");
    assert_eq!(metrics["metadata"]["annotations"]["prometheus.io/port"], "9100");
    assert_eq!(on(GKE, "traefik: {}").all("Service").len(), 1);
}

#[test]
fn what_does_not_go_together_is_refused_with_its_path_and_a_way_out() {
    for (cluster, options, message) in [
        (KIND, "{service: {internal: true}}", "service.internal`: only the load balancers of EKS and GKE"),
        (EKS, "{service: {addresses: [203.0.113.7]}}", "service.addresses`: nothing on this platform"),
        (
            GKE,
            "{service: {addresses: [203.0.113.7, 203.0.113.8]}}",
            "service.addresses`: a load balancer of GKE",
        ),
        (
            EXISTING,
            "{service: {addresses: [203.0.113.7]}}",
            "service.addresses`: only a Service of type LoadBalancer",
        ),
        (
            GKE,
            "{service: {type: NodePort, sourceRanges: [198.51.100.0/24]}}",
            "service.sourceRanges`: only a load",
        ),
        (
            EKS,
            "{service: {type: ClusterIP, loadBalancerClass: x}}",
            "service.loadBalancerClass`: only a Service",
        ),
        (KIND, "{replicas: 2}", "replicas`: with host ports there is one pod on each node"),
        (GKE, "{hostPorts: sometimes}", "hostPorts`: `sometimes` is not allowed"),
        (GKE, "{service: NodePort}", "service`: expected a map, but it is a text"),
        (
            GKE,
            "{service: {sourceRanges: [198.51.100.0]}}",
            "service.sourceRanges[0]`: `198.51.100.0` is no network",
        ),
        (GKE, "{defaultCertificate: Wild}", "defaultCertificate`: `Wild` is no name of an object"),
        (GKE, "{resources: {limits: {memory: lots}}}", "resources.limits.memory`: `lots` is no quantity"),
        (GKE, "{service: {annotations: {a: 1}}}", "service.annotations.a`: expected a text"),
    ] {
        let error = refusal(cluster, &format!("traefik: {options}"));
        assert!(error.to_string().starts_with(&format!("`addons.traefik.{message}")), "{options}: {error}");
    }
}
