//! One file per command.

mod completions;

use super::args::Command;
use super::exit::{Exit, Failure};
use super::settings::Settings;

/// Runs `command`.
pub(super) fn run(command: Command, settings: &Settings) -> Result<Exit, Failure> {
    match command {
        Command::Completions(arguments) => completions::run(&arguments, settings),
        _ => Err(Failure::usage("not wired yet", "wait")),
    }
}

/// Writes a command's result to standard output.
fn print(settings: &Settings, text: &str) -> Result<(), Failure> {
    use crate::base::{Fault, FaultKind};
    settings.printer.data(text).map_err(|error| {
        Fault::new(FaultKind::Quota, "write to standard output", error.to_string().to_lowercase()).into()
    })
}

/// Writes a command's result to standard output as JSON.
fn print_json(settings: &Settings, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).expect("plain values with text keys are JSON");
    print(settings, &text)
}
