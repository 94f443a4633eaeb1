use serde_json::{Value, json};

use crate::base::{Fault, FaultKind};
use crate::engine::Outcome;
use crate::ui::Complaint;

/// How a run of berth ends, as other programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything that was asked for is so.
    Done,
    /// It failed and nothing was changed, or something is left; also where a program is missing.
    Failed,
    /// `plan --detailed-exitcode` found changes, or could not look at all of it yet.
    Changes,
    /// The profile or the command line is wrong.
    Invalid,
    /// Credentials are missing, expired or not sufficient; with others the same command goes on.
    Denied,
    /// Another run holds the environment.
    Locked,
    /// Something was changed and something is still to do; the same command resumes.
    Partly,
    /// The time was over; the same command resumes.
    Deadline,
    /// Refused: protection, adoption, a guard, what this machine cannot stand, or a question that nobody could answer.
    Refused,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM, or since its terminal was closed.
    Terminated,
}

impl Exit {
    /// The exit code.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Invalid => 3,
            Self::Denied => 4,
            Self::Locked => 5,
            Self::Partly => 6,
            Self::Deadline => 7,
            Self::Refused => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// How a fault ends a run that changed nothing.
    pub(super) fn of_fault(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Denied => Self::Denied,
            FaultKind::Conflict => Self::Refused,
            FaultKind::Locked => Self::Locked,
            FaultKind::Deadline => Self::Deadline,
            FaultKind::Cancelled => Self::Interrupted,
            FaultKind::Transient
            | FaultKind::Throttled
            | FaultKind::Quota
            | FaultKind::Invalid
            | FaultKind::Bug => Self::Failed,
        }
    }

    /// How an outcome ends a run. A run that was stopped and had nothing left to do is done.
    pub(super) fn of_outcome(outcome: &Outcome, stopped_by: Option<Exit>) -> Self {
        if outcome.is_whole() {
            return Self::Done;
        }
        if let Some(signal) = stopped_by {
            return signal;
        }
        let kinds = || outcome.failed.iter().map(|(_, fault)| fault.kind);
        if kinds().any(|kind| kind == FaultKind::Deadline) {
            return Self::Deadline;
        }
        let has_failed = !outcome.failed.is_empty();
        if has_failed && kinds().all(|kind| kind == FaultKind::Denied) {
            return Self::Denied;
        }
        if outcome.changed {
            return Self::Partly;
        }
        match kinds().next() {
            Some(kind) => Self::of_fault(kind),
            // Nothing failed and something was not begun: the time was over before it could be.
            None => Self::Deadline,
        }
    }

    /// How a run that would end so ends where berth could not write down what it keeps of it on this machine.
    pub(super) fn unkept(self, changed: bool) -> Self {
        match self {
            Self::Done if changed => Self::Partly,
            Self::Done => Self::Failed,
            // There is something to do anyway.
            other => other,
        }
    }
}

/// Why a command ended before it could do its work, and what to say about it.
#[derive(Debug)]
pub(super) struct Failure {
    /// How the run ends.
    pub(super) exit: Exit,
    /// What is said, complaint by complaint.
    pub(super) complaints: Vec<Complaint>,
    /// Text that is already in its final form: messages about a profile with their source lines.
    pub(super) text: String,
    /// Whether standard output already carries the command's JSON.
    pub(super) answered: bool,
}

impl Failure {
    /// A failure with one complaint.
    pub(super) fn new(exit: Exit, complaint: Complaint) -> Self {
        Self { exit, complaints: vec![complaint], text: String::new(), answered: false }
    }

    /// The same failure of a command that has written its result.
    pub(super) fn answered(self) -> Self {
        Self { answered: true, ..self }
    }

    /// What standard output carries where JSON was asked for and there is no result.
    pub(super) fn json(&self) -> Value {
        let message = match self.complaints.first() {
            Some(first) if self.text.is_empty() => format!("{}: {}", first.what, first.why.join(": ")),
            _ => self.text.clone(),
        };
        let message = message.trim().trim_end_matches(':');
        json!({
            "schema": 1,
            "error": {"exitCode": self.exit.code(), "message": message, "complaints": self.complaints},
        })
    }

    /// A refusal: what is refused, why and what to type.
    pub(super) fn refused(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Refused, Complaint::new(what).because(why).next(next))
    }

    /// A fault that lies in the profile, if anywhere: what is invalid there ends with its exit code.
    pub(super) fn profile(fault: &Fault) -> Self {
        let exit = match fault.kind {
            FaultKind::Invalid => Exit::Invalid,
            kind => Exit::of_fault(kind),
        };
        Self::new(exit, Complaint::of(fault))
    }

    /// Something on the command line that cannot be: what, and what to type.
    pub(super) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, Complaint::new(what).next(next))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(Exit::of_fault(fault.kind), Complaint::of(&fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ResourceId;

    fn outcome(failed: &[FaultKind], not_started: usize, changed: bool) -> Outcome {
        Outcome {
            failed: failed
                .iter()
                .map(|kind| (ResourceId::new("tenants"), Fault::new(*kind, "apply", "no")))
                .collect(),
            not_started: (0..not_started).map(|_| ResourceId::new("addon/a")).collect(),
            changed,
            ..Outcome::default()
        }
    }

    #[test]
    fn the_outcome_decides_the_exit_code() {
        use FaultKind::{Conflict, Deadline, Denied, Quota};
        for (failed, not_started, changed, code) in [
            (&[][..], 0, true, 0),
            (&[Quota][..], 0, false, 1),
            (&[Denied][..], 2, false, 4),
            (&[Conflict][..], 0, false, 8),
            (&[Denied, Denied][..], 2, true, 4),
            (&[Denied, Quota][..], 2, true, 6),
            (&[Quota, Deadline][..], 0, true, 7),
            (&[][..], 1, false, 7),
            (&[][..], 1, true, 6),
        ] {
            let ended = Exit::of_outcome(&outcome(failed, not_started, changed), None);
            assert_eq!(ended.code(), code, "{failed:?} {not_started} {changed}");
        }
    }

    #[test]
    fn what_could_not_be_kept_is_left_to_do() {
        assert_eq!(Exit::Done.unkept(true), Exit::Partly);
        assert_eq!(Exit::Done.unkept(false), Exit::Failed);
        assert_eq!(Exit::Deadline.unkept(true), Exit::Deadline);
    }

    #[test]
    fn a_signal_counts_only_while_something_was_left_to_do() {
        let stopped = Some(Exit::Terminated);
        assert_eq!(Exit::of_outcome(&outcome(&[], 1, true), stopped).code(), 143);
        assert_eq!(Exit::of_outcome(&outcome(&[], 0, true), stopped).code(), 0);
    }
}
