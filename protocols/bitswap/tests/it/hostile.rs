//! Peers that are slow, old, or lie, and what this node says to them.

use bitswap::{
    Entry, GetError, MAX_MESSAGE, MAX_WANTS_PER_PEER, Message, OLDER, PROTOCOL, Payload, Prefix,
    Presence, Reason, WantType,
};
use bytes::Bytes;
use cid::Cid;
use tokio::time::timeout;

use crate::net::{Node, PATIENCE, cid, until};
use crate::raw::Raw;

fn wants(entries: Vec<Entry>) -> Message {
    Message {
        entries,
        ..Message::default()
    }
}

fn gives(cid: &Cid, data: &'static [u8]) -> Message {
    Message {
        blocks: vec![Payload {
            prefix: Prefix::of(cid),
            data: Bytes::from_static(data),
        }],
        ..Message::default()
    }
}

fn has(cid: Cid) -> Message {
    Message {
        presences: vec![(cid, Presence::Have)],
        ..Message::default()
    }
}

#[tokio::test]
async fn the_server_answers_what_it_is_asked() {
    let node = Node::start().await;
    let mut peer = Raw::start(&node, PROTOCOL).await;
    let (here, gone) = (node.blocks.put(&b"here"[..]), cid(b"gone"));
    let mut quiet = Entry::want(cid(b"quiet"), WantType::Block);
    quiet.send_dont_have = false;
    peer.say(&wants(vec![
        Entry::want(here, WantType::Have),
        quiet,
        Entry::want(gone, WantType::Have),
    ]));
    let answer = peer.hears().await;
    assert_eq!(
        answer.presences,
        [(here, Presence::Have), (gone, Presence::DontHave)]
    );
    peer.say(&wants(vec![Entry::want(here, WantType::Block)]));
    assert_eq!(peer.hears().await.blocks, gives(&here, b"here").blocks);
    // What was not there is still wanted, and is given when it comes.
    assert_eq!(node.handle.wants_of_peers(), 2);
    let quiet = node.blocks.put(&b"quiet"[..]);
    node.handle.arrived(&quiet);
    assert_eq!(peer.hears().await.blocks, gives(&quiet, b"quiet").blocks);
    peer.say(&wants(vec![Entry::cancel(gone)]));
    until(|| node.handle.wants_of_peers() == 0).await;
}

#[tokio::test]
async fn a_liar_is_left_for_an_honest_peer() {
    let (node, honest) = (Node::start().await, Node::start().await);
    let mut liar = Raw::start(&node, PROTOCOL).await;
    let wanted = honest.blocks.put(&b"the truth"[..]);
    let session = node.session(&[liar.place()]).await;
    let get = session.get(wanted);
    let lies = async {
        let asked = liar.hears().await;
        assert_eq!(asked.entries, [Entry::want(wanted, WantType::Have)]);
        session
            .add_peer(honest.peer, vec![honest.addr.clone()])
            .await;
        liar.say(&has(wanted));
        loop {
            let asked = liar.hears().await;
            if asked
                .entries
                .iter()
                .any(|entry| entry.want == WantType::Block)
            {
                break;
            }
        }
        liar.say(&gives(&wanted, b"a lie"));
    };
    let (got, ()) = timeout(PATIENCE, async { tokio::join!(get, lies) })
        .await
        .expect("in time");
    assert_eq!(got.as_deref(), Ok(&b"the truth"[..]));
}

#[tokio::test]
async fn bytes_that_are_not_the_block_are_never_given_out() {
    let node = Node::start().await;
    let mut liar = Raw::start(&node, PROTOCOL).await;
    let wanted = cid(b"the truth");
    let session = node.session(&[liar.place()]).await;
    let lies = async {
        liar.hears().await;
        liar.say(&has(wanted));
        liar.hears().await;
        liar.say(&gives(&wanted, b"a lie"));
    };
    let (got, ()) = timeout(PATIENCE, async { tokio::join!(session.get(wanted), lies) })
        .await
        .expect("in time");
    let failed = vec![(liar.peer, Reason::Lied)];
    assert_eq!(got, Err(GetError::Failed { failed }));
    assert_eq!(node.handle.stats().unwanted, 1);
}

#[tokio::test]
async fn who_says_that_it_has_and_gives_nothing_is_left() {
    let node = Node::start().await;
    let mut stalls = Raw::start(&node, PROTOCOL).await;
    let wanted = cid(b"never");
    let session = node.session(&[stalls.place()]).await;
    let says = async {
        stalls.hears().await;
        stalls.say(&has(wanted));
        stalls.hears().await;
        // The cancel of who has lost patience.
        stalls.hears().await
    };
    let (got, last) = timeout(PATIENCE, async { tokio::join!(session.get(wanted), says) })
        .await
        .expect("in time");
    let failed = vec![(stalls.peer, Reason::Timeout)];
    assert_eq!(got, Err(GetError::Failed { failed }));
    assert_eq!(last.entries, [Entry::cancel(wanted)]);
}

#[tokio::test]
async fn a_get_that_is_dropped_is_cancelled_at_the_peer() {
    let node = Node::start().await;
    let mut peer = Raw::start(&node, PROTOCOL).await;
    let wanted = cid(b"wanted");
    let session = node.session(&[peer.place()]).await;
    tokio::select! {
        got = session.get(wanted) => panic!("{got:?}"),
        asked = peer.hears() => assert!(!asked.entries[0].cancel),
    }
    assert_eq!(peer.hears().await.entries, [Entry::cancel(wanted)]);
}

#[tokio::test]
async fn an_old_peer_gives_and_gets_blocks() {
    let node = Node::start().await;
    let mut old = Raw::start(&node, OLDER).await;
    let wanted = cid(b"of old");
    let session = node.session(&[old.place()]).await;
    let gives_it = async {
        let asked = old.hears().await;
        assert_eq!(asked.entries[0].want, WantType::Block, "it knows no HAVE");
        old.say(&gives(&wanted, b"of old"));
    };
    let (got, ()) = timeout(PATIENCE, async {
        tokio::join!(session.get(wanted), gives_it)
    })
    .await
    .expect("in time");
    assert_eq!(got.as_deref(), Ok(&b"of old"[..]));
    let here = node.blocks.put(&b"here"[..]);
    old.say(&wants(vec![
        Entry::want(cid(b"gone"), WantType::Block),
        Entry::want(here, WantType::Block),
    ]));
    let answer = old.hears().await;
    assert_eq!((answer.blocks.len(), answer.presences.len()), (1, 0));
}

#[tokio::test]
async fn broken_streams_are_reset_and_the_connection_stays() {
    let node = Node::start().await;
    let mut peer = Raw::start(&node, PROTOCOL).await;
    peer.say_bytes(wire::frame_header(MAX_MESSAGE + 1).to_vec());
    peer.say_bytes(vec![2, 0xff, 0xff]);
    peer.say_bytes(vec![0xff; 16]);
    until(|| node.handle.stats().bad_streams == 3).await;
    let here = node.blocks.put(&b"here"[..]);
    peer.say(&wants(vec![Entry::want(here, WantType::Have)]));
    assert_eq!(peer.hears().await.presences, [(here, Presence::Have)]);
}

#[tokio::test]
async fn wants_and_unasked_blocks_are_bounded() {
    let node = Node::start().await;
    let peer = Raw::start(&node, PROTOCOL).await;
    let want = |at: usize| {
        let mut entry = Entry::want(cid(&at.to_be_bytes()), WantType::Block);
        entry.send_dont_have = false;
        entry
    };
    peer.say(&wants((0..MAX_WANTS_PER_PEER + 5).map(want).collect()));
    until(|| node.handle.stats().wants_refused == 5).await;
    assert_eq!(node.handle.wants_of_peers(), MAX_WANTS_PER_PEER);
    let unasked = cid(b"unasked");
    peer.say(&gives(&unasked, b"unasked"));
    until(|| node.handle.stats().unwanted == 1).await;
    // The list goes with the connection.
    drop(peer);
    until(|| node.handle.wants_of_peers() == 0).await;
}
