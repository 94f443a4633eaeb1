use clap::CommandFactory;

use super::super::args::{Arguments, Completions};
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::print;

/// `berth completions SHELL`
pub(super) fn run(arguments: &Completions, settings: &Settings) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "berth", &mut script);
    print(settings, &String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
