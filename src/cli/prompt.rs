use tokio::io::{AsyncBufReadExt, BufReader};

use super::exit::{Exit, Failure};
use super::settings::Settings;
use super::signals::Signals;
use crate::base::{Fault, FaultKind};
use crate::ui::Complaint;

/// Asks `question` on standard error and reads one line from the terminal; a signal ends the waiting.
/// `None` when there is no answer and will be none.
pub(super) async fn ask(
    question: &str,
    settings: &Settings,
    signals: &Signals,
) -> Result<Option<String>, Failure> {
    settings.printer.ask(&format!("{question} "));
    let mut line = String::new();
    let mut input = BufReader::new(tokio::io::stdin());
    tokio::select! {
        read = input.read_line(&mut line) => {
            let length = read.map_err(|error| {
                Fault::new(FaultKind::Invalid, "read the answer", error.to_string().to_lowercase())
            })?;
            if length == 0 {
                // Ctrl-D leaves the cursor behind the question.
                settings.printer.talk("\n");
                return Ok(None);
            }
            Ok(Some(line.trim().to_string()))
        }
        () = signals.cancel().requested() => {
            settings.printer.talk("\n");
            let exit = signals.stopped_by().unwrap_or(Exit::Interrupted);
            Err(Failure::new(exit, Complaint::new("stopped at the question").because("nothing was changed")))
        }
    }
}
