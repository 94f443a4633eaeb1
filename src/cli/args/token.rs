use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Target;

#[derive(Debug, Args)]
pub(in crate::cli) struct Token {
    /// The environment's name or the path of its profile, which names cluster and region
    #[arg(value_name = "ENV", value_hint = ValueHint::FilePath, conflicts_with_all = ["cluster", "region"])]
    pub(in crate::cli) environment: Option<String>,
    /// Where profiles are looked for
    #[arg(long, value_name = "DIR", default_value = Target::PROFILES, value_hint = ValueHint::DirPath)]
    pub(in crate::cli) profiles: PathBuf,
    /// The name of the EKS cluster, instead of an environment
    #[arg(long, value_name = "NAME", requires = "region")]
    pub(in crate::cli) cluster: Option<String>,
    /// The AWS region of the cluster
    #[arg(long, value_name = "REGION", requires = "cluster", value_parser = super::region)]
    pub(in crate::cli) region: Option<String>,
    /// The profile of the AWS configuration that has the credentials; default: as AWS's own tools choose
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) profile: Option<String>,
    /// A role to take with those credentials
    #[arg(long, value_name = "ARN")]
    pub(in crate::cli) role_arn: Option<String>,
}
