use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::base::ResourceId;
use crate::profile::Environment;

/// Which node groups of a run came to nothing: whoever waits for a node then waits in vain.
#[derive(Debug, Default)]
pub struct Fates {
    /// Those that would have nodes from the first.
    groups: BTreeSet<String>,
    failed: Mutex<BTreeSet<String>>,
}

impl Fates {
    /// Nothing is known yet of the groups of `environment`.
    pub fn of(environment: &Environment) -> Self {
        let groups = environment.node_groups.iter().filter(|group| group.min > 0);
        Self { groups: groups.map(|group| group.name.clone()).collect(), failed: Mutex::default() }
    }

    /// Notes whether `group` came to nothing.
    pub(super) fn tell(&self, group: &str, has_failed: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if has_failed {
            failed.insert(group.to_string());
        } else {
            failed.remove(group);
        }
    }

    /// The first of the groups, once no node will come since all of them came to nothing.
    pub fn all_failed(&self) -> Option<ResourceId> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.groups.first().filter(|_| self.groups.is_subset(&failed))?;
        Some(super::id_of(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_node_comes_once_every_group_that_should_have_some_came_to_nothing() {
        let groups = ["general", "batch"].map(str::to_string).into();
        let fates = Fates { groups, failed: Mutex::default() };
        fates.tell("general", true);
        fates.tell("idle", true);
        assert_eq!(fates.all_failed(), None);
        fates.tell("batch", true);
        assert_eq!(fates.all_failed(), Some(ResourceId::new("node-group/batch")));
        fates.tell("general", false);
        assert_eq!(fates.all_failed(), None);
        assert_eq!(Fates::default().all_failed(), None);
    }
}
