use jiff::{SignedDuration, Timestamp};

use crate::containers::Container;
use crate::engine::State;
use crate::flow::Silence;

/// An API server whose containers all run and that has not answered for so long never will: after a restart
/// of the machine it takes less than a minute.
const LONGEST: SignedDuration = SignedDuration::from_mins(3);

/// What a look at a cluster gave whose API server does not answer, and what may help.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silent<'a> {
    /// Its containers, all of which run.
    pub(super) containers: &'a [Container],
    /// The time of the look.
    pub(super) now: Timestamp,
    /// Whether this run waits for an answer, or is content with one look.
    pub(super) waits: bool,
    /// What may help, as a clause.
    pub(super) remedy: &'a str,
}

impl Silent<'_> {
    /// How the cluster is: its API server will answer, or it has not for too long. In one look that is judged by
    /// how long its containers run, in a run that waits by how long it was seen to be silent.
    pub(super) fn judge(&self, silence: &Silence) -> State {
        let Self { containers, now, waits, remedy } = *self;
        // The last one to start decides: the others may have waited for it.
        let since = containers.iter().map(|container| container.started).max().flatten();
        let up = since.map(|since| now.duration_since(since));
        let is_overdue = up.is_some_and(|up| up >= LONGEST);
        if silence.lasts(now, LONGEST) || (is_overdue && !waits) {
            let up = up.map(|up| format!(" for {}", span(up))).unwrap_or_default();
            return State::Broken(format!(
                "all its containers run{up}, and its API server does not answer: {remedy}"
            ));
        }
        State::Progressing(match (since, up) {
            // Who waits sees this again and again: it says the same each time.
            (Some(since), _) if is_overdue => format!(
                "its API server does not answer, and all its containers run since {}: {remedy}",
                since.strftime("%Y-%m-%d %H:%M UTC")
            ),
            (_, Some(up)) if !waits => {
                format!("its API server does not answer yet, {} after its containers were started", span(up))
            }
            _ => "its API server is not ready yet".to_string(),
        })
    }
}

/// A time in words, as exact as it matters: `40 s`, `12 min`, `3 h`, `5 days`.
fn span(time: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = time.as_secs().max(0);
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds} s"),
        _ if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        _ if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::containers::ContainerState;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn container(started: Option<i64>) -> Container {
        Container {
            id: String::new(),
            name: "lab-control-plane".to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: started.map(at),
            image: String::new(),
            image_id: String::new(),
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    /// What one look says at second 1000 of containers that were started then.
    fn look(started: &[Option<i64>], waits: bool) -> State {
        let containers: Vec<Container> = started.iter().map(|started| container(*started)).collect();
        let silent = Silent { containers: &containers, now: at(1000), waits, remedy: "try this" };
        silent.judge(&Silence::default())
    }

    #[test]
    fn one_look_tells_by_the_age_of_the_containers_what_may_help() {
        let broken = "all its containers run for 15 min, and its API server does not answer: try this";
        assert_eq!(look(&[Some(0), Some(100)], false), State::Broken(broken.to_string()));
        let young = "its API server does not answer yet, 30 s after its containers were started";
        assert_eq!(look(&[Some(0), Some(970)], false), State::Progressing(young.to_string()));
        let unknown = "its API server is not ready yet";
        assert_eq!(look(&[None], false), State::Progressing(unknown.to_string()));
    }

    #[test]
    fn who_waits_goes_on_waiting_and_knows_what_may_help() {
        let old =
            "its API server does not answer, and all its containers run since 1970-01-01 00:01 UTC: try this";
        assert_eq!(look(&[Some(100)], true), State::Progressing(old.to_string()));
        let young = "its API server is not ready yet";
        assert_eq!(look(&[Some(970)], true), State::Progressing(young.to_string()));
    }

    #[test]
    fn spans_are_as_exact_as_it_matters() {
        let spans = [-5, 119, 120, 7199, 7200, 172_799, 172_800];
        let told = spans.map(|seconds| span(SignedDuration::from_secs(seconds)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
