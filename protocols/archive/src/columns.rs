//! Choosing salts so that columns are at different nodes (H14).

use std::collections::BTreeSet;

use guid::Guid;
use libp2p_identity::PeerId;
use replicas::{Placement, PlacementError};

use crate::code::Rate;
use crate::names::column;

/// Fragments of a segment where there are nodes enough: with the half of them needed, what
/// Pond had.
pub const FRAGMENTS: usize = 32;

/// Salts tried for a column where this node knows who is closest to a place.
const TRIES: u32 = 4096;

/// Salts tried for a column where others have to be asked.
const ASKED_TRIES: u32 = 8;

/// Questions to others for all columns of an archive.
const MAX_ASKED: u32 = 256;

/// The salts of as many columns as there are nodes for, [`FRAGMENTS`] at most.
pub(crate) async fn choose(
    placement: &dyn Placement,
    series: Guid,
) -> Result<Vec<u32>, PlacementError> {
    let mut taken = BTreeSet::new();
    let mut salts = Vec::new();
    let mut asked = 0;
    for index in 0..FRAGMENTS as u8 {
        match free(placement, series, index, &mut taken, &mut asked).await? {
            Some(salt) => salts.push(salt),
            None => break,
        }
    }
    Ok(salts)
}

/// A salt that leads to a node without a column.
async fn free(
    placement: &dyn Placement,
    series: Guid,
    index: u8,
    taken: &mut BTreeSet<PeerId>,
    asked: &mut u32,
) -> Result<Option<u32>, PlacementError> {
    let mut asked_here = 0;
    for salt in 0..TRIES {
        let place = column(series, index, salt);
        let closest = match placement.local_replica_set(place, 1) {
            Some(set) => set,
            None if asked_here < ASKED_TRIES && *asked < MAX_ASKED => {
                asked_here += 1;
                *asked += 1;
                placement.replica_set(place, 1).await?
            }
            None => continue,
        };
        if let Some(node) = closest.first()
            && taken.insert(node.peer)
        {
            return Ok(Some(salt));
        }
    }
    Ok(None)
}

/// How many of so many fragments are needed: half of them. `None` where there are too few for
/// an archive to be worth anything.
pub(crate) fn rate_for(nodes: usize) -> Option<Rate> {
    Rate::new((nodes / 2).max(1), nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_nodes_are_needed() {
        for (nodes, needed) in [(2, 1), (3, 1), (4, 2), (9, 4), (31, 15), (32, 16)] {
            let rate = rate_for(nodes).unwrap();
            assert_eq!((rate.needed(), rate.fragments()), (needed, nodes));
        }
        assert_eq!(rate_for(0), None);
        assert_eq!(rate_for(1), None);
    }
}
