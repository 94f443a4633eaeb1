use super::config::Config;
use super::folder::Mark;
use crate::providers::tools::minor;

/// What a look at a kwok cluster's files and processes gave.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) mark: Option<Mark>,
    pub(super) folder_is_there: bool,
    pub(super) missing_part: Option<&'static str>,
    pub(super) running: Vec<String>,
    /// The Kubernetes that a new cluster would run, where that was looked up.
    pub(super) at_hand: Option<String>,
}

/// What that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing.
    Absent,
    /// Making it was begun and not finished, so nothing of value is in it: it is made anew.
    Unfinished(String),
    /// It cannot go on as it is: it has to be removed and made anew, with what is in it.
    Lost(String),
    /// It is whole, but these components do not run.
    Stopped(Vec<&'static str>),
    /// It is whole and all of it runs: its API server is to be asked.
    Running,
}

/// Judges what was seen of a cluster that should be as `wanted`.
pub(super) fn judge(sight: &Sight, wanted: Config) -> Verdict {
    let Some(mark) = &sight.mark else {
        return match (sight.folder_is_there, sight.running.is_empty()) {
            (false, true) => Verdict::Absent,
            (false, false) => Verdict::Unfinished("processes of it run, but its files are gone".to_string()),
            (true, _) => Verdict::Lost("its mark is gone".to_string()),
        };
    };
    if mark.finished.is_none() {
        return Verdict::Unfinished("making it was begun and not finished".to_string());
    }
    if !sight.folder_is_there {
        return Verdict::Unfinished("its files are gone".to_string());
    }
    if let Some(part) = sight.missing_part {
        return Verdict::Lost(format!("`{part}` is missing"));
    }
    if wanted.metrics && !mark.metrics {
        return Verdict::Lost("its metrics API can only be enabled when it is made".to_string());
    }
    if let (Some(runs), Some(at_hand)) = (&mark.kubernetes, &sight.at_hand)
        && minor(runs) != minor(at_hand)
    {
        return Verdict::Lost(format!("it runs Kubernetes {runs} and is to run {at_hand}"));
    }
    // What was enabled when it was made runs on, also when the profile no longer asks for it.
    let stopped: Vec<&'static str> = Config { metrics: mark.metrics }
        .components()
        .into_iter()
        .filter(|component| !sight.running.iter().any(|running| running == component))
        .collect();
    if stopped.is_empty() { Verdict::Running } else { Verdict::Stopped(stopped) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::base::Owner;

    const PLAIN: Config = Config { metrics: false };

    fn whole() -> Sight {
        Sight {
            mark: Some(Mark {
                owner: Owner { id: "id".to_string(), environment: "lab".to_string() },
                provider: "kwok".to_string(),
                created: Timestamp::UNIX_EPOCH,
                finished: Some(Timestamp::UNIX_EPOCH),
                kubernetes: Some("1.36.3".to_string()),
                metrics: false,
                config: String::new(),
            }),
            folder_is_there: true,
            missing_part: None,
            running: PLAIN.components().into_iter().map(str::to_string).collect(),
            at_hand: None,
        }
    }

    #[test]
    fn nothing_at_all_is_absent() {
        let sight = Sight { mark: None, folder_is_there: false, running: Vec::new(), ..whole() };
        assert_eq!(judge(&sight, PLAIN), Verdict::Absent);
    }

    #[test]
    fn a_whole_cluster_runs() {
        assert_eq!(judge(&whole(), PLAIN), Verdict::Running);
    }

    #[test]
    fn a_cluster_whose_making_was_cut_short_holds_nothing_of_value() {
        let mut sight = whole();
        if let Some(mark) = &mut sight.mark {
            mark.finished = None;
        }
        assert!(matches!(judge(&sight, PLAIN), Verdict::Unfinished(_)));
    }

    #[test]
    fn files_without_a_mark_are_never_thrown_away_silently() {
        let sight = Sight { mark: None, ..whole() };
        assert!(matches!(judge(&sight, PLAIN), Verdict::Lost(_)));
    }

    #[test]
    fn a_component_that_ended_is_named() {
        let mut sight = whole();
        sight.running.retain(|component| component != "etcd");
        assert_eq!(judge(&sight, PLAIN), Verdict::Stopped(vec!["etcd"]));
    }

    #[test]
    fn a_cluster_without_its_certificates_cannot_be_started() {
        let sight = Sight { missing_part: Some("pki/ca.crt"), ..whole() };
        assert_eq!(judge(&sight, PLAIN), Verdict::Lost("`pki/ca.crt` is missing".to_string()));
    }

    #[test]
    fn metrics_that_are_asked_for_later_need_a_new_cluster_and_those_no_longer_asked_for_do_not() {
        assert!(matches!(judge(&whole(), Config { metrics: true }), Verdict::Lost(_)));
        let mut sight = whole();
        if let Some(mark) = &mut sight.mark {
            mark.metrics = true;
        }
        assert_eq!(judge(&sight, PLAIN), Verdict::Stopped(vec!["metrics-server"]));
    }

    #[test]
    fn another_minor_at_hand_needs_a_new_cluster_and_another_patch_does_not() {
        let patch = Sight { at_hand: Some("1.36.9".to_string()), ..whole() };
        assert_eq!(judge(&patch, PLAIN), Verdict::Running);
        let other = Sight { at_hand: Some("1.35.4".to_string()), ..whole() };
        assert!(matches!(judge(&other, PLAIN), Verdict::Lost(_)));
    }
}
