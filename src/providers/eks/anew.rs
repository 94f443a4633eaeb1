use crate::base::{Change, ChangeKind};

/// What is to come of `subject`, which the profile wants and somebody has begun to delete: its end is waited for.
pub(super) fn made_anew(subject: String) -> Change {
    Change::new(ChangeKind::Create, subject).because("it is being deleted; once it is gone, it is made anew")
}
