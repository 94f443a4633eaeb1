//! What a lab on kind needs of this machine. Nobody has to have it: rehearsals need no containers.

use std::path::Path;

use super::super::super::args::Target;
use super::super::super::profiles;
use super::super::super::settings::Settings;
use super::{Check, Level};
use crate::flow::Flow;
use crate::os::files;
use crate::profile::ClusterSpec;
use crate::providers::Local;
use crate::providers::kind::preflight::{
    self, EngineSight, Finding, KindSight, Sight, Wanted, check_gpus, judge,
};

/// What the kind clusters of the profiles here want of this machine. What is wrong with a profile is told by
/// `berth validate`.
pub(super) fn labs(local: &Local, settings: &Settings) -> Vec<Wanted> {
    let folder = Path::new(Target::PROFILES);
    // A folder that cannot be listed has no profiles that could be used.
    let names = files::names_in(folder).unwrap_or_default();
    let names = names.iter().filter_map(|name| name.strip_suffix(".yaml"));
    let wanted = |name: &str| {
        let target =
            Target { environment: Some(name.to_string()), profiles: folder.to_path_buf(), rehearse: false };
        let environment = profiles::load_quietly(&target, settings).ok()?.ok()?.environment;
        match &environment.cluster {
            ClusterSpec::Kind(spec) => Some(Wanted::of(&environment, spec, local)),
            _ => None,
        }
    };
    names.filter_map(wanted).collect()
}

/// The checks of the lab: what is in order, what the preflight of a usual cluster finds, and what profiles want
/// that cannot be had.
pub(super) async fn checks(local: &Local, labs: &[Wanted], flow: &Flow) -> Vec<Check> {
    let wanted = Wanted::usual(preflight::network(local));
    let sight = preflight::sight(local, &wanted, flow).await;
    let mut checks = merged(good(&sight), judge(&sight, &wanted));
    for lab in labs.iter().filter(|_| sight.engine.is_ok()) {
        let found = preflight::check_profile(local, lab, &sight, flow).await;
        checks.extend(found.into_iter().map(|finding| {
            let what = format!("{} of {}", finding.what, lab.cluster);
            Check::wrong(what, Level::Warn, finding.found, finding.remedy.to_string())
        }));
        let Some(gpus) = &lab.gpus else { continue };
        let what = format!("GPUs for {}", gpus.owner.environment);
        checks.extend(match check_gpus(local, gpus, lab.kubernetes, &sight.kind).await {
            Some(Ok(found)) => Some(Check::ok(what, found)),
            Some(Err(finding)) => {
                Some(Check::wrong(what, Level::Warn, finding.found, finding.remedy.to_string()))
            }
            None => None,
        });
    }
    checks
}

/// What is in order, unless there is a finding about it; findings about other things behind.
fn merged(good: Vec<Check>, findings: Vec<Finding>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut left = findings;
    for check in good {
        let (about, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|found| found.what == check.what);
        left = others;
        if about.is_empty() {
            checks.push(check);
        }
        checks.extend(about.into_iter().map(warning));
    }
    checks.extend(left.into_iter().map(warning));
    checks
}

/// A finding. What would keep a lab from being made keeps nobody from rehearsing it.
fn warning(finding: Finding) -> Check {
    let found = match finding.level {
        preflight::Level::Fail => format!("{}; a lab on kind needs it", finding.found),
        preflight::Level::Warn => finding.found,
    };
    Check::wrong(finding.what, Level::Warn, found, finding.remedy.to_string())
}

/// What there is to say of a machine that has everything.
fn good(sight: &Sight) -> Vec<Check> {
    let mut checks = Vec::new();
    match &sight.engine {
        Ok(engine) => checks.extend(of_engine(engine)),
        // There is a finding about it.
        Err(_) => checks.push(Check::ok("container engine", "")),
    }
    let kind = match &sight.kind {
        KindSight::Found { version, path, .. } => format!("{version}  {}", path.display()),
        KindSight::Missing | KindSight::Broken(_) => String::new(),
    };
    checks.push(Check::ok("kind", kind));
    if let Some(inotify) = sight.machine.inotify {
        let found = format!("{} instances, {} watches", inotify.instances, inotify.watches);
        checks.push(Check::ok("inotify", found));
    }
    let proxies: Vec<String> =
        sight.proxies.iter().map(|proxy| format!("{}={}", proxy.name, proxy.shown())).collect();
    if !proxies.is_empty() {
        checks.push(Check::ok("proxies of nodes", proxies.join(" ")));
    }
    checks
}

fn of_engine(engine: &EngineSight) -> Vec<Check> {
    let info = &engine.info;
    let rootless = if info.rootless { ", without root" } else { "" };
    let mut checks = vec![Check::ok(
        "container engine",
        format!("{} {}{rootless}  {}", engine.kind, info.version, engine.path.display()),
    )];
    if let Some(version) = info.cgroups {
        checks.push(Check::ok("cgroups", format!("version {version}")));
    }
    if info.memory > 0 {
        checks.push(Check::ok("memory", format!("{} for containers", preflight::size(info.memory))));
    }
    if let Some(free) = engine.free_disk {
        checks.push(Check::ok("disk", format!("{} free in {}", preflight::size(free), info.root)));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_stands_in_the_place_of_what_would_be_in_order() {
        let finding = |what: &str, level| Finding {
            level,
            what: what.to_string(),
            found: "bad".to_string(),
            remedy: "do".into(),
        };
        let good = vec![Check::ok("kind", "0.33.0"), Check::ok("cgroups", "version 2")];
        let findings =
            vec![finding("kind", preflight::Level::Fail), finding("addresses", preflight::Level::Warn)];
        let told: Vec<String> = merged(good, findings)
            .iter()
            .map(|check| format!("{:?} {} {}", check.level, check.what, check.found))
            .collect();
        assert_eq!(
            told,
            ["Warn kind bad; a lab on kind needs it", "Ok cgroups version 2", "Warn addresses bad"]
        );
    }
}
