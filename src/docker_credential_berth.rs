//! The credential helper that container engines start: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    berth::credential_helper()
}
