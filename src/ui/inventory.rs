//! The end of `down`: what is left of an environment, found by its owner mark.

use super::words::{count, tame};
use super::{Paint, Table};

/// So many things are named: one is enough to see what holds the rest.
const MOST_ROWS: usize = 40;

/// What still carries the owner mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Inventory {
    /// What stays on purpose, with the reason.
    pub kept: Vec<(String, String)>,
    /// What should be gone and is not, with what is known of it.
    pub left: Vec<(String, String)>,
    /// Whether anything of it was there to be removed.
    #[serde(skip)]
    pub was_there: bool,
}

impl Inventory {
    /// The inventory as text.
    pub fn text(&self, environment: &str, paint: Paint) -> String {
        let mut text = String::new();
        if self.left.is_empty() {
            let line = match (self.kept.is_empty(), self.was_there) {
                (true, _) => format!("{environment} is gone: nothing is left"),
                (false, true) => format!("{environment} is gone: nothing is left but what is kept"),
                (false, false) => format!("nothing of {environment} is there but what is kept"),
            };
            text.push_str(&format!("{}\n", paint.good(&line)));
        } else {
            let line = format!("{} of {environment} left:", count(self.left.len(), "thing"));
            text.push_str(&format!("{}\n", paint.bad(&line)));
        }
        for (rows, word) in [(&self.left, "left"), (&self.kept, "kept")] {
            let mut table = Table::new();
            for (what, why) in rows.iter().take(MOST_ROWS) {
                table.row([word, what.as_str(), why.as_str()]);
            }
            for line in table.lines(|_, _, cell| cell) {
                // What holds a thing has to be read whole, however wide the terminal is.
                text.push_str(&format!("  {}\n", tame(&line)));
            }
            if rows.len() > MOST_ROWS {
                text.push_str(&format!("  and {} more\n", count(rows.len() - MOST_ROWS, "thing")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_says_that_nothing_is_left_or_what() {
        let mut inventory = Inventory::default();
        assert_eq!(inventory.text("lab", Paint::PLAIN), "lab is gone: nothing is left\n");
        inventory.kept.push(("registry ecr".to_string(), "`--registries` removes it".to_string()));
        assert_eq!(
            inventory.text("lab", Paint::PLAIN),
            "nothing of lab is there but what is kept\n  kept  registry ecr  `--registries` removes it\n"
        );
        inventory.was_there = true;
        let text = inventory.text("lab", Paint::PLAIN);
        assert!(text.starts_with("lab is gone: nothing is left but what is kept\n"), "{text}");
        inventory.left.push(("Namespace shop".to_string(), "a finalizer holds it".to_string()));
        assert!(
            inventory.text("lab", Paint::PLAIN).starts_with("1 thing of lab left:\n  left  Namespace shop")
        );
    }
}
