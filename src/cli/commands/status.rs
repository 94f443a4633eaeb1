use super::super::args::{Leave, Status as Arguments};
use super::super::exit::{Exit, Failure};
use super::super::session::{Asked, Purpose, Session};
use super::super::settings::Settings;
use super::{print, print_json, unknown};
use crate::ui::status::Status;

/// `berth status [ENV]`
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<Exit, Failure> {
    let asked = Asked {
        target: &arguments.target,
        scope: &arguments.scope,
        leave: &Leave::default(),
        purpose: Purpose::Look,
    };
    let session = Session::open(&asked, settings)?;
    let survey = session.look()?;
    let status = Status::of(&survey, session.about.clone(), session.left_out());
    if settings.json() {
        print_json(settings, &status)?;
    } else {
        print(settings, &status.text(settings.printer.data_paint, settings.printer.width))?;
    }
    unknown(&survey).map_err(Failure::answered)?;
    Ok(if status.is_in_doubt() { Exit::Failed } else { Exit::Done })
}
