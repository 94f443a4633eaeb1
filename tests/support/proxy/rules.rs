use std::ops::RangeInclusive;

use rustix::process::Signal;

use super::log::Request;

/// Which requests a rule speaks of; an empty one speaks of all.
#[derive(Debug, Clone, Default)]
pub struct Matching {
    /// Only this verb.
    pub verb: Option<&'static str>,
    /// Only this plural (with its subresource).
    pub resource: Option<&'static str>,
    /// Only this name.
    pub name: Option<String>,
    /// Only requests that ask for a change.
    pub mutating: bool,
}

impl Matching {
    /// Every request that asks for a change.
    pub fn mutating() -> Self {
        Self { mutating: true, ..Self::default() }
    }

    /// Every request of `verb`.
    pub fn verb(verb: &'static str) -> Self {
        Self { verb: Some(verb), ..Self::default() }
    }

    fn fits(&self, request: &Request) -> bool {
        self.verb.is_none_or(|verb| verb == request.verb)
            && self.resource.is_none_or(|resource| resource == request.resource)
            && self.name.as_deref().is_none_or(|name| name == request.name)
            && (!self.mutating || request.is_mutating())
    }
}

/// At which of the matching requests, counted from 1, a rule acts.
#[derive(Debug, Clone)]
pub enum Turn {
    /// At every one.
    Always,
    /// At this one.
    At(usize),
    /// At each of these.
    During(RangeInclusive<usize>),
    /// At every n-th.
    Every(usize),
}

impl Turn {
    fn includes(&self, count: usize) -> bool {
        match self {
            Self::Always => true,
            Self::At(turn) => count == *turn,
            Self::During(turns) => turns.contains(&count),
            Self::Every(period) => count.is_multiple_of(*period),
        }
    }
}

/// What the proxy does with a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// Answers itself with this status and, if given, `Retry-After` in seconds.
    Refuse(u16, Option<u64>),
    /// Answers itself with this JSON.
    Say(&'static str),
    /// Drops the connection; the API server never learns of the request.
    ResetBefore,
    /// Drops the connection after the API server has answered.
    ResetAfter,
    /// Never answers and never passes it on.
    Hang,
    /// Sends the victim a signal before the request is passed on. After SIGKILL it is not passed
    /// on, and nothing else of that client either.
    SignalBefore(Signal),
    /// Sends the victim a signal after the API server has answered. After SIGKILL the answer is
    /// thrown away, and nothing else of that client is passed on.
    SignalAfter(Signal),
}

/// An action at some of the requests.
#[derive(Debug, Clone)]
pub struct Rule {
    matching: Matching,
    turn: Turn,
    action: Action,
    seen: usize,
    fired: usize,
}

impl Rule {
    /// `action` at those turns of the matching requests.
    pub fn new(matching: Matching, turn: Turn, action: Action) -> Self {
        Self { matching, turn, action, seen: 0, fired: 0 }
    }

    /// SIGKILL before the `k`-th write is passed on.
    pub fn kill_before(k: usize) -> Self {
        Self::new(Matching::mutating(), Turn::At(k), Action::SignalBefore(Signal::KILL))
    }

    /// SIGKILL after the `k`-th write is committed, before its answer arrives.
    pub fn kill_after(k: usize) -> Self {
        Self::new(Matching::mutating(), Turn::At(k), Action::SignalAfter(Signal::KILL))
    }

    /// How often it acted.
    pub fn fired(&self) -> usize {
        self.fired
    }

    /// Counts `request` and says what to do with it, if anything.
    pub(super) fn judge(&mut self, request: &Request) -> Option<Action> {
        if !self.matching.fits(request) {
            return None;
        }
        self.seen += 1;
        if !self.turn.includes(self.seen) {
            return None;
        }
        self.fired += 1;
        Some(self.action.clone())
    }
}
