use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::claim::Claims;
use super::store::Origin;
use super::users::{Lab, User};
use crate::base::Fault;
use crate::containers::Container;

/// A lab whose registry was made longer ago than this stands, or was given up.
const LONGEST_START: SignedDuration = SignedDuration::from_mins(10);

/// What decides whether a registry may go.
pub(super) struct Idle<'a> {
    /// The lab that does not use it any more.
    pub(super) lab: &'a Lab,
    /// What runs say of themselves.
    pub(super) claims: &'a Claims,
    /// Who uses which registry.
    pub(super) users: &'a BTreeMap<String, BTreeSet<User>>,
    /// The time.
    pub(super) now: Timestamp,
}

impl Idle<'_> {
    /// Who needs what is in the volume `name`, also while there is no container of that name.
    pub(super) fn why_images_stay(&self, name: &str) -> Result<Option<String>, Fault> {
        let users = self.users.get(name).into_iter().flatten();
        let others: Vec<String> = users.filter_map(|user| self.lab.other(user)).collect();
        if !others.is_empty() {
            return Ok(Some(format!("{} uses it too", others.join(", "))));
        }
        let claimed = self.claims.other(name)?;
        Ok(claimed.map(|cluster| format!("`{cluster}` is being brought up with it")))
    }

    /// Why the registry in `container` has to stay; `None` when nobody needs it. `was_used` says that the lab itself
    /// was seen to use it.
    pub(super) fn why_it_stays(
        &self,
        container: &Container,
        was_used: bool,
    ) -> Result<Option<String>, Fault> {
        if let Some(why) = self.why_images_stay(&container.name)? {
            return Ok(Some(why));
        }
        if was_used {
            return Ok(None);
        }
        // A run of another user of this machine tells nothing but what it made; an earlier berth not even that.
        let Some(origin) = Origin::of(container) else {
            return Ok(Some("it does not say which lab made it, nor when".to_string()));
        };
        let age = self.now.duration_since(origin.at);
        let is_young = origin.by != self.lab.owner && age < LONGEST_START;
        Ok(is_young.then(|| format!("`{}` made it {} ago", origin.by.environment, minutes(age))))
    }
}

fn minutes(duration: SignedDuration) -> String {
    match duration.as_mins() {
        0 => "less than a minute".to_string(),
        1 => "a minute".to_string(),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::Owner;
    use crate::containers::ContainerState;

    fn owner(environment: &str) -> Owner {
        Owner { id: "7f3k2q9d".to_string(), environment: environment.to_string() }
    }

    fn made_by(environment: &str) -> Container {
        let origin = Origin { by: owner(environment), at: Timestamp::UNIX_EPOCH };
        let labels = origin.labels("localhost:5001");
        let labels = labels.iter().filter_map(|label| label.split_once('='));
        Container {
            id: "1f".to_string(),
            name: "berth-registry".to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            labels: labels.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            mounts: Vec::new(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    /// Why one that `environment` made stays, `after` so long, when `one` goes.
    fn why(environment: &str, after: SignedDuration, was_used: bool) -> Option<String> {
        why_this(&made_by(environment), after, was_used)
    }

    fn why_this(container: &Container, after: SignedDuration, was_used: bool) -> Option<String> {
        let lab = Lab {
            cluster: "one".to_string(),
            owner: owner("one"),
            networks: std::collections::BTreeMap::new(),
        };
        let claims = Claims::new(Path::new("/nowhere"), "/nowhere/lock".into(), &lab);
        let now = Timestamp::UNIX_EPOCH + after;
        let idle = Idle { lab: &lab, claims: &claims, users: &BTreeMap::new(), now };
        idle.why_it_stays(container, was_used).expect("nobody claims anything")
    }

    #[test]
    fn one_that_somebody_else_has_just_made_stays_and_an_old_or_own_one_goes() {
        let (soon, late) = (SignedDuration::from_mins(2), SignedDuration::from_mins(11));
        assert_eq!(why("other", soon, false).as_deref(), Some("`other` made it 2 minutes ago"));
        assert_eq!(why("other", late, false), None);
        assert_eq!(why("one", soon, false), None);
        let mut unsigned = made_by("other");
        unsigned.labels.clear();
        assert!(why_this(&unsigned, late, false).is_some());
        assert_eq!(why_this(&unsigned, late, true), None);
        // Its nodes led to it: it was no secret of the other one.
        assert_eq!(why("other", soon, true), None);
    }
}
