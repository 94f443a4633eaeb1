use super::{is_hidden, notes, title, verdict};
use crate::base::{Change, ChangeKind, Note};
use crate::plan::{Plan, Planned};
use crate::ui::words::{item, list, number, pad, tame, things, width, wrap};
use crate::ui::{Paint, Table};

/// From so many changes of one kind in one resource on, they are shown together.
const TOGETHER_FROM: usize = 13;
/// How many names are shown of things that are shown together.
const NAMES_SHOWN: usize = 3;
/// How far in a change stands, behind its symbol and its word.
const INDENT: usize = 15;
/// Off a terminal lines have no end, and a table that is this wide is no table any more.
const WIDEST_TABLE: usize = 160;

/// The plan as text of at most `columns` columns, without the profile's unchanged parts.
pub fn text(plan: &Plan, paint: Paint, columns: usize) -> String {
    if plan.is_empty() && troubles(plan).next().is_none() {
        let mut lines = vec![format!("no changes: {} is as its profile says", title(&plan.about))];
        end(plan, &mut lines, paint, columns);
        return lines.join("\n") + "\n";
    }
    let mut lines = vec![paint.strong(&format!("plan for {}", title(&plan.about)))];
    let shared = shared_troubles(plan);
    if !shared.is_empty() {
        lines.push(String::new());
        lines.push(paint.strong("not known"));
    }
    for (text, who) in &shared {
        let line = format!("{}: {text}", list(who));
        lines.extend(hanging(&format!("    {} ", paint.bad("!")), 6, &line, columns));
    }
    let mut last_heading = "";
    for planned in &plan.resources {
        let trouble = is_trouble(planned).then(|| trouble_of(plan, planned));
        let trouble = trouble.filter(|text| shared.iter().all(|(known, _)| known != text));
        if planned.changes.is_empty() && trouble.is_none() {
            continue;
        }
        let heading = heading(planned);
        if heading != last_heading {
            lines.push(String::new());
            lines.push(paint.strong(heading));
            last_heading = heading;
        }
        resource(plan, planned, trouble.as_deref(), &mut lines, paint, columns);
    }
    end(plan, &mut lines, paint, columns);
    lines.push(String::new());
    let destructive: Vec<&Change> = plan.destructive().collect();
    if !destructive.is_empty() {
        lines.push(
            paint.bad(&format!(
                "{} now would be lost:",
                things(destructive.len(), "that stands", "that stand")
            )),
        );
        let own: Vec<_> = destructive.iter().map(|change| (None, *change)).collect();
        lines.extend(rows(&own, paint, columns));
    }
    lines.extend(wrap(&verdict(plan), columns).iter().map(|line| paint.strong(line)));
    lines.join("\n") + "\n"
}

fn troubles(plan: &Plan) -> impl Iterator<Item = &Planned> {
    plan.resources.iter().filter(|planned| is_trouble(planned))
}

/// What a resource's changes stand under.
fn heading(planned: &Planned) -> &str {
    if planned.id == "leftovers" { "no longer in the profile" } else { &planned.layer }
}

/// Troubles that several resources have alike, each once, with who has it.
fn shared_troubles(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for planned in plan.resources.iter().filter(|planned| is_hidden(planned)) {
        let (text, who) = (trouble_of(plan, planned), super::super::words::resource_name(&planned.id));
        match all.iter_mut().find(|(known, _)| *known == text) {
            Some((_, more)) => more.push(who),
            None => all.push((text, vec![who])),
        }
    }
    all.retain(|(_, who)| who.len() > 1);
    all
}

fn trouble_of(plan: &Plan, planned: &Planned) -> String {
    let detail = planned.detail.as_deref().unwrap_or_default();
    match planned.state.as_str() {
        "behind" => format!("not looked at, since {}", plan.hindrance(planned)),
        "broken" => format!("broken, {detail}"),
        _ => format!("not known, {detail}"),
    }
}

fn resource(
    plan: &Plan,
    planned: &Planned,
    trouble: Option<&str>,
    lines: &mut Vec<String>,
    paint: Paint,
    columns: usize,
) {
    let siblings = plan.resources.iter().filter(|other| heading(other) == heading(planned)).count();
    // Alone in its layer, a thing that was looked at needs no name: its changes have theirs.
    let named = siblings > 1 || planned.state == "after";
    let label = planned.id.split_once('/').map(|(_, rest)| rest).filter(|_| named);
    if let Some(text) = trouble {
        let subject = label.map_or_else(|| text.to_string(), |label| format!("{label}: {text}"));
        lines.extend(hanging(&format!("    {} ", paint.bad("!")), 6, &subject, columns));
    }
    let own: Vec<(Option<&str>, &Change)> = planned.changes.iter().map(|change| (label, change)).collect();
    lines.extend(rows(&own, paint, columns));
}

/// Notes, by topic.
fn end(plan: &Plan, lines: &mut Vec<String>, paint: Paint, columns: usize) {
    let notes = notes(plan);
    lines.extend(note_lines(&notes.iter().collect::<Vec<_>>(), paint, columns));
}

/// Notes by topic, a free line before each.
pub fn note_lines(notes: &[&Note], paint: Paint, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut topics: Vec<&str> = Vec::new();
    for note in notes {
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
    lines
}

fn is_trouble(planned: &Planned) -> bool {
    is_hidden(planned) || planned.state == "broken" && planned.changes.is_empty()
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
            lines.extend(row(kind, &subject, change.told().as_deref(), paint, columns));
            lines.extend(fields(change, paint, columns));
        }
        if shown < same.len() {
            let more = format!("{} more, listed by `--output json`", number(same.len() - shown));
            lines.extend(row(kind, &more, None, paint, columns));
        }
    }
    lines
}

/// One change. A reason that does not fit behind it stands below it, whole.
fn row(kind: ChangeKind, subject: &str, reason: Option<&str>, paint: Paint, columns: usize) -> Vec<String> {
    let (symbol, verb) = mark(kind);
    let head = format!("{} ", paint.change(kind, &format!("  {symbol:>3} {verb:<8}")));
    let subject = tame(subject);
    let Some(reason) = reason.map(|reason| format!("({})", tame(reason))) else {
        return hanging(&head, INDENT, &subject, columns);
    };
    if INDENT + width(&subject) + 2 + width(&reason) <= columns {
        return vec![format!("{head}{subject}  {}", paint.faint(&reason))];
    }
    let mut lines = hanging(&head, INDENT, &subject, columns);
    lines.extend(
        wrap(&reason, room(columns, INDENT))
            .iter()
            .map(|line| format!("{}{}", pad("", INDENT), paint.faint(line))),
    );
    lines
}

/// `text` behind `head`, which takes `indent` columns; where it goes on it is as far in.
fn hanging(head: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let lines = wrap(&tame(text), room(columns, indent));
    let front = |index| if index == 0 { head.to_string() } else { pad("", indent) };
    lines.iter().enumerate().map(|(index, line)| format!("{}{line}", front(index))).collect()
}

fn room(columns: usize, indent: usize) -> usize {
    columns.saturating_sub(indent).max(20)
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
    groups.iter().flat_map(line).collect()
}

fn fields(change: &Change, paint: Paint, columns: usize) -> Vec<String> {
    let values = change.fields.iter().map(|field| {
        let value = |value: &Option<String>| tame(value.as_deref().unwrap_or("(unset)"));
        (field.path.clone(), value(&field.from), format!("-> {}", value(&field.to)))
    });
    let values: Vec<(String, String, String)> = values.collect();
    let mut table = Table::new();
    for (path, from, to) in &values {
        table.row([path, from, to].map(String::as_str));
    }
    let lines = table.lines(|_, _, text| text);
    if lines.iter().all(|line| INDENT + width(line) <= columns.min(WIDEST_TABLE)) {
        let painted = table.lines(|_, column, text| if column == 0 { text } else { paint.notice(&text) });
        return painted.into_iter().map(|line| format!("{}{line}", pad("", INDENT))).collect();
    }
    // Side by side they would not fit: each value gets its own lines.
    let mut lines = Vec::new();
    for (path, from, to) in &values {
        lines.push(format!("{}{path}", pad("", INDENT)));
        for value in [from, to] {
            for line in wrap(value, room(columns, INDENT + 2)) {
                lines.push(format!("{}{}", pad("", INDENT + 2), paint.notice(&line)));
            }
        }
    }
    lines
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
1 to create, 1 to update, 1 to delete, 1 in conflict: until that is solved `up` does none of it; 1
of 4 resources not known
";
        assert_eq!(text(&plan, Paint::PLAIN, 100), expected);
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
    fn what_is_not_ready_is_told_though_nothing_of_it_is_to_be_changed() {
        let waits = Look::Seen(State::Progressing("1 of 2 nodes ready".to_string()));
        let made = Look::Seen(State::Progressing("CREATING".to_string()));
        let change = Change::new(ChangeKind::Create, "it");
        let world = survey(vec![observed("node-groups", waits.clone(), Vec::new())]);
        assert_eq!(
            text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80),
            "no changes: lab-rehearsal (kind, rehearsed) is as its profile says\n\n\
             not ready\n  node groups: 1 of 2 nodes ready\n"
        );
        let world =
            survey(vec![observed("node-groups", waits, Vec::new()), observed("tenants", made, vec![change])]);
        let text = text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80);
        assert!(text.contains("1 of 2") && !text.contains("CREATING"), "{text}");
    }

    #[test]
    fn what_concerns_no_single_resource_is_told_too() {
        let mut world = survey(vec![observed("tenants", Look::Seen(State::Ready), Vec::new())]);
        world.notes.push(Note::new("credentials", "they end at 12:00 UTC"));
        let text = text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80);
        assert!(text.ends_with("\n\ncredentials\n  they end at 12:00 UTC\n"), "{text}");
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

    fn with_long_words(change: Change) -> Plan {
        let change = change.because("somebody ".repeat(20).trim()).fields(vec![crate::base::FieldChange {
            path: "spec.template".to_string(),
            from: Some("a b c ".repeat(50).trim().to_string()),
            to: Some("d e f ".repeat(50).trim().to_string()),
        }]);
        let reason = "no route to the host ".repeat(10);
        let failed =
            Look::Failed(crate::base::Fault::new(crate::base::FaultKind::Denied, "ask", reason.trim()));
        let world = survey(vec![
            observed("tenants", Look::Seen(State::Ready), vec![change]),
            observed("addon/metallb", failed, Vec::new()),
        ]);
        Plan::of(&world, about(), Vec::new())
    }

    #[test]
    fn on_a_terminal_long_reasons_are_wrapped_and_nothing_is_left_out() {
        let plan = with_long_words(Change::new(ChangeKind::Update, "Namespace shop"));
        let text = text(&plan, Paint::PLAIN, 72);
        for line in text.lines() {
            assert!(width(line) <= 72, "{line}");
        }
        assert!(!text.contains('…'), "{text}");
        for (word, times) in [("somebody", 20), ("route", 10), ("a b c", 1)] {
            assert!(text.matches(word).count() >= times, "{word} in {text}");
        }
    }

    #[test]
    fn off_a_terminal_a_reason_is_one_line() {
        let plan = with_long_words(Change::new(ChangeKind::Update, "Namespace shop"));
        let text = text(&plan, Paint::PLAIN, usize::MAX);
        assert!(text.contains("no route to the host ".repeat(10).trim()), "{text}");
        assert!(text.contains(&format!("Namespace shop  ({})", "somebody ".repeat(20).trim())), "{text}");
    }

    #[test]
    fn a_fault_that_all_have_is_told_once_and_nothing_is_counted() {
        let fault =
            || Look::Failed(crate::base::Fault::new(crate::base::FaultKind::Denied, "ask", "forbidden"));
        let unknown = ["node-groups", "tenants", "leftovers"].map(|id| observed(id, fault(), Vec::new()));
        let expected = "\
plan for lab-rehearsal (kind, rehearsed)

not known
    ! node groups, tenants and what left the profile: not known, cannot ask: forbidden

the plan is not known: 3 of 3 resources not known
";
        let plan = Plan::of(&survey(Vec::from(unknown)), about(), Vec::new());
        assert_eq!(text(&plan, Paint::PLAIN, 100), expected);
    }

    #[test]
    fn what_left_the_profile_has_its_own_heading() {
        let gone = Change::new(ChangeKind::Delete, "Namespace old");
        let world = survey(vec![observed("leftovers", Look::Seen(State::Ready), vec![gone])]);
        let text = text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80);
        assert!(text.contains("\n\nno longer in the profile\n    - delete   Namespace old\n"), "{text}");
    }

    #[test]
    fn two_things_stand_and_one_thing_stands() {
        let changes = ["a", "b"].map(|name| Change::new(ChangeKind::Delete, format!("Namespace {name}")));
        let world = survey(vec![observed("tenants", Look::Seen(State::Ready), changes.to_vec())]);
        let text = text(&Plan::of(&world, about(), Vec::new()), Paint::PLAIN, 80);
        assert!(text.contains("2 things that stand now would be lost:"), "{text}");
    }
}
