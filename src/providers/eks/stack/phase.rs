/// What the status of a stack means for what can be done with it.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has a name and nothing in it: somebody looked at a change set and never used it.
    Empty,
    /// It is on its way, to where it will be updated again or be gone.
    Moving,
    /// It is being deleted.
    Leaving,
    /// It is whole, by its own template.
    Whole,
    /// It stopped at something that failed, with all that was made before: it goes on by an update.
    Stopped,
    /// It was made and taken back, by somebody else: its name is taken, and it can only be deleted.
    TakenBack,
    /// Taking back an update failed, of somebody else: it has to be taken back further first.
    HalfTakenBack,
    /// It was deleted but for what could not be: it can only be deleted further.
    HalfGone,
    /// It is gone.
    Gone,
    /// A status that this version of berth does not know.
    Unknown,
}

impl Phase {
    /// The phase of `status`: `CREATE_COMPLETE`.
    pub fn of(status: &str) -> Self {
        match status {
            "REVIEW_IN_PROGRESS" => Self::Empty,
            "DELETE_IN_PROGRESS" => Self::Leaving,
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE" => Self::Whole,
            "CREATE_FAILED" | "UPDATE_FAILED" => Self::Stopped,
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => Self::TakenBack,
            "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" => Self::HalfTakenBack,
            "DELETE_FAILED" => Self::HalfGone,
            "DELETE_COMPLETE" => Self::Gone,
            // `UPDATE_COMPLETE_CLEANUP_IN_PROGRESS` too: what left the template is still being removed.
            moving if moving.ends_with("_IN_PROGRESS") => Self::Moving,
            _ => Self::Unknown,
        }
    }
}

/// Whether the resource of a stack with this status is there and stays: what needs it may begin.
pub fn stands(resource_status: &str) -> bool {
    match resource_status {
        "CREATE_COMPLETE" | "IMPORT_COMPLETE" => true,
        // Nothing is ever replaced, so it is there while it is changed, and after a change that failed.
        status => status.starts_with("UPDATE_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_that_aws_documents_is_known() {
        let statuses = [
            ("CREATE_IN_PROGRESS", Phase::Moving),
            ("CREATE_FAILED", Phase::Stopped),
            ("CREATE_COMPLETE", Phase::Whole),
            ("ROLLBACK_IN_PROGRESS", Phase::Moving),
            ("ROLLBACK_FAILED", Phase::TakenBack),
            ("ROLLBACK_COMPLETE", Phase::TakenBack),
            ("DELETE_IN_PROGRESS", Phase::Leaving),
            ("DELETE_FAILED", Phase::HalfGone),
            ("DELETE_COMPLETE", Phase::Gone),
            ("UPDATE_IN_PROGRESS", Phase::Moving),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Phase::Moving),
            ("UPDATE_COMPLETE", Phase::Whole),
            ("UPDATE_FAILED", Phase::Stopped),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Phase::Moving),
            ("UPDATE_ROLLBACK_FAILED", Phase::HalfTakenBack),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", Phase::Moving),
            ("UPDATE_ROLLBACK_COMPLETE", Phase::Whole),
            ("REVIEW_IN_PROGRESS", Phase::Empty),
            ("IMPORT_IN_PROGRESS", Phase::Moving),
            ("IMPORT_COMPLETE", Phase::Whole),
            ("IMPORT_ROLLBACK_IN_PROGRESS", Phase::Moving),
            ("IMPORT_ROLLBACK_FAILED", Phase::HalfTakenBack),
            ("IMPORT_ROLLBACK_COMPLETE", Phase::Whole),
            ("SOMETHING_NEW", Phase::Unknown),
        ];
        for (status, phase) in statuses {
            assert_eq!(Phase::of(status), phase, "{status}");
        }
    }

    #[test]
    fn what_needs_a_resource_waits_for_all_of_it() {
        for there in ["CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_FAILED", "UPDATE_COMPLETE"] {
            assert!(stands(there), "{there}");
        }
        for not_there in ["CREATE_IN_PROGRESS", "CREATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"] {
            assert!(!stands(not_there), "{not_there}");
        }
    }
}
