//! The commands on addons.

mod images;
mod list;

use super::{print, print_json, unknown};
use crate::cli::args::{Addon, AddonCommand};
use crate::cli::exit::{Exit, Failure};
use crate::cli::settings::Settings;

/// `berth addon …`
pub(super) fn run(arguments: &Addon, settings: &Settings) -> Result<Exit, Failure> {
    match &arguments.command {
        AddonCommand::List(arguments) => list::run(arguments, settings),
        AddonCommand::Images(arguments) => images::run(arguments, settings),
    }
}
