use std::io::Write;

use crate::engine::{Event, Listener};

/// One JSON object per event and line; the first one carries the schema version.
pub struct Json<W> {
    out: W,
    closed: bool,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, closed: false }
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
        // The reader went away (`berth up … | head`): the run goes on for its own sake.
        self.closed = written.is_err();
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
            let mut json = Json::new(&mut out);
            for event in stream(vec![
                (0, started()),
                (
                    5,
                    crate::engine::EventKind::RunFinished {
                        exit_code: 0,
                        done: 1,
                        failed: 0,
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

    #[test]
    fn a_reader_that_went_away_stops_no_run() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut json = Json::new(Closed);
        json.on(&stream(vec![(0, started())])[0]);
        assert!(json.closed);
    }
}
