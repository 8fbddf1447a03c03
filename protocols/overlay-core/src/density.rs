//! How densely nodes stand on the ring, and whether an answer is as dense: the routing
//! failure test (P35; Castro et al., *Secure routing*, section 5.2).
//!
//! Bad nodes that answer with their own kind name nodes that stand 1/f times as far apart
//! as all nodes do. Own keys made up for a place on the ring are not seen by that: the test
//! is as good as the cost of making identifiers.

use guid::Guid;

use crate::Contact;

/// Answers remembered: 15 with 16 gaps each leave little to chance, in 120 bytes.
const REMEMBERED: usize = 15;

/// However sparse believed answers are, they do not make a node believe in more than this
/// many times what it sees around itself, or lies could be led from one to the next.
const FARTHEST: f64 = 2.0;

/// Nodes that make a mean worth something.
pub(crate) const FEWEST: usize = 4;

/// Distances between nodes, as shares of the ring.
#[derive(Clone, Debug, Default)]
pub(crate) struct Density {
    believed: Vec<f64>,
}

impl Density {
    /// Whether nodes may stand `gap` apart, where those around this one stand `own` apart.
    pub(crate) fn allows(&self, gap: f64, own: f64, percent: u32) -> bool {
        let mut all = self.believed.clone();
        all.push(own);
        all.sort_unstable_by(f64::total_cmp);
        let usual = all[all.len() / 2].min(own * FARTHEST);
        gap <= usual * f64::from(percent) / 100.0
    }

    /// Remembers an answer that was believed.
    pub(crate) fn note(&mut self, gap: f64) {
        if self.believed.len() == REMEMBERED {
            self.believed.remove(0);
        } else {
            self.believed.reserve_exact(1);
        }
        self.believed.push(gap);
    }
}

/// How far apart nodes around `centre` stand on average, as a share of the ring; `None` for
/// too few to say.
pub(crate) fn mean_gap<'a, P: 'a>(
    centre: Guid,
    nodes: impl Iterator<Item = &'a Contact<P>>,
) -> Option<f64> {
    // Signed: an identifier before the centre is as near as one behind it.
    let offset = |guid: Guid| guid.as_u128().wrapping_sub(centre.as_u128()) as i128 as f64;
    let mut offsets: Vec<f64> = nodes.map(|node| offset(node.guid)).collect();
    offsets.sort_unstable_by(f64::total_cmp);
    offsets.dedup();
    let (first, last) = (offsets.first()?, offsets.last()?);
    let gaps = offsets.len() - 1;
    (gaps + 1 >= FEWEST).then(|| (last - first) / gaps as f64 / 2f64.powi(128))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(guids: &[u128]) -> Vec<Contact<u128>> {
        let contact = |guid: &u128| Contact {
            guid: Guid::new(*guid),
            peer: *guid,
            addrs: crate::Addrs::default(),
        };
        guids.iter().map(contact).collect()
    }

    proptest! {
        #[test]
        fn a_gap_is_the_same_anywhere_on_the_ring(centre in any::<u128>(), step in 1u128..1 << 100, count in 4u128..17) {
            let all: Vec<u128> = (0..count).map(|at| centre.wrapping_add(step * at).wrapping_sub(step * 3)).collect();
            let gap = mean_gap(Guid::new(centre), nodes(&all).iter()).expect("enough");
            let expected = step as f64 / 2f64.powi(128);
            prop_assert!((gap / expected - 1.0).abs() < 1e-6);
        }

        #[test]
        fn believed_lies_lead_no_farther_than_a_leaf_set_does(lies in prop::collection::vec(1.0f64..100.0, 0..50)) {
            let mut density = Density::default();
            for lie in lies {
                if density.allows(lie, 1.0, 170) {
                    density.note(lie);
                }
            }
            prop_assert!(!density.allows(FARTHEST * 1.7 + 0.01, 1.0, 170));
            prop_assert!(density.allows(1.0, 1.0, 170));
            prop_assert!(density.believed.len() <= REMEMBERED);
        }
    }

    #[test]
    fn three_nodes_say_nothing() {
        assert!(mean_gap(Guid::new(0), nodes(&[1, 2, 3]).iter()).is_none());
    }
}
