use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::args::{Global, Output, Progress};
use crate::addons::{HelmSearch, Means};
use crate::base::{Fault, FaultKind};
use crate::clouds::aws::Whose;
use crate::containers::{EngineKind, EngineSearch};
use crate::os::{files, find_on_path};
use crate::profile::schema::EksCluster;
use crate::providers::{Dirs, Local, Plugin, Proxies, ToolSearch, kind};
use crate::ui::progress::Lost;
use crate::ui::{Paint, Printer};

/// How wide lines are where there is no terminal to ask.
const WIDTH_ELSEWHERE: usize = 100;
/// The variables that choose the container engine: berth's own, and the one that kind reads.
const ENGINE_VARIABLES: [&str; 2] = ["BERTH_ENGINE", "KIND_EXPERIMENTAL_PROVIDER"];

/// What the process was started with. This is the only place that reads environment variables.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // Facts about the surroundings, all of them independent.
pub(super) struct Surroundings {
    pub(super) home: Option<PathBuf>,
    pub(super) state_home: Option<PathBuf>,
    pub(super) cache_home: Option<PathBuf>,
    pub(super) search_path: OsString,
    pub(super) kubeconfig: Option<OsString>,
    pub(super) helm_logins: Option<PathBuf>,
    pub(super) engine: Option<(&'static str, String)>,
    pub(super) kind: kind::Choices,
    pub(super) docker_config: Option<PathBuf>,
    pub(super) proxies: Proxies,
    pub(super) exec_info: Option<String>,
    pub(super) aws_profile: Option<String>,
    pub(super) aws_credentials_end: Option<Timestamp>,
    pub(super) program: Option<PathBuf>,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) folder: PathBuf,
    pub(super) no_color: bool,
    pub(super) ci: bool,
    pub(super) dumb_terminal: bool,
    pub(super) unicode: bool,
    pub(super) stdin_is_terminal: bool,
    pub(super) stdout_is_terminal: bool,
    pub(super) stderr_is_terminal: bool,
    pub(super) columns: Option<usize>,
}

impl Surroundings {
    /// Looks around.
    pub(super) fn read() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
        // The base directory specification wants relative paths to be ignored.
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).unwrap_or_default();
        let kernel_name = files::read_if_there(Path::new("/proc/sys/kernel/hostname")).ok().flatten();
        Self {
            home: folder("HOME"),
            state_home: folder("XDG_STATE_HOME"),
            cache_home: folder("XDG_CACHE_HOME"),
            search_path: variable("PATH").unwrap_or_default(),
            kubeconfig: variable("KUBECONFIG"),
            helm_logins: helm_logins(&folder),
            engine: ENGINE_VARIABLES.into_iter().find_map(|name| Some((name, text(name)?))),
            kind: kind::Choices {
                image: text("BERTH_KIND_IMAGE"),
                networks: kind::Choices::NETWORK_VARIABLES
                    .into_iter()
                    .filter_map(|(engine, name)| Some((engine, text(name)?)))
                    .collect(),
            },
            docker_config: folder("DOCKER_CONFIG"),
            proxies: proxies(&text),
            exec_info: text("KUBERNETES_EXEC_INFO"),
            aws_profile: text("AWS_PROFILE"),
            // The keys themselves are read by AWS's own chain; so is everything else of theirs.
            aws_credentials_end: text("AWS_ACCESS_KEY_ID")
                .and_then(|_| text("AWS_CREDENTIAL_EXPIRATION")?.parse().ok()),
            program: std::env::current_exe().ok(),
            user: text("USER").or_else(|| text("LOGNAME")).unwrap_or_else(nameless),
            host: text("HOSTNAME")
                .or_else(|| kernel_name.map(|name| name.trim().to_string()))
                .unwrap_or_else(|| "this machine".to_string()),
            folder: std::env::current_dir().unwrap_or_default(),
            no_color: variable("NO_COLOR").is_some(),
            ci: variable("CI").is_some(),
            dumb_terminal: text("TERM").is_none_or(|term| term == "dumb"),
            unicode: locale.to_lowercase().replace('-', "").contains("utf8"),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            columns: terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0)),
        }
    }
}

/// What was asked for, with every default decided.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Where output goes and how it looks.
    pub(super) printer: Printer,
    /// What standard output carries.
    pub(super) output: Output,
    /// Whether a stream of events to standard output broke off.
    pub(super) lost: Lost,
    /// How progress is shown; never [`Progress::Auto`].
    pub(super) progress: Progress,
    /// Whether the terminal shows more than ASCII.
    pub(super) unicode: bool,
    /// Whether somebody is there to answer a question.
    pub(super) can_ask: bool,
    /// How much is traced.
    pub(super) verbose: u8,
    /// The value of PATH.
    pub(super) search_path: OsString,
    /// Where relative paths start.
    pub(super) folder: PathBuf,
    /// Who runs berth, for locks: `ann`.
    pub(super) user: String,
    /// This machine's name, for locks.
    pub(super) host: String,
    /// berth's own program.
    pub(super) program: Option<PathBuf>,
    /// What kubectl says about itself to a program that it asks for credentials.
    pub(super) exec_info: Option<String>,
    home: Option<PathBuf>,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
    kubeconfig: Option<OsString>,
    helm_logins: Option<PathBuf>,
    engine: Option<(&'static str, String)>,
    kind: kind::Choices,
    docker_config: Option<PathBuf>,
    proxies: Proxies,
    aws_profile: Option<String>,
    aws_credentials_end: Option<Timestamp>,
}

impl Settings {
    /// What `global` means in these surroundings.
    pub(super) fn new(global: &Global, surroundings: Surroundings) -> Self {
        let calm = surroundings.no_color || surroundings.dumb_terminal;
        let under_home = |rest: &str| surroundings.home.as_ref().map(|home| home.join(rest));
        let state = surroundings.state_home.clone().or_else(|| under_home(".local/state"));
        let cache = surroundings.cache_home.clone().or_else(|| under_home(".cache"));
        let live = surroundings.stderr_is_terminal
            && !surroundings.dumb_terminal
            && !surroundings.ci
            && global.verbose == 0;
        let docker_config = surroundings.docker_config.clone().or_else(|| under_home(".docker"));
        let talk_width = surroundings.columns.unwrap_or(WIDTH_ELSEWHERE).clamp(40, 160);
        Self {
            printer: Printer {
                data_paint: Paint::when(surroundings.stdout_is_terminal && !calm),
                talk_paint: Paint::when(surroundings.stderr_is_terminal && !calm),
                width: if surroundings.stdout_is_terminal { talk_width } else { usize::MAX },
                talk_width,
            },
            output: global.output,
            lost: Lost::default(),
            progress: match global.progress {
                Progress::Auto if global.output == Output::Json => Progress::Quiet,
                Progress::Auto if live => Progress::Tty,
                Progress::Auto => Progress::Plain,
                chosen => chosen,
            },
            unicode: surroundings.unicode,
            can_ask: surroundings.stdin_is_terminal && surroundings.stderr_is_terminal,
            verbose: global.verbose,
            user: surroundings.user,
            host: surroundings.host,
            exec_info: surroundings.exec_info,
            state: state.map(|folder| folder.join("berth")),
            cache: cache.map(|folder| folder.join("berth")),
            home: surroundings.home,
            search_path: surroundings.search_path,
            folder: surroundings.folder,
            kubeconfig: surroundings.kubeconfig,
            helm_logins: surroundings.helm_logins,
            engine: surroundings.engine,
            kind: surroundings.kind,
            docker_config,
            proxies: surroundings.proxies,
            aws_profile: surroundings.aws_profile,
            aws_credentials_end: surroundings.aws_credentials_end,
            program: surroundings.program,
        }
    }

    /// Whether standard output carries JSON.
    pub(super) fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// Where berth keeps what it needs between runs: locks, journals, private kubeconfigs.
    pub(super) fn state(&self) -> Result<&Path, Fault> {
        self.state.as_deref().ok_or_else(|| homeless("keep anything between runs", "XDG_STATE_HOME"))
    }

    /// Where berth keeps what it can get again.
    pub(super) fn cache(&self) -> Result<&Path, Fault> {
        self.cache.as_deref().ok_or_else(|| homeless("keep the tool cache", "XDG_CACHE_HOME"))
    }

    /// The user's home, for `~` in profiles; empty when there is none.
    pub(super) fn home(&self) -> PathBuf {
        self.home.clone().unwrap_or_default()
    }

    /// Folders and tools of this machine; `tools` is the folder that was given for them.
    pub(super) fn local(&self, tools: Option<&Path>) -> Result<Local, Fault> {
        let cache = self.cache()?;
        Ok(Local {
            dirs: Dirs { state: self.state()?.to_path_buf(), cache: cache.to_path_buf() },
            tools: ToolSearch {
                given: BTreeMap::new(),
                folder: tools.map(|folder| self.folder.join(folder)),
                search_path: self.search_path.clone(),
                cache: cache.join("tools/current"),
            },
            engine: EngineSearch::new(self.engine()?, self.search_path.clone()),
            kind: self.kind.clone(),
            proxies: self.proxies.clone(),
        })
    }

    /// In whose name AWS is asked about a cluster as `eks` says.
    pub(super) fn aws(&self, eks: &EksCluster) -> Whose {
        Whose {
            region: eks.region.clone(),
            account: eks.account.clone(),
            ends: self.aws_credentials_end,
            ..Whose::default()
        }
    }

    /// How programs that read a kubeconfig get tokens from berth: by its name where PATH leads here, with the AWS
    /// profile of now.
    pub(super) fn plugin(&self) -> Plugin {
        let real = |path: PathBuf| std::fs::canonicalize(path).ok();
        let here = self.program.clone();
        let on_path = find_on_path("berth", &self.search_path).and_then(real);
        let program = match here {
            Some(here) if on_path.is_none() || on_path != real(here.clone()) => here.display().to_string(),
            _ => "berth".to_string(),
        };
        let profile = self.aws_profile.iter().map(|name| ("AWS_PROFILE".to_string(), name.clone()));
        Plugin { program, variables: profile.collect() }
    }

    /// The container engine that was chosen.
    fn engine(&self) -> Result<Option<EngineKind>, Fault> {
        let Some((variable, value)) = &self.engine else { return Ok(None) };
        let chosen = EngineKind::ALL.into_iter().find(|kind| kind.program() == value);
        let known = EngineKind::ALL.map(EngineKind::program).join(", ");
        chosen.map(Some).ok_or_else(|| {
            Fault::new(
                FaultKind::Invalid,
                "find the container engine",
                format!("{variable} is `{value}`, and berth knows {known}"),
            )
            .hint(format!("set BERTH_ENGINE to one of them, or unset {variable}"))
        })
    }

    /// With what the sources of addons are fetched.
    pub(super) fn means(&self) -> Result<Means, Fault> {
        Ok(Means { cache: self.cache()?.to_path_buf(), helm: self.helm() })
    }

    /// Where `helm` is, and the logins that its user has given it.
    pub(super) fn helm(&self) -> HelmSearch {
        HelmSearch { search_path: self.search_path.clone(), logins: self.helm_logins.clone() }
    }

    /// The configuration of the user's container engine: where docker looks for it.
    pub(super) fn docker_config(&self) -> Result<PathBuf, Fault> {
        let folder = self.docker_config.as_ref();
        let folder = folder.ok_or_else(|| homeless("find the configuration of docker", "DOCKER_CONFIG"))?;
        Ok(folder.join("config.json"))
    }

    /// The kubeconfig of the user that is added to: the first of KUBECONFIG, or `~/.kube/config`.
    pub(super) fn user_kubeconfig(&self) -> Result<PathBuf, Fault> {
        let first = self.user_kubeconfigs().into_iter().next();
        first.ok_or_else(|| homeless("find your kubeconfig", "KUBECONFIG"))
    }

    /// Every kubeconfig that is the user's: those of KUBECONFIG, and `~/.kube/config` behind them. Not berth's own,
    /// one of which KUBECONFIG names after `export KUBECONFIG=$(berth kubeconfig)`.
    pub(super) fn user_kubeconfigs(&self) -> Vec<PathBuf> {
        let listed = self.kubeconfig.iter().flat_map(std::env::split_paths);
        let listed = listed.filter(|path| !path.as_os_str().is_empty()).map(|path| self.folder.join(path));
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in listed.filter(|path| !self.is_own(path)).chain(self.default_kubeconfig()) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    fn default_kubeconfig(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(".kube/config"))
    }

    /// Whether `path` lies in berth's own folder, also by a link.
    fn is_own(&self, path: &Path) -> bool {
        let is_in = |state: &PathBuf| {
            path.starts_with(state) || files::real_path(path).starts_with(files::real_path(state))
        };
        self.state.as_ref().is_some_and(is_in)
    }
}

/// The file into which `helm registry login` writes: helm's own rules for finding it.
fn helm_logins(folder: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let in_home = if cfg!(target_os = "macos") { "Library/Preferences" } else { ".config" };
    let configuration = || {
        let shared = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(in_home)));
        folder("HELM_CONFIG_HOME").or_else(|| Some(shared?.join("helm")))
    };
    folder("HELM_REGISTRY_CONFIG").or_else(|| Some(configuration()?.join("registry/config.json")))
}

/// The proxies of this process: as kind does, the upper-case variable counts before the lower-case one.
fn proxies(text: &dyn Fn(&str) -> Option<String>) -> Proxies {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    Proxies::new(names.into_iter().filter_map(|name| {
        let value = text(name).or_else(|| text(&name.to_lowercase()))?;
        Some((name.to_string(), value))
    }))
}

/// The user where no variable names one: `uid 1000`, the owner of the process's own files.
fn nameless() -> String {
    std::fs::metadata("/proc/self")
        .map_or_else(|_| "unknown".to_string(), |found| format!("uid {}", found.uid()))
}

/// The columns and rows of the terminal, as they are now.
pub(super) fn terminal_size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map_or((WIDTH_ELSEWHERE, 24), |(columns, rows)| (usize::from(columns.0), usize::from(rows.0)))
}

fn homeless(attempted: &str, variable: &str) -> Fault {
    Fault::new(FaultKind::Invalid, attempted, "HOME is not set").hint(format!("set HOME or {variable}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOBAL: Global = Global { output: Output::Text, progress: Progress::Auto, verbose: 0 };

    fn terminal() -> Surroundings {
        Surroundings {
            home: Some("/home/ann".into()),
            stdin_is_terminal: true,
            stdout_is_terminal: true,
            stderr_is_terminal: true,
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_terminal_gets_colour_and_a_live_picture() {
        let settings = Settings::new(&GLOBAL, terminal());
        assert_eq!(settings.progress, Progress::Tty);
        assert_eq!(settings.printer.talk_paint, Paint::COLOURED);
        assert!(settings.can_ask);
    }

    #[test]
    fn lines_end_at_the_width_of_a_terminal_and_nowhere_else() {
        let narrow = Surroundings { columns: Some(72), ..terminal() };
        assert_eq!(Settings::new(&GLOBAL, narrow.clone()).printer.width, 72);
        let piped = Surroundings { stdout_is_terminal: false, ..narrow };
        let printer = Settings::new(&GLOBAL, piped).printer;
        assert_eq!((printer.width, printer.talk_width), (usize::MAX, 72));
    }

    #[test]
    fn no_color_keeps_the_live_picture_and_drops_the_colour() {
        let settings = Settings::new(&GLOBAL, Surroundings { no_color: true, ..terminal() });
        assert_eq!(settings.progress, Progress::Tty);
        assert_eq!(settings.printer.data_paint, Paint::PLAIN);
    }

    #[test]
    fn a_log_gets_lines() {
        for surroundings in [
            Surroundings { stderr_is_terminal: false, ..terminal() },
            Surroundings { ci: true, ..terminal() },
            Surroundings { dumb_terminal: true, ..terminal() },
        ] {
            assert_eq!(Settings::new(&GLOBAL, surroundings).progress, Progress::Plain);
        }
    }

    #[test]
    fn events_on_standard_output_silence_the_talk_unless_it_is_asked_for() {
        let json = Global { output: Output::Json, ..GLOBAL };
        assert_eq!(Settings::new(&json, terminal()).progress, Progress::Quiet);
        let both = Global { progress: Progress::Plain, ..json };
        assert_eq!(Settings::new(&both, terminal()).progress, Progress::Plain);
    }

    #[test]
    fn folders_follow_the_base_directory_specification() {
        let settings = Settings::new(&GLOBAL, terminal());
        assert_eq!(settings.state(), Ok(Path::new("/home/ann/.local/state/berth")));
        let moved = Surroundings { state_home: Some("/state".into()), ..terminal() };
        assert_eq!(Settings::new(&GLOBAL, moved).state(), Ok(Path::new("/state/berth")));
        let homeless = Settings::new(&GLOBAL, Surroundings::default());
        assert!(homeless.state().is_err());
        assert!(homeless.user_kubeconfig().is_err());
    }

    #[test]
    fn the_first_kubeconfig_of_the_list_is_the_users() {
        let listed = Surroundings { kubeconfig: Some("/a/config:/b/config".into()), ..terminal() };
        assert_eq!(Settings::new(&GLOBAL, listed).user_kubeconfig(), Ok("/a/config".into()));
        assert_eq!(Settings::new(&GLOBAL, terminal()).user_kubeconfig(), Ok("/home/ann/.kube/config".into()));
    }

    #[test]
    fn kubeconfigs_of_berth_are_never_the_users() {
        let own = "/home/ann/.local/state/berth/environments/lab-1/kubeconfig";
        let given = |list: String| {
            Settings::new(&GLOBAL, Surroundings { kubeconfig: Some(list.into()), ..terminal() })
        };
        let default = PathBuf::from("/home/ann/.kube/config");
        assert_eq!(given(own.to_string()).user_kubeconfig(), Ok(default.clone()));
        let several = given(format!("{own}::/a/config:/home/ann/.kube/config:/a/config"));
        assert_eq!(several.user_kubeconfig(), Ok("/a/config".into()));
        assert_eq!(several.user_kubeconfigs(), ["/a/config".into(), default]);
    }

    #[test]
    fn a_link_to_a_kubeconfig_of_berth_is_berths() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, link) = (folder.path().join("state"), folder.path().join("link"));
        files::make_private_folder(&state.join("berth")).expect("made");
        files::write_private(&state.join("berth/kubeconfig"), b"").expect("written");
        std::os::unix::fs::symlink(state.join("berth/kubeconfig"), &link).expect("linked");
        let linked = Surroundings { state_home: Some(state), kubeconfig: Some(link.into()), ..terminal() };
        let settings = Settings::new(&GLOBAL, linked);
        assert_eq!(settings.user_kubeconfig(), Ok("/home/ann/.kube/config".into()));
    }
}
