use std::ffi::OsString;
use std::path::PathBuf;

/// Where the `helm` program is looked for.
#[derive(Debug, Clone, Default)]
pub struct HelmSearch {
    /// The value of `PATH`.
    pub search_path: OsString,
    /// The file with the logins of the user's `helm registry login`.
    pub logins: Option<PathBuf>,
}

/// The version that a `helm` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelmVersion(pub u32, pub u32);
