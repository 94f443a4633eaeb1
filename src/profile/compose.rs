//! How trees become one: a profile over its bases.

use std::collections::HashMap;

use super::files::Problem;
use super::tree::{Entry, Node, Value};

/// `over` on top of `base`: maps merge by key, lists of named things by name, `{name: x, remove: true}`
/// takes one out, other lists and values replace, nothing (`null`) removes a key.
pub(super) fn merge(base: Node, over: Node, problems: &mut Vec<Problem>) -> Node {
    let place = over.place;
    let value = match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => Value::Map(merge_maps(base, over, problems)),
        (Value::List(base), Value::List(over)) if are_named(&base) && are_named(&over) => {
            Value::List(merge_named(base, over, problems))
        }
        (_, over) => return settle(Node { place, value: over }, problems),
    };
    Node { place, value }
}

/// A tree with nothing below it: what would remove a thing has nothing to remove.
pub(super) fn settle(node: Node, problems: &mut Vec<Problem>) -> Node {
    let value = match node.value {
        Value::Map(entries) => Value::Map(merge_maps(Vec::new(), entries, problems)),
        Value::List(items) if are_named(&items) => Value::List(merge_named(Vec::new(), items, problems)),
        Value::List(items) => Value::List(items.into_iter().map(|item| settle(item, problems)).collect()),
        other => other,
    };
    Node { place: node.place, value }
}

fn merge_maps(base: Vec<Entry>, over: Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut merged: Vec<Option<Entry>> = base.into_iter().map(Some).collect();
    let index: HashMap<Box<str>, usize> =
        merged.iter().flatten().enumerate().map(|(number, entry)| (entry.key.clone(), number)).collect();
    for entry in over {
        let below = index.get(&entry.key).copied();
        match (below, &entry.node.value) {
            (Some(number), Value::Null) => merged[number] = None,
            (None, Value::Null) => problems.push(Problem::new(
                entry.key_place,
                format!("`{}` has no value, and no base has it either", entry.key),
                format!("write a value, `{}: {{}}` for an empty one, or take the line out", entry.key),
            )),
            (Some(number), _) => {
                merged[number] = merged[number].take().map(|old| Entry {
                    key: entry.key,
                    key_place: entry.key_place,
                    node: merge(old.node, entry.node, problems),
                });
            }
            (None, _) => {
                let node = settle(entry.node, problems);
                merged.push(Some(Entry { key: entry.key, key_place: entry.key_place, node }));
            }
        }
    }
    merged.into_iter().flatten().collect()
}

/// Whether every item is a map with a name, so that items can be told apart.
fn are_named(items: &[Node]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.name().is_some())
}

fn merge_named(base: Vec<Node>, over: Vec<Node>, problems: &mut Vec<Problem>) -> Vec<Node> {
    let mut merged: Vec<Option<Node>> = base.into_iter().map(Some).collect();
    let mut index: HashMap<String, usize> = merged
        .iter()
        .flatten()
        .enumerate()
        .filter_map(|(number, item)| Some((item.name()?.to_string(), number)))
        .collect();
    for mut item in over {
        let name = item.name().unwrap_or_default().to_string();
        let removes = take_remove(&mut item);
        // Each thing of the base is merged once: a second item of that name is a duplicate to report.
        match (index.remove(&name), removes) {
            (Some(number), Some(_)) => merged[number] = None,
            (None, Some(place)) => problems.push(Problem::new(
                place,
                format!("there is no `{name}` to remove"),
                "`remove: true` takes out what a base has: check the name, or take this item out",
            )),
            (Some(number), None) => {
                merged[number] = merged[number].take().map(|old| merge(old, item, problems));
            }
            (None, None) => merged.push(Some(settle(item, problems))),
        }
    }
    merged.into_iter().flatten().collect()
}

/// Takes `remove` out of an item; where it stands when it is `true`.
fn take_remove(item: &mut Node) -> Option<super::tree::Place> {
    let Value::Map(entries) = &mut item.value else { return None };
    let number = entries.iter().position(|entry| &*entry.key == "remove")?;
    if !matches!(entries[number].node.text(), Some("true" | "false")) {
        return None;
    }
    let entry = entries.remove(number);
    (entry.node.text() == Some("true")).then_some(entry.key_place)
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, 0).expect("YAML").remove(0)
    }

    fn merged(base: &str, over: &str) -> (String, usize) {
        let mut problems = Vec::new();
        let node = merge(tree(base), tree(over), &mut problems);
        (flow(&node), problems.len())
    }

    /// The tree as flow YAML.
    fn flow(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_string(),
            Value::Scalar(scalar) => scalar.text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
            Value::Map(entries) => {
                let lines: Vec<String> =
                    entries.iter().map(|entry| format!("{}: {}", entry.key, flow(&entry.node))).collect();
                format!("{{{}}}", lines.join(", "))
            }
        }
    }

    #[test]
    fn maps_merge_by_key_and_null_removes() {
        assert_eq!(
            merged("{a: {x: 1, y: 2}, b: 1, c: 3}", "{a: {y: 5, z: 6}, b: null}"),
            ("{a: {x: 1, y: 5, z: 6}, c: 3}".to_string(), 0)
        );
    }

    #[test]
    fn named_things_merge_by_name_and_can_be_taken_out() {
        assert_eq!(
            merged(
                "[{name: a, n: 1}, {name: b, n: 2}]",
                "[{name: b, m: 3}, {name: a, remove: true}, {name: c}]"
            ),
            ("[{name: b, n: 2, m: 3}, {name: c}]".to_string(), 0)
        );
    }

    #[test]
    fn other_lists_replace() {
        assert_eq!(merged("{zones: [a, b]}", "{zones: [c]}"), ("{zones: [c]}".to_string(), 0));
        assert_eq!(merged("{nodes: {min: 1, max: 2}}", "{nodes: 3}"), ("{nodes: 3}".to_string(), 0));
    }

    #[test]
    fn a_name_twice_in_one_list_stays_twice() {
        assert_eq!(
            merged("[{name: a, n: 1}]", "[{name: a, n: 2}, {name: a, n: 3}]"),
            ("[{name: a, n: 2}, {name: a, n: 3}]".to_string(), 0)
        );
    }

    #[test]
    fn removing_what_is_not_there_is_a_problem() {
        assert_eq!(merged("{a: 1}", "{b: null}"), ("{a: 1}".to_string(), 1));
        assert_eq!(merged("[{name: a}]", "[{name: b, remove: true}]"), ("[{name: a}]".to_string(), 1));
    }
}
