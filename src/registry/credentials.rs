//! What a container engine asks of a credential helper, and what berth answers. Docker's own words for it
//! are those of <https://github.com/docker/docker-credential-helpers>.

use serde_json::json;

use crate::base::{Fault, Secret};

/// The name of berth's helper, as container engines know it: the program is `docker-credential-berth`.
pub const HELPER: &str = "berth";

/// What an engine takes for "there is no login, go on without one".
pub(super) const NOT_FOUND: &str = "credentials not found in native keychain";

/// The answer of the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For standard output. Docker reads errors there too.
    pub text: Secret<String>,
    /// Whether it is a success.
    pub succeeded: bool,
}

impl Answer {
    fn good(text: impl Into<String>) -> Self {
        Self { text: Secret::new(text.into()), succeeded: true }
    }

    fn bad(text: impl Into<String>) -> Self {
        Self { text: Secret::new(text.into()), succeeded: false }
    }
}

/// What docker is told of the login to `server`: who it is for, and the password.
pub fn login(server: &str, user: &str, password: &Secret<String>) -> Answer {
    Answer::good(json!({"ServerURL": server, "Username": user, "Secret": password.reveal()}).to_string())
}

/// What docker is told where a cloud gave no login. Docker shows one line.
pub fn refused(fault: &Fault) -> Answer {
    let hint = fault.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
    Answer::bad(format!("{}: {}{hint}", fault.attempted, fault.reason).replace('\n', " "))
}

/// What `docker-credential-berth VERB` answers to `input` by itself. The registry of this machine needs no login;
/// who knows one of a cloud asks that cloud, and answers with [`login`].
pub fn answer(verb: Option<&str>, input: &str) -> Answer {
    match verb {
        Some("get") if input.trim().is_empty() => Answer::bad("no credentials server URL"),
        Some("get") => Answer::bad(NOT_FOUND),
        // What cannot be kept must not look as if it were.
        Some("store") => Answer::bad(
            "berth keeps no passwords: its registries need no `docker login`. For one that berth did not start, take \
             its line out of `credHelpers` in the configuration of docker",
        ),
        // There is nothing to forget: so `docker logout` has done its work.
        Some("erase") => Answer::good(""),
        Some("list") => Answer::good("{}"),
        Some("version") => Answer::good(concat!("docker-credential-berth ", env!("CARGO_PKG_VERSION"))),
        _ => Answer::bad(
            "container engines start docker-credential-berth themselves, with get, store, erase or list; \
             `berth registry login ENV` sets it up",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_without_a_login_is_told_in_the_words_that_docker_knows() {
        let answer = answer(Some("get"), "localhost:5001\n");
        assert_eq!(answer, Answer::bad("credentials not found in native keychain"));
    }

    #[test]
    fn a_login_is_told_in_the_form_that_docker_reads_and_shown_nowhere_else() {
        let answer = login("123456789012.example", "AWS", &Secret::new("hush".to_string()));
        let expected = r#"{"ServerURL":"123456789012.example","Username":"AWS","Secret":"hush"}"#;
        let read: serde_json::Value = serde_json::from_str(answer.text.reveal()).expect("JSON");
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
        assert!(answer.succeeded && !format!("{answer:?}").contains("hush"));
    }

    #[test]
    fn nothing_is_kept_and_nothing_is_listed() {
        assert!(!answer(Some("store"), "{\"ServerURL\":\"localhost:5001\",\"Secret\":\"word\"}").succeeded);
        assert!(!answer(Some("store"), "{\"Secret\":\"word\"}").text.reveal().contains("\"word\""));
        assert!(answer(Some("erase"), "localhost:5001").succeeded);
        assert_eq!(answer(Some("list"), ""), Answer::good("{}"));
        assert!(!answer(None, "").succeeded && !answer(Some("get"), "").succeeded);
    }
}
