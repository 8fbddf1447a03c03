//! Keeping the sets fresh: heartbeats, table probes, row exchange (P9, P16 to P18).

use rand::Rng;

use crate::message::Part;
use crate::timers::Timer;
use crate::{Message, Overlay, Peer, State, Time};

/// Table entries asked in one round, so that a large table is no burst.
const PINGS_A_ROUND: usize = 32;

/// Rounds in which the table's period is spent.
const ROUNDS_A_PERIOD: u32 = 4;

/// Heartbeats after which a round begins at the latest.
const HEARTBEATS_A_ROUND: u32 = 2;

/// Periods after which members of the other sets are asked, but no longer than the table
/// has at most.
const OTHERS_PERIODS: u32 = 4;

impl<P: Peer> Overlay<P> {
    /// One neighbour is told, the other watched: each node hears and is heard once per
    /// period, however wide the leaf set (MSPastry).
    pub(crate) fn handle_heartbeat_due(&mut self, now: Time) {
        let period = self.config.heartbeat;
        self.timers.set(Timer::Heartbeat, now + period);
        if let Some(left) = self.leafs.smaller().first().cloned() {
            // Whatever went there in the last half period says as much.
            if self
                .peers
                .get(&left.peer)
                .is_none_or(|peer| now.since(peer.told) > period / 2)
            {
                self.send(now, &left, Message::Heartbeat);
            }
        }
        self.watch_right(now);
    }

    /// Probes the right neighbour once its heartbeat is overdue, and comes back at the
    /// moment when it will be.
    pub(crate) fn watch_right(&mut self, now: Time) {
        let Some(right) = self.leafs.larger().first().cloned() else {
            return;
        };
        // It skips a heartbeat it sent other things for, which makes one and a half
        // periods between two at most.
        let longest = self.config.heartbeat * 3 / 2 + self.config.probe_timeout;
        let heard = self.peers.get(&right.peer).map(|peer| peer.heard);
        match heard.map(|heard| heard + longest) {
            Some(overdue) if now < overdue => self.timers.set(Timer::Watch, overdue),
            _ => self.probe(now, &right, true, false),
        }
    }

    /// Asks the members not heard of for long. Any message counts as hearing. Leafs are
    /// watched by their neighbours, and neighbours by distance seldom route: both are asked
    /// less often than the table's.
    pub(crate) fn handle_table_probe_due(&mut self, now: Time) {
        self.tune_probe_period(now);
        let period = self.probe_period();
        self.set_table_probe(now);
        let silent: Vec<_> = self
            .members()
            .into_iter()
            .filter(|contact| {
                let heard = self.peers.get(&contact.peer).map(|peer| peer.heard);
                let allowed = match self.table.contains(contact.guid) {
                    true => period,
                    false => (period * OTHERS_PERIODS).min(self.config.table_probe),
                };
                heard.is_none_or(|heard| now.since(heard) > allowed)
            })
            .take(PINGS_A_ROUND)
            .collect();
        for contact in silent {
            self.probe(now, &contact, false, false);
        }
        // Who called first and has not said how far away it is did not get the answer, and
        // may have given this node up (P13).
        for leaf in self.leafs.members() {
            if self.rtt(leaf.peer).is_none() {
                self.probe(now, &leaf, true, false);
            }
        }
        if now.since(self.pace.compared) >= period {
            self.pace.compared = now;
            self.compare_leaf_sets(now);
        }
        self.forget_strangers();
        self.failed.retain(|_, until| *until > now);
    }

    /// Drops what is known of nodes that stand in no set and are not being asked.
    pub(crate) fn forget_strangers(&mut self) {
        let mut peers = std::mem::take(&mut self.peers);
        peers.retain(|peer| {
            peer.probing().is_some()
                || self.is_member(peer.contact.guid)
                || self.joining.seeds.contains_key(&peer.contact.peer)
        });
        self.peers = peers;
    }

    /// Shows its leaf set to a random leaf and sees that one's. What was missed while many
    /// came and went at once is noticed sooner or later.
    fn compare_leaf_sets(&mut self, now: Time) {
        let leafs = self.leafs.members();
        if !leafs.is_empty() {
            let leaf = &leafs[self.random_below(leafs.len())];
            self.probe(now, leaf, true, false);
        }
    }

    /// When the members are looked over next: often enough to see that nodes die faster.
    pub(crate) fn set_table_probe(&mut self, now: Time) {
        let round = self.probe_period() / ROUNDS_A_PERIOD;
        let wait = round.min(self.config.heartbeat * HEARTBEATS_A_ROUND);
        self.timers.set(Timer::TableProbe, now + wait);
    }

    /// Compares a row and the neighbourhood set with those of a random member.
    pub(crate) fn handle_row_exchange_due(&mut self, now: Time) {
        self.timers
            .set(Timer::RowExchange, now + self.config.row_exchange);
        let rows = self.table.used_rows();
        if rows > 0 {
            let row = self.random_below(rows);
            let cells: Vec<_> = self
                .table
                .row(row)
                .map(|entry| entry.contact.clone())
                .collect();
            if !cells.is_empty() {
                let partner = cells[self.random_below(cells.len())].clone();
                self.ask_for_state(now, &partner, Part::Row(row as u8));
            }
        }
        self.ask_for_neighbours(now);
    }

    /// One of the neighbours names his own: for one that is gone, or in passing (P17).
    pub(crate) fn ask_for_neighbours(&mut self, now: Time) {
        let near = self.near.entries().len();
        if near > 0 && self.state == State::Active {
            let at = self.random_below(near);
            let partner = self.near.entries()[at].contact.clone();
            self.ask_for_state(now, &partner, Part::Near);
        }
    }

    pub(crate) fn random_below(&mut self, count: usize) -> usize {
        (self.rng.next_u64() % count as u64) as usize
    }

    /// Repairs a row that lost an entry: another node of the row is asked, or of the rows
    /// below, which share the prefix too (Pastry, section 2.4).
    pub(crate) fn ask_for_row(&mut self, now: Time, row: usize) {
        let helper = (row..self.table.used_rows())
            .find_map(|row| self.table.row(row).next())
            .map(|entry| entry.contact.clone());
        if let Some(helper) = helper {
            self.ask_for_state(now, &helper, Part::Row(row as u8));
        }
    }
}
