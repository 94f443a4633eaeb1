//! The stage of environments on EKS: the stand-in for AWS and the real binary on machines that know it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Berth, FakeAws, Finished, PATIENCE, Running, eventually, kubectl, run};

/// The environment of every profile here.
pub const ENVIRONMENT: &str = "dev";
/// Its owner.
pub const OWNER: &str = "7f3k2q9d";
/// Where it is.
pub const REGION: &str = "eu-central-1";

/// AWS's durations are divided by this, unless a test says otherwise.
const SPEED: u32 = 120;
/// How long a run may take: enough for any machine, and an end for what would never come to one.
const LIMIT: [&str; 3] = ["--yes", "--timeout", "5m"];

/// A profile of the environment, put together from what a test cares about.
#[derive(Debug, Clone, Default)]
pub struct EksProfile {
    /// More fields of `cluster.eks`, as in `logging: [audit]`.
    pub cluster: String,
    /// The node groups, as in `{name: general, machine: m7i.large, nodes: 2}`.
    pub groups: String,
    /// More lines of the profile, as in `protected: true`; each of them ends with a line break.
    pub more: String,
}

impl EksProfile {
    /// One with these node groups.
    pub fn new(groups: &str) -> Self {
        Self { groups: groups.to_string(), ..Self::default() }
    }

    /// The same with more fields of its cluster.
    #[must_use]
    pub fn with_cluster(mut self, fields: &str) -> Self {
        self.cluster = fields.to_string();
        self
    }

    /// The same with more lines.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        self.more.push_str(lines);
        if !lines.ends_with('\n') {
            self.more.push('\n');
        }
        self
    }

    /// The profile as berth reads it: with one administrator, and a group of developers for tenants.
    pub fn text(&self) -> String {
        let Self { cluster, groups, more } = self;
        let comma = if cluster.is_empty() { "" } else { ", " };
        format!(
            "apiVersion: berth.dev/v1alpha1
kind: Environment
name: {ENVIRONMENT}
id: {OWNER}
cluster:
  eks: {{account: \"123456789012\", region: {REGION}, version: \"1.36\"{comma}{cluster}}}
access:
  admins: [platform]
  groups:
    platform: {{eks: [\"arn:aws:iam::123456789012:role/platform\"]}}
    developers: {{eks: [\"arn:aws:iam::123456789012:role/checkout-dev\"]}}
nodeGroups: [{groups}]
{more}"
        )
    }
}

/// A stand-in for AWS of its own, and a machine on which the profile lies.
pub struct EksStage {
    /// What berth takes for AWS.
    pub aws: FakeAws,
    /// The machine.
    pub berth: Berth,
}

impl EksStage {
    /// With this profile, and nothing made yet.
    pub fn new(profile: &EksProfile) -> Self {
        Self::at_speed(SPEED, profile)
    }

    /// The same with AWS's durations divided by `speed`.
    pub fn at_speed(speed: u32, profile: &EksProfile) -> Self {
        let aws = FakeAws::start(speed);
        let berth = at_home(&aws);
        let stage = Self { aws, berth };
        stage.declare(profile);
        stage
    }

    /// Writes the profile anew.
    pub fn declare(&self, profile: &EksProfile) {
        self.berth.profile(ENVIRONMENT, &profile.text());
    }

    /// Another machine: it has the profile as it is now and the credentials, and nothing else.
    pub fn another_machine(&self) -> Berth {
        let berth = at_home(&self.aws);
        let file = format!("profiles/{ENVIRONMENT}.yaml");
        std::fs::copy(self.berth.work().join(&file), berth.work().join(&file)).expect("both are ours");
        berth
    }

    /// `berth COMMAND dev …`.
    pub fn run(&self, command: &str, more: &[&str]) -> Finished {
        run_on(&self.berth, command, more)
    }

    /// `berth up dev --yes`.
    pub fn up(&self) -> Finished {
        self.run("up", &LIMIT)
    }

    /// `berth down dev --yes`.
    pub fn down(&self) -> Finished {
        self.run("down", &LIMIT)
    }

    /// `berth down dev --registries --yes`: all of it goes.
    pub fn down_whole(&self) -> Finished {
        self.run("down", &[&["--registries"], &LIMIT[..]].concat())
    }

    /// Starts `berth COMMAND dev --yes` and returns at once; dropped, it is killed.
    pub fn start(&self, command: &str) -> Running {
        start_on(&self.berth, command, &[])
    }

    /// Runs `berth COMMAND dev … --yes` until its `nth` changing call to AWS, at which it is killed: before the call does
    /// anything, or after it did and nobody was told. Without a code it was killed; otherwise it came to its end.
    pub fn killed_at(&self, command: &str, more: &[&str], nth: usize, moment: Moment) -> Finished {
        let hold = self.hold(nth, moment);
        let mut running = start_on(&self.berth, command, more);
        loop {
            if hold.is_held() {
                running.signal(Signal::KILL);
                let ended = running.finish();
                hold.is_over();
                return ended;
            }
            if running.has_ended() {
                hold.remove();
                return running.finish();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the stand-in hold the `nth` changing call from now.
    pub fn hold(&self, nth: usize, moment: Moment) -> Hold<'_> {
        self.hold_as(&json!({"nth": nth, "when": moment.word()}))
    }

    /// Lets the stand-in hold the next call of `action`.
    pub fn hold_of(&self, action: &str, moment: Moment) -> Hold<'_> {
        self.hold_as(&json!({"action": action, "nth": 1, "when": moment.word()}))
    }

    fn hold_as(&self, asked: &Value) -> Hold<'_> {
        let hold = self.aws.post("holds", asked);
        Hold { aws: &self.aws, id: hold["id"].as_u64().expect("a number") }
    }

    /// Lets the stand-in hold the `nth` changing call from now and all attempts at it that follow, as clients make that hear
    /// nothing for half a minute.
    pub fn hold_every(&self, nth: usize) -> Holds<'_> {
        const ATTEMPTS: usize = 8;
        Holds((nth..nth + ATTEMPTS).map(|nth| self.hold(nth, Moment::Before)).collect())
    }

    /// The number of the last entry in the log of the stand-in.
    pub fn last(&self) -> u64 {
        self.aws.calls(0).1
    }

    /// The calls since `since`, by name.
    pub fn calls(&self, since: u64) -> Vec<String> {
        self.aws.calls(since).0.iter().map(action).collect()
    }

    /// The calls that changed something since `since`, by name.
    pub fn changes(&self, since: u64) -> Vec<String> {
        let (calls, _) = self.aws.calls(since);
        calls.iter().filter(|call| call["mutating"] == true).map(action).collect()
    }

    /// The answer of awscli, which has to succeed.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        self.aws.cli(REGION, arguments)
    }

    /// The cluster as EKS describes it.
    pub fn cluster(&self) -> Value {
        self.cli(&["eks", "describe-cluster", "--name", ENVIRONMENT])["cluster"].take()
    }

    /// The status of the cluster; null when there is none.
    pub fn status(&self) -> Value {
        self.aws.get("eks")[ENVIRONMENT]["status"].clone()
    }

    /// A node group as EKS describes it.
    pub fn group(&self, name: &str) -> Value {
        let arguments =
            ["eks", "describe-nodegroup", "--cluster-name", ENVIRONMENT, "--nodegroup-name", name];
        self.cli(&arguments)["nodegroup"].take()
    }

    /// The names of the node groups.
    pub fn groups(&self) -> Vec<String> {
        self.listed("list-nodegroups", "nodegroups")
    }

    /// The names of EKS's own addons.
    pub fn addons(&self) -> Vec<String> {
        self.listed("list-addons", "addons")
    }

    /// The ARNs of those who have an access entry.
    pub fn access_entries(&self) -> Vec<String> {
        self.listed("list-access-entries", "accessEntries")
    }

    fn listed(&self, operation: &str, member: &str) -> Vec<String> {
        let listed = self.cli(&["eks", operation, "--cluster-name", ENVIRONMENT]);
        serde_json::from_value(listed[member].clone()).expect("names")
    }

    /// kubectl as the administrator of the control plane.
    pub fn kubectl(&self, arguments: &[&str]) -> Finished {
        let path = self.aws.get("eks")[ENVIRONMENT]["kubeconfig"].as_str().map(PathBuf::from);
        run(kubectl(&path.expect("a cluster"), arguments))
    }

    /// What exists with the tag of the cluster: what lives in it made that.
    pub fn of_cluster(&self) -> Vec<Value> {
        let claim = format!("kubernetes.io/cluster/{ENVIRONMENT}");
        let is_claimed =
            |one: &Value| one["tags"][&claim] == "owned" && one["tags"]["eks:nodegroup-name"].is_null();
        self.aws.inventory().into_iter().filter(is_claimed).collect()
    }

    /// What exists, by kind and id.
    pub fn titles(&self) -> Vec<String> {
        self.aws.inventory().iter().map(title).collect()
    }

    /// How many things there are by kind and name. Whatever AWS makes up on its own is left out of the names, so two
    /// environments of one profile compare equal.
    pub fn named(&self) -> BTreeMap<String, usize> {
        let mut named = BTreeMap::new();
        for thing in self.aws.inventory() {
            let names = [&thing["tags"]["aws:cloudformation:logical-id"], &thing["name"], &thing["id"]];
            let name = names.iter().find_map(|name| name.as_str()).unwrap_or_default();
            let kind = thing["kind"].as_str().unwrap_or_default();
            *named.entry(format!("{kind} {}", without_made_up(name))).or_default() += 1;
        }
        named
    }

    /// Passes when what exists becomes `wanted`: what lives in a cluster makes and removes things a little later.
    ///
    /// # Panics
    /// When it never does, naming what is too much and what is missing.
    #[track_caller]
    pub fn expect_named(&self, wanted: &BTreeMap<String, usize>, when: &str) {
        let end = Instant::now() + PATIENCE;
        let mut named = self.named();
        while named != *wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100));
            named = self.named();
        }
        let differs = |name: &&String| named.get(*name) != wanted.get(*name);
        let names: BTreeSet<&String> = named.keys().chain(wanted.keys()).filter(differs).collect();
        let told = |name: &&String| {
            let count = |of: &BTreeMap<String, usize>| of.get(*name).copied().unwrap_or_default();
            format!("{name}: {} instead of {}", count(&named), count(wanted))
        };
        assert!(names.is_empty(), "{when}: {:#?}", names.iter().map(told).collect::<Vec<_>>());
    }

    /// Passes when what exists is what is `wanted`, and a further `up` changes nothing of it.
    ///
    /// # Panics
    /// Naming what is not so.
    #[track_caller]
    pub fn expect_settled(&self, wanted: &BTreeMap<String, usize>, when: &str) {
        self.expect_named(wanted, when);
        let before = self.last();
        self.up().expect(0);
        assert_eq!(self.changes(before), Vec::<String>::new(), "{when}: a further `up` changed something");
    }

    /// Passes when nothing is left but `kept`, by the ends of their ids, and every call was one that AWS knows.
    ///
    /// # Panics
    /// Naming what is left.
    #[track_caller]
    pub fn expect_left(&self, kept: &[&str]) {
        let mut left = self.titles();
        left.retain(|title| !kept.iter().any(|kept| title.ends_with(kept)));
        assert_eq!(left, Vec::<String>::new());
        self.expect_no_violations();
    }

    /// Passes when every call and answer was one that the service models of AWS know.
    ///
    /// # Panics
    /// Naming what was not.
    #[track_caller]
    pub fn expect_no_violations(&self) {
        assert_eq!(self.aws.violations(), json!([]));
    }
}

/// When a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it has happened.
    Before,
    /// It has taken effect, and its caller does not know.
    After,
}

impl Moment {
    fn word(self) -> &'static str {
        if self == Self::Before { "before" } else { "after" }
    }
}

/// A call that the stand-in holds, or will.
pub struct Hold<'a> {
    aws: &'a FakeAws,
    id: u64,
}

impl Hold<'_> {
    /// Whether the call is being held.
    pub fn is_held(&self) -> bool {
        self.state() == "held"
    }

    /// Waits until the call is being held.
    pub fn wait(&self) {
        eventually_so("a call is held", || self.is_held());
    }

    /// Lets the call go on.
    pub fn release(&self) {
        self.aws.post(&format!("holds/{}/release", self.id), &json!({}));
    }

    /// Waits until the stand-in knows that its caller is gone.
    fn is_over(&self) {
        eventually_so("its caller is known to be gone", || self.state() == "gone");
    }

    fn remove(&self) {
        self.aws.post(&format!("holds/{}/drop", self.id), &json!({}));
    }

    fn state(&self) -> Value {
        self.aws.get(&format!("holds/{}", self.id))["state"].take()
    }
}

/// The attempts at a call that the stand-in holds, or will.
pub struct Holds<'a>(Vec<Hold<'a>>);

impl Holds<'_> {
    /// Waits until one is being held.
    pub fn wait(&self) {
        eventually_so("a call is held", || self.0.iter().any(Hold::is_held));
    }

    /// Lets the call go on, and every later one.
    pub fn release(self) {
        let (held, coming): (Vec<Hold>, Vec<Hold>) = self.0.into_iter().partition(Hold::is_held);
        coming.iter().for_each(Hold::remove);
        held.iter().for_each(Hold::release);
    }
}

/// `berth up dev --yes` on a machine.
pub fn up_on(berth: &Berth) -> Finished {
    run_on(berth, "up", &LIMIT)
}

/// `berth down dev --yes` on a machine.
pub fn down_on(berth: &Berth) -> Finished {
    run_on(berth, "down", &LIMIT)
}

/// Runs `berth COMMAND dev …` on a machine.
pub fn run_on(berth: &Berth, command: &str, more: &[&str]) -> Finished {
    berth.run(&[&[command, ENVIRONMENT], more].concat())
}

/// Starts `berth COMMAND dev … --yes` on a machine.
pub fn start_on(berth: &Berth, command: &str, more: &[&str]) -> Running {
    berth.start(&[&[command, ENVIRONMENT], more, &LIMIT[..]].concat())
}

/// Waits until it is so.
///
/// # Panics
/// When it never is, naming `what`.
#[track_caller]
pub fn eventually_so(what: &str, mut is: impl FnMut() -> bool) {
    eventually(what, || is().then_some(()));
}

/// The text as one line, however it was wrapped.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The kind and id of an entry of the inventory.
pub fn title(thing: &Value) -> String {
    format!("{} {}", thing["kind"].as_str().unwrap_or_default(), thing["id"].as_str().unwrap_or_default())
}

/// The name without what AWS makes up: its words of hexadecimal digits.
fn without_made_up(name: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in name.split('-') {
        let is_made_up = word.chars().all(|letter| letter.is_ascii_hexdigit())
            && (word.len() >= 8 || (word.len() == 4 && words.last() == Some(&"*")));
        words.push(if is_made_up { "*" } else { word });
    }
    words.join("-")
}

/// kubectl on the machine `berth` with the kubeconfig that berth merged there, when it is started by whoever has `keys`.
pub fn kubectl_as<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    berth: &Berth,
    keys: &[(K, V)],
    arguments: &[&str],
) -> Finished {
    let mut command = kubectl(&berth.home().join(".kube/config"), arguments);
    // A token names STS itself, whatever endpoint is chosen.
    command.env("HOME", berth.home()).envs(keys.iter().map(|(key, value)| (key, value)));
    run(command)
}

fn action(call: &Value) -> String {
    call["action"].as_str().unwrap_or_default().to_string()
}

/// A machine that has nothing but the credentials.
fn at_home(aws: &FakeAws) -> Berth {
    aws.environment().iter().fold(Berth::new(), |berth, (key, value)| berth.with_variable(key, value))
}
