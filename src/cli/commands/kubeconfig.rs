use serde_json::json;

use super::super::args::Kubeconfig;
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::super::{merge, profiles, runtime};
use super::{print, print_json};
use crate::base::{Fault, FaultKind};
use crate::flow::Flow;
use crate::os::files;

/// `berth kubeconfig [ENV]`
pub(super) fn run(arguments: &Kubeconfig, settings: &Settings) -> Result<Exit, Failure> {
    let environment = profiles::load(&arguments.target, settings)?.environment;
    let path = settings.local(None)?.dirs.kubeconfig(&environment.owner);
    let rehearse = if environment.rehearsal { " --rehearse" } else { "" };
    let Some(content) = files::read_if_there(&path)? else {
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
