use std::fmt;

use serde::Serialize;

/// What is wrong, or odd, at one place of a profile, and what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// The file as the user knows it: as typed, or beside the file that names it.
    pub file: String,
    /// Counted from one; zero when it is about the file as a whole.
    pub line: u32,
    /// In characters, counted from one; zero when it is about the file as a whole.
    pub column: u32,
    /// How many characters of the line it is about, at least one.
    pub width: u32,
    /// The line as written. Absent when there is none, or when it holds a secret.
    pub source: Option<String>,
    /// What is wrong. Lower case, no full stop.
    pub message: String,
    /// What to type or change next.
    pub help: Option<String>,
}

impl Diagnostic {
    /// About a file as a whole.
    pub(super) fn of_file(
        file: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            width: 1,
            source: None,
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// As plain text, without colour: `FILE:LINE:COLUMN: severity: message`, the line with a caret
    /// under it, and the help. Ends without a newline.
    pub fn render(&self, severity: &str) -> String {
        let mut text = match self.line {
            0 => format!("{}: {severity}: {}", self.file, self.message),
            _ => format!("{}:{}:{}: {severity}: {}", self.file, self.line, self.column, self.message),
        };
        if let Some(source) = &self.source {
            let (line, column) = crop(source, self.column);
            let number = self.line.to_string();
            let room = line.chars().count().saturating_sub(column as usize - 1).max(1);
            let (gutter, indent) = (" ".repeat(number.len()), " ".repeat(column as usize - 1));
            let caret = "^".repeat((self.width as usize).clamp(1, room));
            let lines = [format!("\n {number} | {line}"), format!("\n {gutter} | {indent}{caret}")];
            text.push_str(&lines.concat());
        }
        if let Some(help) = &self.help {
            text.push_str("\n help: ");
            text.push_str(help);
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render("error"))
    }
}

/// A part of the line that fits a screen and holds `column`, and the column in that part.
fn crop(source: &str, column: u32) -> (String, u32) {
    const WIDTH: u32 = 110;
    let column = column.max(1);
    let line: Vec<char> = source.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let skipped = if column > WIDTH - 20 { column - WIDTH / 2 } else { 0 };
    let mut part: Vec<char> = line.iter().copied().skip(skipped as usize).take(WIDTH as usize).collect();
    // An ellipsis takes the place of a character, so that columns stay.
    if skipped > 0
        && let Some(first) = part.first_mut()
    {
        *first = '…';
    }
    if line.len() > (skipped + WIDTH) as usize
        && let Some(last) = part.last_mut()
    {
        *last = '…';
    }
    (part.into_iter().collect(), column - skipped)
}

/// Everything that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileError {
    /// By file and place, never empty. The profile's own come first, then those of its bases.
    pub errors: Vec<Diagnostic>,
    /// What is odd besides.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warnings = self.warnings.iter().map(|warning| warning.render("warning"));
        let errors = self.errors.iter().map(|error| error.render("error"));
        for (number, text) in errors.chain(warnings).enumerate() {
            if number > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(&text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cropped_around_the_column() {
        let diagnostic = Diagnostic {
            file: "a.yaml".to_string(),
            line: 7,
            column: 301,
            width: 5,
            source: Some(format!("{}wrong{}", "x".repeat(300), "y".repeat(300))),
            message: "no".to_string(),
            help: None,
        };
        let text = diagnostic.render("error");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() < 120), "{text}");
        let caret = lines[2].find("^^^^^").expect("a caret of the width");
        let above: String = lines[1].chars().skip(caret).take(5).collect();
        assert_eq!(above, "wrong");
    }
}
