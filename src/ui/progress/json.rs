use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{Event, Listener};

/// One JSON object per event and line; the first one carries the schema version.
pub struct Json<W> {
    out: W,
    closed: bool,
    lost: Lost,
}

/// Why a stream of events broke off while somebody still wanted it.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<Mutex<Option<String>>>);

impl Lost {
    /// In words; `None` when all were written, or the reader went away.
    pub fn why(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &io::Error) {
        if error.kind() != ErrorKind::BrokenPipe {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string().to_lowercase());
        }
    }
}

impl<W: Write> Json<W> {
    /// Writes to `out`, and notes in `lost` when that fails.
    pub fn new(out: W, lost: Lost) -> Self {
        Self { out, closed: false, lost }
    }
}

impl<W: Write + Send> Listener for Json<W> {
    fn on(&mut self, event: &Event) {
        if self.closed {
            return;
        }
        let written = serde_json::to_vec(event).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.out.write_all(&line)?;
            self.out.flush()
        });
        if let Err(error) = written {
            // The reader went away (`berth up … | head`), or a disk is full: the run goes on for its own sake.
            self.closed = true;
            self.lost.note(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{started, stream};
    use super::*;

    #[test]
    fn every_event_is_one_line_and_the_first_says_the_schema() {
        let mut out = Vec::new();
        {
            let mut json = Json::new(&mut out, Lost::default());
            for event in stream(vec![
                (0, started()),
                (
                    5,
                    crate::engine::EventKind::RunFinished {
                        exit_code: 0,
                        done: 1,
                        failed: 0,
                        not_ready: 0,
                        not_started: 0,
                    },
                ),
            ]) {
                json.on(&event);
            }
        }
        let text = String::from_utf8(out).expect("JSON is text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["type"], "run_started");
        assert_eq!(lines[0]["schema"], 1);
        assert_eq!(lines[1]["elapsed_ms"], 5);
    }

    /// What is noted of a stream whose every write fails like this.
    fn lost_by(kind: ErrorKind) -> Option<String> {
        struct Failing(ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lost = Lost::default();
        let mut json = Json::new(Failing(kind), lost.clone());
        json.on(&stream(vec![(0, started())])[0]);
        assert!(json.closed);
        lost.why()
    }

    #[test]
    fn a_reader_that_went_away_stops_no_run_and_is_no_loss() {
        assert_eq!(lost_by(ErrorKind::BrokenPipe), None);
    }

    #[test]
    fn events_that_could_not_be_written_are_noted() {
        assert!(lost_by(ErrorKind::StorageFull).is_some());
    }
}
