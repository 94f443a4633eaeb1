use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Live, Target};

#[derive(Debug, Args)]
pub(in crate::cli) struct Addon {
    #[command(subcommand)]
    pub(in crate::cli) command: AddonCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AddonCommand {
    /// List the addons of an environment with the versions that stand, or all that berth ships
    ///
    /// With ENV: the version that the profile means, the one that stands, its state, a newer one that
    /// berth knows, and what the addon needs. Changes nothing.
    List(AddonList),
    /// List every image that the addons of an environment pull, or those of all that berth ships
    ///
    /// One line per image: the reference by which it is pulled, whether that has a digest, who names it,
    /// and where it comes from when `registry.mirrors` points elsewhere. Needs no cluster.
    Images(AddonImages),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AddonList {
    #[command(flatten)]
    pub(in crate::cli) of: Of,
    #[command(flatten)]
    pub(in crate::cli) live: Live,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AddonImages {
    #[command(flatten)]
    pub(in crate::cli) of: Of,
}

/// Of which environment, if of any.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Of {
    /// The environment, by its name or the path of its profile. Without it: every addon that berth ships
    #[arg(value_name = "ENV", value_hint = ValueHint::FilePath)]
    environment: Option<String>,
    /// Where profiles are looked for
    #[arg(long, value_name = "DIR", default_value = Target::PROFILES, value_hint = ValueHint::DirPath)]
    profiles: PathBuf,
    /// The rehearsal of the environment
    #[arg(long, requires = "environment")]
    rehearse: bool,
}

impl Of {
    /// The environment, when one is named.
    pub(in crate::cli) fn target(&self) -> Option<Target> {
        self.environment.as_ref().map(|environment| Target {
            environment: Some(environment.clone()),
            profiles: self.profiles.clone(),
            rehearse: self.rehearse,
        })
    }
}
