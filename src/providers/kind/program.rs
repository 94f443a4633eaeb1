use std::ffi::OsString;
use std::path::PathBuf;

use super::{Choices, images};
use crate::base::{Fault, FaultKind};
use crate::containers::{Engine, EngineKind, EngineSearch};
use crate::os::{Program, find_on_path};

/// The `kind` program of this machine.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    path: PathBuf,
    provider: EngineKind,
    network: Option<String>,
}

impl Kind {
    /// The first `kind` where `search` looks, to be used with `engine` and the network that was chosen for it.
    pub(super) fn find(search: &EngineSearch, engine: &Engine, choices: &Choices) -> Result<Self, Fault> {
        let path = find_on_path("kind", &search.search_path).ok_or_else(|| {
            let hint = format!(
                "install it (https://kind.sigs.k8s.io, or `go install sigs.k8s.io/kind@latest`), or rehearse \
                 without it: `{}`",
                search.rehearsal()
            );
            Fault::new(FaultKind::Invalid, "find `kind`, which makes the cluster", "it is not on PATH")
                .hint(hint)
        })?;
        let provider = engine.kind();
        Ok(Self { path, provider, network: choices.networks.get(&provider).cloned() })
    }

    /// kind with these arguments. The engine is named, since kind's own search may find another one.
    pub(super) fn program<A: Into<OsString>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        let program = Program::new(&self.path)
            .env("KIND_EXPERIMENTAL_PROVIDER", self.provider.program())
            .args(arguments);
        let variable = Choices::NETWORK_VARIABLES.iter().find(|(engine, _)| *engine == self.provider);
        match (variable, &self.network) {
            (Some((_, variable)), Some(network)) => program.env(*variable, network),
            _ => program,
        }
    }

    /// Its release: `(0, 33, 0)`.
    pub(super) async fn version(&self) -> Result<(u32, u32, u32), Fault> {
        let finished = self.program(["version", "--quiet"]).run().await?;
        images::version(&finished.stdout).ok_or_else(|| {
            let said = format!("{} {}", finished.stdout.trim(), finished.stderr_tail(1));
            Fault::new(FaultKind::Invalid, "ask `kind` for its version", said.trim().to_string())
                .hint(format!("is `{}` the kind that makes clusters?", self.path.display()))
        })
    }
}
