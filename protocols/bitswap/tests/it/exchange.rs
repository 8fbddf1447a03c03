//! Honest nodes.

use bitswap::{GetError, MAX_BLOCK};
use futures::future::{join_all, try_join_all};
use tokio::time::timeout;

use crate::net::{Node, PATIENCE, cid};

#[tokio::test]
async fn a_block_is_got_from_who_has_it() {
    let (a, b, c) = (
        Node::start().await,
        Node::start().await,
        Node::start().await,
    );
    let wanted = b.blocks.put(&b"here it is"[..]);
    let session = a.session(&[c.place(), b.place()]).await;
    let got = timeout(PATIENCE, session.get(wanted))
        .await
        .expect("in time");
    assert_eq!(got.as_deref(), Ok(&b"here it is"[..]));
    assert_eq!(b.handle.stats().blocks_sent, 1);
    assert_eq!(c.handle.stats().blocks_sent, 0);
}

#[tokio::test]
async fn nobody_has_it() {
    let (a, b, c) = (
        Node::start().await,
        Node::start().await,
        Node::start().await,
    );
    let session = a.session(&[b.place(), c.place()]).await;
    let got = timeout(PATIENCE, session.get(cid(b"nowhere")))
        .await
        .expect("in time");
    let mut asked = vec![b.peer, c.peer];
    asked.sort();
    assert_eq!(got, Err(GetError::NotFound { asked }));
    let alone = timeout(PATIENCE, a.handle.get(cid(b"nowhere"), [])).await;
    assert_eq!(alone.expect("in time"), Err(GetError::Nobody));
}

#[tokio::test]
async fn many_blocks_of_all_sizes_in_one_session() {
    let (a, b) = (Node::start().await, Node::start().await);
    let sizes = (0..200).map(|at| match at {
        0 => 0,
        1 => 1,
        2..6 => MAX_BLOCK - at,
        at => at * 997,
    });
    let blocks: Vec<(cid::Cid, usize)> = sizes
        .map(|size| (b.blocks.put(vec![size as u8; size]), size))
        .collect();
    let session = a.session(&[b.place()]).await;
    let gets = blocks.iter().map(|(cid, size)| {
        let get = session.get(*cid);
        async move { get.await.map(|got| assert_eq!(got.len(), *size)) }
    });
    let all = timeout(PATIENCE, try_join_all(gets))
        .await
        .expect("in time");
    all.expect("all of them");
    let stats = a.handle.stats();
    assert_eq!((stats.duplicates, stats.unwanted), (0, 0));
}

#[tokio::test]
async fn both_ways_at_a_time() {
    let (a, b) = (Node::start().await, Node::start().await);
    let block = |at: u8| vec![at; 1 << 20];
    let (from_a, from_b) = (a.session(&[b.place()]).await, b.session(&[a.place()]).await);
    let mut gets = Vec::new();
    for at in 0..32 {
        gets.push(from_a.get(b.blocks.put(block(at))));
        gets.push(from_b.get(a.blocks.put(block(at + 100))));
    }
    let all = timeout(PATIENCE, join_all(gets)).await.expect("in time");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test]
async fn a_peer_that_cannot_be_dialled_is_named() {
    let a = Node::start().await;
    let nobody = libp2p_identity::PeerId::random();
    let got = timeout(PATIENCE, a.handle.get(cid(b"x"), [nobody])).await;
    let error = got.expect("in time").expect_err("nobody is there");
    assert!(
        matches!(&error, GetError::Failed { failed } if failed[0].0 == nobody),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_that_goes_away_is_replaced() {
    let (a, b, c) = (
        Node::start().await,
        Node::start().await,
        Node::start().await,
    );
    let blocks: Vec<_> = (0..64u8).map(|at| vec![at; 100_000]).collect();
    let cids: Vec<_> = blocks
        .iter()
        .map(|block| b.blocks.put(block.clone()))
        .collect();
    for block in &blocks {
        c.blocks.put(block.clone());
    }
    let session = a.session(&[b.place(), c.place()]).await;
    let first = timeout(PATIENCE, session.get(cids[0]))
        .await
        .expect("in time");
    first.expect("either has it");
    drop(b);
    let gets = cids.iter().map(|cid| session.get(*cid));
    let all = timeout(PATIENCE, join_all(gets)).await.expect("in time");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}
