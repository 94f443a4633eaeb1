use std::collections::BTreeMap;

use super::{Gpu, Held};

/// Which GPUs each node is given, by the names of the nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::providers::kind) struct Shares(BTreeMap<String, Vec<String>>);

impl Shares {
    /// The ids of the GPUs of the node `name`.
    pub(in crate::providers::kind) fn of(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The GPUs that may be given to nodes: whole ones that no other cluster has.
pub(in crate::providers::kind) fn free<'a>(gpus: &'a [Gpu], held: &[Held]) -> Vec<&'a Gpu> {
    let is_free = |gpu: &&Gpu| !gpu.partitioned && held.iter().all(|held| held.gpu != gpu.id);
    gpus.iter().filter(is_free).collect()
}

/// Gives each of `nodes` as many GPUs as it asks for, each GPU to one node alone, in the order of both lists; `None`
/// when there are too few.
pub(in crate::providers::kind) fn split(nodes: &[(String, u32)], free: &[&Gpu]) -> Option<Shares> {
    let mut left = free.iter();
    let mut shares = BTreeMap::new();
    for (node, count) in nodes {
        let ids: Vec<String> = left.by_ref().take(*count as usize).map(|gpu| gpu.id.clone()).collect();
        if ids.len() < *count as usize {
            return None;
        }
        shares.insert(node.clone(), ids);
    }
    Some(Shares(shares))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(id: &str) -> Gpu {
        Gpu { id: id.to_string(), name: String::new(), partitioned: false }
    }

    #[test]
    fn no_two_nodes_get_the_same_gpu_and_none_gets_less_than_it_asks_for() {
        let gpus = [gpu("a"), gpu("b"), gpu("c")];
        let free: Vec<&Gpu> = gpus.iter().collect();
        let nodes = |counts: &[u32]| -> Vec<(String, u32)> {
            counts.iter().enumerate().map(|(index, count)| (format!("n{index}"), *count)).collect()
        };
        let shares = split(&nodes(&[2, 1]), &free).expect("enough");
        assert_eq!(
            (shares.of("n0"), shares.of("n1")),
            (&["a".to_string(), "b".to_string()][..], &["c".to_string()][..])
        );
        assert_eq!(shares.of("other"), [""; 0]);
        assert_eq!(split(&nodes(&[2, 2]), &free), None);
    }

    #[test]
    fn what_is_in_parts_or_another_clusters_is_not_free() {
        let parts = Gpu { partitioned: true, ..gpu("a") };
        let gpus = [parts, gpu("b"), gpu("c")];
        let held = [Held { gpu: "b".to_string(), cluster: "other".to_string() }];
        assert_eq!(free(&gpus, &held), [&gpus[2]]);
    }
}
