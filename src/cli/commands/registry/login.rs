use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{print, print_json};
use super::{Place, chosen};
use crate::base::{Fault, FaultKind, Secret};
use crate::cli::args::RegistryLogin;
use crate::cli::exit::{Exit, Failure};
use crate::cli::runtime::{self, reading};
use crate::cli::settings::Settings;
use crate::clouds::aws::Session;
use crate::flow::Flow;
use crate::os::find_on_path;
use crate::registry::{DockerConfig, Entry, credentials::HELPER, ecr, local};

/// `berth registry login [ENV]`
pub(super) fn run(arguments: &RegistryLogin, settings: &Settings) -> Result<Exit, Failure> {
    let (environment, place) = chosen(&arguments.target, "log in to the registry", settings)?;
    let flags =
        [(arguments.password_stdin, "--password-stdin"), (arguments.print_password, "--print-password")];
    let flag = flags.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag));
    match place {
        Place::Local(port) => match flag {
            None => to_local(port, settings),
            Some(flag) => Err(Failure::usage(
                format!(
                    "`berth registry login {}`: the registry of this machine has no password",
                    environment.name
                ),
                format!("leave `{flag}` out"),
            )),
        },
        Place::Ecr(_, session) if arguments.password_stdin => log_engine_in(&session, settings),
        Place::Ecr(_, session) if arguments.print_password => print_password(&session, settings),
        Place::Ecr(_, session) => {
            let (host, _) = password(&session)?;
            name_helper(&host, settings)?;
            Ok(Exit::Done)
        }
    }
}

/// Lets engines push to the registry of this machine.
fn to_local(port: u16, settings: &Settings) -> Result<Exit, Failure> {
    let host = local::host(port);
    let wants_login = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        reading(&signals, local::wants_login(port, &flow)).await
    })?;
    if wants_login {
        let why = "it wants a user and a password: berth did not start it, and has no login for it";
        let hint =
            format!("`docker login {host}`; pods pull from it by `registry.pullSecrets: [\"{host}\"]`");
        let attempted = format!("log in to the registry {host}");
        return Err(Fault::new(FaultKind::Invalid, attempted, why).hint(hint).into());
    }
    name_helper(&host, settings)?;
    if !settings.json() {
        settings.printer.talk("podman pushes with `podman push --tls-verify=false`");
    }
    Ok(Exit::Done)
}

/// Lets the engine of this machine keep a password of ECR.
fn log_engine_in(session: &Session, settings: &Settings) -> Result<Exit, Failure> {
    let engine = settings.local(None)?.engine.find().map_err(|fault| {
        fault.hint("install Docker or Podman; `--print-password` prints the password for other programs")
    })?;
    let (host, password) = password(session)?;
    let kind = engine.kind();
    let logged_in = runtime::run(|signals| {
        let (engine, host, password) = (&engine, &host, &password);
        async move { reading(&signals, engine.log_in(host, ecr::USER, password)).await }
    })?;
    logged_in?;
    if settings.json() {
        let value = json!({"registry": host, "username": ecr::USER, "engine": kind.program()});
        print_json(settings, &value)?;
        return Ok(Exit::Done);
    }
    let said =
        format!("{kind} is logged in to {host} for 12 hours, and keeps the password as it keeps others");
    settings.printer.talk(&said);
    tell_push(kind.program(), &host, settings)?;
    Ok(Exit::Done)
}

/// Prints the password of ECR, and for whom it is.
fn print_password(session: &Session, settings: &Settings) -> Result<Exit, Failure> {
    let (host, password) = password(session)?;
    let user = ecr::USER;
    settings.printer.talk(&format!("the password of {user} for {host}, of use for 12 hours"));
    if settings.json() {
        let value = json!({"registry": host, "username": user, "password": password.reveal()});
        print_json(settings, &value)?;
    } else {
        print(settings, password.reveal())?;
    }
    Ok(Exit::Done)
}

/// The host of ECR and its password. That AWS gives one is seen before a helper is named, so that no push fails later
/// for want of it.
fn password(session: &Session) -> Result<(String, Secret<String>), Failure> {
    runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        Ok(Box::pin(reading(&signals, ecr::password(session, &flow))).await??)
    })
}

/// Names the helper for `host` in the configuration of engines, and says so.
fn name_helper(host: &str, settings: &Settings) -> Result<(), Failure> {
    let helper = helper(settings)?;
    let config = DockerConfig::new(settings.docker_config()?);
    let entry = config.use_helper(host)?;
    let path = config.path().display();
    let said = match &entry {
        Entry::Unchanged => format!("`{path}` asks berth for the login of {host} already"),
        Entry::Written => {
            format!("`{path}` asks berth for the login of {host} now; all else in it is as it was")
        }
        Entry::Other(other) => {
            format!("`{path}` asks `docker-credential-{other}` for the login of {host}, which stays so")
        }
    };
    if settings.json() {
        let value = json!({"registry": host, "config": config.path(), "helper": helper,
            "changed": entry == Entry::Written});
        return print_json(settings, &value);
    }
    settings.printer.talk(&said);
    tell_push("docker", host, settings)?;
    if !matches!(entry, Entry::Other(_)) {
        settings.printer.talk(&format!(
            "`down` leaves that line: delete \"{host}\" below `credHelpers` in `{path}` to take it back"
        ));
    }
    Ok(())
}

/// Says how `engine` pushes to `host`.
fn tell_push(engine: &str, host: &str, settings: &Settings) -> Result<(), Failure> {
    settings.printer.talk("push an image, and pods can name it as it was pushed:");
    print(settings, &format!("{engine} tag IMAGE {host}/NAME:TAG\n{engine} push {host}/NAME:TAG"))
}

/// The helper program, which engines have to find by its name.
fn helper(settings: &Settings) -> Result<PathBuf, Fault> {
    let name = format!("docker-credential-{HELPER}");
    if let Some(path) = find_on_path(&name, &settings.search_path) {
        return Ok(path);
    }
    let own = settings.program.as_deref().and_then(Path::parent);
    let beside = own.filter(|folder| folder.join(&name).is_file());
    let hint = match &beside {
        Some(folder) => format!("put its folder on PATH: `export PATH=\"$PATH:{}\"`", folder.display()),
        None => format!("install `{name}`, which ships with berth, beside it"),
    };
    let why = format!("`{name}` is not on PATH, and without it every push to the registry would fail");
    Err(Fault::new(FaultKind::Invalid, "let your container engine ask berth for logins", why).hint(hint))
}
