use std::collections::BTreeMap;

use super::hub::Hub;
use super::known_kind;
use super::live::Live;
use crate::base::Fault;
use crate::flow::Flow;

/// What nodes offer to pods once a set works: that its own pods run does not say so, since no pod at all is
/// where no node has the labels that they want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The extended resource: `nvidia.com/gpu`.
    pub resource: String,
    /// How much of it each node has to offer, by the labels of nodes.
    pub nodes: Vec<NodesOffer>,
}

/// Nodes that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodesOffer {
    /// What they carry.
    pub labels: BTreeMap<String, String>,
    /// How much each of them offers, or more.
    pub each: u64,
}

impl Offers {
    /// What is missing, in words; `None` once every node that is there offers what it should.
    pub(super) async fn missing(&self, hub: &Hub, flow: &Flow) -> Result<Option<String>, Fault> {
        if self.nodes.is_empty() {
            return Ok(None);
        }
        let kind = known_kind("v1", "Node").expect("nodes are built in");
        Ok(self.missing_of(&hub.list_all(&kind, flow).await?))
    }

    fn missing_of(&self, nodes: &[Live]) -> Option<String> {
        let mut lacking: Vec<String> = Vec::new();
        for group in &self.nodes {
            let of_group =
                |node: &&Live| group.labels.iter().all(|(key, value)| node.label(key) == Some(value));
            for node in nodes.iter().filter(of_group) {
                let offered = self.offered_by(node);
                if offered < group.each {
                    lacking.push(format!(
                        "node {} offers {offered} of {} {}",
                        node.name, group.each, self.resource
                    ));
                }
            }
        }
        lacking.sort();
        let more = match lacking.len() {
            0 => return None,
            1 => String::new(),
            2 => ", and 1 other too few".to_string(),
            many => format!(", and {} others too few", many - 1),
        };
        Some(lacking.swap_remove(0) + &more)
    }

    fn offered_by(&self, node: &Live) -> u64 {
        let offered = node.body["status"]["allocatable"][&self.resource].as_str();
        offered.and_then(|count| count.parse().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, group: &str, gpus: Option<&str>) -> Live {
        let mut body =
            json!({"metadata": {"name": name, "labels": {"group": group}}, "status": {"allocatable": {}}});
        if let Some(gpus) = gpus {
            body["status"]["allocatable"]["nvidia.com/gpu"] = json!(gpus);
        }
        Live::new(&known_kind("v1", "Node").expect("built in"), body)
    }

    fn missing(nodes: &[Live]) -> Option<String> {
        let labels = BTreeMap::from([("group".to_string(), "gpu".to_string())]);
        let nodes_offer = vec![NodesOffer { labels, each: 4 }];
        Offers { resource: "nvidia.com/gpu".to_string(), nodes: nodes_offer }.missing_of(nodes)
    }

    #[test]
    fn every_node_of_a_group_has_to_offer_its_share() {
        let whole = node("gpu-0", "gpu", Some("4"));
        assert_eq!(missing(&[whole.clone(), node("general-0", "general", None)]), None);
        let some = node("gpu-1", "gpu", Some("3"));
        assert_eq!(
            missing(&[whole, some.clone()]).as_deref(),
            Some("node gpu-1 offers 3 of 4 nvidia.com/gpu")
        );
        let several = missing(&[some, node("gpu-2", "gpu", None)]);
        assert!(several.is_some_and(|text| text.ends_with("of 4 nvidia.com/gpu, and 1 other too few")));
    }

    #[test]
    fn a_group_without_nodes_lacks_nothing() {
        assert_eq!(missing(&[]), None);
    }
}
