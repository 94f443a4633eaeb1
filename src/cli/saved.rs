use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::{Leave, Part, Plan as Arguments, Up};
use super::exit::Failure;
use crate::base::{Fault, FaultKind};
use crate::os::files;
use crate::plan::{Plan, SCHEMA_VERSION};
use crate::ui;

/// A plan in a file, with the arguments that it was made with: `up FILE` takes them from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPlan {
    /// What was typed.
    arguments: Shape,
    /// What came of it.
    pub(super) plan: Plan,
}

/// The arguments that shape a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    environment: Option<String>,
    profiles: PathBuf,
    rehearse: bool,
    only: Vec<String>,
    leave: Leave,
}

impl SavedPlan {
    /// The plan that `arguments` led to.
    pub(super) fn new(arguments: &Arguments, plan: Plan) -> Self {
        let Arguments { target, scope, leave, .. } = arguments;
        let shape = Shape {
            environment: target.environment.clone(),
            profiles: target.profiles.clone(),
            rehearse: target.rehearse,
            only: scope.only.iter().map(ToString::to_string).collect(),
            leave: leave.clone(),
        };
        Self { arguments: shape, plan }
    }

    /// Writes it to `path`.
    pub(super) fn write(&self, path: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(self).expect("plain values with text keys are JSON");
        files::write_private(path, &text)
    }

    /// The plan that `up` was given instead of an environment, if it was; its arguments become `up`'s own.
    pub(super) fn take(up: &mut Up) -> Result<Option<Self>, Failure> {
        let Some(path) = up.target.environment.as_ref().map(PathBuf::from) else { return Ok(None) };
        if !path.is_file() {
            return Ok(None);
        }
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        if !text.trim_start().starts_with('{') || !text.contains("\"fingerprint\"") {
            return Ok(None);
        }
        let attempted = format!("read the plan `{}`", path.display());
        let unreadable = |reason: String| {
            let hint = format!("make it anew: `berth plan {}-o {}`", environment_in(&text), path.display());
            Failure::profile(&Fault::new(FaultKind::Invalid, attempted.clone(), reason).hint(hint))
        };
        let saved: Self = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        if saved.plan.schema != SCHEMA_VERSION {
            let reason = format!("it is of schema {}, this berth knows {SCHEMA_VERSION}", saved.plan.schema);
            return Err(unreadable(reason));
        }
        if up.target.rehearse || !up.scope.only.is_empty() || up.leave != Leave::default() {
            return Err(Failure::usage(
                format!("`{}` is a plan, and a plan holds its own flags", path.display()),
                "leave out all flags but `--yes`, `--timeout` and `--tools`",
            ));
        }
        let shape = &saved.arguments;
        up.target.environment.clone_from(&shape.environment);
        up.target.profiles.clone_from(&shape.profiles);
        up.target.rehearse = shape.rehearse;
        up.leave = shape.leave.clone();
        up.scope.only = shape
            .only
            .iter()
            .map(|part| part.parse::<Part>().map_err(&unreadable))
            .collect::<Result<_, _>>()?;
        Ok(Some(saved))
    }

    /// Refuses when `now` is another plan than this one. Nothing left to do is what it led to.
    pub(super) fn hold(&self, now: &Plan) -> Result<(), Failure> {
        if now.is_empty() && now.about == self.plan.about {
            return Ok(());
        }
        match now.differs_from(&self.plan) {
            None => Ok(()),
            Some(how) => Err(Failure::refused(
                format!("the saved plan for {} no longer fits", self.plan.about.environment),
                ui::plan::difference(&how, &self.plan.about),
                "make it anew with `berth plan … -o FILE`, look at it, and give that to `berth up`",
            )),
        }
    }
}

/// The environment that a plan of another berth names, with a space behind it; nothing where it names none.
fn environment_in(text: &str) -> String {
    let read: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let named = read.as_ref().and_then(|plan| plan.pointer("/arguments/environment")?.as_str());
    named.map(|name| format!("{name} ")).unwrap_or_default()
}
