//! Somebody who lacks rights, and is given those that a run of berth names.

use std::collections::BTreeSet;

use berth::clouds::aws::rights::{self, Condition, Part, STATEMENTS};
use serde_json::{Deserializer, Value, json};

use crate::support::eks::one_line;
use crate::support::{Berth, EksStage, FakeAws, Finished};

/// How a policy begins that berth prints.
const POLICY: &str = "{\"Version\": \"2012-10-17\"";
/// What EKS hides behind its own words where it may not try a launch template.
const HIDDEN: [&str; 3] = ["ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"];

/// The commands that wait.
const TAKE_TIME: [&str; 2] = ["up", "down"];

/// Whoever runs berth, without the rights that they were not given yet.
pub struct Lacking<'a> {
    aws: &'a FakeAws,
    berth: &'a Berth,
    lacked: BTreeSet<String>,
    /// Never given: a run that lacks nothing else is as far as it comes.
    never: Option<&'static str>,
    named: BTreeSet<String>,
    /// The last entry of the log before it began.
    since: u64,
}

impl<'a> Lacking<'a> {
    /// Without any right of the policy.
    pub fn all(stage: &'a EksStage, never: Option<&'static str>) -> Self {
        let actions = STATEMENTS.iter().flat_map(|statement| statement.actions);
        let lacked = actions.map(ToString::to_string).collect();
        Self {
            aws: &stage.aws,
            berth: &stage.berth,
            lacked,
            never,
            named: BTreeSet::new(),
            since: stage.aws.calls(0).1,
        }
    }

    /// The same with the rights of `given`.
    #[must_use]
    pub fn but(mut self, given: &[&[&str]]) -> Self {
        self.lacked.retain(|action| !given.iter().any(|given| given.contains(&action.as_str())));
        self
    }

    /// The same without `more`.
    #[must_use]
    pub fn also(mut self, more: &[&str]) -> Self {
        self.lacked.extend(more.iter().map(ToString::to_string));
        self
    }

    /// Runs `command` until it lacks nothing any more and comes to its end.
    #[track_caller]
    pub fn until_done(&mut self, command: &[&str]) {
        self.until(command, 0);
    }

    /// Runs `command` until it lacks nothing any more and ends with `code`. Each run that does ends with the exit code of refused
    /// rights, and names some that it lacks with the statements of the policy that give them: these are given before the next.
    #[track_caller]
    pub fn until(&mut self, command: &[&str], code: i32) -> Finished {
        loop {
            self.aws.scenario(&json!({"deny": self.lacked}));
            // An end for what would never come to one: a run that lacks a right waits for nothing.
            let limit: &[&str] = if TAKE_TIME.contains(&command[0]) { &["--timeout", "5m"] } else { &[] };
            let ended = self.berth.run(&[command, limit].concat());
            if ended.code == Some(code) {
                return ended;
            }
            let mut told = self.told(&ended);
            if let Some(never) = self.never.filter(|never| told.len() == 1 && told.contains(*never)) {
                assert!(self.lacked.contains(never));
                return ended.expect(4);
            }
            told.retain(|action| Some(action.as_str()) != self.never && self.lacked.contains(action));
            assert!(ended.code == Some(4) && !told.is_empty(), "{}", ended.said());
            self.lacked.retain(|action| !told.contains(action));
            self.named.extend(told);
        }
    }

    /// Passes when what is `expected` was asked for and refused, and nothing failed by that.
    #[track_caller]
    pub fn expect_spared(&self, expected: &[&str]) {
        let (calls, _) = self.aws.calls(self.since);
        let refused: BTreeSet<String> =
            calls.iter().filter_map(|call| call["message"].as_str()).flat_map(rights::missing).collect();
        for action in expected {
            assert!(refused.contains(*action) && self.lacked.contains(*action), "{action}: {refused:?}");
        }
    }

    /// The actions of all policies that a run printed, each as narrow as in the whole policy.
    #[track_caller]
    fn told(&self, ended: &Finished) -> BTreeSet<String> {
        let said = one_line(&ended.stderr);
        let mut told = BTreeSet::new();
        for (start, _) in said.match_indices(POLICY) {
            let policy: Value = Deserializer::from_str(&said[start..])
                .into_iter()
                .next()
                .and_then(Result::ok)
                .unwrap_or_else(|| panic!("no policy: {}", &said[start..]));
            let actions = actions_of(&policy);
            assert_eq!(policy, rights::giving(actions.iter().map(String::as_str)), "{said}");
            for action in &actions {
                assert!(
                    self.lacked.contains(action) || HIDDEN.contains(&action.as_str()),
                    "{action} is not lacking: {said}"
                );
                assert!(said.contains(&format!("right {action}:")) || said.contains("the rights "), "{said}");
            }
            told.extend(actions);
        }
        told
    }

    /// Passes when those were named that are `expected`; when everything that was asked for is in the policy; and when nothing was done past the stack that only the stack may do.
    #[track_caller]
    pub fn expect_named(&self, expected: &[&str]) {
        let asked: BTreeSet<String> = serde_json::from_value(self.aws.get("rights")).expect("actions");
        let has = |action: &&String| STATEMENTS.iter().any(|one| one.actions.contains(&action.as_str()));
        let unknown: Vec<_> = asked.iter().filter(|action| !has(action)).collect();
        assert!(unknown.is_empty(), "not in the policy: {unknown:#?}");
        let only_by_stacks = |action: &str| {
            let mut of_action = STATEMENTS.iter().filter(|one| one.actions.contains(&action)).peekable();
            of_action.peek().is_some() && of_action.all(|one| one.conditions.contains(&Condition::ByStacks))
        };
        let (calls, _) = self.aws.calls(self.since);
        let text = |call: &Value, key: &str| call[key].as_str().unwrap_or_default().to_string();
        let past: Vec<_> = calls
            .iter()
            .map(|call| format!("{}:{}", text(call, "service"), text(call, "action")))
            .filter(|action| only_by_stacks(action))
            .collect();
        assert!(past.is_empty(), "done past the stack: {past:#?}");
        let missing: Vec<_> = expected.iter().filter(|action| !self.named.contains(**action)).collect();
        assert!(missing.is_empty(), "never named: {missing:#?}, but {:#?}", self.named);
    }
}

/// The rights beside those to look.
pub fn changing() -> BTreeSet<&'static str> {
    let of = |part: Part| STATEMENTS.iter().filter(move |one| one.part == part).flat_map(|one| one.actions);
    let looking: BTreeSet<&str> = of(Part::Look).copied().collect();
    of(Part::Change).copied().filter(|action| !looking.contains(action)).collect()
}

/// The actions of a policy, in their order.
fn actions_of(policy: &Value) -> Vec<String> {
    let mut actions: Vec<String> = Vec::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        let more = match &statement["Action"] {
            Value::Array(many) => many.clone(),
            one => vec![one.clone()],
        };
        for action in more.iter().filter_map(Value::as_str) {
            if !actions.iter().any(|known| known == action) {
                actions.push(action.to_string());
            }
        }
    }
    actions
}
