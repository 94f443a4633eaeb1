//! What `image load` shows.

use serde::Serialize;

use super::words::{count, tame};
use super::{Paint, Table};

/// The version of the JSON; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What was to be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Images {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Into the cluster of which environment.
    pub environment: String,
    /// In the order in which they were asked for.
    pub images: Vec<Image>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Its name, or its archive while that could not be read.
    pub image: String,
    /// The names under which pods ask for it.
    pub names: Vec<String>,
    /// Its digest, where it is known.
    pub id: Option<String>,
    /// What came of it on every node.
    pub nodes: Vec<OnNode>,
}

/// An image on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnNode {
    /// The node.
    pub node: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of an image on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was there before.
    Present,
    /// It is there now.
    Loaded,
    /// It is not there.
    Failed,
}

impl Images {
    /// A line for each image.
    pub fn text(&self, paint: Paint) -> String {
        let mut table = Table::new();
        for image in &self.images {
            let name = if image.names.is_empty() { image.image.clone() } else { image.names.join(", ") };
            table.row([tame(&name), image.words()]);
        }
        let lines = table.lines(|row, column, cell| match column {
            1 if self.images[row].number(Outcome::Failed) > 0 => paint.bad(&cell),
            1 => paint.good(&cell),
            _ => cell,
        });
        lines.join("\n")
    }
}

impl Image {
    fn number(&self, outcome: Outcome) -> usize {
        self.nodes.iter().filter(|node| node.outcome == outcome).count()
    }

    /// `loaded into 2 nodes, 1 node had it`.
    fn words(&self) -> String {
        let number = |outcome| count(self.number(outcome), "node");
        let mut words = Vec::new();
        if self.number(Outcome::Loaded) > 0 {
            words.push(format!("loaded into {}", number(Outcome::Loaded)));
        }
        if self.number(Outcome::Present) > 0 {
            let already = if words.is_empty() { " already" } else { "" };
            words.push(format!("{} had it{already}", number(Outcome::Present)));
        }
        if self.number(Outcome::Failed) > 0 {
            words.push(format!("FAILED on {}", number(Outcome::Failed)));
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_by_what_its_nodes_did() {
        let on = |outcome| OnNode { node: "lab-worker".to_string(), outcome, reason: None };
        let image = |outcomes: &[Outcome]| Image {
            image: "docker.io/library/hello:v1".to_string(),
            names: Vec::new(),
            id: None,
            nodes: outcomes.iter().map(|outcome| on(*outcome)).collect(),
        };
        use Outcome::{Failed, Loaded, Present};
        assert_eq!(image(&[Loaded, Loaded, Present]).words(), "loaded into 2 nodes, 1 node had it");
        assert_eq!(image(&[Present, Present]).words(), "2 nodes had it already");
        assert_eq!(image(&[Loaded, Failed]).words(), "loaded into 1 node, FAILED on 1 node");
    }
}
