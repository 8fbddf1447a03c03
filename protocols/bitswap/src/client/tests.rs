//! The client's decisions, value in, value out.

use std::collections::HashMap;

use multihash_codetable::{Code, MultihashDigest};

use super::*;

struct Table {
    client: Client,
    now: Instant,
    heard: HashMap<PeerId, Instant>,
    /// The newest line at each peer for each block.
    lines: HashMap<(PeerId, Cid), Entry>,
    done: HashMap<GetId, Result<Bytes, GetError>>,
    owes: HashMap<PeerId, bool>,
}

impl Table {
    fn new() -> Table {
        let mut table = Table {
            client: Client::new(Config::default()),
            now: Instant::now(),
            heard: HashMap::new(),
            lines: HashMap::new(),
            done: HashMap::new(),
            owes: HashMap::new(),
        };
        table.input(Input::Open(0));
        table
    }

    /// With so many peers in session 0.
    fn with(peers: usize) -> (Table, Vec<PeerId>) {
        let mut table = Table::new();
        let peers: Vec<PeerId> = (0..peers).map(|_| PeerId::random()).collect();
        for peer in &peers {
            table.input(Input::AddPeer(0, *peer));
        }
        (table, peers)
    }

    fn input(&mut self, input: Input) {
        let heard = &self.heard;
        let outputs = self
            .client
            .handle(self.now, input, &|peer| heard.get(&peer).copied());
        for output in outputs {
            match output {
                Output::Send(peer, entry) => {
                    self.lines.insert((peer, entry.cid), entry);
                }
                Output::Owes(peer, owes) => {
                    self.owes.insert(peer, owes);
                }
                Output::Done(get, outcome) => {
                    let twice = self.done.insert(get, outcome);
                    assert_eq!(twice, None, "a get has one outcome");
                }
            }
        }
    }

    fn get(&mut self, get: GetId) -> Cid {
        let cid = cid(get);
        self.input(Input::Get(0, get, cid));
        cid
    }

    fn deliver(&mut self, peer: PeerId, get: GetId) {
        self.input(Input::Block(peer, cid(get), bytes(get)));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Tick);
    }

    fn asked(&self, peer: PeerId, cid: Cid) -> Option<WantType> {
        let line = self.lines.get(&(peer, cid))?;
        (!line.cancel).then_some(line.want)
    }

    fn cancelled(&self, peer: PeerId, cid: Cid) -> bool {
        self.lines.get(&(peer, cid)).is_some_and(|line| line.cancel)
    }
}

fn bytes(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn cid(number: u64) -> Cid {
    Cid::new_v1(0x55, Code::Sha2_256.digest(&bytes(number)))
}

#[test]
fn several_are_asked_whether_and_one_for_it() {
    let (mut table, peers) = Table::with(3);
    let cid = table.get(1);
    for peer in &peers {
        assert_eq!(table.asked(*peer, cid), Some(WantType::Have));
    }
    table.input(Input::Presence(peers[1], cid, Presence::Have));
    table.input(Input::Presence(peers[2], cid, Presence::Have));
    assert_eq!(table.asked(peers[1], cid), Some(WantType::Block));
    assert_eq!(table.asked(peers[2], cid), Some(WantType::Have));
    table.deliver(peers[1], 1);
    assert_eq!(table.done[&1], Ok(bytes(1)));
    assert!(table.cancelled(peers[0], cid));
    assert!(!table.cancelled(peers[1], cid), "it has delivered");
    assert!(
        table.owes.values().all(|owes| !owes),
        "nobody owes anything"
    );
}

#[test]
fn who_has_delivered_is_asked_at_once() {
    let (mut table, peers) = Table::with(2);
    let first = table.get(1);
    table.input(Input::Presence(peers[0], first, Presence::Have));
    table.deliver(peers[0], 1);
    let second = table.get(2);
    assert_eq!(table.asked(peers[0], second), Some(WantType::Block));
    assert_eq!(table.asked(peers[1], second), None);
    table.input(Input::Presence(peers[0], second, Presence::DontHave));
    assert_eq!(table.asked(peers[1], second), Some(WantType::Have));
}

#[test]
fn a_get_fails_when_nobody_is_left() {
    let (mut table, peers) = Table::with(2);
    let cid = table.get(1);
    for peer in &peers {
        assert!(!table.done.contains_key(&1));
        table.input(Input::Presence(*peer, cid, Presence::DontHave));
    }
    let mut asked = peers.clone();
    asked.sort();
    assert_eq!(table.done[&1], Err(GetError::NotFound { asked }));

    let mut alone = Table::new();
    alone.get(1);
    assert_eq!(alone.done[&1], Err(GetError::Nobody));
}

#[test]
fn who_is_silent_is_left() {
    let (mut table, peers) = Table::with(2);
    let cid = table.get(1);
    table.input(Input::Presence(peers[0], cid, Presence::Have));
    table.input(Input::Presence(peers[1], cid, Presence::Have));
    assert_eq!(table.asked(peers[0], cid), Some(WantType::Block));
    // Bytes of something are a sign of life.
    table.pass(Duration::from_secs(4));
    table.heard.insert(peers[0], table.now);
    table.pass(Duration::from_secs(4));
    assert_eq!(table.asked(peers[0], cid), Some(WantType::Block));
    table.pass(Duration::from_secs(1));
    assert!(table.cancelled(peers[0], cid));
    assert_eq!(table.asked(peers[1], cid), Some(WantType::Block));
    // It is not asked again for a while, and then it is.
    let other = table.get(2);
    assert_eq!(table.asked(peers[0], other), None);
    table.input(Input::Cancel(2));
    table.deliver(peers[1], 1);
    table.pass(Duration::from_secs(60));
    table.input(Input::Close(0));
    table.input(Input::Open(0));
    table.input(Input::AddPeer(0, peers[0]));
    let later = table.get(3);
    assert_eq!(table.asked(peers[0], later), Some(WantType::Have));
}

#[test]
fn who_owes_one_block_for_ever_is_left_however_much_it_sends() {
    let (mut table, peers) = Table::with(1);
    let cid = table.get(1);
    table.input(Input::Presence(peers[0], cid, Presence::Have));
    for _ in 0..59 {
        table.pass(Duration::from_secs(1));
        table.heard.insert(peers[0], table.now);
        assert!(!table.done.contains_key(&1));
    }
    table.pass(Duration::from_secs(1));
    let failed = vec![(peers[0], Reason::Timeout)];
    assert_eq!(table.done[&1], Err(GetError::Failed { failed }));
}

#[test]
fn a_liar_is_left_at_once() {
    let (mut table, peers) = Table::with(2);
    let cid = table.get(1);
    table.input(Input::Presence(peers[0], cid, Presence::Have));
    table.input(Input::Presence(peers[1], cid, Presence::Have));
    table.deliver(peers[0], 77);
    assert_eq!(table.client.unwanted, 1);
    assert!(table.cancelled(peers[0], cid));
    assert_eq!(table.asked(peers[1], cid), Some(WantType::Block));
    table.input(Input::Nonsense(peers[1]));
    let error = table.done[&1].clone().unwrap_err();
    let lied = |failed: &[(PeerId, Reason)]| failed.iter().all(|(_, why)| *why == Reason::Lied);
    assert!(matches!(error, GetError::Failed { failed } if failed.len() == 2 && lied(&failed)));
}

#[test]
fn a_block_that_comes_twice_is_no_lie() {
    let (mut table, peers) = Table::with(2);
    let cid = table.get(1);
    table.input(Input::Presence(peers[0], cid, Presence::Have));
    table.deliver(peers[0], 1);
    table.get(2);
    table.deliver(peers[0], 1);
    assert_eq!((table.client.duplicates, table.client.unwanted), (1, 0));
}

#[test]
fn a_peer_owes_so_much_and_no_more() {
    let (mut table, peers) = Table::with(1);
    table.get(0);
    table.input(Input::Presence(peers[0], cid(0), Presence::Have));
    table.deliver(peers[0], 0);
    let last = PIPELINE as u64 + 1;
    for get in 1..=last {
        table.get(get);
    }
    assert_eq!(
        table.asked(peers[0], cid(last)),
        None,
        "it has its hands full"
    );
    table.deliver(peers[0], 1);
    assert_eq!(table.asked(peers[0], cid(last)), Some(WantType::Block));
    for get in 2..=last {
        table.deliver(peers[0], get);
    }
    assert!(table.done.values().all(Result::is_ok));
    assert_eq!(table.done.len(), last as usize + 1);
}

#[test]
fn an_old_peer_is_asked_for_the_block_itself() {
    let (mut table, peers) = Table::with(1);
    let cid = table.get(1);
    assert_eq!(table.asked(peers[0], cid), Some(WantType::Have));
    table.input(Input::Plain(peers[0]));
    assert_eq!(table.asked(peers[0], cid), Some(WantType::Block));
    let next = table.get(2);
    assert_eq!(table.asked(peers[0], next), Some(WantType::Block));
}

#[test]
fn a_lost_connection_moves_on() {
    let (mut table, peers) = Table::with(2);
    let cid = table.get(1);
    table.input(Input::Presence(peers[0], cid, Presence::Have));
    table.input(Input::Presence(peers[1], cid, Presence::Have));
    table.input(Input::Failed(peers[0], "reset".into()));
    assert_eq!(table.asked(peers[1], cid), Some(WantType::Block));
    // One that owes nothing may go.
    table.deliver(peers[1], 1);
    table.input(Input::Failed(peers[1], "idle".into()));
    let next = table.get(2);
    assert_eq!(table.asked(peers[1], next), Some(WantType::Block));
}

#[test]
fn a_get_that_nobody_waits_for_is_cancelled() {
    let (mut table, peers) = Table::with(1);
    let wanted = table.get(1);
    table.input(Input::Get(0, 2, wanted));
    table.input(Input::Cancel(1));
    assert!(!table.cancelled(peers[0], wanted), "somebody else waits");
    table.input(Input::Cancel(2));
    assert!(table.cancelled(peers[0], wanted));
    assert!(table.done.is_empty());
    let wanted = table.get(3);
    table.input(Input::Close(0));
    assert!(table.cancelled(peers[0], wanted));
    assert!(table.client.peers.is_empty() && table.client.gets.is_empty());
}

#[test]
fn there_is_an_end_to_what_is_wanted() {
    let (mut table, _) = Table::with(1);
    for get in 0..=MAX_GETS as u64 {
        table.get(get);
    }
    assert_eq!(table.done[&(MAX_GETS as u64)], Err(GetError::TooMany));
    for session in 1..=MAX_SESSIONS as u64 {
        table.input(Input::Open(session));
    }
    table.input(Input::Cancel(0));
    table.input(Input::Get(MAX_SESSIONS as u64, 9999, cid(9999)));
    assert_eq!(table.done[&9999], Err(GetError::TooManySessions));
    for _ in 0..2 * MAX_SESSION_PEERS {
        table.input(Input::AddPeer(0, PeerId::random()));
    }
    assert_eq!(table.client.sessions[&0].len(), MAX_SESSION_PEERS);
}

impl Table {
    /// The peer sends for so long, without a block being complete.
    fn sends(&mut self, peer: PeerId, time: Duration) {
        for _ in 0..time.as_secs() {
            self.now += Duration::from_secs(1);
            self.heard.insert(peer, self.now);
            self.input(Input::Tick);
        }
    }

    /// A peer that has delivered in the session, and owes the blocks after the first.
    fn owing(blocks: u64) -> (Table, PeerId) {
        let (mut table, peers) = Table::with(1);
        let first = table.get(0);
        table.input(Input::Presence(peers[0], first, Presence::Have));
        table.deliver(peers[0], 0);
        for block in 1..=blocks {
            let cid = table.get(block);
            assert_eq!(table.asked(peers[0], cid), Some(WantType::Block));
        }
        (table, peers[0])
    }
}

/// Sixteen blocks on a link that takes 50 s for each: the last comes after 13 minutes.
#[test]
fn on_a_slow_link_blocks_come_one_after_the_other() {
    let (mut table, peer) = Table::owing(16);
    for block in 1..=16 {
        table.sends(peer, Duration::from_secs(50));
        table.deliver(peer, block);
        assert_eq!(table.done[&block], Ok(bytes(block)));
    }
}

#[test]
fn who_sends_and_completes_nothing_is_left() {
    let (mut table, peer) = Table::owing(16);
    table.sends(peer, Duration::from_secs(59));
    assert_eq!(table.done.len(), 1);
    table.sends(peer, Duration::from_secs(1));
    let left = Err(GetError::of(vec![(peer, Reason::Timeout)]));
    assert!((1..=16).all(|block| table.done[&block] == left));
}

#[test]
fn who_gives_all_but_one_is_left_in_its_time() {
    let (mut table, peer) = Table::owing(3);
    table.sends(peer, Duration::from_secs(50));
    table.deliver(peer, 2);
    table.sends(peer, Duration::from_secs(9));
    assert!(!table.done.contains_key(&1));
    table.sends(peer, Duration::from_secs(1));
    assert!(table.done[&1].is_err(), "nothing was owed before it");
}

#[test]
fn who_is_sending_may_say_later_what_it_has() {
    let (mut table, peer) = Table::owing(1);
    table.input(Input::Open(1));
    table.input(Input::AddPeer(1, peer));
    let asked = cid(2);
    table.input(Input::Get(1, 2, asked));
    assert_eq!(table.asked(peer, asked), Some(WantType::Have));
    table.sends(peer, Duration::from_secs(20));
    table.input(Input::Presence(peer, asked, Presence::Have));
    assert_eq!(table.asked(peer, asked), Some(WantType::Block));
}
