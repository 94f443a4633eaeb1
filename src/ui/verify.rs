//! What `verify` shows: every check and how it ended, as a table, as JSON, as `JUnit` XML.

use std::time::Duration;

use serde::Serialize;

use super::plan::title;
use super::words::{count, duration, list, tame, wrap};
use super::{Paint, Table};
use crate::plan::About;
use crate::verify::{Check, Report, Verdict};

/// The version of the JSON; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// An environment after its examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// What was examined.
    pub about: About,
    /// Whether no check failed.
    pub good: bool,
    /// Its checks.
    #[serde(flatten)]
    pub report: Report,
    /// What could not be put away, or was left on purpose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Examined {
    /// What was found out about an environment in this time.
    pub fn new(about: About, report: Report, left: Vec<String>, took: Duration) -> Self {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { schema: SCHEMA_VERSION, about, good: report.is_good(), report, left, took_ms }
    }

    /// Whether no check failed.
    pub fn is_good(&self) -> bool {
        self.good
    }

    /// The checks as a table of at most `columns` columns.
    pub fn text(&self, paint: Paint, columns: usize) -> String {
        let mut table = Table::titled(&["CHECK", "RESULT", "DETAIL"]);
        let widest = self.report.checks.iter().map(|check| super::words::width(&check.name)).max();
        let room = columns.saturating_sub(widest.unwrap_or(0).max(5) + 2 + 14 + 2).max(20);
        for check in &self.report.checks {
            let next = check.next.iter().map(|next| format!("-> {}", tame(next)));
            let told = std::iter::once(tame(&check.detail)).chain(next);
            let mut lines = told.flat_map(|text| wrap(&text, room));
            let first = lines.next().unwrap_or_default();
            table.row([check.name.as_str(), word(check.verdict), &first]);
            for line in lines {
                table.row(["", "", &line]);
            }
        }
        let mut lines = vec![paint.strong(&title(&self.about))];
        lines.extend(table.lines(|row, column, text| match (row, column) {
            (0, _) => paint.faint(&text),
            (_, 1) => match text.trim_end() {
                "passed" => paint.good(&text),
                "failed" => paint.bad(&text),
                _ => paint.faint(&text),
            },
            _ => text,
        }));
        lines.push(String::new());
        lines.push(self.verdict(paint));
        lines.join("\n") + "\n"
    }

    fn verdict(&self, paint: Paint) -> String {
        let of = |verdict| self.report.count(verdict);
        let (passed, failed, none) = (of(Verdict::Passed), of(Verdict::Failed), of(Verdict::NotApplicable));
        let parts = [(passed, "passed"), (failed, "failed"), (none, "not applicable")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| format!("{number} {word}"))
            .collect();
        let line = format!("{}: {}", count(self.report.checks.len(), "check"), list(&parts));
        let line = if self.good { paint.good(&line) } else { paint.bad(&line) };
        format!("{line}  {}", paint.faint(&duration(Duration::from_millis(self.took_ms))))
    }

    /// The checks as `JUnit` XML: one suite, one case for each check; what is not applicable is skipped.
    pub fn junit(&self) -> String {
        let checks = &self.report.checks;
        let of = |verdict| self.report.count(verdict);
        let suite = format!(
            "name=\"berth verify {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\"",
            escaped(&self.about.environment),
            checks.len(),
            of(Verdict::Failed),
            of(Verdict::NotApplicable),
            seconds(self.took_ms),
        );
        let cases: String = checks.iter().map(|check| self.case(check)).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite {suite}>\n{cases}  \
             </testsuite>\n</testsuites>\n"
        )
    }

    fn case(&self, check: &Check) -> String {
        let detail = escaped(&tame(&check.detail));
        let next = check.next.as_ref().map(|next| escaped(next)).unwrap_or_default();
        let inside = match check.verdict {
            Verdict::Passed => format!("<system-out>{detail}</system-out>"),
            Verdict::Failed => format!("<failure message=\"{detail}\">{next}</failure>"),
            Verdict::NotApplicable => format!("<skipped message=\"{detail}\"/>"),
        };
        format!(
            "    <testcase classname=\"berth.{}\" name=\"{}\" time=\"{}\">{inside}</testcase>\n",
            escaped(&self.about.environment),
            escaped(&check.name),
            seconds(check.took_ms),
        )
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::NotApplicable => "not applicable",
    }
}

/// `1.250`
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Text as XML has it; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' | '\t' => xml.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::about;

    fn examined() -> Examined {
        let check = |name: &str, verdict, detail: &str, next: Option<&str>| Check {
            name: name.to_string(),
            verdict,
            detail: detail.to_string(),
            next: next.map(str::to_string),
            took_ms: 1250,
        };
        let checks = vec![
            check("dns", Verdict::Passed, "a pod resolves names", None),
            check(
                "network-policy",
                Verdict::Failed,
                "a <denied> \"connection\" connects",
                Some("look & see"),
            ),
            check("storage", Verdict::NotApplicable, "there is no StorageClass", None),
        ];
        Examined::new(about(), Report { checks }, Vec::new(), Duration::from_millis(4200))
    }

    #[test]
    fn each_check_has_its_result_and_what_to_look_at() {
        let expected = "\
lab-rehearsal (kind, rehearsed)
CHECK           RESULT          DETAIL
dns             passed          a pod resolves names
network-policy  failed          a <denied> \"connection\" connects
                                -> look & see
storage         not applicable  there is no StorageClass

3 checks: 1 passed, 1 failed and 1 not applicable  4.2 s
";
        assert_eq!(examined().text(Paint::PLAIN, 100), expected);
    }

    #[test]
    fn junit_holds_any_text_and_counts_what_does_not_apply_as_skipped() {
        let xml = examined().junit();
        assert!(
            xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"4.200\""),
            "{xml}"
        );
        let failure =
            "<failure message=\"a &lt;denied&gt; &quot;connection&quot; connects\">look &amp; see</failure>";
        assert!(xml.contains(failure), "{xml}");
        assert!(xml.contains("<skipped message=\"there is no StorageClass\"/>"), "{xml}");
        assert_eq!(escaped("a\u{1b}[31m\u{0}b"), "a[31mb");
    }
}
