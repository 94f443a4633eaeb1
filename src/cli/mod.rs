//! **Owns** the command line: arguments, settings, environment variables, signals, exit codes, and
//! one file per command that puts the other rooms to work.
//! **May name** every room.
//! **Never** knows how anything is done: commands read like their own description.
//! **Start reading at** [`main`], then `commands`.

mod args;
mod claim;
mod commands;
mod credentials;
mod exit;
mod follow;
mod kubernetes;
mod logins;
mod merge;
mod networks;
mod parts;
mod profiles;
mod prompt;
mod record;
mod running;
mod runtime;
mod saved;
mod session;
mod settings;
mod signals;
mod sources;
mod ways_in;
mod work;
mod yaml;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use exit::{Exit, Failure};
use settings::{Settings, Surroundings};

use crate::ui::Complaint;

/// Runs the command that was typed, or answers the container engine that asks; the exit code says how it went.
pub fn main() -> ExitCode {
    if credentials::is_asked() {
        return credentials::credential_helper();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let printed = error.print();
            let exit = match printed {
                _ if error.use_stderr() => Exit::Invalid,
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Exit::Failed,
                _ => Exit::Done,
            };
            return ExitCode::from(exit.code());
        }
    };
    let settings = Settings::new(&arguments.global, Surroundings::read());
    trace(settings.verbose);
    let heard = |exit| unheard(exit, &settings).map_or(Ok(exit), Err);
    let exit = commands::run(arguments.command, &settings).and_then(heard).unwrap_or_else(|failure| {
        complain(&failure, &settings);
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// That a run which ended with `exit` could not tell its events: who waits for them must not take it for done.
fn unheard(exit: Exit, settings: &Settings) -> Option<Failure> {
    let why = settings.lost.why()?;
    let complaint = Complaint::new("cannot write the events to standard output").because(why);
    let complaint = complaint.next("the run went on without them: `berth status` says how it is");
    let exit = if exit == Exit::Done { Exit::Failed } else { exit };
    Some(Failure::new(exit, complaint).answered())
}

fn complain(failure: &Failure, settings: &Settings) {
    if settings.json() && !failure.answered {
        // On one line, since it may follow events; when nobody reads it, the exit code still tells.
        settings.printer.data(&failure.json().to_string()).ok();
    }
    settings.printer.talk(&failure.text);
    for complaint in &failure.complaints {
        settings.printer.talk(&complaint.text(settings.printer.talk_paint, settings.printer.talk_width));
    }
}

/// Sends traces to standard error when they were asked for.
fn trace(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "berth=debug",
        _ => "berth=trace,kube=debug,tower=debug,hyper=info",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .finish();
    // It can only be set once, and this is the one place that does.
    tracing::subscriber::set_global_default(subscriber).expect("set once per process");
}
