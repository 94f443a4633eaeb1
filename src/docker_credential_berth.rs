//! The credential helper that container engines start: it becomes the `berth` beside it, or the one on PATH,
//! which knows by its name what is asked. So only one program is built of the library.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut error = io::Error::from(ErrorKind::NotFound);
    for program in beside().into_iter().chain([PathBuf::from("berth")]) {
        // It returns only when there was nothing to start.
        error = Command::new(program).arg0("docker-credential-berth").args(arguments()).exec();
        if error.kind() != ErrorKind::NotFound {
            break;
        }
    }
    // Engines show one line of standard output.
    writeln!(
        io::stdout(),
        "cannot start `berth`, which docker-credential-berth needs beside it or on PATH: {error}"
    )
    .ok();
    ExitCode::FAILURE
}

/// Where `berth` is when both programs were installed together.
fn beside() -> Option<PathBuf> {
    let own = env::current_exe().and_then(|path| path.canonicalize()).ok()?;
    Some(own.with_file_name("berth"))
}

fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(1)
}
