//! `berth image`: what brings images to an environment.

mod load;

use crate::cli::args::{Image, ImageCommand};
use crate::cli::exit::{Exit, Failure};
use crate::cli::settings::Settings;

/// Runs `berth image …`.
pub(super) fn run(arguments: &Image, settings: &Settings) -> Result<Exit, Failure> {
    match &arguments.command {
        ImageCommand::Load(arguments) => load::run(arguments, settings),
    }
}
