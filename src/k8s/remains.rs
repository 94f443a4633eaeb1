use std::collections::BTreeSet;

use futures::future::try_join_all;

use super::hub::Hub;
use super::live::Live;
use super::object::Kind;
use super::records;
use super::removal::without_kept;
use crate::base::{Fault, label};
use crate::flow::Flow;

/// What carries our mark in a cluster.
#[derive(Debug, Default)]
pub struct Remains {
    /// Titles, with what is known of why each is still there.
    pub left: Vec<(String, String)>,
    /// What `down` keeps, with the reason.
    pub kept: Vec<(String, String)>,
}

impl Hub {
    /// Everything in the cluster that carries our mark, listed afresh: of every kind that this run knows
    /// to have been used, and of the records. What others copied our labels to does not count.
    pub async fn remains(&self, flow: &Flow) -> Result<Remains, Fault> {
        let mut kinds: BTreeSet<Kind> = self.recorded_kinds(flow).await?.clone();
        kinds.extend(self.kinds());
        kinds.extend(records::kinds());
        self.forget_owned();
        self.forget_present();
        let found = try_join_all(kinds.iter().map(|kind| self.list_labelled(kind, flow))).await?;
        // In each version of its kind an object is listed again.
        let mut seen = BTreeSet::new();
        let distinct = found.into_iter().flatten().filter(|live| seen.insert(live.uid.clone()));
        let ours = distinct.filter(|live| self.is_ours(live)).collect();
        let (left, kept) = without_kept(self, ours, flow).await?;
        let kept = kept.into_iter().map(|(live, count)| {
            (live.title(), format!("{}; `--prune-crds` removes them all", count.told()))
        });
        Ok(Remains {
            left: left.iter().map(|live| (live.title(), why_it_is_there(live))).collect(),
            kept: kept.collect(),
        })
    }

    /// Whether berth made it. The records are not applied but made: their place and name tell.
    fn is_ours(&self, live: &Live) -> bool {
        let owner = &self.settings().owner;
        let is_record = live.namespace.as_deref() == Some(records::NAMESPACE)
            && live.name == records::name(owner)
            && live.label(label::OWNER) == Some(owner.id.as_str());
        is_record || live.is_of(owner)
    }
}

fn why_it_is_there(live: &Live) -> String {
    if live.namespace.as_deref() == Some(records::NAMESPACE) {
        return "a record of the run, it goes last".to_string();
    }
    if !live.going {
        return "it still stands".to_string();
    }
    match live.held_by() {
        Some(holder) if holder.starts_with("held by") => format!("it is going, {holder}"),
        Some(holder) => format!("it is going: {holder}"),
        None => "it is going".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::k8s::known_kind;

    #[test]
    fn what_holds_a_thing_that_goes_is_said() {
        let kind = known_kind("v1", "Namespace").expect("built in");
        let why = |finalizers: &[&str], going: Option<&str>, conditions: Value| {
            let metadata = json!({"name": "shop", "deletionTimestamp": going, "finalizers": finalizers});
            let mut body = json!({"metadata": metadata, "status": {"conditions": conditions}});
            if going.is_none() {
                body["metadata"].as_object_mut().expect("made here").remove("deletionTimestamp");
            }
            why_it_is_there(&Live::new(&kind, body))
        };
        let going = Some("2026-11-21T00:00:00Z");
        let content = json!([
            {"type": "NamespaceContentRemaining", "status": "False", "message": "no"},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "a.example/b in 1 instance"},
        ]);
        assert_eq!(why(&["kubernetes"], None, json!([])), "it still stands");
        assert_eq!(why(&[], going, json!([])), "it is going");
        assert_eq!(why(&["a.example/b"], going, json!([])), "it is going, held by finalizer a.example/b");
        assert_eq!(why(&[], going, content), "it is going: a.example/b in 1 instance");
    }
}
