//! Who is asked for what (Z11 to Z16). It decides and does nothing else: it has no socket
//! and no clock. [`Client::handle`] takes what happened and gives what is to be done.

mod ask;
mod session;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use libp2p_identity::PeerId;
use lru::LruCache;
use tokio::time::Instant;

use crate::Config;
use crate::bounds::{FANOUT, MAX_GETS, MAX_SESSION_PEERS, MAX_SESSIONS, PIPELINE};
use crate::error::{GetError, Reason};
use crate::message::{Entry, Presence, WantType};
use ask::{Ask, Asked};
use session::Session;

/// Blocks that were asked for lately and may still come from somebody asked besides.
const RECENT: usize = 4096;

/// Peers that were left lately.
const LEFT: usize = 4096;

/// A session's name.
pub(crate) type SessionId = u64;

/// A get's name.
pub(crate) type GetId = u64;

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    Open(SessionId),
    Close(SessionId),
    AddPeer(SessionId, PeerId),
    Get(SessionId, GetId, Cid),
    Cancel(GetId),
    Presence(PeerId, Cid, Presence),
    /// A block; its bytes make this CID.
    Block(PeerId, Cid, Bytes),
    /// Bytes that are no block of a kind that is known here.
    Nonsense(PeerId),
    /// The peer speaks 1.1.0 only.
    Plain(PeerId),
    /// What was sent to it may not have arrived, and nothing more will.
    Failed(PeerId, String),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A line for the wantlist at a peer.
    Send(PeerId, Entry),
    /// The peer owes something from now on, or nothing more.
    Owes(PeerId, bool),
    /// The outcome of a get.
    Done(GetId, Result<Bytes, GetError>),
}

/// A block that is wanted.
struct Want {
    gets: Vec<(GetId, SessionId)>,
    asked: Asked,
}

/// What is known of a peer.
#[derive(Default)]
struct Peer {
    /// Blocks that it owes.
    owes: usize,
    /// Questions that it has not answered, blocks included.
    open: usize,
    /// Sessions that it belongs to.
    sessions: usize,
    /// It knows no want-have.
    plain: bool,
    /// When it last gave a block that it owed.
    gave: Option<Instant>,
}

pub(crate) struct Client {
    config: Config,
    sessions: HashMap<SessionId, Session>,
    gets: HashMap<GetId, Cid>,
    wants: HashMap<Cid, Want>,
    peers: HashMap<PeerId, Peer>,
    left: LruCache<PeerId, Instant>,
    recent: LruCache<Cid, ()>,
    outputs: Vec<Output>,
    pub(crate) duplicates: u64,
    pub(crate) unwanted: u64,
}

impl Client {
    pub(crate) fn new(config: Config) -> Client {
        let size = |size| NonZeroUsize::new(size).expect("not zero");
        Client {
            config,
            sessions: HashMap::new(),
            gets: HashMap::new(),
            wants: HashMap::new(),
            peers: HashMap::new(),
            left: LruCache::new(size(LEFT)),
            recent: LruCache::new(size(RECENT)),
            outputs: Vec::new(),
            duplicates: 0,
            unwanted: 0,
        }
    }

    /// Takes in what happened. `heard` says when a peer last sent anything.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        input: Input,
        heard: &dyn Fn(PeerId) -> Option<Instant>,
    ) -> Vec<Output> {
        match input {
            Input::Open(session) => {
                if self.sessions.len() < MAX_SESSIONS {
                    self.sessions.insert(session, Session::default());
                }
            }
            Input::Close(session) => self.on_close(now, session),
            Input::AddPeer(session, peer) => self.on_add_peer(now, session, peer),
            Input::Get(session, get, cid) => self.on_get(now, session, get, cid),
            Input::Cancel(get) => self.on_cancel(now, get),
            Input::Presence(peer, cid, presence) => self.on_presence(now, peer, cid, presence),
            Input::Block(peer, cid, bytes) => self.on_block(now, peer, cid, bytes),
            Input::Nonsense(peer) => self.on_unwanted(now, peer),
            Input::Plain(peer) => self.on_plain(now, peer),
            // Who owes nothing may come and go.
            Input::Failed(peer, _) if self.peers.get(&peer).is_none_or(|peer| peer.open == 0) => {}
            Input::Failed(peer, why) => self.leave(now, peer, &Reason::Unreachable(why)),
            Input::Tick => self.on_tick(now, heard),
        }
        #[cfg(debug_assertions)]
        self.check_invariants();
        std::mem::take(&mut self.outputs)
    }

    /// Blocks that are wanted. While there are none, time changes nothing.
    pub(crate) fn wanting(&self) -> usize {
        self.wants.len()
    }

    /// How often time has to be told: a fraction of the shortest patience.
    pub(crate) fn tick(&self) -> Duration {
        let config = &self.config;
        let shortest = config.have_timeout.min(config.stall_timeout);
        (shortest / 5).max(Duration::from_millis(10))
    }

    fn on_close(&mut self, now: Instant, session: SessionId) {
        let gets: Vec<GetId> = self
            .wants
            .values()
            .flat_map(|want| &want.gets)
            .filter(|(_, of)| *of == session)
            .map(|(get, _)| *get)
            .collect();
        for get in gets {
            self.on_cancel(now, get);
        }
        let Some(session) = self.sessions.remove(&session) else {
            return;
        };
        for peer in session.peers() {
            self.peer(peer).sessions -= 1;
            self.forget_idle(peer);
        }
    }

    fn on_add_peer(&mut self, now: Instant, id: SessionId, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.len() >= MAX_SESSION_PEERS || !session.add(peer) {
            return;
        }
        self.peer(peer).sessions += 1;
        for cid in self.wants_of(id) {
            self.advance(now, &cid);
        }
    }

    fn on_get(&mut self, now: Instant, session: SessionId, get: GetId, cid: Cid) {
        let refused = if !self.sessions.contains_key(&session) {
            Some(GetError::TooManySessions)
        } else if self.gets.len() >= MAX_GETS {
            Some(GetError::TooMany)
        } else {
            None
        };
        if let Some(error) = refused {
            self.outputs.push(Output::Done(get, Err(error)));
            return;
        }
        self.gets.insert(get, cid);
        let want = self.wants.entry(cid).or_insert_with(|| Want {
            gets: Vec::new(),
            asked: Asked::default(),
        });
        want.gets.push((get, session));
        self.advance(now, &cid);
    }

    fn on_cancel(&mut self, now: Instant, get: GetId) {
        let Some(cid) = self.gets.remove(&get) else {
            return;
        };
        let Some(want) = self.wants.get_mut(&cid) else {
            return;
        };
        want.gets.retain(|(waiting, _)| *waiting != get);
        if want.gets.is_empty() {
            self.finish(&cid, None);
            self.fill(now);
        }
    }

    fn on_presence(&mut self, now: Instant, peer: PeerId, cid: Cid, presence: Presence) {
        let Some(want) = self.wants.get_mut(&cid) else {
            return;
        };
        match (presence, want.asked.state(&peer)) {
            (Presence::Have, Some(Ask::Have(_))) => {
                self.set(&cid, peer, Ask::Has);
            }
            (Presence::DontHave, Some(Ask::Have(_) | Ask::Has | Ask::Block { .. })) => {
                self.set(&cid, peer, Ask::Over(Reason::Missing));
            }
            // Nobody has asked it, or it repeats itself.
            _ => return,
        }
        self.advance(now, &cid);
        self.fill(now);
    }

    fn on_block(&mut self, now: Instant, peer: PeerId, cid: Cid, bytes: Bytes) {
        let Some(want) = self.wants.get(&cid) else {
            if self.recent.contains(&cid) {
                self.duplicates += 1;
            } else {
                self.on_unwanted(now, peer);
            }
            return;
        };
        if matches!(want.asked.state(&peer), Some(Ask::Block { .. })) {
            self.peer(peer).gave = Some(now);
        }
        let want = &self.wants[&cid];
        // What somebody gives unasked is welcome if it is right.
        let sessions: Vec<SessionId> = want.gets.iter().map(|(_, session)| *session).collect();
        for session in sessions {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.delivered(peer);
            }
        }
        let gets = std::mem::take(&mut self.wants.get_mut(&cid).expect("just found").gets);
        self.finish(&cid, Some(peer));
        for (get, _) in gets {
            self.gets.remove(&get);
            self.outputs.push(Output::Done(get, Ok(bytes.clone())));
        }
        self.fill(now);
    }

    /// Something came that nobody asked for (Z14).
    fn on_unwanted(&mut self, now: Instant, peer: PeerId) {
        self.unwanted += 1;
        if self.peers.get(&peer).is_some_and(|peer| peer.owes > 0) {
            self.leave(now, peer, &Reason::Lied);
        }
    }

    /// Whom it was asked whether it has something is asked for it (Z16).
    fn on_plain(&mut self, now: Instant, peer: PeerId) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        self.peer(peer).plain = true;
        for cid in self.asked_of(peer, |ask| matches!(ask, Ask::Have(_))) {
            self.set(&cid, peer, Ask::Has);
            self.advance(now, &cid);
        }
    }

    fn on_tick(&mut self, now: Instant, heard: &dyn Fn(PeerId) -> Option<Instant>) {
        let config = &self.config;
        let mut silent: Vec<PeerId> = Vec::new();
        for want in self.wants.values() {
            for (peer, ask) in want.asked.iter() {
                let since =
                    |at: Instant, event: Option<Instant>| event.map_or(at, |event| event.max(at));
                let late = match ask {
                    // An answer may be on its way behind blocks.
                    Ask::Have(at) => {
                        now >= since(*at, heard(*peer)) + config.have_timeout
                            || now >= *at + config.block_timeout
                    }
                    // Blocks come one after the other: the time of one begins when the one
                    // before is here. But it has no more times than there are before it.
                    Ask::Block { at, before } => {
                        let gave = self.peers.get(peer).and_then(|peer| peer.gave);
                        let times = u32::try_from(*before).unwrap_or(u32::MAX).saturating_add(1);
                        now >= since(*at, heard(*peer)) + config.stall_timeout
                            || now >= since(*at, gave) + config.block_timeout
                            || now >= *at + config.block_timeout.saturating_mul(times)
                    }
                    Ask::Has | Ask::Over(_) => false,
                };
                if late && !silent.contains(peer) {
                    silent.push(*peer);
                }
            }
        }
        for peer in silent {
            self.leave(now, peer, &Reason::Timeout);
        }
    }

    /// Asks a peer for nothing more for a while (Z13).
    fn leave(&mut self, now: Instant, peer: PeerId, why: &Reason) {
        let avoid_for = match why {
            Reason::Unreachable(_) => self.config.retry_after,
            _ => self.config.avoid_for,
        };
        self.left.put(peer, now + avoid_for);
        for session in self.sessions.values_mut() {
            session.failed(peer);
        }
        let asked = self.asked_of(peer, |ask| !matches!(ask, Ask::Over(_)));
        for cid in &asked {
            if !matches!(why, Reason::Unreachable(_)) {
                self.send(peer, Entry::cancel(*cid));
            }
            self.set(cid, peer, Ask::Over(why.clone()));
        }
        for cid in &asked {
            self.advance(now, cid);
        }
        self.fill(now);
        self.forget_idle(peer);
    }

    /// Does what is next for a block (Z12).
    fn advance(&mut self, now: Instant, cid: &Cid) {
        let Some(want) = self.wants.get(cid) else {
            return;
        };
        if want
            .asked
            .iter()
            .any(|(_, ask)| matches!(ask, Ask::Block { .. }))
        {
            return;
        }
        let (mut candidates, mut proven) = (Vec::new(), Vec::new());
        let mut waits = false;
        for (_, session) in &want.gets {
            let Some(session) = self.sessions.get(session) else {
                continue;
            };
            for peer in session.peers() {
                let known = self.peers.get(&peer);
                let owes = known.map_or(0, |known| known.owes);
                let plain = known.is_some_and(|known| known.plain);
                match want.asked.state(&peer) {
                    Some(Ask::Over(_) | Ask::Have(_) | Ask::Block { .. }) => {}
                    None if is_left(&mut self.left, now, peer) => {}
                    Some(Ask::Has) => proven.push((owes, peer)),
                    None if session.has_delivered(peer) || plain => proven.push((owes, peer)),
                    None => candidates.push(peer),
                }
            }
        }
        proven.sort_by_key(|(owes, _)| *owes);
        if let Some((owes, peer)) = proven.first().copied() {
            if owes < PIPELINE {
                self.ask(now, cid, peer, WantType::Block);
                return;
            }
            // `fill` comes back to it when the peer owes less.
            waits = true;
        }
        let asking = want
            .asked
            .iter()
            .filter(|(_, ask)| matches!(ask, Ask::Have(_)))
            .count();
        if !waits {
            for peer in candidates.iter().take(FANOUT.saturating_sub(asking)) {
                self.ask(now, cid, *peer, WantType::Have);
            }
        }
        if !waits && asking == 0 && candidates.is_empty() {
            self.fail(cid);
        }
    }

    /// Goes on with the blocks that wait for a peer to owe less.
    fn fill(&mut self, now: Instant) {
        let waiting: Vec<Cid> = self
            .wants
            .iter()
            .filter(|(_, want)| {
                !want
                    .asked
                    .iter()
                    .any(|(_, ask)| matches!(ask, Ask::Block { .. } | Ask::Have(_)))
            })
            .map(|(cid, _)| *cid)
            .collect();
        for cid in waiting {
            self.advance(now, &cid);
        }
    }

    fn ask(&mut self, now: Instant, cid: &Cid, peer: PeerId, want: WantType) {
        let ask = match want {
            WantType::Have => Ask::Have(now),
            WantType::Block => Ask::Block {
                at: now,
                before: self.peers.get(&peer).map_or(0, |peer| peer.owes),
            },
        };
        self.send(peer, Entry::want(*cid, want));
        self.set(cid, peer, ask);
    }

    /// Nobody is left to ask (Z15).
    fn fail(&mut self, cid: &Cid) {
        let Some(want) = self.wants.get_mut(cid) else {
            return;
        };
        let gets = std::mem::take(&mut want.gets);
        let asked: Vec<(PeerId, Reason)> = want
            .asked
            .iter()
            .filter_map(|(peer, ask)| match ask {
                Ask::Over(reason) => Some((*peer, reason.clone())),
                _ => None,
            })
            .collect();
        self.finish(cid, None);
        for (get, _) in gets {
            self.gets.remove(&get);
            let error = GetError::of(asked.clone());
            self.outputs.push(Output::Done(get, Err(error)));
        }
    }

    /// Forgets a want, and tells those who were asked, but not the one who delivered (Z15).
    fn finish(&mut self, cid: &Cid, by: Option<PeerId>) {
        let Some(want) = self.wants.get(cid) else {
            return;
        };
        let asked: Vec<(PeerId, Ask)> = want
            .asked
            .iter()
            .map(|(peer, ask)| (*peer, ask.clone()))
            .collect();
        for (peer, ask) in asked {
            self.set(cid, peer, Ask::Over(Reason::Missing));
            // Who does not have it remembers that it is wanted. Who was left has been told.
            let told = matches!(&ask, Ask::Over(why) if *why != Reason::Missing);
            if Some(peer) != by && !told {
                self.send(peer, Entry::cancel(*cid));
            }
        }
        self.wants.remove(cid);
        self.recent.put(*cid, ());
    }

    fn send(&mut self, peer: PeerId, entry: Entry) {
        self.outputs.push(Output::Send(peer, entry));
    }

    /// Notes how far the question to a peer is, and what it owes.
    fn set(&mut self, cid: &Cid, peer: PeerId, ask: Ask) {
        let (opens, owes) = (ask.is_open(), matches!(ask, Ask::Block { .. }));
        let Some(want) = self.wants.get_mut(cid) else {
            return;
        };
        let before = want.asked.set(peer, ask);
        let opened = before.as_ref().is_some_and(Ask::is_open);
        let owed = matches!(before, Some(Ask::Block { .. }));
        let known = self.peer(peer);
        known.owes = known.owes + usize::from(owes) - usize::from(owed);
        let was_open = known.open > 0;
        known.open = known.open + usize::from(opens) - usize::from(opened);
        let is_open = known.open > 0;
        if was_open != is_open {
            self.outputs.push(Output::Owes(peer, is_open));
        }
        self.forget_idle(peer);
    }

    fn peer(&mut self, peer: PeerId) -> &mut Peer {
        self.peers.entry(peer).or_default()
    }

    fn forget_idle(&mut self, peer: PeerId) {
        let idle = |known: &Peer| known.open == 0 && known.sessions == 0;
        if self.peers.get(&peer).is_some_and(idle) {
            self.peers.remove(&peer);
        }
    }

    fn wants_of(&self, session: SessionId) -> Vec<Cid> {
        let of = |want: &Want| want.gets.iter().any(|(_, of)| *of == session);
        let wants = self.wants.iter().filter(|(_, want)| of(want));
        wants.map(|(cid, _)| *cid).collect()
    }

    fn asked_of(&self, peer: PeerId, which: impl Fn(&Ask) -> bool) -> Vec<Cid> {
        let asked = |want: &&Want| want.asked.state(&peer).is_some_and(&which);
        let wants = self.wants.iter().filter(|(_, want)| asked(want));
        wants.map(|(cid, _)| *cid).collect()
    }

    /// What must hold between two inputs.
    #[cfg(debug_assertions)]
    fn check_invariants(&self) {
        assert!(self.gets.len() <= MAX_GETS && self.sessions.len() <= MAX_SESSIONS);
        let mut open: HashMap<PeerId, (usize, usize)> = HashMap::new();
        let mut gets = 0;
        for (cid, want) in &self.wants {
            assert!(!want.gets.is_empty(), "{cid} is wanted by nobody");
            gets += want.gets.len();
            let mut blocks = 0;
            for (peer, ask) in want.asked.iter() {
                let count = open.entry(*peer).or_default();
                count.0 += usize::from(ask.is_open());
                count.1 += usize::from(matches!(ask, Ask::Block { .. }));
                blocks += usize::from(matches!(ask, Ask::Block { .. }));
            }
            assert!(blocks <= 1, "{cid} is asked of {blocks} peers");
        }
        assert_eq!(gets, self.gets.len(), "each get waits for one want");
        for (peer, (asked, owed)) in open {
            let known = self.peers.get(&peer).map(|peer| (peer.open, peer.owes));
            let known = known.unwrap_or_default();
            assert_eq!(known, (asked, owed), "what {peer} owes");
        }
    }
}

fn is_left(left: &mut LruCache<PeerId, Instant>, now: Instant, peer: PeerId) -> bool {
    match left.peek(&peer) {
        Some(until) if now < *until => true,
        Some(_) => {
            left.pop(&peer);
            false
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
