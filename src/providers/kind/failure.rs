use crate::base::{Fault, FaultKind};
use crate::containers::EngineKind;
use crate::os::Finished;

/// The fault of a kind that failed at `command` in `engine`, with the node image that it was given: what it
/// stumbled over in words that help, or else its own last words. Its own first words name the command of the
/// engine with all arguments, and those may hold a proxy's password: they are never shown.
pub(super) fn failed(command: &str, finished: &Finished, engine: EngineKind, image: Option<&str>) -> Fault {
    let said = &finished.stderr;
    let attempted = format!("run `kind {command}`");
    let fault = |kind, reason: String, hint: &str| Fault::new(kind, attempted.clone(), reason).hint(hint);
    let Some(code) = finished.code else {
        let hint = "run the same command again: what was half made is made anew";
        return fault(FaultKind::Invalid, "a signal ended it".to_string(), hint);
    };
    let words = last_words(said).unwrap_or_else(|| format!("it ended with code {code} and said nothing"));
    if said.contains("already exist for a cluster with the name") {
        return fault(FaultKind::Transient, words, "run the same command again");
    }
    if said.contains("no space left on device") {
        let hint = format!("{}; then run the same command again", engine.how_to_make_room());
        return fault(FaultKind::Quota, "no space left on device".to_string(), &hint);
    }
    if said.contains("failed to pull image") {
        let image = image.unwrap_or("its node image");
        let reason = format!("the image `{image}` is not on this machine and cannot be pulled: {words}");
        let hint = format!(
            "name an image that is here or can be pulled: `cluster.kind.image` in the profile, or BERTH_KIND_IMAGE \
             for all clusters of this machine; without a network, load one first with `{engine} load`"
        );
        return fault(FaultKind::Invalid, reason, &hint);
    }
    if said.contains("could not find a log line that matches") {
        let hint = format!(
            "raise the limits: `sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288`; if \
             that was not it, `{engine} run --privileged IMAGE` shows how far the image comes"
        );
        let reason = "a node did not start: most often this machine has too few inotify instances or watches";
        return fault(FaultKind::Quota, reason.to_string(), &hint);
    }
    if ["address already in use", "port is already allocated", "permission denied"]
        .iter()
        .any(|sign| words.contains(sign))
        && (words.contains("listen") || words.contains("port") || words.contains("bind"))
    {
        let hint = "choose another port under `cluster.kind.ports`, or stop what listens there; `berth doctor` \
                    and `berth plan` look for that too";
        return fault(FaultKind::Invalid, words, hint);
    }
    if said.contains("failed to init node with kubeadm") || said.contains("failed to join node with kubeadm")
    {
        let hint = "look at patches, feature gates and the image of the profile: an image that is newer than \
                    kind, or older than a field, ends like this; `berth doctor` shows the version of kind";
        return fault(FaultKind::Invalid, format!("kubeadm failed in a node: {words}"), hint);
    }
    fault(FaultKind::Invalid, words, "`berth doctor` looks at what kind needs of this machine")
}

/// What the command that kind ran said last, or what kind said where it ran none; never a line of a stack.
fn last_words(said: &str) -> Option<String> {
    // With `-v 1` kind ends with the stack of its own error.
    let said = said.split("\nStack Trace:").next().unwrap_or(said);
    let (before, output) = match said.split_once("Command Output:") {
        Some((before, output)) => (before, Some(output)),
        None => (said, None),
    };
    let tells = |line: &&str| {
        let is_advice = ["Run 'docker", "See 'docker", "To see the stack trace of this error"];
        !line.is_empty() && !is_advice.iter().any(|advice| line.starts_with(advice))
    };
    let lines = |text: &str| -> Vec<String> {
        without_stacks(text).map(str::trim).filter(tells).map(str::to_string).collect()
    };
    let from_output = || {
        let lines = lines(output?);
        // kubeadm ends with the stacks of an error and of its cause, and says before each what was wrong.
        let error = lines.iter().rfind(|line| line.starts_with("error"));
        match (error, root(output?)) {
            (Some(error), Some(root)) if !error.contains(':') && !error.contains(root) => {
                Some(format!("{error}: {root}"))
            }
            _ => error.or(lines.last()).cloned(),
        }
    };
    let from_kind = || {
        let line = before.lines().find(|line| line.starts_with("ERROR: "))?;
        // From here on the command stands with its arguments.
        let line = line.trim_start_matches("ERROR: ").split(": command \"").next()?;
        Some(line.split("command \"").next().unwrap_or(line).trim().trim_end_matches(':').to_string())
    };
    let line = from_output().or_else(from_kind).or_else(|| lines(before).pop())?;
    let line = line.trim_start_matches("docker: ").trim_start_matches("Error response from daemon: ");
    let line = line.trim_start_matches("Error: ");
    Some(line.trim_end_matches('.').to_string()).filter(|line| !line.is_empty())
}

/// The lines of `text` that are in no Go stack: there, each function stands above its place in a file.
fn without_stacks(text: &str) -> impl Iterator<Item = &str> {
    let next = text.lines().skip(1).map(Some).chain([None]);
    let lines = text.lines().zip(next);
    lines
        .filter(|(line, next)| !is_place(line) && !next.is_some_and(is_place))
        .map(|(line, _)| line)
        .filter(|line| !line.starts_with("goroutine "))
}

/// The words above the first stack of `text`: the cause of the errors that follow.
fn root(text: &str) -> Option<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| is_place(line))?;
    lines.get(first.checked_sub(2)?).map(|line| line.trim()).filter(|line| !line.is_empty())
}

fn is_place(line: &str) -> bool {
    line.starts_with('\t') && (line.contains(".go:") || line.contains(".s:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // As kind v0.33.0 and Docker 28 said it.
    const NO_IMAGE: &str = "Creating cluster \"lab\" ...\n \u{2022} Ensuring node image (localhost/nope:v1) ...\n\
        ERROR: failed to create cluster: failed to pull image \"localhost/nope:v1\": command \"docker pull localhost/nope:v1\" failed with error: exit status 1\n\n\
        Command Output: Error response from daemon: Get \"http://localhost/v2/\": dial tcp 127.0.0.1:80: connect: connection refused\n";
    const PORT: &str = "ERROR: failed to create cluster: command \"docker run --name lab-control-plane \
        -e HTTP_PROXY=http://ann:hunter2@proxy:3128 --publish=127.0.0.1:20101:80/TCP image\" failed with error: exit status 125\n\n\
        Command Output: beb1e7cf15e8\ndocker: Error response from daemon: driver failed programming external connectivity \
        on endpoint lab-control-plane (4ca5): Error starting userland proxy: listen tcp4 127.0.0.1:20101: bind: address already in use.\n\n\
        Run 'docker run --help' for more information\n";
    const EXISTS: &str =
        "ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"lab\"\n";
    // The same with `-v 1`.
    const STACK: &str = "\nStack Trace: \nsigs.k8s.io/kind/pkg/errors.WithStack\n\
        \tsigs.k8s.io/kind@v0.33.0/pkg/errors/errors.go:59\n\
        sigs.k8s.io/kind/pkg/exec.(*LocalCmd).Run\n\tsigs.k8s.io/kind@v0.33.0/pkg/exec/local.go:124\n\
        main.main\n\tsigs.k8s.io/kind@v0.33.0/main.go:25\nruntime.main\n\truntime/proc.go:290\n\
        runtime.goexit\n\truntime/asm_amd64.s:1771\n";
    const NOT_STARTED: &str = "ERROR: failed to create cluster: could not find a log line that matches \
        \"Reached target .*Multi-User System.*|detected cgroup v1\"\n";

    fn of(stderr: &str) -> Fault {
        let finished = Finished { code: Some(1), stdout: String::new(), stderr: stderr.to_string() };
        failed("create cluster", &finished, EngineKind::Docker, Some("localhost/nope:v1"))
    }

    #[test]
    fn an_image_that_is_nowhere_is_said_with_what_to_set() {
        let fault = of(NO_IMAGE);
        assert!(
            fault.reason.starts_with("the image `localhost/nope:v1` is not on this machine"),
            "{fault:?}"
        );
        assert!(fault.reason.ends_with("connection refused"), "{fault:?}");
        assert!(fault.hint.is_some_and(|hint| hint.contains("BERTH_KIND_IMAGE")));
    }

    #[test]
    fn a_port_in_use_is_said_and_no_argument_of_the_engine_is() {
        let fault = of(PORT);
        assert!(
            fault.reason.contains("listen tcp4 127.0.0.1:20101: bind: address already in use"),
            "{fault:?}"
        );
        assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains("cluster.kind.ports")));
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        let silent = of(PORT.split("Command Output").next().expect("a first part"));
        assert_eq!(silent.reason, "failed to create cluster");
        assert!(!format!("{silent:?}").contains("hunter2"), "{silent:?}");
    }

    #[test]
    fn of_a_long_story_the_error_is_told_and_not_the_stack() {
        let story = "ERROR: failed to create cluster: failed to join node with kubeadm: command \"docker exec\" \
            failed with error: exit status 1\n\nCommand Output: I1121 join.go:1] x\n\
            error execution phase kubelet-start: timed out waiting for the condition\n\
            k8s.io/kubernetes/cmd/kubeadm/app.Run\n\truntime/asm_amd64.s:1771\n";
        let told = "kubeadm failed in a node: error execution phase kubelet-start: timed out waiting for the condition";
        assert_eq!(of(story).reason, told);
    }

    #[test]
    fn the_stack_that_kind_itself_ends_with_is_not_told() {
        assert_eq!(of(&format!("{NO_IMAGE}{STACK}")), of(NO_IMAGE));
        assert_eq!(of(&format!("{PORT}{STACK}")), of(PORT));
        assert_eq!(of(&format!("ERROR: failed to list nodes\n{STACK}")).reason, "failed to list nodes");
        let bare = STACK.split_once(" \n").expect("the stack alone").1;
        let story = format!(
            "ERROR: failed to list nodes: command \"docker ps\" failed with error: exit status 1\n\n\
            Command Output: Cannot connect to the Docker daemon\n{bare}"
        );
        assert_eq!(of(&story).reason, "Cannot connect to the Docker daemon");
    }

    #[test]
    fn an_error_of_kubeadm_that_says_only_where_is_told_with_its_cause() {
        let story = "ERROR: failed to create cluster: failed to init node with kubeadm: command \"docker exec\" \
            failed with error: exit status 1\n\nCommand Output: I1121 init.go:1] x\n\
            couldn't initialize a Kubernetes cluster\n\
            k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/init.runWaitControlPlanePhase\n\
            \tk8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/init/waitcontrolplane.go:112\n\
            error execution phase wait-control-plane\n\
            k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1\n\
            \tk8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow/runner.go:262\n\
            runtime.goexit\n\truntime/asm_amd64.s:1771\n";
        let told = "kubeadm failed in a node: error execution phase wait-control-plane: couldn't initialize a \
                    Kubernetes cluster";
        assert_eq!(of(story).reason, told);
    }

    #[test]
    fn a_kind_that_says_nothing_is_told_by_how_it_ended() {
        assert_eq!(of("").reason, "it ended with code 1 and said nothing");
        let killed = Finished { code: None, stdout: String::new(), stderr: NO_IMAGE.to_string() };
        let killed = failed("create cluster", &killed, EngineKind::Docker, None);
        assert_eq!(killed.reason, "a signal ended it");
        assert!(killed.hint.is_some_and(|hint| hint.contains("the same command again")));
    }

    #[test]
    fn nodes_that_another_command_was_still_making_are_worth_another_try() {
        assert_eq!(of(EXISTS).kind, FaultKind::Transient);
    }

    #[test]
    fn a_node_that_does_not_start_is_told_with_the_limits_that_it_needs() {
        assert!(of(NOT_STARTED).hint.is_some_and(|hint| hint.contains("fs.inotify.max_user_instances")));
    }

    #[test]
    fn who_has_no_room_learns_how_to_make_some_in_his_engine() {
        let said =
            Finished { code: Some(1), stdout: String::new(), stderr: "no space left on device".into() };
        for engine in EngineKind::ALL {
            let fault = failed("create cluster", &said, engine, None);
            assert_eq!(fault.kind, FaultKind::Quota);
            assert!(fault.hint.is_some_and(|hint| hint.contains(&format!("`{engine} system prune`"))));
        }
    }
}
