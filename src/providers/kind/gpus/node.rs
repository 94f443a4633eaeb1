use super::{is_id, listed};

/// Prints what is known of a node's GPUs, for [`NodeSight::parse`].
pub(super) const READ: &str = r#"
if command -v nvidia-ctk >/dev/null && command -v nvidia-container-runtime >/dev/null; then echo toolkit; fi
crictl info 2>/dev/null | sed -n 's/.*"defaultRuntimeName": *"\([^"]*\)".*/runtime \1/p' | head -n 1
sed -n 's/^ModifyDeviceFiles: /modifies /p' /proc/driver/nvidia/params 2>/dev/null
nvidia-smi -L 2>&1 | sed 's/^/smi /'
"#;

/// Does in a node what is missing there, for the GPUs whose ids are its arguments.
pub(super) const SET_UP: &str = include_str!("set-up.sh");

/// What was seen in a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodeSight {
    /// Whether the container toolkit is there.
    has_toolkit: bool,
    /// The runtime that containerd gives containers; `None` when it does not answer.
    runtime: Option<String>,
    /// Whether the driver makes device files again; `None` when it does not say.
    modifies: Option<bool>,
    /// What `nvidia-smi -L` said.
    smi: String,
}

/// What is missing in a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// NVIDIA's container toolkit.
    Toolkit,
    /// containerd uses another runtime than NVIDIA's.
    Runtime,
    /// The driver may make device files.
    Params,
    /// It sees GPUs that are not its own.
    Others,
}

impl Lack {
    /// As it is told.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Toolkit => "the container toolkit",
            Self::Runtime => "NVIDIA's runtime in containerd",
            Self::Params => "device files that stay as they are",
            Self::Others => "no GPUs of others",
        }
    }
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Pods can have its GPUs.
    Ready,
    /// This has to be done.
    Lacking(Vec<Lack>),
    /// It is on its way.
    Waiting(&'static str),
    /// Nothing that berth does in it would help.
    Broken(String),
}

impl NodeSight {
    /// From what [`READ`] printed.
    pub(super) fn parse(text: &str) -> Self {
        let mut sight = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("toolkit", "") => sight.has_toolkit = true,
                ("runtime", name) => sight.runtime = Some(name.to_string()),
                ("modifies", value) => sight.modifies = Some(value.trim() != "0"),
                ("smi", said) => {
                    sight.smi.push_str(said);
                    sight.smi.push('\n');
                }
                _ => {}
            }
        }
        sight
    }

    /// How a node is that asks for the GPUs `asked`.
    pub(super) fn judge(&self, asked: &[&str]) -> Verdict {
        let there = listed(&self.smi);
        let gone = asked.iter().find(|id| is_id(id) && there.iter().all(|gpu| gpu.id != **id));
        if gone.is_some() || there.is_empty() {
            let what = gone.map_or("any GPU", |id| id);
            let said = self.smi.lines().rev().map(str::trim).find(|line| !line.is_empty());
            let said = said.unwrap_or("nothing");
            return Verdict::Broken(format!("`nvidia-smi` in it does not see {what}: {said}"));
        }
        let mut lacks = Vec::new();
        if !self.has_toolkit {
            lacks.push(Lack::Toolkit);
        }
        match &self.runtime {
            // Seen once it answers: it has just been started, most likely.
            None if self.has_toolkit => {}
            Some(name) if name.starts_with("nvidia") => {}
            _ => lacks.push(Lack::Runtime),
        }
        if self.modifies == Some(true) {
            lacks.push(Lack::Params);
        }
        if !own(asked).is_empty() && there.len() > asked.len() {
            lacks.push(Lack::Others);
        }
        match self.runtime {
            _ if !lacks.is_empty() => Verdict::Lacking(lacks),
            Some(_) => Verdict::Ready,
            None => Verdict::Waiting("its containerd does not answer"),
        }
    }
}

/// The ids of the GPUs that a node has alone, where it asks for such. One that asks for all, or by index, was made by
/// somebody else, and keeps what it sees.
pub(super) fn own<'a>(asked: &[&'a str]) -> Vec<&'a str> {
    if asked.iter().all(|name| is_id(name)) { asked.to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TWO;
    use super::*;

    const FIRST: &str = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c";

    fn read(lines: &str, smi: &str) -> NodeSight {
        let smi = format!("smi {}\n", smi.trim_end().replace('\n', "\nsmi "));
        NodeSight::parse(&format!("{lines}{smi}"))
    }

    fn one() -> &'static str {
        TWO.split_inclusive('\n').next().expect("it has two lines")
    }

    #[test]
    fn a_node_as_kind_made_it_lacks_everything() {
        let sight = read("runtime runc\nmodifies 1\n", TWO);
        let all = vec![Lack::Toolkit, Lack::Runtime, Lack::Params, Lack::Others];
        assert_eq!(sight.judge(&[FIRST]), Verdict::Lacking(all));
    }

    #[test]
    fn a_node_that_was_set_up_lacks_nothing_and_after_a_restart_what_a_restart_undoes() {
        let done = "toolkit\nruntime nvidia\n";
        assert_eq!(read(&format!("{done}modifies 0\n"), one()).judge(&[FIRST]), Verdict::Ready);
        // Where the driver has no such file there is nothing to change in it.
        assert_eq!(read(done, one()).judge(&[FIRST]), Verdict::Ready);
        let restarted = read(&format!("{done}modifies 1\n"), TWO);
        assert_eq!(restarted.judge(&[FIRST]), Verdict::Lacking(vec![Lack::Params, Lack::Others]));
    }

    #[test]
    fn a_node_of_somebody_else_keeps_what_it_sees() {
        let sight = read("toolkit\nruntime nvidia\nmodifies 0\n", TWO);
        assert_eq!(sight.judge(&["all"]), Verdict::Ready);
        assert_eq!(sight.judge(&["0"]), Verdict::Ready);
    }

    #[test]
    fn a_gpu_that_is_gone_is_named_with_what_nvidia_smi_says() {
        let sight = read("toolkit\nruntime nvidia\nmodifies 0\n", "No devices were found");
        let told = Verdict::Broken(format!("`nvidia-smi` in it does not see {FIRST}: No devices were found"));
        assert_eq!(sight.judge(&[FIRST]), told);
        let Verdict::Broken(told) = sight.judge(&["all"]) else { unreachable!("none is listed") };
        assert!(told.contains("any GPU"), "{told}");
    }

    #[test]
    fn a_containerd_that_starts_is_waited_for() {
        let sight = read("toolkit\nmodifies 0\n", one());
        assert!(matches!(sight.judge(&[FIRST]), Verdict::Waiting(_)));
        // What is known to be missing need not wait.
        let started = read("toolkit\nmodifies 1\n", one());
        assert_eq!(started.judge(&[FIRST]), Verdict::Lacking(vec![Lack::Params]));
        let bare = read("modifies 0\n", one());
        assert_eq!(bare.judge(&[FIRST]), Verdict::Lacking(vec![Lack::Toolkit, Lack::Runtime]));
    }
}
