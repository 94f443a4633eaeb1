//! docs/reference is made from the binary and the source, and says what they say.
//! `scripts/reference` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::clouds::aws::rights;
use serde_json::{Map, Value};

/// The first line of every page that is made here.
pub(super) const MADE: &str = "<!-- Made by scripts/reference. -->\n";

/// What the table of exit codes does not say.
const BESIDES: &str = "
A command line that cannot be read is told in words on standard error, with code 3, also with `--output json`: what it asked
for is not known then. Any later failure is one JSON object on standard output there.

An answer that cannot be written to standard output, as to a full disk, ends with code 1, and so does `up` or `down` whose
events could not be written; the run itself goes on without them, and if it fails, its own code tells. A reader that went
away (`berth plan | head`) is no failure.

`status` ends with code 0 only where every part could be looked at and none is broken: with 1 while nodes are stopped, or were
started again a moment ago. `plan --detailed-exitcode` ends with 2 there.
";

#[test]
fn commands_are_documented_as_they_are() {
    let mut page = format!("{MADE}# Commands\n\nWhat `berth --help` and `berth COMMAND --help` print.\n");
    let help = berth(&["--help"]);
    let commands = listed_commands(&help);
    assert!(commands.contains(&"up".to_string()), "the commands were not found in:\n{help}");
    write_help(&mut page, "berth", &help);
    for command in commands {
        let help = berth(&[&command, "--help"]);
        write_help(&mut page, &format!("berth {command}"), &help);
        for below in listed_commands(&help) {
            write_help(&mut page, &format!("berth {command} {below}"), &berth(&[&command, &below, "--help"]));
        }
    }
    compare("commands.md", &page);
}

#[test]
fn exit_codes_are_documented_as_they_are() {
    let source = fs::read_to_string(repository().join("src/cli/exit.rs")).unwrap();
    let body = source.split_once("enum Exit {").unwrap().1.split_once("\n}").unwrap().0;
    let help = berth(&["--help"]);
    let mut page = format!(
        "{MADE}# Exit codes\n\nHow a run of berth ends, as other programs see it.\n\n| Code | Meaning |\n|---:|---|\n"
    );
    let mut meaning = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            meaning = format!("{meaning} {}", text.trim());
        } else if let Some(name) = line.strip_suffix(',') {
            let code = source.split_once(&format!("Self::{name} => ")).unwrap().1;
            let code: u8 = code.split_once(',').unwrap().0.parse().unwrap();
            // The help has the same numbers in short words.
            assert!(help.contains(&code.to_string()), "`berth --help` does not name exit code {code}");
            writeln!(page, "| {code} | {} |", meaning.trim().trim_end_matches('.')).unwrap();
            meaning.clear();
        }
    }
    page.push_str(BESIDES);
    compare("exit-codes.md", &page);
}

#[test]
fn machine_types_are_documented_as_they_are() {
    let table = fs::read_to_string(repository().join("src/profile/machines.txt")).unwrap();
    let (comments, rows): (Vec<&str>, Vec<&str>) =
        table.lines().filter(|line| !line.trim().is_empty()).partition(|line| line.starts_with('#'));
    let mut page = format!(
        "{MADE}# Machine types\n\nWhat rehearsed nodes offer, and what quotas are compared with. \
         A machine type that is not here needs `resources:` in its node group.\n\n"
    );
    for comment in &comments[1..] {
        writeln!(page, "- {}", comment.trim_start_matches(['#', ' '])).unwrap();
    }
    for (provider, title) in [("eks", "Amazon EKS"), ("gke", "Google GKE")] {
        let head =
            "| Machine | Cores | Memory (GiB) | NVIDIA GPUs | Architecture |\n|---|---:|---:|---:|---|";
        write!(page, "\n## {title}\n\n{head}\n").unwrap();
        for row in rows.iter().map(|row| row.split_whitespace().collect::<Vec<_>>()) {
            if row[0] == provider {
                writeln!(page, "| `{}` | {} | {} | {} | {} |", row[1], row[2], row[3], row[4], row[5])
                    .unwrap();
            }
        }
    }
    compare("machine-types.md", &page);
}

#[test]
fn the_schemas_are_those_of_the_binary() {
    compare("profile.schema.json", &berth(&["schema"]));
    compare("tenant.schema.json", &berth(&["schema", "--tenant"]));
}

#[test]
fn the_rights_on_aws_are_those_of_the_source() {
    let written = |policy: &Value| serde_json::to_string_pretty(policy).unwrap() + "\n";
    let whole = rights::document(rights::STATEMENTS.iter().map(rights::Statement::whole));
    compare("iam-policy.json", &written(&whole));
    compare("iam-policy-look.json", &written(&rights::Part::Look.policy()));
    compare("iam-policy-change.json", &written(&rights::Part::Change.policy()));
}

#[test]
fn the_profile_is_documented_as_it_is() {
    let schema: Value = serde_json::from_str(&berth(&["schema"])).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    let mut page = format!(
        "{MADE}# The profile\n\n{}\n\nRequired fields are in **bold**. For editors: [profile.schema.json](profile.schema.json), \
         also printed by `berth schema`.\n",
        text(&schema)
    );
    let mut waiting = write_fields(&mut page, "Environment", &schema);
    let mut seen = BTreeSet::new();
    while let Some(name) = (!waiting.is_empty()).then(|| waiting.remove(0)) {
        if seen.insert(name.clone()) {
            let more = write_definition(&mut page, &name, &definitions[&name]);
            // Depth first: what a field is stands near the field.
            waiting.splice(0..0, more);
        }
    }
    assert_eq!(seen.len(), definitions.len(), "a definition that no field uses");
    compare("profile.md", &page);
}

/// One definition as a section; returns the definitions that it names.
fn write_definition(page: &mut String, name: &str, schema: &Value) -> Vec<String> {
    if schema.get("properties").is_some() {
        return write_fields(page, name, schema);
    }
    write!(page, "\n## {name}\n\n{}\n", text(schema)).unwrap();
    let Some(choices) = schema["oneOf"].as_array() else {
        return Vec::new();
    };
    writeln!(page).unwrap();
    let mut named = Vec::new();
    for choice in choices {
        let shown = match (choice.get("const"), choice.get("properties")) {
            (Some(word), _) => format!("`{}`", word.as_str().unwrap()),
            (None, Some(key)) => {
                let (key, value) = key.as_object().unwrap().iter().next().unwrap();
                format!("`{key}:` {}", kind(value, &mut named))
            }
            (None, None) => kind(choice, &mut named),
        };
        writeln!(page, "- {shown}{}", before(": ", &text(choice))).unwrap();
    }
    named
}

/// An object as a section with a table of its fields; returns the definitions that it names.
fn write_fields(page: &mut String, name: &str, schema: &Value) -> Vec<String> {
    let nothing = Map::new();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    write!(
        page,
        "\n## {name}\n\n{}\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n",
        text(schema)
    )
    .unwrap();
    let mut named = Vec::new();
    for (field, value) in schema["properties"].as_object().unwrap_or(&nothing) {
        let shown =
            if required.contains(&field.as_str()) { format!("**`{field}`**") } else { format!("`{field}`") };
        let default = value.get("default").map(|value| format!("`{value}`")).unwrap_or_default();
        writeln!(page, "| {shown} | {} | {default} | {} |", kind(value, &mut named), text(value)).unwrap();
    }
    named
}

/// What a value is, in words, with links to the definitions that it names.
fn kind(schema: &Value, named: &mut Vec<String>) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        named.push(name.to_string());
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let real = choices.iter().filter(|choice| choice["type"] != "null");
        return real.map(|choice| kind(choice, named)).collect::<Vec<_>>().join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect()
        }
        _ => Vec::new(),
    };
    match types.as_slice() {
        ["array"] => format!("list of {}", kind(&schema["items"], named)),
        ["object"] if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"], named))
        }
        [] => "anything".to_string(),
        types => types.join(" or "),
    }
}

/// A description on one line that may stand in a table.
fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn before(mark: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{mark}{text}") }
}

/// The names in the help's list of commands.
fn listed_commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_string))
        .collect()
}

fn write_help(page: &mut String, title: &str, help: &str) {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n")).unwrap();
}

/// What berth prints, without the settings of this machine.
fn berth(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "berth {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Passes when docs/reference/`name` is `wanted`; writes it instead when `UPDATE_EXPECTED` is set.
#[track_caller]
pub(super) fn compare(name: &str, wanted: &str) {
    let path = Path::new("docs/reference").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(repository().join(&path), wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(repository().join(&path)).unwrap_or_default();
    let different =
        found.lines().zip(wanted.lines()).enumerate().find(|(_, (found, wanted))| found != wanted);
    if let Some((line, (found, wanted))) = different {
        let line = line + 1;
        panic!(
            "{}:{line} says\n  {found}\nand should say\n  {wanted}\nrun scripts/reference",
            path.display()
        );
    }
    assert!(
        found == wanted,
        "{} is shorter or longer than it should be: run scripts/reference",
        path.display()
    );
}
