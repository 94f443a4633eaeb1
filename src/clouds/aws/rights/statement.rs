use serde_json::{Map, Value, json};

use super::condition::Condition;
use super::policy::STATEMENTS;

/// Rights that are given alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// What the policy calls it.
    pub sid: &'static str,
    /// What it is for.
    pub part: Part,
    /// What may be done: `eks:CreateCluster`. In their order.
    pub actions: &'static [&'static str],
    /// With what, as ARNs with `*`.
    pub resources: &'static [&'static str],
    /// When; all of them hold.
    pub conditions: &'static [Condition],
}

/// What rights are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To look: `plan` and `status` need no others.
    Look,
    /// To make, change and remove.
    Change,
}

impl Part {
    /// The policy with the rights of this part.
    pub fn policy(self) -> Value {
        document(STATEMENTS.iter().filter(|statement| statement.part == self).map(Statement::whole))
    }
}

/// A policy of `statements`.
pub fn document(statements: impl IntoIterator<Item = Value>) -> Value {
    // The version of the language of policies, which is this one since 2012.
    json!({"Version": "2012-10-17", "Statement": statements.into_iter().collect::<Vec<_>>()})
}

impl Statement {
    /// All of it, in the notation of policies.
    pub fn whole(&self) -> Value {
        let mut statement = self.giving(self.actions);
        statement["Action"] = json!(self.actions);
        statement
    }

    /// The same with `actions` alone.
    pub fn giving(&self, actions: &[&str]) -> Value {
        let mut statement = json!({
            "Sid": self.sid, "Effect": "Allow", "Action": few(actions), "Resource": few(self.resources),
        });
        if !self.conditions.is_empty() {
            let mut conditions = Map::new();
            for condition in self.conditions {
                let (operator, key, value) = condition.written();
                conditions.insert(operator.to_string(), json!({key: value}));
            }
            statement["Condition"] = Value::Object(conditions);
        }
        statement
    }
}

/// A list, or what is in it when that is one.
fn few(texts: &[&str]) -> Value {
    match texts {
        [one] => json!(one),
        many => json!(many),
    }
}
