use std::io::{self, Write};

use super::Paint;

/// Where output goes: data to standard output, talk to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printer {
    /// The colours of standard output.
    pub data_paint: Paint,
    /// The colours of standard error.
    pub talk_paint: Paint,
    /// How many columns a line of standard output may have: no end of them off a terminal, where
    /// nothing shall be broken or cut.
    pub width: usize,
    /// How many columns a line of standard error may have.
    pub talk_width: usize,
}

impl Printer {
    /// Writes `text` to standard output, and a line end if it has none.
    ///
    /// That the reader went away (`berth plan | head`) is no error: there is nobody left to tell.
    pub fn data(&self, text: &str) -> io::Result<()> {
        match write_whole(&mut io::stdout().lock(), text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Writes `text` to standard error, and a line end if it has none.
    pub fn talk(&self, text: &str) {
        // When standard error is closed, nobody wants to hear about it.
        write_whole(&mut io::stderr().lock(), text).ok();
    }

    /// Writes `text` to standard error and stays on the line, for a question.
    pub fn ask(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // As with talk.
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).ok();
    }
}

fn write_whole(to: &mut impl Write, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    to.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        to.write_all(b"\n")?;
    }
    to.flush()
}
