use std::collections::BTreeMap;

use serde_json::Value;

use super::live::title;
use crate::base::{Change, ChangeKind, FieldChange};
use crate::providers::eks::template::Template;

/// What an update would do to a stack that stands by `live`, resource by resource.
pub fn changes(live: &Template, wanted: &Template) -> Vec<Change> {
    let (was, is) = (live.resources(), wanted.resources());
    let mut changes = Vec::new();
    for (id, resource) in is {
        match was.get(id) {
            None => changes.push(Change::new(ChangeKind::Create, titled(id, resource))),
            Some(old) if old != resource => changes.push(update(id, old, resource)),
            Some(_) => {}
        }
    }
    let gone = was.iter().filter(|(id, _)| !is.contains_key(*id));
    changes.extend(gone.map(|(id, resource)| {
        Change::new(ChangeKind::Delete, titled(id, resource)).because("no longer needed by the profile")
    }));
    if changes.is_empty() && !live.outputs().eq(wanted.outputs()) {
        changes.push(Change::new(ChangeKind::Update, "outputs of the stack"));
    }
    changes
}

fn titled(id: &str, resource: &Value) -> String {
    title(resource["Type"].as_str().unwrap_or("resource"), id)
}

fn update(id: &str, old: &Value, new: &Value) -> Change {
    if old["Type"] != new["Type"] {
        return Change::new(ChangeKind::Replace, titled(id, new)).because("it is of another type");
    }
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(&old["Properties"], String::new(), &mut before);
    leaves(&new["Properties"], String::new(), &mut after);
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    let fields = differs.map(|path| FieldChange {
        path: path.clone(),
        from: before.get(path).cloned(),
        to: after.get(path).cloned(),
    });
    Change::new(ChangeKind::Update, titled(id, new)).fields(fields.collect())
}

/// All values below `value` by their paths. Tags stand by their keys, and other resources by their names.
fn leaves(value: &Value, path: String, found: &mut BTreeMap<String, String>) {
    if let Some(other) = other_resource(value) {
        found.insert(path, other);
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                leaves(value, below(key), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match (item["Key"].as_str(), &item["Value"]) {
                    (Some(key), Value::String(tag)) => {
                        found.insert(below(key), tag.clone());
                    }
                    _ => leaves(item, format!("{path}[{index}]"), found),
                }
            }
        }
        Value::Null => {}
        Value::String(text) => {
            found.insert(path, text.clone());
        }
        other => {
            found.insert(path, other.to_string());
        }
    }
}

/// The resource, or the attribute of one, that `value` stands for.
fn other_resource(value: &Value) -> Option<String> {
    let functions = value.as_object().filter(|entries| entries.len() == 1)?;
    let named = functions.get("Ref").and_then(Value::as_str).map(str::to_string);
    let attribute = functions.get("Fn::GetAtt").and_then(Value::as_array);
    let attribute =
        attribute.map(|parts| parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."));
    named.or(attribute)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(resources: &Value) -> Template {
        Template::parse(&json!({"Resources": resources}).to_string()).expect("a template")
    }

    #[test]
    fn each_resource_is_told_with_what_happens_to_it() {
        let live = template(&json!({
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"Tags": [{"Key": "a", "Value": "1"}], "On": true}},
            "NatGatewayB": {"Type": "AWS::EC2::NatGateway"},
            "Same": {"Type": "AWS::EC2::Route", "Properties": {"A": 1, "B": 2}},
        }));
        let wanted = template(&json!({
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"Tags": [{"Key": "a", "Value": "2"}]}},
            "Same": {"Type": "AWS::EC2::Route", "Properties": {"B": 2, "A": 1}},
            "NatGatewayA": {"Type": "AWS::EC2::NatGateway"},
        }));
        let found = changes(&live, &wanted);
        let told: Vec<(ChangeKind, &str)> =
            found.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        assert_eq!(
            told,
            [
                (ChangeKind::Create, "NAT gateway `NatGatewayA`"),
                (ChangeKind::Update, "VPC `Vpc`"),
                (ChangeKind::Delete, "NAT gateway `NatGatewayB`"),
            ]
        );
        let field = |path: &str, from: &str, to: Option<&str>| FieldChange {
            path: path.to_string(),
            from: Some(from.to_string()),
            to: to.map(str::to_string),
        };
        assert_eq!(found[1].fields, [field("On", "true", None), field("Tags.a", "1", Some("2"))]);
    }

    #[test]
    fn other_resources_are_told_by_their_names() {
        let route = |gateway: Value| {
            template(&json!({"R": {"Type": "AWS::EC2::Route", "Properties": {"NatGatewayId": gateway}}}))
        };
        let found = changes(&route(json!({"Ref": "A"})), &route(json!({"Fn::GetAtt": ["B", "Id"]})));
        let field = &found[0].fields[0];
        assert_eq!(field.path, "NatGatewayId");
        assert_eq!((field.from.as_deref(), field.to.as_deref()), (Some("A"), Some("B.Id")));
    }

    #[test]
    fn the_same_content_in_another_order_is_no_change() {
        let live = template(&json!({"Vpc": {"Properties": {"B": 1, "A": 2}, "Type": "AWS::EC2::VPC"}}));
        let wanted = template(&json!({"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"A": 2, "B": 1}}}));
        assert_eq!(changes(&live, &wanted), []);
    }

    #[test]
    fn an_output_that_is_missing_is_a_change_of_its_own() {
        let parse = |value: Value| Template::parse(&value.to_string()).expect("a template");
        let live = parse(json!({"Resources": {}, "Outputs": {}}));
        let wanted = parse(json!({"Resources": {}, "Outputs": {"Vpc": {"Value": "x"}}}));
        assert_eq!(changes(&live, &wanted).len(), 1);
    }
}
