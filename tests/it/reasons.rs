//! What is waited for is told with its reason: in the progress of `up`, when its time is over, and by `status`.

use std::fs;

use super::support::{AddonEnvironment, Finished};

/// What the progress told as news with `words` in it, one after the other: not as a sign of life, and not as the end.
fn news<'a>(finished: &'a Finished, words: &str) -> Vec<&'a str> {
    let is_news = |line: &&str| line.contains(" objects ready, ") && !line.contains("still working after");
    let told = finished.stderr.lines().filter(is_news).filter(|line| !line.contains("FAILED"));
    told.filter(|line| line.contains(words)).filter_map(|line| Some(line.split_once(" s  ")?.1)).collect()
}

/// That something was told, and nothing twice: nodes of other tests may change what the scheduler says.
fn is_told_once(news: &[&str]) -> bool {
    !news.is_empty() && news.windows(2).all(|two| two[0] != two[1])
}

/// A report without the ends of its lines, which depend on how long they are.
fn on_one_line(report: &str) -> String {
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The only pod of the addon.
fn pod_of(addon: &AddonEnvironment) -> String {
    let pods = addon.plane.kubectl(&["-n", &addon.namespace, "get", "pods", "-o", "name"]);
    let names: Vec<&str> = pods.stdout.lines().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].trim_start_matches("pod/").to_string()
}

/// A node that nobody runs and where no other pod comes, as long as this is there.
struct Node<'a>(&'a AddonEnvironment);

impl<'a> Node<'a> {
    fn new(addon: &'a AddonEnvironment) -> Self {
        let name = &addon.name;
        addon.plane.apply_as(
            "stage",
            &format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n\
                 spec: {{taints: [{{key: stage, value: {name}, effect: NoSchedule}}]}}\n"
            ),
        );
        Self(addon)
    }

    /// Puts the pod there, as a scheduler does: only of a pod without a node does that one write what it thinks.
    fn take(&self, pod: &str) {
        let (addon, name) = (self.0, &self.0.name);
        let binding = serde_json::json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod},
            "target": {"apiVersion": "v1", "kind": "Node", "name": name}});
        let file = addon.berth.work().join("binding.json");
        fs::write(&file, binding.to_string()).expect("the folder is ours");
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/binding", addon.namespace);
        addon.plane.kubectl(&["create", "--raw", &path, "-f", &file.display().to_string()]).expect(0);
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.0.plane.kubectl(&["delete", "node", "--wait=false", &self.0.name]);
    }
}

/// What a kubelet writes of a container that waits.
fn waiting(addon: &AddonEnvironment, pod: &str, reason: &str, message: &str) {
    let status = serde_json::json!({"status": {
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
        "containerStatuses": [{"name": "gadget", "image": "example.org/gadget:1", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]}});
    let patch = status.to_string();
    let arguments =
        ["-n", &addon.namespace, "patch", "pod", pod, "--subresource=status", "--type=merge", "-p"];
    addon.plane.kubectl(&[arguments.as_slice(), &[&patch]].concat()).expect(0);
}

#[test]
fn a_pod_that_will_not_come_is_told_with_its_reason_and_once() {
    let addon = AddonEnvironment::new("reason-pod");
    addon.manifests(&[addon.home(), addon.deployment(1)]);
    // Long enough for a pod to come on a busy machine: what was seen last is told when the time is over.
    let late = addon.run("up", &["--yes", "--timeout", "15s"]).expect(7);
    let pod = pod_of(&addon);
    let deployment = format!("Deployment {}/gadgets: 0 of 1 pods available: pod {pod}: ", addon.namespace);
    let unschedulable = format!("{deployment}Unschedulable: ");
    assert!(is_told_once(&news(&late, &unschedulable)), "{}", late.said());
    let said = on_one_line(&late.stderr);
    let end = said.rsplit("seen last: ").next().unwrap_or_default();
    assert!(end.contains(&unschedulable) && said.contains("seen last: "), "{}", late.said());

    let node = Node::new(&addon);
    node.take(&pod);
    let cause = "failed to pull and unpack image \"example.org/gadget:1\": failed to do request: Head \
                 \"https://example.org/v2/gadget/manifests/1\": dial tcp: lookup example.org: no such host";
    waiting(&addon, &pod, "ErrImagePull", cause);
    let told =
        format!("{deployment}ErrImagePull: example.org/gadget:1: dial tcp: lookup example.org: no such host");
    let status = addon.run("status", &[]);
    assert!(on_one_line(&status.stdout).contains(&told), "{}", status.said());

    let mut running = addon.berth.start(&["up", &addon.name, "--yes", "--timeout", "15s"]);
    running.until_told(&told);
    let pause = format!("Back-off pulling image \"example.org/gadget:1\": ErrImagePull: {cause}");
    waiting(&addon, &pod, "ImagePullBackOff", &pause);
    let late = running.finish().expect(7);
    assert_eq!(news(&late, &told).len(), 1, "{}", late.said());
    drop(node);

    addon.manifests(&[addon.home(), addon.deployment(0)]);
    addon.up().expect(0);
    addon.proxy.forget();
    addon.up().expect(0);
    let asks = addon.proxy.log().0;
    let asked = asks.iter().filter(|one| one.resource == "pods" && one.namespace == addon.namespace).count();
    assert_eq!(asked, 0, "what is ready needs no reason");
}

#[test]
fn pods_that_are_refused_are_told_with_the_reason_of_the_refusal() {
    let addon = AddonEnvironment::new("reason-refused");
    let quota = format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: none, namespace: {}}}, spec: {{hard: {{pods: \"0\"}}}}}}",
        addon.namespace
    );
    addon.manifests(&[addon.home(), quota.clone(), addon.deployment(1)]);
    let refused = "FailedCreate: forbidden: exceeded quota: none";
    let told = format!("Deployment {}/gadgets: 0 of 1 pods available: {refused}", addon.namespace);
    addon.start("up").stopped_once_told(&told);

    let job = addon.deployment(1).replace("apps/v1", "batch/v1").replace("Deployment", "Job");
    let job = job.replace("replicas: 1, selector: {matchLabels: {app: gadgets}}, ", "");
    let job = job.replace("hostNetwork: false", "restartPolicy: Never");
    addon.manifests(&[addon.home(), quota, job]);
    let told = format!("Job {}/gadgets: not complete yet: {refused}", addon.namespace);
    addon.start("up").stopped_once_told(&told);
}
