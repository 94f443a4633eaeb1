//! What the machine types of the clouds offer: a table with its source in it.

use std::sync::LazyLock;

use super::nearest::nearest;
use crate::base::{ProviderKind, Quantity};

/// The table: one line per size, `PROVIDER NAME CPU MEMORY_GIB GPUS ARCHITECTURE`; `#` begins a comment.
const TABLE: &str = include_str!("machines.txt");

/// A machine type.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub name: String,
    /// `None` for what stands for a machine without a type.
    pub provider: Option<ProviderKind>,
    pub cpu: Quantity,
    pub memory: Quantity,
    pub gpus: u32,
    pub architecture: String,
}

impl Machine {
    /// What a machine without a type offers: a node of kind, kwok or a cluster that is there.
    pub fn standard() -> Self {
        Self {
            name: "standard".to_string(),
            provider: None,
            cpu: quantity("8"),
            memory: quantity("32Gi"),
            gpus: 0,
            architecture: "amd64".to_string(),
        }
    }
}

fn quantity(text: &str) -> Quantity {
    text.parse().expect("the quantities of the table are well formed: a test reads them all")
}

static MACHINES: LazyLock<Vec<[&'static str; 6]>> = LazyLock::new(|| {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok())
        .collect()
});

/// What a machine type offers, when the table knows it.
pub(super) fn machine(name: &str) -> Option<Machine> {
    if name == "standard" {
        return Some(Machine::standard());
    }
    let [provider, name, cpu, memory, gpus, architecture] = *MACHINES.iter().find(|row| row[1] == name)?;
    Some(Machine {
        name: name.to_string(),
        provider: Some(provider_kind(provider)),
        cpu: quantity(cpu),
        memory: quantity(&format!("{memory}Gi")),
        gpus: gpus.parse().unwrap_or(0),
        architecture: architecture.to_string(),
    })
}

fn provider_kind(name: &str) -> ProviderKind {
    if name == "gke" { ProviderKind::Gke } else { ProviderKind::Eks }
}

/// Types of the provider that somebody who typed `name` may have meant.
pub(super) fn nearest_machines(name: &str, provider: ProviderKind) -> Vec<&'static str> {
    let of_provider = || {
        let rows = MACHINES.iter().filter(|row| provider_kind(row[0]) == provider);
        rows.map(|row| row[1])
    };
    let mut near: Vec<&str> = nearest(name, of_provider()).into_iter().collect();
    // Another size of the same family.
    let family = |name: &str| name.rfind(['.', '-']).map(|end| name[..=end].to_string());
    if near.is_empty()
        && let Some(family) = family(name)
    {
        near.extend(of_provider().filter(|known| known.starts_with(&family)).take(2));
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_whole() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        assert_eq!(lines.count(), MACHINES.len());
        let mut names = std::collections::HashSet::new();
        for row in MACHINES.iter() {
            let known = machine(row[1]).expect("in the table");
            assert!(names.insert(row[1]), "{} stands twice", row[1]);
            assert!(matches!(row[0], "eks" | "gke") && matches!(row[5], "amd64" | "arm64"), "{row:?}");
            assert_eq!(known.gpus.to_string(), row[4]);
            assert!(known.cpu.thousandths() >= 1000 && known.memory > known.cpu, "{row:?}");
        }
    }

    #[test]
    fn a_slip_finds_the_type_or_its_family() {
        assert_eq!(nearest_machines("m7i.lage", ProviderKind::Eks), ["m7i.large"]);
        assert!(nearest_machines("m7i.3xlarge", ProviderKind::Eks)[0].starts_with("m7i."));
        assert!(nearest_machines("quantum", ProviderKind::Gke).is_empty());
    }
}
