//! Whether network policies act: a pod that serves on two ports, of which a policy leaves one open to
//! everybody and the other one to one part alone. Another part that reaches the first and not the second
//! was denied by the policy and by nothing else.

use std::time::{Duration, Instant};

use futures::future::try_join;
use serde_json::{Value, json};

use super::attempt::{Attempt, Canary, Connection, START};
use super::canary::{PART, PORT, deployment, pod, server};
use crate::base::Fault;

/// The port that is open to everybody.
const OPEN: u16 = 8081;
/// The pod that is guarded, the one that is let in, the one that is not.
const GUARDED: &str = "guarded";
const ALLOWED: &str = "allowed";
const DENIED: &str = "denied";

/// How long a policy may take until it acts, before it is said that it does not. Network plugins that
/// enforce policies at all do so within a few seconds of a pod's start.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many rounds at the least.
const ROUNDS: usize = 3;

/// Whether a cluster enforces network policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    /// It does; the text says how the denied connection ended.
    Enforced(String),
    /// It does not: what a policy denies is let through.
    NotEnforced,
    /// It could not be told; the text says why.
    NotKnown(String),
}

/// One allowed and one denied attempt, made side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Round {
    allowed: Attempt,
    denied: Attempt,
}

/// What a round says by itself.
fn judge(round: &Round) -> Truth {
    match (&round.allowed, &round.denied) {
        (Attempt::Connected, Attempt::Unanswered(how)) => Truth::Enforced(how.clone()),
        (Attempt::Connected, Attempt::Connected) => Truth::NotEnforced,
        (Attempt::Unanswered(how), Attempt::Unanswered(_)) => {
            Truth::NotKnown(format!("what the policy allows is denied, too: {how}"))
        }
        (Attempt::Unanswered(how), _) => Truth::NotKnown(format!("what the policy allows is denied: {how}")),
        (Attempt::NotMade(why) | Attempt::NoName(why), _) => {
            Truth::NotKnown(format!("the allowed connection was not tried: {why}"))
        }
        (_, Attempt::NotMade(why) | Attempt::NoName(why)) => {
            Truth::NotKnown(format!("the denied connection was not tried: {why}"))
        }
    }
}

/// Finds out whether policies act, in the namespace of the canary.
pub(super) async fn probe(canary: &Canary<'_>) -> Result<Truth, Fault> {
    canary.trial.put(policy(), canary.flow).await?;
    let servers = [server("guarded", canary.image, PORT), server("open", canary.image, OPEN)];
    canary.trial.put(deployment(GUARDED, &pod(&[], &servers)), canary.flow).await?;
    let address = match canary.ready(GUARDED, START).await? {
        Ok(place) => place.address,
        Err(why) => return Ok(Truth::NotKnown(format!("the pod to be guarded is not ready: {why}"))),
    };
    let began = Instant::now();
    let mut rounds = 0;
    loop {
        let truth = judge(&round(canary, &address, rounds).await?);
        rounds += 1;
        if is_settled(&truth, rounds, began.elapsed()) {
            return Ok(truth);
        }
        // A plugin may need a moment for each new pod: what is let through now may be denied soon.
        canary.flow.pause(Duration::from_millis(500), "probe network policies").await?;
    }
}

/// Whether what the last of so many rounds said stands after this time: a denial at once, all else when nothing
/// changed for long enough and several rounds.
fn is_settled(truth: &Truth, rounds: usize, passed: Duration) -> bool {
    matches!(truth, Truth::Enforced(_)) || (rounds >= ROUNDS && passed >= PATIENCE)
}

async fn round(canary: &Canary<'_>, address: &str, number: usize) -> Result<Round, Fault> {
    let (guarded, open) = (at(address, PORT), at(address, OPEN));
    let names = [format!("{ALLOWED}-{number}"), format!("{DENIED}-{number}")];
    let attempt =
        |name: usize, part| Connection { name: &names[name], part, first: Some(&open), to: &guarded };
    let (allowed, denied) = (attempt(0, ALLOWED), attempt(1, DENIED));
    let (allowed, denied) = try_join(canary.attempt(&allowed), canary.attempt(&denied)).await?;
    Ok(Round { allowed, denied })
}

/// `10.0.0.1:80`, `[fd00::1]:80`.
pub(super) fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn policy() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": GUARDED, "labels": {PART: GUARDED}},
        "spec": {
            "podSelector": {"matchLabels": {PART: GUARDED}}, "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [{"port": OPEN, "protocol": "TCP"}]},
                {"ports": [{"port": PORT, "protocol": "TCP"}],
                 "from": [{"podSelector": {"matchLabels": {PART: ALLOWED}}}]},
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(allowed: Attempt, denied: Attempt) -> Truth {
        judge(&Round { allowed, denied })
    }

    fn unanswered(how: &str) -> Attempt {
        Attempt::Unanswered(how.to_string())
    }

    #[test]
    fn a_refusal_and_a_timeout_are_both_a_denial() {
        for how in ["REFUSED", "TIMEOUT", "OTHER: no route to host"] {
            assert_eq!(told(Attempt::Connected, unanswered(how)), Truth::Enforced(how.to_string()));
        }
    }

    #[test]
    fn what_is_denied_and_let_through_is_not_enforced() {
        assert_eq!(told(Attempt::Connected, Attempt::Connected), Truth::NotEnforced);
    }

    #[test]
    fn a_denial_counts_only_beside_a_connection_that_is_allowed() {
        let why = "what the policy allows is denied, too: TIMEOUT".to_string();
        assert_eq!(told(unanswered("TIMEOUT"), unanswered("TIMEOUT")), Truth::NotKnown(why));
        let not_made = Attempt::NotMade("no room".to_string());
        assert!(matches!(told(not_made.clone(), unanswered("TIMEOUT")), Truth::NotKnown(_)));
        assert!(matches!(told(Attempt::Connected, not_made), Truth::NotKnown(_)));
    }

    #[test]
    fn a_denial_ends_the_rounds_and_all_else_is_believed_late_and_after_several() {
        assert!(is_settled(&Truth::Enforced("REFUSED".to_string()), 1, Duration::ZERO));
        let short = PATIENCE.mul_f64(0.99);
        for truth in [Truth::NotEnforced, Truth::NotKnown("no room".to_string())] {
            // Slow rounds may be few, and quick ones may be many, before a plugin has seen the pods.
            assert!(!is_settled(&truth, ROUNDS - 1, 10 * PATIENCE), "{truth:?}");
            assert!(!is_settled(&truth, 10 * ROUNDS, short), "{truth:?}");
            assert!(is_settled(&truth, ROUNDS, PATIENCE), "{truth:?}");
        }
    }

    #[test]
    fn addresses_of_both_families_take_a_port() {
        assert_eq!(
            (at("10.0.0.1", 80).as_str(), at("fd00::1", 80).as_str()),
            ("10.0.0.1:80", "[fd00::1]:80")
        );
    }
}
