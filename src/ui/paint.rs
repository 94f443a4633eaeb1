use crate::base::ChangeKind;

/// Colours text, or leaves it alone. Only the 16 colours of every terminal are used, and nothing is
/// said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Text stays as it is.
    pub const PLAIN: Self = Self { on: false };
    /// Text is coloured.
    pub const COLOURED: Self = Self { on: true };

    /// Coloured when `on`.
    pub fn when(on: bool) -> Self {
        Self { on }
    }

    /// Headings and totals.
    pub fn strong(self, text: &str) -> String {
        self.code("1", text)
    }

    /// What matters less: times, reasons.
    pub fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    /// What is well, or new.
    pub fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// What changes, or wants attention.
    pub fn notice(self, text: &str) -> String {
        self.code("33", text)
    }

    /// What fails or goes.
    pub fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    /// What is going on.
    pub fn live(self, text: &str) -> String {
        self.code("36", text)
    }

    /// The colour of a kind of change.
    pub fn change(self, kind: ChangeKind, text: &str) -> String {
        match kind {
            ChangeKind::Create | ChangeKind::Start => self.good(text),
            ChangeKind::Update | ChangeKind::Adopt => self.notice(text),
            ChangeKind::Replace | ChangeKind::Delete | ChangeKind::Conflict => self.bad(text),
        }
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Paint::PLAIN.bad("broken"), "broken");
        assert_eq!(Paint::COLOURED.bad("broken"), "\u{1b}[31mbroken\u{1b}[0m");
    }
}
