use serde_json::Value;

/// How much a reason explains, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// The pod is on its way, or its probe says no.
    NotReady,
    /// A pod that ended; there may be another one in its place.
    Past,
    /// It will not come by itself.
    Stuck,
}

/// Why the pods of a workload do not serve: what the one says that explains most. Pure.
///
/// The same hindrance is told in the same words at each look, though a kubelet changes its own: it says
/// `ErrImagePull` and `ImagePullBackOff` by turns, and a container that ends again and again runs in between.
pub(super) fn why(pods: &[Value]) -> Option<(Weight, String)> {
    let told = pods.iter().filter_map(|pod| {
        let name = pod.pointer("/metadata/name")?.as_str()?;
        let (weight, text) = of_pod(pod)?;
        Some((weight, name, text))
    });
    let first = told.max_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(one.1)))?;
    Some((first.0, format!("pod {}: {}", first.1, first.2)))
}

/// What a controller says that could not make a pod. Pure.
///
/// The pod's name is left out: it is another one at each attempt.
pub(super) fn why_none(reason: &str, message: &str) -> String {
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let named = message.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" is "));
    told(reason, named.map_or(message, |(_, rest)| rest))
}

/// `REASON: MESSAGE`, on one line and no longer than is read.
pub(super) fn told(reason: &str, message: &str) -> String {
    let message = shortened(&without_ports(message));
    match (reason, message.as_str()) {
        (_, "") => reason.to_string(),
        ("", _) => message,
        _ => format!("{reason}: {message}"),
    }
}

fn of_pod(pod: &Value) -> Option<(Weight, String)> {
    let status = &pod["status"];
    if pod["metadata"]["deletionTimestamp"].is_string() || status["phase"] == "Succeeded" {
        return None;
    }
    let condition = |kind: &str| {
        let conditions = status["conditions"].as_array();
        conditions.into_iter().flatten().find(|condition| condition["type"] == kind)
    };
    if let Some(scheduled) = condition("PodScheduled").filter(|found| found["status"] == "False") {
        return Some((Weight::Stuck, unscheduled(scheduled)));
    }
    let lists = ["initContainerStatuses", "containerStatuses"];
    let containers: Vec<&Value> =
        lists.iter().filter_map(|list| status[*list].as_array()).flatten().collect();
    let stuck = containers.iter().find_map(|container| Some((*container, of_container(container)?)));
    let stuck = stuck.map(|(container, text)| match container["name"].as_str() {
        Some(name) if containers.len() > 1 => format!("container {name}: {text}"),
        _ => text,
    });
    if status["phase"] == "Failed" {
        let said = || told(text(&status["reason"]), text(&status["message"]));
        return Some((Weight::Past, stuck.unwrap_or_else(said))).filter(|(_, text)| !text.is_empty());
    }
    if let Some(stuck) = stuck {
        return Some((Weight::Stuck, stuck));
    }
    let creating = containers.iter().find_map(|container| container["state"]["waiting"]["reason"].as_str());
    let is_unready = condition("Ready").is_some_and(|found| found["status"] == "False");
    is_unready.then(|| (Weight::NotReady, creating.unwrap_or("not ready").to_string()))
}

/// The scheduler's own words, without what it says of making room.
fn unscheduled(condition: &Value) -> String {
    let message = text(&condition["message"]);
    let message = message.split(" preemption: ").next().unwrap_or(message);
    let reason = condition["reason"].as_str().unwrap_or("Unschedulable");
    told(reason, message.trim_end_matches('.'))
}

/// What keeps a container from running; nothing of one that starts or runs for the first time.
fn of_container(container: &Value) -> Option<String> {
    let waiting = &container["state"]["waiting"];
    let message = text(&waiting["message"]);
    let image = text(&container["image"]);
    match waiting["reason"].as_str() {
        Some("CrashLoopBackOff") => return Some(crashes(container)),
        Some("ErrImagePull") => return Some(not_pulled("ErrImagePull", message, image)),
        Some("ImagePullBackOff") => {
            let behind = message.strip_prefix("Back-off pulling image \"");
            let cause =
                behind.and_then(|rest| rest.split_once("\": ")).and_then(|(_, rest)| rest.split_once(": "));
            let (reason, message) = cause.unwrap_or(("ImagePullBackOff", ""));
            return Some(not_pulled(reason, message, image));
        }
        None | Some("ContainerCreating" | "PodInitializing") => {}
        Some(reason) => return Some(told(reason, message)),
    }
    let restarted = container["restartCount"].as_i64().unwrap_or(0) > 0;
    let terminated = &container["state"]["terminated"];
    if terminated.is_object() {
        let well = terminated["exitCode"] == 0;
        return match (well, restarted) {
            (true, _) => None,
            (false, true) => Some(crashes(container)),
            (false, false) => Some(ended(terminated)),
        };
    }
    let is_crashing =
        restarted && container["ready"] == false && container["lastState"]["terminated"].is_object();
    is_crashing.then(|| crashes(container))
}

/// A container that ends again and again, with its last end.
fn crashes(container: &Value) -> String {
    let ends = [&container["state"]["terminated"], &container["lastState"]["terminated"]];
    match ends.into_iter().find(|end| end.is_object()) {
        Some(end) => format!("CrashLoopBackOff: {}", ended(end)),
        None => "CrashLoopBackOff".to_string(),
    }
}

/// `exit code 137 (OOMKilled): MESSAGE`.
fn ended(terminated: &Value) -> String {
    let reason = terminated["reason"].as_str().filter(|reason| *reason != "Error");
    let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let code = terminated["exitCode"].as_i64().unwrap_or_default();
    told(&format!("exit code {code}{why}"), telling_line(text(&terminated["message"])))
}

/// The line of a log that says what was wrong, or else its last one.
fn telling_line(log: &str) -> &str {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let begins = |line: &&str| ["panic:", "fatal", "error"].iter().any(|sign| starts_with_word(line, sign));
    lines().find(begins).or(lines().next_back()).unwrap_or_default()
}

fn starts_with_word(line: &str, word: &str) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The image and the last cause, without the calls that lie between them.
fn not_pulled(reason: &str, message: &str, image: &str) -> String {
    const CALLS: [&str; 4] = [
        "failed to resolve image: ",
        "failed to do request: ",
        "failed to copy: ",
        "httpReadSeeker: failed open: ",
    ];
    const CALLS_WITH_NAME: [&str; 5] = [
        "failed to pull and unpack image \"",
        "failed to resolve reference \"",
        "failed to pull image \"",
        "Head \"",
        "Get \"",
    ];
    let mut cause = message.trim();
    if let Some((_, rest)) = cause.strip_prefix("rpc error: ").and_then(|rest| rest.split_once("desc = ")) {
        cause = rest;
    }
    loop {
        let plain = CALLS.iter().find_map(|call| cause.strip_prefix(call));
        let named = || {
            let rest = CALLS_WITH_NAME.iter().find_map(|call| cause.strip_prefix(call))?;
            rest.split_once("\": ").map(|(_, rest)| rest)
        };
        match plain.or_else(named) {
            Some(rest) => cause = rest,
            None => break,
        }
    }
    if image.is_empty() || cause.contains(image) {
        return told(reason, cause);
    }
    told(&told(reason, &with_short_digest(image)), cause)
}

fn with_short_digest(image: &str) -> String {
    const SHOWN: usize = 12;
    match image.split_once("@sha256:") {
        Some((name, digest)) if digest.chars().count() > SHOWN => {
            let start: String = digest.chars().take(SHOWN).collect();
            format!("{name}@sha256:{start}…")
        }
        _ => image.to_string(),
    }
}

/// `message` without the own addresses of connections, `read udp 10.0.0.2:43210->10.0.0.1:53`, which have
/// another port each time.
fn without_ports(message: &str) -> String {
    let words = message.split_whitespace().map(|word| match word.split_once("->") {
        Some((from, to)) if from.contains(':') => to,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The beginning and the end, where the cause is.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 240;
    const BEGINNING: usize = 80;
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_string();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    let end: String = text.chars().skip(length - (LONGEST - BEGINNING - 1)).collect();
    format!("{beginning}…{end}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "6e4a8f9b2c7d1e3f5a6b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f";

    /// A pod as a kubelet of v1.36 tells of it.
    fn pod(name: &str, container: &Value) -> Value {
        let mut status =
            json!({"name": "main", "image": "localhost/main:v1", "ready": false, "restartCount": 0});
        for (key, value) in container.as_object().expect("fields of a container") {
            status[key] = value.clone();
        }
        json!({"metadata": {"name": name}, "status": {"phase": "Running", "containerStatuses": [status],
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]}})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"state": {"waiting": {"reason": reason, "message": message}}})
    }

    fn said(pod: Value) -> String {
        why(&[pod]).expect("it has a reason").1
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_told_with_its_cause_alike_during_the_pause_after_it() {
        let image = format!("registry.k8s.io/metrics-server/metrics-server@sha256:{DIGEST}");
        let cause = |port: u16| {
            format!(
                "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do \
                 request: Head \"https://registry.k8s.io/v2/metrics-server/metrics-server/manifests/sha256:{DIGEST}\": \
                 dial tcp: lookup registry.k8s.io on 172.18.0.1:53: read udp 172.18.0.2:{port}->172.18.0.1:53: \
                 no such host"
            )
        };
        let of = |reason: &str, message: &str| {
            let mut container = waiting(reason, message);
            container["image"] = json!(image);
            said(pod("metrics-server-6f54d897b-mp565", &container))
        };
        let told = "pod metrics-server-6f54d897b-mp565: ErrImagePull: \
                    registry.k8s.io/metrics-server/metrics-server@sha256:6e4a8f9b2c7d…: dial tcp: lookup \
                    registry.k8s.io on 172.18.0.1:53: read udp 172.18.0.1:53: no such host";
        assert_eq!(of("ErrImagePull", &cause(40_001)), told);
        let rpc = format!("rpc error: code = Unknown desc = {}", cause(40_002));
        assert_eq!(of("ErrImagePull", &rpc), told);
        let pause = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", cause(40_003));
        assert_eq!(of("ImagePullBackOff", &pause), told);
        let older = of("ImagePullBackOff", &format!("Back-off pulling image \"{image}\""));
        assert!(older.ends_with(
            "ImagePullBackOff: registry.k8s.io/metrics-server/metrics-server@sha256:6e4a8f9b2c7d…"
        ));
        let gone = "failed to pull and unpack image \"localhost/main:v1\": failed to resolve reference \
                    \"localhost/main:v1\": localhost/main:v1: not found";
        let told = "pod a: ErrImagePull: localhost/main:v1: not found";
        assert_eq!(said(pod("a", &waiting("ErrImagePull", gone))), told);
    }

    #[test]
    fn a_container_that_ends_again_and_again_is_told_alike_while_it_pauses_runs_and_ends() {
        let end = json!({"exitCode": 1, "reason": "Error",
            "message": "starting\nerror: --cert-dir: no such file\nbye\n"});
        let pause = "back-off 10s restarting failed container=main pod=a_n(1)";
        let mut pausing = waiting("CrashLoopBackOff", pause);
        pausing["lastState"] = json!({"terminated": end});
        let running = json!({"restartCount": 2, "lastState": {"terminated": end}, "state": {"running": {}}});
        let ended = json!({"restartCount": 2, "state": {"terminated": end}});
        let told = "pod a: CrashLoopBackOff: exit code 1: error: --cert-dir: no such file";
        for container in [pausing, running, ended] {
            assert_eq!(said(pod("a", &container)), told);
        }
        let killed = json!({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}});
        assert_eq!(said(pod("a", &killed)), "pod a: exit code 137 (OOMKilled)");
    }

    #[test]
    fn a_pod_without_a_node_is_told_in_the_words_of_the_scheduler() {
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message":
             "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption \
              victims found for incoming pod."}]}});
        assert_eq!(said(pod), "pod a: Unschedulable: 0/2 nodes are available: 2 Insufficient cpu");
    }

    #[test]
    fn what_a_kubelet_says_of_a_container_is_told_with_its_name_where_there_are_others() {
        let message = "secret \"web-tls\" not found";
        let mut pod = pod("a", &waiting("CreateContainerConfigError", message));
        assert_eq!(said(pod.clone()), format!("pod a: CreateContainerConfigError: {message}"));
        let second = json!({"name": "sidecar", "ready": true, "state": {"running": {}}});
        pod["status"]["containerStatuses"].as_array_mut().expect("one").push(second);
        assert_eq!(said(pod), format!("pod a: container main: CreateContainerConfigError: {message}"));
    }

    #[test]
    fn a_probe_that_says_no_is_just_not_ready_and_a_ready_pod_says_nothing() {
        let running = json!({"state": {"running": {}}});
        assert_eq!(said(pod("a", &running)), "pod a: not ready");
        assert_eq!(said(pod("a", &waiting("ContainerCreating", ""))), "pod a: ContainerCreating");
        let mut ready = pod("a", &running);
        ready["status"]["conditions"][1]["status"] = json!("True");
        assert_eq!(why(&[ready]), None);
        let mut going = pod("a", &running);
        going["metadata"]["deletionTimestamp"] = json!("2026-11-21T08:00:00Z");
        assert_eq!(why(&[going]), None);
    }

    #[test]
    fn a_container_that_is_behind_others_is_on_its_way_and_explains_less_than_the_one_that_is_stuck() {
        let behind = pod("a", &waiting("PodInitializing", ""));
        assert_eq!(
            why(std::slice::from_ref(&behind)),
            Some((Weight::NotReady, "pod a: PodInitializing".to_string()))
        );
        let mut stuck = behind;
        let mut first = waiting("CreateContainerConfigError", "secret \"key\" not found");
        first["name"] = json!("first");
        stuck["status"]["initContainerStatuses"] = json!([first]);
        let told = "pod a: container first: CreateContainerConfigError: secret \"key\" not found";
        assert_eq!(why(&[stuck]), Some((Weight::Stuck, told.to_string())));
    }

    #[test]
    fn of_many_pods_the_first_is_told_that_will_not_come_by_itself() {
        let slow = pod("a", &json!({"state": {"running": {}}}));
        let stuck = |name| pod(name, &waiting("InvalidImageName", "couldn't parse image name \"A\""));
        let evicted = json!({"metadata": {"name": "0"}, "status": {"phase": "Failed", "reason": "Evicted",
            "message": "The node was low on resource: memory."}});
        let told = "pod b: InvalidImageName: couldn't parse image name \"A\"".to_string();
        let pods = [evicted.clone(), slow.clone(), stuck("c"), stuck("b")];
        assert_eq!(why(&pods), Some((Weight::Stuck, told)));
        let told = "pod 0: Evicted: The node was low on resource: memory.".to_string();
        assert_eq!(why(&[slow, evicted]), Some((Weight::Past, told)));
        assert_eq!(why(&[]), None);
    }

    #[test]
    fn pods_that_are_refused_are_told_without_their_names() {
        let quota =
            "pods \"web-5d4f-x7xkq\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0";
        let told = "FailedCreate: forbidden: exceeded quota: q, requested: pods=1, used: pods=0";
        assert_eq!(why_none("FailedCreate", quota), told);
        assert_eq!(why_none("FailedCreate", &format!("Error creating: {quota}")), told);
    }

    #[test]
    fn of_what_is_long_the_beginning_and_the_end_are_told_on_one_line() {
        let told = told("RunContainerError", &format!("first\n{} last", "é".repeat(900)));
        assert!(told.starts_with("RunContainerError: first é") && told.ends_with("é last"), "{told}");
        assert_eq!(told.chars().count(), "RunContainerError: ".len() + 240);
    }
}
