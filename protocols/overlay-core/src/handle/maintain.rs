//! Keeping the sets fresh: heartbeats, table probes, row exchange (P9, P16 to P18).

use rand::Rng;

use crate::message::Part;
use crate::peers::MAX_HEAL_TRIES;
use crate::timers::Timer;
use crate::{Message, Overlay, Peer, Time};

/// Table entries asked in one round, so that a large table is no burst.
const PINGS_A_ROUND: usize = 16;

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

    /// Asks the members not heard of for long. Any message counts as hearing.
    pub(crate) fn handle_table_probe_due(&mut self, now: Time) {
        self.timers
            .set(Timer::TableProbe, now + self.config.table_probe / 4);
        let silent: Vec<_> = self
            .members()
            .into_iter()
            .filter(|contact| {
                let heard = self.peers.get(&contact.peer).map(|peer| peer.heard);
                heard.is_none_or(|heard| now.since(heard) > self.config.table_probe)
            })
            .take(PINGS_A_ROUND)
            .collect();
        for contact in silent {
            self.probe(now, &contact, false, false);
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
        let near = self.near.entries().len();
        if near > 0 {
            let at = self.random_below(near);
            let partner = self.near.entries()[at].contact.clone();
            self.ask_for_state(now, &partner, Part::Near);
        }
    }

    fn random_below(&mut self, count: usize) -> usize {
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

    /// A network that was cut in two finds itself again: one of those that seemed to die
    /// is asked whether it is back (P27).
    pub(crate) fn handle_heal_due(&mut self, now: Time) {
        self.timers.set(Timer::Heal, now + self.config.heal_period);
        if self.lost.is_empty() {
            return;
        }
        let at = self.random_below(self.lost.len());
        let Some(lost) = self.lost.values_mut().nth(at) else {
            return;
        };
        lost.tries += 1;
        let (contact, tries) = (lost.contact.clone(), lost.tries);
        if tries >= MAX_HEAL_TRIES {
            self.lost.remove(&contact.peer);
        }
        self.probe_once(now, &contact);
    }
}
