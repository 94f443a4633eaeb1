use std::io::{Read, Write};
use std::process::ExitCode;

use crate::registry::credentials::answer;

/// So much is read of a question; none is longer.
const LONGEST: u64 = 64 * 1024;

/// Answers a container engine that asks for a login: the first argument says what it wants, standard input
/// of which registry.
pub fn credential_helper() -> ExitCode {
    let verb = std::env::args().nth(1);
    let mut input = Vec::new();
    // `list` and `version` come with whatever standard input there is: only a question is waited for.
    if matches!(verb.as_deref(), Some("get" | "store" | "erase"))
        && std::io::stdin().take(LONGEST).read_to_end(&mut input).is_err()
    {
        return ExitCode::FAILURE;
    }
    let answer = answer(verb.as_deref(), &String::from_utf8_lossy(&input));
    let written = writeln!(std::io::stdout(), "{}", answer.text);
    if answer.succeeded && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
