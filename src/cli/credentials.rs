use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use super::runtime;
use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Session, Whose};
use crate::flow::Flow;
use crate::registry::credentials::{self, Answer};
use crate::registry::ecr;

/// So much is read of a question; none is longer.
const LONGEST: u64 = 64 * 1024;

/// The name by which container engines start berth.
const HELPER: &str = "docker-credential-berth";

/// Whether a container engine started this program: then it was called by the helper's name.
pub fn is_asked() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == HELPER))
}

/// Answers a container engine that asks for a login: the first argument says what it wants, standard input
/// of which registry.
pub fn credential_helper() -> ExitCode {
    let verb = std::env::args().nth(1);
    let mut input = Vec::new();
    // `list` and `version` come with whatever standard input there is: only a question is waited for.
    if matches!(verb.as_deref(), Some("get" | "store" | "erase"))
        && std::io::stdin().take(LONGEST).read_to_end(&mut input).is_err()
    {
        return ExitCode::FAILURE;
    }
    let input = String::from_utf8_lossy(&input);
    let of_cloud = ecr::Host::parse(&input).filter(|_| verb.as_deref() == Some("get"));
    let answer = match of_cloud {
        Some(host) => of_ecr(input.trim(), host.region),
        None => credentials::answer(verb.as_deref(), &input),
    };
    let written = writeln!(std::io::stdout(), "{}", answer.text.reveal());
    if answer.succeeded && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The login to `server`, which is ECR in `region`, in the name of whom AWS's own chain of credentials finds.
fn of_ecr(server: &str, region: String) -> Answer {
    let session = Session::new(Whose { region, ..Whose::default() });
    let asked = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        let asked = ecr::password(&session, &flow);
        tokio::select! {
            asked = asked => Ok(asked),
            () = signals.cancel().requested() => Ok(Err(stopped())),
        }
    });
    match asked {
        Ok(Ok((_, password))) => credentials::login(server, ecr::USER, &password),
        Ok(Err(fault)) => credentials::refused(&fault),
        Err(_) => credentials::refused(&stopped()),
    }
}

fn stopped() -> Fault {
    Fault::new(FaultKind::Cancelled, "ask ECR for a login", "stopped by a signal")
}
