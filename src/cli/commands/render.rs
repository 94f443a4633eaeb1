use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::super::args::Render;
use super::super::exit::{Exit, Failure};
use super::super::profiles;
use super::super::settings::Settings;
use super::super::sources;
use super::super::yaml;
use super::{print, print_json};
use crate::base::Note;
use crate::flow::Deadline;
use crate::k8s::{Object, finish};
use crate::os::files;
use crate::plan;
use crate::ui::plan::note_lines;
use crate::ui::words::count;

/// The file that says that a folder is a rendering, which a later one may replace.
const LIST: &str = "RENDERED.json";

/// `berth render [ENV] --out DIR`
pub(super) fn run(arguments: &Render, settings: &Settings) -> Result<Exit, Failure> {
    let loaded = profiles::load(&arguments.target, settings)?;
    let environment = &loaded.environment;
    profiles::tell_assumed(environment, settings);
    let sources = sources::fetch(environment, &[], Deadline::after(sources::PATIENCE), settings)?;
    let rendering = plan::render(environment, &sources, None).map_err(|fault| Failure::profile(&fault))?;
    let notes = rendering.notes;
    let objects = rendering
        .sets
        .into_iter()
        .flat_map(|set| {
            let name = set.name;
            set.objects.into_iter().map(move |object| (name.clone(), object))
        })
        .map(|(set, object)| finish(object, &environment.owner, &set).at_home());
    let (secrets, objects): (Vec<Object>, Vec<Object>) =
        objects.partition(|object| object.is_withheld() || holds_a_secret(object));
    let folders = by_wave(objects);
    let left_out: Vec<String> = secrets.iter().map(Object::title).collect();
    let written = write(&arguments.out, &folders, &left_out)?;
    for title in &left_out {
        settings.printer.talk(&format!("left out: {title} holds secret data; `berth up` makes it"));
    }
    if settings.json() {
        let names: Vec<&String> = folders.keys().collect();
        let answer = json!({"folders": names, "objects": written, "leftOut": left_out, "notes": notes});
        print_json(settings, &answer)?;
        return Ok(Exit::Done);
    }
    let printer = &settings.printer;
    let told: Vec<&Note> = notes.iter().collect();
    printer.talk(&note_lines(&told, printer.talk_paint, printer.width).join("\n"));
    let mut text =
        format!("# {} of {}, to be applied in turn:\n", count(written, "object"), environment.name);
    for name in folders.keys() {
        let path = arguments.out.join(name);
        text.push_str(&format!("kubectl apply --server-side --field-manager=berth -f {}\n", path.display()));
    }
    print(settings, &text)?;
    Ok(Exit::Done)
}

fn holds_a_secret(object: &Object) -> bool {
    let filled =
        |key: &str| object.body.get(key).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    object.kind.kind == "Secret" && object.kind.group.is_empty() && (filled("data") || filled("stringData"))
}

/// The objects by folder, `00-namespaces` first: only the waves that have any, numbered without gaps.
fn by_wave(objects: Vec<Object>) -> BTreeMap<String, Vec<Object>> {
    let mut waves: BTreeMap<_, Vec<Object>> = BTreeMap::new();
    for object in objects {
        waves.entry(object.kind.wave()).or_default().push(object);
    }
    waves
        .into_iter()
        .enumerate()
        .map(|(number, (wave, objects))| (format!("{number:02}-{}", kebab(&format!("{wave:?}"))), objects))
        .collect()
}

/// `ClusterWide` as `cluster-wide`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_uppercase() && index > 0 {
            text.push('-');
        }
        text.extend(character.to_lowercase());
    }
    text
}

/// Writes one file per object. If this dies half way, the folder is no whole rendering and says so:
/// its list is removed first and written last.
fn write(out: &Path, folders: &BTreeMap<String, Vec<Object>>, left_out: &[String]) -> Result<usize, Failure> {
    let names = files::names_in(out)?;
    let is_ours = names.iter().any(|name| name == LIST);
    if !names.is_empty() && !is_ours {
        return Err(Failure::refused(
            format!("`{}` is not empty and no rendering", out.display()),
            format!("it has no {LIST}"),
            "give a new folder with `--out`",
        ));
    }
    for name in names.iter().filter(|name| is_folder_of_ours(name)) {
        files::remove_folder_if_there(&out.join(name))?;
    }
    files::remove_if_there(&out.join(LIST))?;
    let mut written = 0;
    for (folder, objects) in folders {
        files::make_folder(&out.join(folder))?;
        for object in objects {
            let text = yaml::write(&object.body, &object.title())?;
            files::write(&out.join(folder).join(file_name(object)), text.as_bytes())?;
            written += 1;
        }
    }
    let list = json!({"berth": env!("CARGO_PKG_VERSION"), "folders": folders.keys().collect::<Vec<_>>(), "leftOut": left_out});
    files::make_folder(out)?;
    files::write(&out.join(LIST), format!("{list:#}\n").as_bytes())?;
    Ok(written)
}

fn is_folder_of_ours(name: &str) -> bool {
    let mut characters = name.chars();
    matches!(
        (characters.next(), characters.next(), characters.next()),
        (Some('0'..='9'), Some('0'..='9'), Some('-'))
    )
}

/// `networkpolicy-checkout-ns-default-deny.yaml`; unique, since kind, namespace and name are, and made of
/// characters that every file system takes.
fn file_name(object: &Object) -> String {
    let name = match &object.namespace {
        Some(namespace) => format!("{}.{namespace}.{}", object.kind.kind, object.name),
        None => format!("{}.{}", object.kind.kind, object.name),
    };
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c.to_ascii_lowercase() } else { '_' }
    };
    format!("{}.yaml", name.chars().map(safe).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(body: Value) -> Object {
        Object::new(body).expect("a known kind")
    }

    #[test]
    fn folders_are_numbered_in_the_order_of_applying() {
        let folders = by_wave(vec![
            object(
                json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"}}),
            ),
            object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})),
        ]);
        assert_eq!(folders.keys().collect::<Vec<_>>(), ["00-namespaces", "01-quotas"]);
    }

    #[test]
    fn only_secrets_with_data_are_left_out() {
        let secret = |extra: Value| {
            let mut body =
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}});
            body["data"] = extra;
            object(body)
        };
        assert!(holds_a_secret(&secret(json!({"key": "eA=="}))));
        assert!(!holds_a_secret(&secret(json!({}))));
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone_and_an_earlier_rendering_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        let one = by_wave(vec![object(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}),
        )]);
        let two = by_wave(vec![object(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}),
        )]);
        assert_eq!(write(&out, &one, &[]).expect("written"), 1);
        assert_eq!(write(&out, &two, &[]).expect("replaced"), 1);
        assert_eq!(files::names_in(&out.join("00-namespaces")), Ok(vec!["namespace.b.yaml".to_string()]));
        files::remove_if_there(&out.join(LIST)).expect("removed");
        assert_eq!(write(&out, &one, &[]).expect_err("refused").exit, Exit::Refused);
    }
}
