use super::text::mark;
use super::{is_hidden, notes, title, verdict};
use crate::base::Change;
use crate::plan::Plan;
use crate::ui::words::{count, list};

/// From so many rows on, the table is folded.
const FOLDED_FROM: usize = 20;
/// So many rows are shown; a comment on a pull request has an end.
const MOST_ROWS: usize = 200;

/// The plan as Markdown for a comment on a pull request.
pub fn markdown(plan: &Plan) -> String {
    let mut text = format!("### berth plan: `{}`\n\n**{}**\n", title(&plan.about), verdict(plan));
    let destructive: Vec<&Change> = plan.destructive().collect();
    if !destructive.is_empty() {
        text.push_str("\n> **Would be lost:**\n");
        for change in destructive.iter().take(MOST_ROWS) {
            text.push_str(&format!("> - {} `{}`\n", mark(change.kind).1, code(&change.subject)));
        }
    }
    let rows: Vec<String> = plan
        .resources
        .iter()
        .flat_map(|planned| planned.changes.iter().map(move |change| (planned, change)))
        .map(|(planned, change)| {
            let (symbol, verb) = mark(change.kind);
            format!(
                "| `{symbol}` {verb} | {} | `{}` | {} |\n",
                planned.id,
                code(&change.subject),
                details(change)
            )
        })
        .collect();
    if !rows.is_empty() {
        let folded = rows.len() >= FOLDED_FROM;
        if folded {
            text.push_str(&format!("\n<details><summary>{}</summary>\n", count(rows.len(), "change")));
        }
        text.push_str("\n| Change | Resource | What | Details |\n|---|---|---|---|\n");
        text.extend(rows.iter().take(MOST_ROWS).map(String::as_str));
        if rows.len() > MOST_ROWS {
            text.push_str(&format!("\nand {} more.\n", count(rows.len() - MOST_ROWS, "change")));
        }
        if folded {
            text.push_str("\n</details>\n");
        }
    }
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for planned in plan.resources.iter().filter(|planned| is_hidden(planned)) {
        let detail = match planned.state.as_str() {
            "behind" => plan.hindrance(planned),
            _ => planned.detail.clone().unwrap_or_default(),
        };
        let id = format!("`{}`", planned.id);
        match told.iter_mut().find(|(known, _)| *known == detail) {
            Some((_, ids)) => ids.push(id),
            None => told.push((detail, vec![id])),
        }
    }
    for (detail, ids) in told {
        let verb = if ids.len() == 1 { "is" } else { "are" };
        text.push_str(&format!("\n> {} {verb} not known: {}\n", list(&ids), cell(&detail)));
    }
    for (index, note) in notes(plan).iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}- {}: {}\n", cell(&note.topic), cell(&note.text)));
    }
    text
}

fn details(change: &Change) -> String {
    let mut parts: Vec<String> = change.told().iter().map(|told| cell(told)).collect();
    parts.extend(change.fields.iter().map(|field| {
        let value = |value: &Option<String>| {
            value.as_ref().map_or_else(|| "unset".to_string(), |value| format!("`{}`", code(value)))
        };
        format!("`{}`: {} → {}", code(&field.path), value(&field.from), value(&field.to))
    }));
    parts.join("<br>")
}

/// Text inside backticks inside a table.
fn code(text: &str) -> String {
    text.replace('`', "'").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Text in a table: nothing in it is taken for markup.
fn cell(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{about, mixed};

    #[test]
    fn a_plan_reads_as_a_comment() {
        let expected = "\
### berth plan: `lab-rehearsal (kind, rehearsed)`

**1 to create, 1 to update, 1 to delete, 1 in conflict: until that is solved `up` does none of it; 1 of 4 resources not known**

> **Would be lost:**
> - delete `RoleBinding old-ns/admin`

| Change | Resource | What | Details |
|---|---|---|---|
| `+` create | addon/traefik | `7 objects` | after cluster/kwok/lab-rehearsal |
| `-` delete | tenants | `RoleBinding old-ns/admin` | no longer in the profile |
| `~` update | tenants | `ResourceQuota checkout-ns/quota` | `spec.hard.requests.cpu`: `10` → `8`<br>`spec.hard.pods`: unset → `50` |
| `!` conflict | tenants | `Namespace shop` | made by somebody else |

> `addon/metallb` is not known: cannot list pods: forbidden

- kept, cordoned: namespace `old-ns` of tenant `old`
";
        assert_eq!(markdown(&Plan::of(&mixed(), about(), Vec::new())), expected);
    }

    #[test]
    fn a_value_cannot_break_out_of_the_table() {
        assert_eq!(code("a`b|c\nd"), "a'b\\|c d");
        assert_eq!(cell("<img>|x"), "&lt;img>\\|x");
    }
}
