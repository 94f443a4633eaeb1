use super::super::args::Schema;
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::print_json;
use crate::profile::{json_schema, tenant_json_schema};

/// `berth schema`
pub(super) fn run(arguments: &Schema, settings: &Settings) -> Result<Exit, Failure> {
    print_json(settings, &if arguments.tenant { tenant_json_schema() } else { json_schema() })?;
    Ok(Exit::Done)
}
