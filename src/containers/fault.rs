use super::EngineKind;
use crate::base::{Fault, FaultKind};
use crate::os::Finished;

/// What an engine's words mean for the one who asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nobody answers where the engine should be.
    Unreachable,
    /// The engine is there and this user may not talk to it.
    Forbidden,
    /// What was asked about does not exist.
    Missing,
    /// A disk is full.
    Full,
    /// The program or its engine is too old for a flag.
    TooOld,
    /// The image is there, and not for the platform that was asked for.
    OtherPlatform,
    /// Anything else; it may be a hiccup.
    Other,
}

/// Words of docker 20 to 29, podman 4 and 5 and nerdctl 1 and 2, in lower case. The order matters: the address of
/// an engine that does not answer is often a file of which there is `no such`.
const WORDS: [(Meaning, &[&str]); 6] = [
    (
        Meaning::Forbidden,
        &[
            "permission denied while trying to connect",
            "connect: permission denied",
            "containerd.sock\": permission denied",
        ],
    ),
    (
        Meaning::Unreachable,
        &[
            "cannot connect to the docker daemon",
            "failed to connect to the docker api",
            "error during connect",
            "cannot connect to podman",
            "unable to connect to podman",
            "cannot access containerd socket",
            "rootless containerd not running",
        ],
    ),
    (Meaning::Full, &["no space left on device", "disk quota exceeded"]),
    (
        Meaning::OtherPlatform,
        &[
            "does not provide the specified platform",
            "no suitable export target found",
            "does not match the specified platform",
        ],
    ),
    (Meaning::TooOld, &["unknown flag", "requires api version", "unknown shorthand flag"]),
    (
        Meaning::Missing,
        &[
            "no such container",
            "no such image",
            "no such object",
            "no such network",
            "no such volume",
            "no container with name or id",
            "image not known",
            "no network found",
            "not found",
        ],
    ),
];

impl Meaning {
    /// Of what an engine said on standard error.
    pub(super) fn of(said: &str) -> Self {
        let said = said.to_lowercase();
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
        known.map_or(Self::Other, |(meaning, _)| *meaning)
    }

    fn kind(self) -> FaultKind {
        match self {
            Self::Forbidden => FaultKind::Denied,
            Self::Full => FaultKind::Quota,
            Self::Missing | Self::TooOld | Self::OtherPlatform => FaultKind::Invalid,
            Self::Unreachable | Self::Other => FaultKind::Transient,
        }
    }

    fn hint(self, engine: EngineKind) -> Option<&'static str> {
        match (self, engine) {
            (Self::Unreachable, EngineKind::Docker) => Some(
                "start Docker: open Docker Desktop, or `sudo systemctl start docker`; if it runs elsewhere, \
                 `docker context use NAME` or `DOCKER_HOST` says where",
            ),
            (Self::Unreachable, EngineKind::Podman) => Some(
                "start Podman: `podman machine start`, or `systemctl --user start podman.socket` on Linux; if it \
                 runs elsewhere, `podman system connection default NAME` or `CONTAINER_HOST` says where",
            ),
            (Self::Unreachable, EngineKind::Nerdctl) => Some(
                "start containerd: `sudo systemctl start containerd`, or without root \
                 `containerd-rootless-setuptool.sh install`",
            ),
            (Self::Forbidden, EngineKind::Docker) => Some(
                "`sudo usermod --append --groups docker $USER` lets you use it, once you have logged in anew; whoever \
                 may use Docker is as good as root",
            ),
            (Self::Forbidden, EngineKind::Podman) => Some(
                "use Podman without root, or give your user rights on the socket that `CONTAINER_HOST` names",
            ),
            (Self::Forbidden, EngineKind::Nerdctl) => {
                Some("run containerd without root: `containerd-rootless-setuptool.sh install`")
            }
            (Self::Full, engine) => Some(engine.how_to_make_room()),
            (Self::TooOld, _) => Some("install a newer version of it"),
            (Self::Missing | Self::OtherPlatform | Self::Other, _) => None,
        }
    }

    /// The fault of `engine` while doing `attempted`, in its words.
    pub(super) fn fault(self, engine: EngineKind, attempted: &str, said: &str) -> Fault {
        let fault = Fault::new(self.kind(), format!("{attempted} with {engine}"), said);
        match self.hint(engine) {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// What an engine said last, three lines at most. nerdctl writes a log of which only the messages are meant for people.
pub(super) fn words_of(finished: &Finished) -> String {
    let lines: Vec<&str> = finished.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_grave = |line: &&&str| line.contains(" level=fatal ") || line.contains(" level=error ");
    let grave: Vec<String> = lines.iter().filter(is_grave).filter_map(|line| message_of(line)).collect();
    if grave.is_empty() { finished.stderr_tail(3) } else { grave[grave.len().saturating_sub(3)..].join("\n") }
}

/// `1 errors:` and what follows of `time="…" level=fatal msg="1 errors:\nno such container: x"`.
fn message_of(line: &str) -> Option<String> {
    let (_, quoted) = line.split_once(" msg=")?;
    let mut message = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
    Some(message.next()?.ok()?.trim_start_matches("1 errors:\n").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_say_is_understood() {
        for (said, meaning) in [
            (
                "Cannot connect to the Docker daemon at unix:///tmp/none.sock. Is the docker daemon running?",
                Meaning::Unreachable,
            ),
            (
                "failed to connect to the docker API at unix:///tmp/none.sock; check if the path is correct and if the \
                 daemon is running: dial unix /tmp/none.sock: connect: no such file or directory",
                Meaning::Unreachable,
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: \
                 Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/json\": dial unix /var/run/docker.sock: \
                 connect: permission denied",
                Meaning::Forbidden,
            ),
            (
                "Cannot connect to Podman. Please verify your connection to the Linux system using `podman system \
                 connection list`, or try `podman machine init` and `podman machine start`\nError: unable to connect to \
                 Podman socket: Get \"http://d/v5.4.2/libpod/_ping\": dial unix /tmp/none.sock: connect: no such file or directory",
                Meaning::Unreachable,
            ),
            (
                "time=\"2026-11-21T07:00:00Z\" level=fatal msg=\"cannot access containerd socket \
                 \\\"/run/containerd/containerd.sock\\\": no such file or directory\"",
                Meaning::Unreachable,
            ),
            (
                "FATA[0000] rootless containerd not running? (hint: use `containerd-rootless-setuptool.sh install` to \
                 start rootless containerd): stat /run/user/1000/containerd-rootless: no such file or directory",
                Meaning::Unreachable,
            ),
            ("Error response from daemon: No such container: nosuch", Meaning::Missing),
            ("Error response from daemon: network nosuch not found", Meaning::Missing),
            (
                "Error response from daemon: no such image: nosuch: No such image: nosuch:latest",
                Meaning::Missing,
            ),
            ("Error: inspecting object: no such container nosuch", Meaning::Missing),
            ("Error: inspecting object: nosuch: image not known", Meaning::Missing),
            (
                "Error: inspecting object: network nosuch: unable to find network with name or ID nosuch: network not found",
                Meaning::Missing,
            ),
            (
                "\"--platform\" requires API version 1.48, but the Docker daemon API version is 1.41",
                Meaning::TooOld,
            ),
            ("unknown flag: --platform", Meaning::TooOld),
            // As podman 4.3.1 and nerdctl 2.2.1 say it.
            ("Error: no container with name or ID \"nosuch\" found: no such container", Meaning::Missing),
            ("Error: inspecting object: no such volume nosuch", Meaning::Missing),
            ("level=fatal msg=\"1 errors:\\nno such container: nosuch\"", Meaning::Missing),
            ("level=error msg=\"no network found matching: nosuch\"", Meaning::Missing),
            (
                "Error response from daemon: image with reference hello:v1 was found but does not provide the specified platform (linux/amd64)",
                Meaning::OtherPlatform,
            ),
            ("write /var/lib/docker/tmp/x: no space left on device", Meaning::Full),
            ("Error response from daemon: something else", Meaning::Other),
        ] {
            assert_eq!(Meaning::of(said), meaning, "{said}");
        }
    }

    /// As nerdctl 2.2.1 says it.
    #[test]
    fn of_a_log_the_message_is_told() {
        let said = |stderr: &str| {
            words_of(&Finished { code: Some(1), stdout: String::new(), stderr: stderr.to_string() })
        };
        let warned =
            "time=\"2026-11-21T10:25:34Z\" level=warning msg=\"failed to inspect NetNS\" error=\"x\" id=a0\n";
        let fatal =
            "time=\"2026-11-21T10:25:32Z\" level=fatal msg=\"1 errors:\\nno such container: nosuch\"\n";
        assert_eq!(said(&format!("{warned}{fatal}")), "no such container: nosuch");
        assert_eq!(said("Error: no such volume nosuch\n"), "Error: no such volume nosuch");
    }

    #[test]
    fn who_may_not_ask_or_gets_no_answer_learns_what_to_do() {
        let forbidden =
            Meaning::Forbidden.fault(EngineKind::Docker, "list containers", "connect: permission denied");
        assert_eq!(forbidden.kind, FaultKind::Denied);
        assert!(forbidden.hint.expect("a remedy").contains("--groups docker"));
        for engine in EngineKind::ALL {
            for meaning in [Meaning::Unreachable, Meaning::Forbidden, Meaning::Full, Meaning::TooOld] {
                assert!(
                    meaning.fault(engine, "list containers", "no").hint.is_some(),
                    "{engine} {meaning:?}"
                );
            }
        }
    }
}
