//! One file per command.

mod addon;
mod completions;
mod doctor;
mod down;
mod image;
mod init;
mod kubeconfig;
mod list;
mod plan;
mod registry;
mod render;
mod schema;
mod status;
mod token;
mod up;
mod validate;
mod verify;

use super::args::Command;
use super::exit::{Exit, Failure};
use super::settings::Settings;
use crate::base::{Fault, FaultKind};
use crate::engine::{Look, Survey};
use crate::ui::Complaint;

/// Runs `command`.
pub(super) fn run(command: Command, settings: &Settings) -> Result<Exit, Failure> {
    match command {
        Command::Up(arguments) => up::run(arguments, settings),
        Command::Plan(arguments) => plan::run(&arguments, settings),
        Command::Status(arguments) => status::run(&arguments, settings),
        Command::Down(arguments) => down::run(&arguments, settings),
        Command::Verify(arguments) => verify::run(&arguments, settings),
        Command::Validate(arguments) => validate::run(&arguments, settings),
        Command::Render(arguments) => render::run(&arguments, settings),
        Command::Init(arguments) => init::run(&arguments, settings),
        Command::List(arguments) => list::run(&arguments, settings),
        Command::Addon(arguments) => addon::run(&arguments, settings),
        Command::Image(arguments) => image::run(&arguments, settings),
        Command::Registry(arguments) => registry::run(&arguments, settings),
        Command::Kubeconfig(arguments) => kubeconfig::run(&arguments, settings),
        Command::Token(arguments) => token::run(&arguments, settings),
        Command::Doctor(arguments) => doctor::run(&arguments, settings),
        Command::Schema(arguments) => schema::run(&arguments, settings),
        Command::Completions(arguments) => completions::run(&arguments, settings),
    }
}

/// Fails when something could not be looked at: the first fault decides how.
fn unknown(survey: &Survey) -> Result<(), Failure> {
    let failed = || {
        survey.resources.iter().filter_map(|seen| match &seen.look {
            Look::Failed(fault) => Some((&seen.id, fault)),
            _ => None,
        })
    };
    match failed().next() {
        Some((_, first)) => Err(Failure {
            exit: Exit::of_fault(first.kind),
            complaints: Complaint::gathered(failed()),
            text: String::new(),
            answered: false,
        }),
        None => Ok(()),
    }
}

/// Writes a command's result to standard output.
fn print(settings: &Settings, text: &str) -> Result<(), Failure> {
    settings.printer.data(text).map_err(|error| {
        Fault::new(FaultKind::Quota, "write to standard output", error.to_string().to_lowercase()).into()
    })
}

/// Writes a command's result to standard output as JSON.
fn print_json(settings: &Settings, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).expect("plain values with text keys are JSON");
    print(settings, &text)
}
