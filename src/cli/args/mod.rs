mod addon;
mod image;
mod registry;
mod scope;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};

pub(super) use addon::{Addon, AddonCommand, AddonImages, AddonList};
pub(super) use image::{Image, ImageCommand, ImageLoad};
pub(super) use registry::{Registry, RegistryCommand, RegistryList, RegistryLogin};
pub(super) use scope::{Part, Time};
pub(super) use token::Token;

use crate::profile;

/// Kubernetes platforms from one declarative profile per environment: cluster, node groups,
/// registry, addons and tenants.
#[derive(Debug, Parser)]
#[command(
    name = "berth",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    infer_long_args = false,
    after_help = "Exit codes:\n  0 done   1 failed   2 `plan --detailed-exitcode` found changes   3 profile or usage invalid\n  \
                  4 credentials   5 locked by another run   6 partly done, `up` resumes   7 deadline, `up` resumes\n  \
                  8 refused (protection, adoption, prune guard)   130/143 stopped by a signal\n\n\
                  A first look, without Docker or a cloud account: `berth up lab --rehearse`"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) global: Global,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// What standard output carries: text, or json (one object; one event per line from up and down)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub(super) output: Output,
    /// How progress is shown on standard error: tty (a live picture), plain (lines, for logs and screen
    /// readers), json (an event per line), quiet, or auto, which chooses
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "HOW",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub(super) progress: Progress,
    /// Trace what berth does to standard error; twice: also every request and program
    #[arg(
        short,
        long,
        visible_alias = "debug",
        global = true,
        action = clap::ArgAction::Count,
        help_heading = "Output"
    )]
    pub(super) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an environment as its profile says, or finish what an earlier run began
    ///
    /// Shows the plan first. Asks only when something that stands would be replaced or deleted; off a
    /// terminal that is refused (exit code 8) unless `--yes` is given. May be run again at any time: what
    /// is as it should be is left alone.
    Up(Up),
    /// Show what `up` would change, and change nothing
    Plan(Plan),
    /// Show how every part of an environment is now
    #[command(
        after_help = "Exits with 1 when a part is broken or could not be looked at, as while nodes are stopped or \
                            were started again a moment ago."
    )]
    Status(Status),
    /// Remove an environment and show that nothing of it is left
    ///
    /// Shows what goes and asks for the environment's name. Removes only what carries the environment's
    /// owner mark. A protected environment is refused until its protection is lifted in the profile.
    Down(Down),
    /// Prove that an environment works: a canary is scheduled, asked from inside and outside, and removed
    ///
    /// Each check ends as passed, failed, or not applicable with the reason: what a platform does not do
    /// never passes. The canary lives in a namespace of its own that goes again, also after Ctrl-C; what
    /// a killed run left goes with the next one and with `down`. Exits with 1 when a check failed.
    Verify(Verify),
    /// Check a profile, without asking a cluster or a cloud
    Validate(Validate),
    /// Write every Kubernetes object that `up` would apply as YAML, for Argo CD, Flux and the like
    ///
    /// The objects are written to numbered folders, to be applied in turn with
    /// `kubectl apply --server-side --field-manager=berth -f DIR/00-…`. Secrets are left out and listed.
    Render(Render),
    /// Write a new profile
    ///
    /// Asks on a terminal for what the flags leave open. Never overwrites a file.
    Init(Init),
    /// List the environments that this machine knows
    ///
    /// Those on AWS that another machine made are asked for with `--region`, with your AWS credentials.
    List(List),
    /// Show the addons of an environment, or all that there are, and the images that they pull
    Addon(Addon),
    /// Bring images of this machine to an environment
    Image(Image),
    /// Show what is in an environment's registry, or let your container engine push to it
    Registry(Registry),
    /// Show where an environment's private kubeconfig is, or merge it into yours
    Kubeconfig(Kubeconfig),
    /// Print a token for the API server of an EKS cluster, for kubectl
    ///
    /// Kubeconfigs that berth writes call this. It needs no AWS CLI, and no network but what the AWS
    /// credentials themselves need (single sign-on, a role).
    Token(Token),
    /// Check the tools, folders and settings that berth needs on this machine
    Doctor(Doctor),
    /// Print the JSON Schema of profiles, for editors
    Schema(Schema),
    /// Print the completion script of a shell
    Completions(Completions),
}

/// Which environment, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// The environment's name, found as NAME.yaml in the profiles folder or among the profiles that ship
    /// with berth; or the path of a profile. Not needed when the folder holds one profile alone
    #[arg(value_name = "ENV", value_hint = ValueHint::FilePath)]
    pub(super) environment: Option<String>,
    /// Where profiles are looked for
    #[arg(long, value_name = "DIR", default_value = Target::PROFILES, value_hint = ValueHint::DirPath)]
    pub(super) profiles: PathBuf,
    /// Rehearse the profile on a real control plane with simulated nodes on this machine: no Docker, no
    /// cloud account. The environment is called NAME-rehearsal
    #[arg(long)]
    pub(super) rehearse: bool,
}

impl Target {
    /// Where profiles are looked for by default.
    pub(super) const PROFILES: &str = "profiles";
}

/// What limits a run that looks at the live world.
#[derive(Debug, Clone, Args)]
pub(super) struct Scope {
    /// Work on these parts and what they need, and prune nothing: cluster, node-groups, registry, addons,
    /// addon/NAME, tenants, tenant/NAME
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub(super) only: Vec<Part>,
    #[command(flatten)]
    pub(super) live: Live,
}

/// How long to try, and with which programs.
#[derive(Debug, Clone, Args)]
pub(super) struct Live {
    /// Stop waiting after this time (90s, 10m, 1h30m); the same command resumes
    #[arg(long, value_name = "TIME", default_value = "45m")]
    pub(super) timeout: Time,
    /// The folder with the programs of a rehearsal (kwokctl, kube-apiserver, etcd …); default: PATH, then
    /// berth's tool cache
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) tools: Option<PathBuf>,
}

/// What a run may do beyond making and changing its own things.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // One flag each on the command line, all of them independent.
pub(super) struct Leave {
    /// Take over things that have our name but were made by somebody else
    #[arg(long, help_heading = "Guards")]
    pub(super) adopt: bool,
    /// Take over fields that another program applies
    #[arg(long, help_heading = "Guards")]
    pub(super) force_conflicts: bool,
    /// Delete namespaces that left the profile, with all that is in them, volumes too
    #[arg(long, help_heading = "Guards")]
    pub(super) prune_namespaces: bool,
    /// Delete custom resource definitions that left the profile, with all their objects
    #[arg(long, help_heading = "Guards")]
    pub(super) prune_crds: bool,
    /// Make a kind cluster anew where a change of the profile needs that: all that is in it is lost
    #[arg(long, help_heading = "Guards")]
    pub(super) recreate: bool,
}

#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Replace and delete without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) leave: Leave,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Exit with 2 when there are changes
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
    /// Also write the plan to FILE; `berth up FILE` makes exactly these changes or refuses
    #[arg(short = 'o', long = "out", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
    /// Print the plan as Markdown, for a comment on a pull request
    #[arg(long)]
    pub(super) markdown: bool,
    #[command(flatten)]
    pub(super) leave: Leave,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) scope: Scope,
}

#[derive(Debug, Args)]
pub(super) struct Down {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) live: Live,
    /// Remove without asking for the environment's name
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Remove custom resource definitions too that still have custom resources of others, and those with them
    #[arg(long)]
    pub(super) prune_crds: bool,
    /// Remove the images of registries too. The registry of this machine goes with the last lab that uses it;
    /// without this flag its images stay, in a volume that is named at the end. So do the repositories of Amazon ECR
    /// and its pull-through caches
    #[arg(long)]
    pub(super) registries: bool,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    pub(super) target: Target,
    /// Stop waiting after this time (90s, 10m, 1h30m): what is not seen by then failed
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(super) timeout: Time,
    #[arg(
        long,
        help = "Also write the checks to FILE as JUnit XML, for CI",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) junit: Option<PathBuf>,
    /// What the canary runs: an agnhost image that the cluster can pull
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// Leave the canary in the cluster, for a look at its events; the next `verify` or `down` removes it
    #[arg(long)]
    pub(super) keep: bool,
    /// The folder with the programs of a rehearsal; default: PATH, then berth's tool cache
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) tools: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    pub(super) target: Target,
    /// Print the whole profile as berth understands it, with what it extends and all defaults
    #[arg(long)]
    pub(super) print: bool,
}

#[derive(Debug, Args)]
pub(super) struct Render {
    #[command(flatten)]
    pub(super) target: Target,
    /// The folder to write to; must be new, empty or an earlier rendering
    #[arg(short = 'o', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Ask AWS for the environments in this region too; may be given several times
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(super) region: Vec<String>,
}

/// A region of AWS, as it is typed.
fn region(typed: &str) -> Result<String, String> {
    match profile::why_no_aws_region(typed) {
        None => Ok(typed.to_string()),
        Some((why, help)) => Err(format!("it {why}: {help}")),
    }
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The environment's name: lower-case letters, digits and `-`, at most 30
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Who makes the cluster
    #[arg(long, value_enum, value_name = "PROVIDER")]
    pub(super) provider: Option<Provider>,
    /// eks: the region; gke: the region or zone
    #[arg(long, value_name = "PLACE", alias = "region")]
    pub(super) location: Option<String>,
    /// eks: the account, twelve digits; gke: the project
    #[arg(long, value_name = "ID", alias = "project")]
    pub(super) account: Option<String>,
    /// existing: the context of your kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// A first tenant
    #[arg(long, value_name = "NAME")]
    pub(super) tenant: Option<String>,
    /// The folder to write NAME.yaml to
    #[arg(long, value_name = "DIR", default_value = Target::PROFILES, value_hint = ValueHint::DirPath)]
    pub(super) profiles: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Kubeconfig {
    #[command(flatten)]
    pub(super) target: Target,
    /// Print the kubeconfig itself instead of its path
    #[arg(long, conflicts_with = "merge")]
    pub(super) content: bool,
    /// Add context `berth-ENV` to your own kubeconfig; the current context stays as it is
    #[arg(long)]
    pub(super) merge: bool,
    /// With `--merge`, also make it the current context
    #[arg(long, requires = "merge")]
    pub(super) switch: bool,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The folder with the programs of a rehearsal; default: PATH, then berth's tool cache
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) tools: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// The schema of files of kind Tenant, as `tenantsFrom` reads them
    #[arg(long)]
    pub(super) tenant: bool,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Output {
    /// Text for people
    #[default]
    Text,
    /// JSON for programs: one object, or one event per line from `up` and `down`
    Json,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Progress {
    /// tty on a terminal, plain elsewhere, quiet when standard output carries the events as JSON
    #[default]
    Auto,
    /// A live picture
    Tty,
    /// One line per change of state, and a sign of life now and then: for logs and screen readers
    Plain,
    /// One JSON event per line
    Json,
    /// Nothing
    Quiet,
}

/// The providers that a new profile can declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Provider {
    /// Kubernetes in containers on this machine
    Kind,
    /// A real control plane with simulated nodes on this machine
    Kwok,
    /// A cluster that somebody else made
    Existing,
    /// Amazon EKS
    Eks,
    /// Google GKE
    Gke,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_and_command_is_described() {
        let mut undescribed = Vec::new();
        let root = Arguments::command();
        let mut commands: Vec<&clap::Command> = root.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            if command.get_about().is_none() {
                undescribed.push(command.get_name().to_string());
            }
            for argument in command.get_arguments().filter(|argument| argument.get_help().is_none()) {
                undescribed.push(format!("{} {}", command.get_name(), argument.get_id()));
            }
        }
        assert_eq!(undescribed, Vec::<String>::new());
    }

    #[test]
    fn flags_may_stand_before_and_behind_the_environment() {
        let arguments =
            Arguments::try_parse_from(["berth", "--output", "json", "up", "--rehearse", "lab", "-y"])
                .expect("valid");
        assert_eq!(arguments.global.output, Output::Json);
        let Command::Up(up) = arguments.command else { unreachable!("`up` was typed") };
        assert_eq!(up.target.environment.as_deref(), Some("lab"));
        assert!(up.yes && up.target.rehearse);
    }
}
