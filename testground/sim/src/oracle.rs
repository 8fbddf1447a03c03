//! What nodes would know if they knew everything: the yardstick for what they do know.

use guid::{Base, Guid};

use crate::{Node, Sim};

/// Everyone active, by identifier. Nodes that share a prefix stand side by side.
pub struct Oracle<'a> {
    sim: &'a Sim,
    base: Base,
    guids: Vec<Guid>,
    nodes: Vec<Node>,
}

/// How the entries of one row are, on average of all nodes (Pastry, figure 7).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowQuality {
    /// The nearest node that fits.
    pub optimal: f64,
    /// Another node that fits.
    pub suboptimal: f64,
    /// No entry though somebody fits.
    pub missing: f64,
    /// No entry, and nobody fits or somebody does.
    pub empty: f64,
}

impl<'a> Oracle<'a> {
    /// The truth of this moment.
    pub fn new(sim: &'a Sim) -> Oracle<'a> {
        let (guids, nodes) = sim.ring().iter().unzip();
        Oracle {
            sim,
            base: sim.config().base(),
            guids,
            nodes,
        }
    }

    /// The nodes that share the first `digits` digits with `prefix`.
    fn sharing(&self, prefix: Guid, digits: usize) -> &[Node] {
        let bits = self.base.bits() * digits as u32;
        let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
        let first = Guid::new(prefix.as_u128() & !rest);
        let last = Guid::new(prefix.as_u128() | rest);
        let from = self.guids.partition_point(|guid| *guid < first);
        let to = self.guids.partition_point(|guid| *guid <= last);
        &self.nodes[from..to]
    }

    /// The node nearest to `node` of those that share the first `digits` digits with
    /// `prefix`.
    pub fn nearest_sharing(&self, node: Node, prefix: Guid, digits: usize) -> Option<Node> {
        let network = self.sim.network();
        self.sharing(prefix, digits)
            .iter()
            .copied()
            .filter(|other| *other != node)
            .min_by_key(|other| (network.latency(node, *other), *other))
    }

    /// How good the first `rows` rows are, averaged over some nodes.
    pub fn quality(&self, rows: usize, chosen: &[Node]) -> Vec<RowQuality> {
        let network = self.sim.network();
        let mut all = vec![RowQuality::default(); rows];
        for node in chosen {
            let me = self.sim.guid(*node);
            let Some(overlay) = self.sim.overlay(*node) else {
                continue;
            };
            let mut held = vec![None; rows * self.base.fanout()];
            for (row, column, contact) in overlay.table().filter(|(row, ..)| *row < rows) {
                held[row * self.base.fanout() + column] = Some(contact.peer);
            }
            for (row, quality) in all.iter_mut().enumerate() {
                for column in 0..self.base.fanout() {
                    if column == me.digit(row, self.base) {
                        continue;
                    }
                    let prefix = with_digit(me, row, column, self.base);
                    let best = self.nearest_sharing(*node, prefix, row + 1);
                    match (held[row * self.base.fanout() + column], best) {
                        (Some(entry), Some(best)) => {
                            let best = network.latency(*node, best);
                            if network.latency(*node, entry) <= best {
                                quality.optimal += 1.0;
                            } else {
                                quality.suboptimal += 1.0;
                            }
                        }
                        (Some(_), None) => quality.suboptimal += 1.0,
                        (None, best) => {
                            quality.empty += 1.0;
                            quality.missing += f64::from(u8::from(best.is_some()));
                        }
                    }
                }
            }
        }
        let count = chosen.len() as f64;
        for quality in &mut all {
            quality.optimal /= count;
            quality.suboptimal /= count;
            quality.missing /= count;
            quality.empty /= count;
        }
        all
    }

    /// The length of the way to a key in microseconds, and its hops, if every cell of
    /// every table held the nearest node there is for it.
    pub fn complete_route(&self, from: Node, key: Guid) -> (u64, usize) {
        let network = self.sim.network();
        let root = self.sim.ring().root(key).expect("somebody is active");
        let half = self.sim.config().leaf_set / 2;
        let (mut at, mut way, mut hops) = (from, 0, 0);
        while at != root {
            let next = if self.is_leaf(at, root, half) {
                root
            } else {
                let shared = self.sim.guid(at).shared_prefix(key, self.base);
                // Where nobody shares a digit more, the way to the root goes on by leaf
                // sets; the paper's tables have the same holes.
                self.nearest_sharing(at, key, shared + 1).unwrap_or(root)
            };
            way += network.latency(at, next);
            hops += 1;
            at = next;
        }
        (way, hops)
    }

    fn is_leaf(&self, node: Node, other: Node, half: usize) -> bool {
        let position = |node: Node| {
            let guid = self.sim.guid(node);
            self.guids.partition_point(|other| *other < guid)
        };
        let (a, b, count) = (position(node), position(other), self.guids.len());
        let apart = (a + count - b) % count;
        apart.min(count - apart) <= half
    }
}

/// `guid` with another digit in `row`; what follows does not matter.
fn with_digit(guid: Guid, row: usize, digit: usize, base: Base) -> Guid {
    let shift = 128 - base.bits() * (row as u32 + 1);
    let mask = (base.fanout() as u128 - 1) << shift;
    Guid::new(guid.as_u128() & !mask | (digit as u128) << shift)
}
