//! Durations, numbers and lists as people read them, and text cut to a width.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::base::{FaultKind, ResourceId};

/// `0.4 s`, `12.3 s`, `3 min 04 s`, `1 h 02 min`.
pub fn duration(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{} s", tenths % 10),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// [`duration`] of milliseconds.
pub fn milliseconds(time: u64) -> String {
    duration(Duration::from_millis(time))
}

/// `1,234,567`.
pub fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 change`, `1,200 changes`.
pub fn count(value: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) if !noun.ends_with("ay") && !noun.ends_with("ey") => format!("{stem}ies"),
        _ => format!("{noun}s"),
    };
    format!("{} {}", number(value), if value == 1 { noun } else { &plural })
}

/// `1 thing is`, `2 things are`: a count of things with the words that go with one and with many.
pub fn things(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(value, "thing"), if value == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_string(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// A resource as people call it: `cluster kwok/lab`, `node groups`, `addon traefik`.
pub fn resource(id: &ResourceId) -> String {
    resource_name(id.as_str())
}

/// [`resource`] of an id in a plan.
pub fn resource_name(id: &str) -> String {
    match id.split_once('/') {
        None if id == "leftovers" => "what left the profile".to_string(),
        Some((layer, rest)) => format!("{} {rest}", layer.replace('-', " ")),
        None => id.replace('-', " "),
    }
}

/// `throttled: ` where the other side asked for fewer calls, to put before what it said.
pub fn throttled(kind: FaultKind) -> &'static str {
    if kind == FaultKind::Throttled { "throttled: " } else { "" }
}

/// How many columns `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` with spaces behind it up to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` on one line: control characters, which could move the cursor, become spaces.
pub fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` in at most `columns` columns, with `…` where it was cut, and [tame](tame()).
pub fn cut(text: &str, columns: usize) -> String {
    let text = tame(text);
    if width(&text) <= columns {
        return text;
    }
    let mut kept = String::new();
    let mut taken = 0;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken + 1 > columns {
            break;
        }
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The words of `text` in lines of at most `columns` columns; its own line ends are kept.
/// A word that is longer than a line stays whole, so that it can be copied.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = indent.clone();
        let mut empty = true;
        for word in paragraph.split_whitespace() {
            if !empty && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        lines.push(line);
    }
    lines
}

/// `text` as an item of a list: two spaces in front, four where it goes on.
pub fn item(text: &str, columns: usize) -> String {
    let lines = wrap(text, columns.saturating_sub(4).max(20));
    lines.iter().enumerate().fold(String::new(), |mut item, (index, line)| {
        item.push_str(if index == 0 { "  " } else { "    " });
        item.push_str(line);
        item.push('\n');
        item
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        for (milliseconds_, text) in [
            (0, "0.0 s"),
            (40, "0.0 s"),
            (430, "0.4 s"),
            (12_340, "12.3 s"),
            (59_960, "1 min 00 s"),
            (184_000, "3 min 04 s"),
            (3_725_000, "1 h 02 min"),
        ] {
            assert_eq!(milliseconds(milliseconds_), text);
        }
    }

    #[test]
    fn counts_have_separators_and_plurals() {
        assert_eq!(count(1, "change"), "1 change");
        assert_eq!(count(0, "change"), "0 changes");
        assert_eq!(count(1_234_567, "object"), "1,234,567 objects");
        assert_eq!(count(2, "policy"), "2 policies");
        assert_eq!(count(2, "day"), "2 days");
    }

    #[test]
    fn a_verb_goes_with_its_count() {
        assert_eq!(things(1, "is", "are"), "1 thing is");
        assert_eq!(things(2, "is", "are"), "2 things are");
    }

    #[test]
    fn lists_end_with_and() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn text_is_cut_by_columns_and_cannot_move_the_cursor() {
        assert_eq!(cut("node group", 10), "node group");
        assert_eq!(cut("node groups", 10), "node grou…");
        assert_eq!(cut("日本語の名前", 7), "日本語…");
        assert_eq!(cut("a\u{1b}[2Jb\nc", 20), "a [2Jb c");
    }

    #[test]
    fn wrapping_keeps_long_words_and_line_ends() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("a\nb", 8), ["a", "b"]);
        assert_eq!(wrap("averylongword x", 5), ["averylongword", "x"]);
    }
}
