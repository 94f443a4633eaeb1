use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::base::FaultKind;
use crate::profile::Environment;

/// Which node groups of a run came to nothing: whoever waits for a node then waits in vain.
#[derive(Debug, Default)]
pub struct Fates {
    /// Those that would have nodes from the first.
    groups: BTreeSet<String>,
    failed: Mutex<BTreeMap<String, FaultKind>>,
}

impl Fates {
    /// Nothing is known yet of the groups of `environment`.
    pub fn of(environment: &Environment) -> Self {
        let groups = environment.node_groups.iter().filter(|group| group.min > 0);
        Self { groups: groups.map(|group| group.name.clone()).collect(), failed: Mutex::default() }
    }

    /// Notes that `group` came to nothing, and by what kind of fault; or that it did not.
    pub(super) fn tell(&self, group: &str, failed_by: Option<FaultKind>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed_by {
            // What would have passed did not in all this time.
            Some(FaultKind::Transient | FaultKind::Throttled) => {
                failed.insert(group.to_string(), FaultKind::Invalid)
            }
            Some(kind) => failed.insert(group.to_string(), kind),
            None => failed.remove(group),
        };
    }

    /// By what kind of fault no node will come, of none of them: that of all, or `Invalid` where they differ.
    pub fn all_failed_by(&self) -> Option<FaultKind> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = self.groups.iter().map(|group| failed.get(group).copied());
        let first = kinds.next()??;
        kinds.try_fold(first, |all, kind| kind.map(|kind| if kind == all { all } else { FaultKind::Invalid }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_node_comes_once_every_group_that_should_have_some_came_to_nothing() {
        let groups = ["general", "batch"].map(str::to_string).into();
        let fates = Fates { groups, failed: Mutex::default() };
        fates.tell("general", Some(FaultKind::Denied));
        fates.tell("idle", Some(FaultKind::Quota));
        assert_eq!(fates.all_failed_by(), None);
        fates.tell("batch", Some(FaultKind::Denied));
        assert_eq!(fates.all_failed_by(), Some(FaultKind::Denied));
        fates.tell("batch", Some(FaultKind::Quota));
        assert_eq!(fates.all_failed_by(), Some(FaultKind::Invalid));
        fates.tell("general", None);
        assert_eq!(fates.all_failed_by(), None);
        assert_eq!(Fates::default().all_failed_by(), None);
    }
}
