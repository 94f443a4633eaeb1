use super::args::Progress;
use super::settings::{Settings, terminal_size};
use crate::engine::Listener;
use crate::ui::progress::{Json, Look, Lost, Plain, Tty};

/// Who shows a run on standard error, when it is followed in the way `progress`.
pub(super) fn on_screen(settings: &Settings, progress: Progress) -> Option<Box<dyn Listener>> {
    match progress {
        Progress::Tty => {
            let look = Look { paint: settings.printer.talk_paint, unicode: settings.unicode };
            Some(Box::new(Tty::new(look, terminal_size)))
        }
        Progress::Plain => Some(Box::new(Plain::new(std::io::stderr()))),
        // When standard error cannot be written, there is nobody to be told of it.
        Progress::Json => Some(Box::new(Json::new(std::io::stderr(), Lost::default()))),
        Progress::Auto | Progress::Quiet => None,
    }
}
