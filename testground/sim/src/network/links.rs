//! What goes wrong between two nodes: loss, jitter, partitions (S7).

use std::collections::BTreeMap;
use std::time::Duration;

use overlay_core::Time;

use crate::Node;
use crate::dice::Dice;

/// Loss and delay of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    /// The share of messages that never arrive, from 0 to 1.
    pub loss: f64,
    /// Added to the latency: anything from nothing to this, all equally likely.
    pub jitter: Duration,
}

/// Nodes that do not hear others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// One side, in order: what it sends does not reach the rest.
    pub side: Vec<Node>,
    /// Whether what the rest sends does not reach the side either.
    pub both_ways: bool,
}

/// The links' state at the moment.
#[derive(Clone, Debug, Default)]
pub struct Links {
    everywhere: Rule,
    /// Links with rules of their own, by sender and receiver.
    single: BTreeMap<(Node, Node), Rule>,
    cuts: BTreeMap<u64, Cut>,
    next_cut: u64,
}

impl Links {
    /// The rule for all links that have none of their own.
    pub fn set_everywhere(&mut self, rule: Rule) {
        self.everywhere = rule;
    }

    /// The rule for one direction of one link; `None` for that of all.
    pub fn set_single(&mut self, from: Node, to: Node, rule: Option<Rule>) {
        match rule {
            Some(rule) => self.single.insert((from, to), rule),
            None => self.single.remove(&(from, to)),
        };
    }

    /// Cuts nodes off. The name is for [`Links::mend`].
    pub fn cut(&mut self, mut cut: Cut) -> u64 {
        cut.side.sort_unstable();
        self.next_cut += 1;
        self.cuts.insert(self.next_cut, cut);
        self.next_cut
    }

    /// Ends a cut.
    pub fn mend(&mut self, name: u64) {
        self.cuts.remove(&name);
    }

    /// Ends everything that goes wrong.
    pub fn heal(&mut self) {
        self.everywhere = Rule::default();
        self.single.clear();
        self.cuts.clear();
    }

    /// When a message sent now arrives; `None` when it is lost.
    pub(crate) fn carry(
        &self,
        now: Time,
        from: Node,
        to: Node,
        latency: u64,
        dice: &mut Dice,
    ) -> Option<Time> {
        let arrives = now + Duration::from_micros(latency);
        if !self.cuts.is_empty() && self.cuts.values().any(|cut| cut.parts(from, to)) {
            return None;
        }
        let rule = match self.single.is_empty() {
            true => &self.everywhere,
            false => self.single.get(&(from, to)).unwrap_or(&self.everywhere),
        };
        // Nothing is drawn where nothing goes wrong.
        if rule.loss > 0.0 && dice.happens(rule.loss) {
            return None;
        }
        if rule.jitter.is_zero() {
            return Some(arrives);
        }
        Some(arrives + rule.jitter.mul_f64(dice.unit()))
    }
}

impl Cut {
    fn parts(&self, from: Node, to: Node) -> bool {
        let sender = self.side.binary_search(&from).is_ok();
        let receiver = self.side.binary_search(&to).is_ok();
        sender != receiver && (sender || self.both_ways)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Purpose;

    #[test]
    fn a_cut_stops_one_direction_or_both_until_it_is_mended() {
        let mut dice = Dice::new(1, Purpose::Links);
        let mut links = Links::default();
        let arrives = |links: &Links, from, to, dice: &mut Dice| {
            links.carry(Time::ZERO, from, to, 5, dice).is_some()
        };
        let cut = links.cut(Cut {
            side: vec![3, 1],
            both_ways: false,
        });
        assert!(!arrives(&links, 1, 2, &mut dice));
        assert!(arrives(&links, 2, 1, &mut dice));
        assert!(arrives(&links, 1, 3, &mut dice));
        links.mend(cut);
        assert!(arrives(&links, 1, 2, &mut dice));
        links.cut(Cut {
            side: vec![1],
            both_ways: true,
        });
        assert!(!arrives(&links, 2, 1, &mut dice));
        links.heal();
        assert!(arrives(&links, 2, 1, &mut dice));
    }

    #[test]
    fn loss_is_the_share_that_was_asked_for_and_one_link_may_have_its_own() {
        let mut dice = Dice::new(1, Purpose::Links);
        let mut links = Links::default();
        links.set_everywhere(Rule {
            loss: 0.3,
            jitter: Duration::from_micros(10),
        });
        links.set_single(1, 2, Some(Rule::default()));
        let mut lost = 0;
        for _ in 0..10_000 {
            match links.carry(Time::ZERO, 2, 1, 5, &mut dice) {
                None => lost += 1,
                Some(at) => assert!((5..=15).contains(&at.as_micros())),
            }
            assert_eq!(
                links.carry(Time::ZERO, 1, 2, 5, &mut dice),
                Some(Time::from_micros(5))
            );
        }
        assert!((2_850..3_150).contains(&lost), "{lost}");
    }
}
