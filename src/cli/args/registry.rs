use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Args)]
pub(in crate::cli) struct Registry {
    #[command(subcommand)]
    pub(in crate::cli) command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RegistryCommand {
    /// List the images in the registry of an environment: repositories and their tags
    List(RegistryList),
    /// Let docker and podman push to the registry of an environment
    ///
    /// Names berth's credential helper, docker-credential-berth, for that registry alone in your engine's
    /// configuration (`~/.docker/config.json`, or `config.json` in `DOCKER_CONFIG`), and leaves all else in it as it
    /// is. No password is written anywhere: that of Amazon ECR is asked for at each push and pull, in the name of your
    /// AWS credentials.
    Login(RegistryLogin),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RegistryList {
    #[command(flatten)]
    pub(in crate::cli) target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RegistryLogin {
    #[command(flatten)]
    pub(in crate::cli) target: Target,
    /// Log your engine in to Amazon ECR for 12 hours instead, where it cannot ask a credential helper: runs `docker login
    /// --username AWS --password-stdin HOST`, or that of podman or nerdctl, with the password as its standard input
    #[arg(long, conflicts_with = "print_password")]
    pub(in crate::cli) password_stdin: bool,
    /// Print the password of Amazon ECR instead and change nothing, for other programs: `berth registry login ENV
    /// --print-password | helm registry login --username AWS --password-stdin HOST`
    #[arg(long)]
    pub(in crate::cli) print_password: bool,
}
