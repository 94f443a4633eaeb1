use super::{summary, title};
use crate::base::{Change, ChangeKind};
use crate::plan::{Plan, Planned};
use crate::ui::words::{count, cut, item, list, number, pad, width};
use crate::ui::{Paint, Table};

/// From so many changes of one kind in one resource on, they are shown together.
const TOGETHER_FROM: usize = 13;
/// How many names are shown of things that are shown together.
const NAMES_SHOWN: usize = 3;

/// The plan as text of at most `columns` columns, without the profile's unchanged parts.
pub fn text(plan: &Plan, paint: Paint, columns: usize) -> String {
    if plan.is_empty() && troubles(plan).next().is_none() {
        let mut lines = vec![format!("no changes: {} is as its profile says", title(&plan.about))];
        end(plan, &mut lines, paint, columns);
        return lines.join("\n") + "\n";
    }
    let mut lines = vec![paint.strong(&format!("plan for {}", title(&plan.about)))];
    let mut last_layer = "";
    for planned in &plan.resources {
        if planned.changes.is_empty() && !is_trouble(planned) {
            continue;
        }
        if planned.layer != last_layer {
            lines.push(String::new());
            lines.push(paint.strong(&planned.layer));
            last_layer = &planned.layer;
        }
        resource(plan, planned, &mut lines, paint, columns);
    }
    end(plan, &mut lines, paint, columns);
    lines.push(String::new());
    let destructive: Vec<&Change> = plan.destructive().collect();
    if !destructive.is_empty() {
        lines.push(
            paint.bad(&format!("{} that stands now would be lost:", count(destructive.len(), "thing"))),
        );
        let own: Vec<_> = destructive.iter().map(|change| (None, *change)).collect();
        lines.extend(rows(&own, paint, columns));
    }
    lines.push(paint.strong(&summary(&plan.summary)));
    lines.join("\n") + "\n"
}

fn troubles(plan: &Plan) -> impl Iterator<Item = &Planned> {
    plan.resources.iter().filter(|planned| is_trouble(planned))
}

fn resource(plan: &Plan, planned: &Planned, lines: &mut Vec<String>, paint: Paint, columns: usize) {
    let siblings = plan.resources.iter().filter(|other| other.layer == planned.layer).count();
    // Alone in its layer, a thing that was looked at needs no name: its changes have theirs.
    let named = siblings > 1 || planned.state == "after";
    let label = planned.id.split_once('/').map(|(_, rest)| rest).filter(|_| named);
    if is_trouble(planned) {
        let detail = planned.detail.as_deref().unwrap_or_default();
        let text = match planned.state.as_str() {
            "behind" => format!("not looked at, since `{detail}` does not answer"),
            "broken" => format!("broken, {detail}"),
            _ => format!("not known, {detail}"),
        };
        let subject = label.map_or_else(|| text.clone(), |label| format!("{label}: {text}"));
        lines.push(format!("    {} {}", paint.bad("!"), cut(&subject, columns.saturating_sub(6))));
    }
    let own: Vec<(Option<&str>, &Change)> = planned.changes.iter().map(|change| (label, change)).collect();
    lines.extend(rows(&own, paint, columns));
}

/// Notes: what is kept, what should be known, what is not rehearsed.
fn end(plan: &Plan, lines: &mut Vec<String>, paint: Paint, columns: usize) {
    let mut notes: Vec<_> = plan.resources.iter().flat_map(|planned| &planned.notes).collect();
    notes.extend(&plan.not_rehearsed);
    let mut topics: Vec<&str> = Vec::new();
    for note in &notes {
        if !topics.contains(&note.topic.as_str()) {
            topics.push(&note.topic);
        }
    }
    for topic in topics {
        lines.push(String::new());
        lines.push(paint.strong(topic));
        let texts: Vec<&str> =
            notes.iter().filter(|note| note.topic == topic).map(|note| note.text.as_str()).collect();
        for text in texts.iter().take(TOGETHER_FROM) {
            lines.extend(item(text, columns).lines().map(str::to_string));
        }
        if texts.len() > TOGETHER_FROM {
            let more = number(texts.len() - TOGETHER_FROM);
            lines.push(paint.faint(&format!("  and {more} more, listed by `--output json`")));
        }
    }
}

fn is_trouble(planned: &Planned) -> bool {
    matches!(planned.state.as_str(), "unknown" | "behind")
        || planned.state == "broken" && planned.changes.is_empty()
}

/// The symbol and the word of a kind of change.
pub(super) fn mark(kind: ChangeKind) -> (&'static str, &'static str) {
    match kind {
        ChangeKind::Create => ("+", "create"),
        ChangeKind::Update => ("~", "update"),
        ChangeKind::Adopt => ("@", "adopt"),
        ChangeKind::Start => (">", "start"),
        ChangeKind::Replace => ("-/+", "replace"),
        ChangeKind::Delete => ("-", "delete"),
        ChangeKind::Conflict => ("!", "conflict"),
    }
}

/// In this order: what is made, what changes, what is in the way, and what goes last.
const ORDER: [ChangeKind; 7] = [
    ChangeKind::Create,
    ChangeKind::Start,
    ChangeKind::Adopt,
    ChangeKind::Update,
    ChangeKind::Conflict,
    ChangeKind::Replace,
    ChangeKind::Delete,
];

fn rows(changes: &[(Option<&str>, &Change)], paint: Paint, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ORDER {
        let same: Vec<(Option<&str>, &Change)> =
            changes.iter().filter(|(_, change)| change.kind == kind).copied().collect();
        let foldable = same.iter().all(|(_, change)| change.fields.is_empty());
        if same.len() >= TOGETHER_FROM && foldable {
            lines.extend(together(kind, &same, paint, columns));
            continue;
        }
        let shown = if same.len() > 2 * TOGETHER_FROM { TOGETHER_FROM } else { same.len() };
        for (label, change) in &same[..shown] {
            let subject = match label {
                Some(label) => format!("{label}: {}", change.subject),
                None => change.subject.clone(),
            };
            lines.push(row(kind, &subject, change.reason.as_deref(), paint, columns));
            lines.extend(fields(change, paint, columns));
        }
        if shown < same.len() {
            let more = format!("{} more, listed by `--output json`", number(same.len() - shown));
            lines.push(row(kind, &more, None, paint, columns));
        }
    }
    lines
}

fn row(kind: ChangeKind, subject: &str, reason: Option<&str>, paint: Paint, columns: usize) -> String {
    let (symbol, verb) = mark(kind);
    let head = paint.change(kind, &format!("  {symbol:>3} {verb:<8}"));
    let room = columns.saturating_sub(15).max(20);
    let subject = cut(subject, room);
    let left = room.saturating_sub(width(&subject) + 2);
    match reason {
        Some(reason) if left > 10 => {
            format!("{head} {subject}  {}", paint.faint(&cut(&format!("({reason})"), left)))
        }
        _ => format!("{head} {subject}"),
    }
}

/// Many changes of one kind, by the kind of object where the subjects say it: `Namespace × 1,000`.
fn together(kind: ChangeKind, same: &[(Option<&str>, &Change)], paint: Paint, columns: usize) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    let label =
        same.first().and_then(|(label, _)| *label).map(|label| format!("{label}: ")).unwrap_or_default();
    for (_, change) in same {
        let (object, name) = change
            .subject
            .split_once(' ')
            .filter(|_| change.subject.starts_with(char::is_uppercase))
            .unwrap_or(("", &change.subject));
        match groups.iter_mut().find(|(known, _)| *known == object) {
            Some((_, names)) => names.push(name),
            None => groups.push((object, vec![name])),
        }
    }
    let line = |(object, names): &(&str, Vec<&str>)| {
        let mut shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
        if names.len() > NAMES_SHOWN {
            shown.push(format!("{} more", number(names.len() - NAMES_SHOWN)));
        }
        let object = if object.is_empty() { "thing" } else { object };
        let subject = match names.as_slice() {
            [only] => format!("{object} {only}"),
            _ => format!("{} {object}: {}", number(names.len()), list(&shown)),
        };
        row(kind, &format!("{label}{subject}"), None, paint, columns)
    };
    groups.iter().map(line).collect()
}

fn fields(change: &Change, paint: Paint, columns: usize) -> Vec<String> {
    let mut table = Table::new();
    for field in &change.fields {
        let from = field.from.as_deref().unwrap_or("(unset)");
        let to = field.to.as_deref().unwrap_or("(unset)");
        let room = columns.saturating_sub(15 + 7 + width(&field.path)) / 2;
        table.row([field.path.clone(), cut(from, room.max(12)), format!("-> {}", cut(to, room.max(12)))]);
    }
    let lines = table.lines(|_, column, text| if column == 0 { text } else { paint.notice(&text) });
    lines.into_iter().map(|line| format!("{}{line}", pad("", 15))).collect()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::base::Note;
    use crate::engine::{Look, State};
    use crate::plan::samples::{about, mixed, observed, survey};

    #[test]
    fn changes_are_grouped_by_layer_with_symbols_and_words() {
        let plan = Plan::of(&mixed(), about(), vec![Note::new("not rehearsed", "registry `ecr`")]);
        let expected = "\
plan for lab-rehearsal (kind, rehearsed)

addons
    ! metallb: not known, cannot list pods: forbidden
    + create   traefik: 7 objects  (after cluster/kwok/lab-rehearsal)

tenants
    ~ update   ResourceQuota checkout-ns/quota
               spec.hard.requests.cpu  10       -> 8
               spec.hard.pods          (unset)  -> 50
    ! conflict Namespace shop  (made by somebody else)
    - delete   RoleBinding old-ns/admin  (no longer in the profile)

kept, cordoned
  namespace `old-ns` of tenant `old`

not rehearsed
  registry `ecr`

1 thing that stands now would be lost:
    - delete   RoleBinding old-ns/admin  (no longer in the profile)
1 to create, 1 to update, 1 to delete, 1 in conflict
";
        assert_eq!(text(&plan, Paint::PLAIN, 80), expected);
    }

    #[test]
    fn nothing_to_change_is_one_line() {
        let world = survey(vec![observed("tenants", Look::Seen(State::Ready), Vec::new())]);
        assert_eq!(
            text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80),
            "no changes: lab-rehearsal (kind, rehearsed) is as its profile says\n"
        );
    }

    #[test]
    fn a_thousand_of_a_kind_are_one_line() {
        let changes = (0..1000)
            .flat_map(|n| {
                [
                    Change::new(ChangeKind::Create, format!("Namespace t{n}")),
                    Change::new(ChangeKind::Create, format!("ResourceQuota t{n}/quota")),
                ]
            })
            .collect();
        let world = survey(vec![observed("tenants", Look::Seen(State::Ready), changes)]);
        let expected = "\
plan for lab-rehearsal (kind, rehearsed)

tenants
    + create   1,000 Namespace: t0, t1, t2 and 997 more
    + create   1,000 ResourceQuota: t0/quota, t1/quota, t2/quota and 997 more

2,000 to create, 0 to update, 0 to delete
";
        assert_eq!(text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let change = Change::new(ChangeKind::Update, "x".repeat(200)).because("y".repeat(90)).fields(vec![
            crate::base::FieldChange {
                path: "spec.template".to_string(),
                from: Some("a".repeat(300)),
                to: Some("b".repeat(300)),
            },
        ]);
        let world = survey(vec![observed("tenants", Look::Seen(State::Ready), vec![change])]);
        for line in text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 72).lines() {
            assert!(width(line) <= 72, "{line}");
        }
    }
}
