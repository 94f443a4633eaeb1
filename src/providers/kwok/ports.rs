use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use super::folder::Folder;
use crate::base::{Fault, FaultKind};

/// The ports of a cluster's processes: a block of eight, of which not all are used.
///
/// kwokctl would pick the highest free ports at the moment, so two clusters that are made at the
/// same time would get the same ones. Blocks follow from where the cluster lies instead, below the
/// range from which Linux and macOS take the ports of outgoing connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ports {
    first: u16,
}

const LOWEST: u16 = 20_000;
const BLOCK: u16 = 8;
const BLOCKS: u16 = 1_500;

impl Ports {
    /// A block that nobody listens on, another one for each `attempt`.
    pub(super) fn free(folder: &Folder, attempt: u32) -> Result<Self, Fault> {
        (0..BLOCKS).map(|next| block(folder, attempt, next)).find(|ports| ports.are_free()).ok_or_else(|| {
            Fault::new(FaultKind::Quota, "find ports for the cluster", "all of 20000 to 31999 are in use")
                .hint("end programs that listen there and run the same command again")
        })
    }

    /// The port number `index` of the block.
    pub(super) fn at(self, index: u16) -> u16 {
        debug_assert!(index < BLOCK);
        self.first + index
    }

    fn are_free(self) -> bool {
        (0..BLOCK).all(|index| TcpListener::bind((Ipv4Addr::LOCALHOST, self.at(index))).is_ok())
    }
}

/// The block to try `next`, a different walk through all of them for each cluster and attempt.
fn block(folder: &Folder, attempt: u32, next: u16) -> Ports {
    let mut hasher = DefaultHasher::new();
    (folder.cluster_folder(), attempt).hash(&mut hasher);
    let start = u16::try_from(hasher.finish() % u64::from(BLOCKS)).expect("less than 1,500");
    Ports { first: LOWEST + (start + next) % BLOCKS * BLOCK }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Owner;
    use crate::providers::kwok::Dirs;

    fn folder() -> Folder {
        let dirs = Dirs { state: "/state".into(), cache: "/cache".into() };
        Folder::new(&dirs, &Owner { id: "id".to_string(), environment: "lab".to_string() })
    }

    #[test]
    fn a_block_in_use_is_passed_over() {
        let folder = folder();
        let first = Ports::free(&folder, 0).expect("some are free");
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, first.at(3))).expect("it was free");
        assert_ne!(Ports::free(&folder, 0), Ok(first));
        drop(held);
    }

    #[test]
    fn every_block_is_tried_and_stays_in_the_range() {
        let folder = folder();
        let all: std::collections::BTreeSet<u16> =
            (0..BLOCKS).map(|next| block(&folder, 0, next).first).collect();
        assert_eq!(all.len(), usize::from(BLOCKS));
        assert_eq!(all.first(), Some(&20_000));
        assert_eq!(all.last(), Some(&31_992));
    }
}
