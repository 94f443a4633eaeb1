use super::engine::{Engine, WORK};
use crate::base::{Fault, Secret};

impl Engine {
    /// Logs `user` in to the registry `host`: the engine keeps the password where it keeps others. It gets it as its
    /// standard input, where nobody else sees it.
    pub async fn log_in(&self, host: &str, user: &str, password: &Secret<String>) -> Result<(), Fault> {
        let attempted = format!("log in to {host}");
        let arguments = ["login", "--username", user, "--password-stdin", host];
        let program = self.program().args(arguments).input(password.reveal().as_bytes());
        let finished = self.finish(&attempted, program, WORK).await?;
        if finished.succeeded() { Ok(()) } else { Err(self.failed(&attempted, &finished)) }
    }
}
