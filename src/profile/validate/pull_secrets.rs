//! From which private registries tenants pull: hosts alone, never a login.

use std::collections::HashMap;

use super::{Check, mirrors};
use crate::base::ProviderKind;
use crate::profile::environment::Tenant;
use crate::profile::files::Problem;
use crate::profile::schema::EnvironmentFile;
use crate::profile::tree::{Step, shorten};

const SECTION: [Step<'_>; 2] = [Step::Key("registry"), Step::Key("pullSecrets")];

pub(super) fn hosts(check: &mut Check<'_>, file: &EnvironmentFile, tenants: &[Tenant]) -> Vec<String> {
    let Some(hosts) = file.registry.as_ref().map(|registry| &registry.pull_secrets) else {
        return Vec::new();
    };
    if hosts.is_empty() {
        return Vec::new();
    }
    let place = check.key_place(&SECTION[..1], "pullSecrets");
    if check.provider == ProviderKind::Kwok {
        let help = "its nodes are simulated and pull no images: take `pullSecrets` out";
        check.error_at(place, "a cluster on kwok has no use for the logins of registries", help);
    } else if tenants.is_empty() && check.is_complete("tenants") {
        let help = "declare `tenants`, or take `pullSecrets` out; addons are pulled through `mirrors`";
        check.warn_at(place, "nobody uses these logins: only the pods of tenants pull with them", help);
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, host) in hosts.iter().enumerate() {
        let path = [SECTION[0], SECTION[1], Step::Item(index)];
        if host.contains('@') {
            check.problems.push(Problem {
                place: check.tree.place_of(&path),
                message: "credentials of a registry stand in this profile".to_string(),
                help: "write the host alone and `docker login` there: a profile is committed and shown"
                    .to_string(),
                secret: true,
            });
        } else if let Some((problem, help)) = mirrors::host_problem(host) {
            check.error(&path, format!("`{}` {problem}", shorten(host)), help);
        }
        if let Some(first) = seen.insert(host.to_lowercase(), index) {
            let other = check.tree.place_of(&[SECTION[0], SECTION[1], Step::Item(first)]);
            let place = check.tree.place_of(&path);
            let help = format!("the first one is {}: take one out", check.files.refer(other, place));
            // What may be a credential is not repeated.
            check.error_at(place, "the same registry stands here twice", help);
        }
    }
    hosts.iter().map(|host| host.to_lowercase()).collect()
}
