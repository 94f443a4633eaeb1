use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Target, Time};

#[derive(Debug, Args)]
pub(in crate::cli) struct Image {
    #[command(subcommand)]
    pub(in crate::cli) command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImageCommand {
    /// Load images of this machine's container engine, or from archives, into every node of a kind cluster
    ///
    /// Pods then run them without a registry, unless their pull policy is Always (which is the default of
    /// images tagged `latest`). Nodes that have an image already are skipped; all others get it at once.
    Load(ImageLoad),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ImageLoad {
    /// The images: by name, as `docker images` shows it, by name and digest, or by id; or archives
    /// (FILE.tar, also compressed), as `docker save` writes them or in the layout of OCI
    #[arg(value_name = "IMAGE", required = true, value_hint = ValueHint::AnyPath)]
    pub(in crate::cli) images: Vec<String>,
    /// The environment, by its name or the path of its profile. Not needed when the folder holds one
    /// profile alone
    #[arg(short, long, value_name = "ENV", value_hint = ValueHint::FilePath)]
    environment: Option<String>,
    /// Where profiles are looked for
    #[arg(long, value_name = "DIR", default_value = Target::PROFILES, value_hint = ValueHint::DirPath)]
    profiles: PathBuf,
    /// Stop after this time (90s, 10m, 1h30m); the same command skips what was loaded
    #[arg(long, value_name = "TIME", default_value = "15m")]
    pub(in crate::cli) timeout: Time,
}

impl ImageLoad {
    /// The environment whose cluster gets them.
    pub(in crate::cli) fn target(&self) -> Target {
        Target { environment: self.environment.clone(), profiles: self.profiles.clone(), rehearse: false }
    }
}
