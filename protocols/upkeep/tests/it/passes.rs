//! What goes, and what stays.

use std::sync::Arc;
use std::time::Duration;

use blocks::MemoryStore;
use tokio::sync::Notify;
use upkeep::{CollectError, Collected, Config, Progress};

use crate::net::{Net, QUIET, net, raw, until};

fn silent(_: Progress) {}

/// Blocks that the first node puts, once all who have to keep them do.
async fn put(net: &Net, blocks: u64) {
    for seed in 0..blocks {
        let block = raw(seed, 1000);
        net.nodes[0].blocks.put(block.clone()).await.unwrap();
        net.until_kept(block.cid()).await;
    }
}

async fn owed(net: &Net) -> u64 {
    let mut owed = 0;
    for cid in net.nodes[0].kept().await {
        owed += u64::from(net.nodes[0].owes(&cid).await);
    }
    owed
}

#[tokio::test]
async fn copies_go_and_what_is_owed_or_pinned_stays() {
    let net = net(8).await;
    put(&net, 40).await;
    let here = &net.nodes[0];
    let owed = owed(&net).await;
    let mut free = Vec::new();
    for cid in here.kept().await {
        if !here.owes(&cid).await {
            free.push(cid);
        }
    }
    assert!(free.len() > 5, "with 3 of 8 nodes for each there are more");
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    let pinned = free.pop().unwrap();
    upkeep.pin(pinned, "").await.unwrap();
    upkeep.pinned(pinned, &silent).await.unwrap();
    let expected = Collected {
        looked: 40,
        looked_bytes: 40_000,
        gone: free.len() as u64,
        gone_bytes: free.len() as u64 * 1000,
        owed,
        pinned: 1,
        waiting: 0,
    };
    let counted = upkeep.collect(true, &silent).await.unwrap();
    assert_eq!(counted, expected);
    assert_eq!(here.kept().await.len(), 40, "nothing went yet");
    assert_eq!(upkeep.collect(false, &silent).await.unwrap(), expected);
    let kept = here.kept().await;
    assert_eq!(kept.len() as u64, owed + 1);
    assert!(kept.contains(&pinned));
    // All of it is still to be had, and kept by as many as before.
    for seed in 0..40 {
        let block = raw(seed, 1000);
        assert_eq!(&here.blocks.get(block.cid()).await.unwrap(), block.bytes());
        let keepers = here.blocks.keepers(block.cid()).await.unwrap();
        assert!(keepers.iter().all(|keeper| matches!(keeper.has, Ok(true))));
    }
    // Once it is not pinned any more that one goes, too.
    assert!(upkeep.unpin(pinned).await.unwrap());
    assert!(!upkeep.unpin(pinned).await.unwrap());
    until(async || {
        let collected = upkeep.collect(false, &silent).await.unwrap();
        collected.pinned == 0
    })
    .await;
    assert_eq!(here.kept().await.len() as u64, owed);
    running.abort();
}

#[tokio::test]
async fn a_copy_stays_while_one_of_those_who_have_to_keep_it_lacks_it() {
    let net = net(6).await;
    put(&net, 12).await;
    let here = &net.nodes[0];
    let mut lacking = None;
    for cid in here.kept().await {
        if !here.owes(&cid).await {
            let keepers = here.blocks.keepers(&cid).await.unwrap();
            lacking = Some((cid, keepers[1].peer));
        }
    }
    let (cid, peer) = lacking.unwrap();
    net.until_settled().await;
    let upkeep = here.upkeep(QUIET);
    net.of(peer).blocks.let_go(&[cid]).await.unwrap();
    let collected = upkeep.collect(false, &silent).await.unwrap();
    assert_eq!(collected.waiting, 1);
    assert!(here.kept().await.contains(&cid));
    // It is repaired because of this, and then it goes.
    net.until_kept(&cid).await;
    let collected = upkeep.collect(false, &silent).await.unwrap();
    assert_eq!((collected.waiting, collected.gone), (0, 1));
}

#[tokio::test]
async fn a_pass_goes_on_where_the_node_ended() {
    let net = net(8).await;
    put(&net, 600).await;
    let here = &net.nodes[0];
    let owed = owed(&net).await;
    {
        let upkeep = here.upkeep(QUIET);
        let page = Notify::new();
        let told = |_: Progress| page.notify_one();
        tokio::select! {
            biased;
            () = page.notified() => {}
            collected = upkeep.collect(false, &told) => panic!("{collected:?}"),
        }
    }
    let left = here.kept().await;
    assert!(left.len() as u64 > owed, "one page of three is through");
    assert!(left.len() < 600);
    // One that went comes back: what is behind the pass is not looked at again.
    let all = (0..600).map(|seed| raw(seed, 1000));
    let mut gone = all.filter(|block| !left.contains(block.cid()));
    let back = gone.next().unwrap();
    here.blocks.put_local(back.clone()).await.unwrap();
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.look_after());
    let mut kept = Vec::new();
    until(async || {
        kept = here.kept().await;
        kept.iter().filter(|cid| *cid != back.cid()).count() as u64 == owed
    })
    .await;
    assert!(kept.contains(back.cid()));
    running.abort();
}

#[tokio::test]
async fn one_pass_at_a_time_and_none_before_it_is_known_what_is_owed() {
    let net = net(5).await;
    put(&net, 3).await;
    let upkeep = net.nodes[0].upkeep(QUIET);
    let second = upkeep.clone();
    let (tx, rx) = std::sync::mpsc::channel();
    let told = move |_: Progress| tx.send(()).unwrap();
    let busy = async {
        // Asked while the first one is under way.
        second.collect(false, &silent).await
    };
    let (first, busy) = tokio::join!(upkeep.collect(false, &told), busy);
    assert!(rx.recv().is_ok());
    first.unwrap();
    assert!(matches!(busy, Err(CollectError::Busy)), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_knows_nobody_lets_nothing_go() {
    let net = net(1).await;
    let here = &net.nodes[0];
    here.blocks.put_local(raw(1, 1000)).await.unwrap();
    let refused = here.upkeep(QUIET).collect(false, &silent).await;
    assert!(
        matches!(refused, Err(CollectError::Unsettled)),
        "{refused:?}"
    );
    assert_eq!(here.kept().await.len(), 1);
}

#[tokio::test]
async fn copies_go_by_themselves_where_room_is_short() {
    let mut net = net(5).await;
    let small = Arc::new(MemoryStore::with_quota(500_000));
    net.join(small, None).await;
    let here = &net.nodes[5];
    for seed in 0..450 {
        let block = raw(seed, 1000);
        here.blocks.put(block.clone()).await.unwrap();
        net.until_kept(block.cid()).await;
    }
    let usage = here.blocks.usage();
    assert_eq!(usage.bytes, 450_000);
    let config = Config {
        look_every: Duration::from_millis(20),
        ..QUIET
    };
    let running = tokio::spawn(here.upkeep(config).look_after());
    until(async || here.blocks.usage().bytes <= 350_000).await;
    // Its own part of 450, three of six, and no more than it had to.
    assert!(here.blocks.usage().bytes > 0);
    for seed in 0..450 {
        let block = raw(seed, 1000);
        assert_eq!(&here.blocks.get(block.cid()).await.unwrap(), block.bytes());
    }
    running.abort();
}
