use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::args::Kubeconfig;
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::super::{merge, profiles, runtime};
use super::{print, print_json};
use crate::base::{Clock, Fault, FaultKind, SystemClock};
use crate::clouds::aws::Session;
use crate::flow::Flow;
use crate::os::files;
use crate::profile::schema::EksCluster;
use crate::profile::{ClusterSpec, Environment};
use crate::providers::{eks, keep_kubeconfig};

/// How long AWS may take to say where a cluster is.
const LIMIT: Duration = Duration::from_mins(1);

/// `berth kubeconfig [ENV]`
pub(super) fn run(arguments: &Kubeconfig, settings: &Settings) -> Result<Exit, Failure> {
    let environment = profiles::load(&arguments.target, settings)?.environment;
    let path = settings.local(None)?.dirs.kubeconfig(&environment.owner);
    let rehearse = if environment.rehearsal { " --rehearse" } else { "" };
    let mut content = files::read_if_there(&path)?;
    if content.is_none()
        && let ClusterSpec::Eks(eks) = &environment.cluster
        && !environment.rehearsal
    {
        keep(eks, &environment, &path, settings)?;
        content = files::read_if_there(&path)?;
    }
    let Some(content) = content else {
        let attempted = format!("find the kubeconfig of {}", environment.name);
        let typed = arguments.target.environment.as_deref().unwrap_or_default();
        return Err(Fault::new(FaultKind::Invalid, attempted, format!("there is no `{}`", path.display()))
            .hint(format!("`berth up {typed}{rehearse}` makes the cluster and writes it"))
            .into());
    };
    if arguments.content {
        print(settings, &content)?;
        return Ok(Exit::Done);
    }
    if !arguments.merge {
        if settings.json() {
            print_json(settings, &json!({"path": path}))?;
        } else {
            print(settings, &path.display().to_string())?;
        }
        return Ok(Exit::Done);
    }
    let user = settings.user_kubeconfig()?;
    let name = merge::context_name(&environment.name);
    runtime::run(|signals| {
        let (user, content, name) = (&user, &content, &name);
        async move {
            let flow = Flow::new(signals.cancel().clone());
            Ok(merge::add(user, content, name, arguments.switch, &flow).await?)
        }
    })?;
    if settings.json() {
        print_json(settings, &json!({"path": user, "context": name}))?;
    } else {
        let switched = if arguments.switch { ", now the current one" } else { "" };
        settings.printer.talk(&format!("context `{name}`{switched} is in `{}`", user.display()));
        print(settings, &format!("kubectl --context {name} get nodes"))?;
    }
    Ok(Exit::Done)
}

/// Keeps the kubeconfig of a cluster that another machine made, if there is one.
fn keep(
    spec: &EksCluster,
    environment: &Environment,
    path: &Path,
    settings: &Settings,
) -> Result<(), Failure> {
    let session = Session::new(settings.aws(spec));
    let access = runtime::run(|signals| async move {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let flow = Flow::new(signals.cancel().clone()).within_limit(LIMIT);
        Ok(eks::ask_access(&session, &environment.owner, &clock, &flow).await?)
    })?;
    if let Some(access) = access {
        keep_kubeconfig(path, &access, &merge::context_name(&environment.name), &settings.plugin())?;
    }
    Ok(())
}
