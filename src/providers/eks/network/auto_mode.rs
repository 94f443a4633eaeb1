use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the roles are by which EKS Auto Mode makes nodes, as this run saw it last. A role that stands may still lack a
/// policy: what needs it all looks here, whenever it looks.
#[derive(Debug, Clone, Default)]
pub struct AutoModeRoles(Arc<Mutex<Roles>>);

/// How the roles of Auto Mode are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Roles {
    /// They do not stand yet.
    #[default]
    Coming,
    /// They stand, with their policies.
    Standing,
    /// They do not come in this run: the stack that makes them came to nothing.
    Failed,
}

impl AutoModeRoles {
    /// How they are.
    pub fn are(&self) -> Roles {
        *self.known()
    }

    /// Notes whether they stand.
    pub(super) fn tell(&self, stand: bool) {
        *self.known() = if stand { Roles::Standing } else { Roles::Coming };
    }

    /// Notes that the stack came to nothing. Roles that stood already stand all the same.
    pub(super) fn fail(&self) {
        let mut known = self.known();
        if *known != Roles::Standing {
            *known = Roles::Failed;
        }
    }

    fn known(&self) -> MutexGuard<'_, Roles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_do_not_stand_are_not_waited_for_once_their_stack_failed() {
        let roles = AutoModeRoles::default();
        roles.tell(false);
        assert_eq!(roles.clone().are(), Roles::Coming);
        roles.fail();
        assert_eq!(roles.are(), Roles::Failed);
        // It goes on.
        roles.tell(true);
        assert_eq!(roles.are(), Roles::Standing);
        roles.fail();
        assert_eq!(roles.are(), Roles::Standing);
    }
}
