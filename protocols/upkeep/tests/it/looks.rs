//! What is damaged, thin or lost is found.

use bytes::Bytes;
use cid::Cid;
use futures::stream::{self, Stream};
use std::time::Duration;
use upkeep::{Config, Lost, Progress, Scope};

use crate::net::{QUIET, net, raw, until};

fn silent(_: Progress) {}

fn roots(all: &[(&str, Cid)]) -> impl Stream<Item = (String, Result<Cid, String>)> + Send + use<> {
    let all: Vec<_> = all
        .iter()
        .map(|(of, cid)| ((*of).to_owned(), Ok(*cid)))
        .collect();
    stream::iter(all)
}

#[tokio::test]
async fn all_is_well() {
    let net = net(6).await;
    let file = net.nodes[0].file(1, 9_500).await;
    for cid in net.nodes[0].kept().await {
        net.until_kept(&cid).await;
    }
    let upkeep = net.nodes[0].upkeep(QUIET);
    let all = roots(&[("cakes@v1", file.cid), ("again", file.cid)]);
    let checked = upkeep.check(Scope::Everywhere, all, &silent).await.unwrap();
    assert_eq!((checked.here, checked.roots, checked.blocks), (11, 2, 11));
    assert!(checked.here_bytes > 9_500);
    assert_eq!((checked.damaged, checked.thin, checked.lost), (0, 0, 0));
    assert_eq!((checked.named, checked.stopped_at), (Vec::new(), None));
}

#[tokio::test]
async fn a_damaged_block_is_counted_and_got_again() {
    let net = net(4).await;
    net.nodes[0].file(1, 9_500).await;
    let here = &net.nodes[0];
    for cid in here.kept().await {
        net.until_kept(&cid).await;
    }
    net.until_settled().await;
    let mut owed = Vec::new();
    for cid in here.kept().await {
        if here.owes(&cid).await {
            owed.push(cid);
        }
    }
    let faults = here.faults.as_ref().unwrap();
    faults.corrupt(&owed[0], Bytes::from_static(b"rot"));
    let upkeep = here.upkeep(QUIET);
    let checked = upkeep
        .check(Scope::Here, roots(&[]), &silent)
        .await
        .unwrap();
    assert_eq!((checked.damaged, checked.roots), (1, 0));
    until(async || here.kept().await.contains(&owed[0])).await;
    let checked = upkeep
        .check(Scope::Here, roots(&[]), &silent)
        .await
        .unwrap();
    assert_eq!((checked.here, checked.damaged), (11, 0));
}

#[tokio::test]
async fn a_damaged_block_of_a_pin_comes_back_though_nobody_owes_it_here() {
    let net = net(6).await;
    let file = net.nodes[0].file(1, 9_500).await;
    for cid in net.nodes[0].kept().await {
        net.until_kept(&cid).await;
    }
    net.until_settled().await;
    let here = &net.nodes[5];
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(file.cid, "").await.unwrap();
    let pin = upkeep.pinned(file.cid, &silent).await.unwrap();
    let mut free = Vec::new();
    for cid in here.kept().await {
        if !here.owes(&cid).await {
            free.push(cid);
        }
    }
    // One is damaged, another one is lost without anybody having seen it.
    let faults = here.faults.as_ref().unwrap();
    faults.corrupt(&free[0], Bytes::from_static(b"rot"));
    let looked = upkeep.check(Scope::Here, roots(&[]), &silent);
    assert_eq!(looked.await.unwrap().damaged, 1);
    until(async || here.kept().await.contains(&free[0])).await;
    upkeep.pinned(file.cid, &silent).await.unwrap();
    here.blocks.let_go(&[free[1]]).await.unwrap();
    let all = roots(&[("cakes", file.cid)]);
    let checked = upkeep.check(Scope::Everywhere, all, &silent).await.unwrap();
    assert_eq!((checked.unpinned, checked.lost), (1, 0));
    until(async || here.kept().await.contains(&free[1])).await;
    let again = upkeep.pinned(file.cid, &silent).await.unwrap();
    assert_eq!((again.blocks, again.bytes), (pin.blocks, pin.bytes));
    running.abort();
}

#[tokio::test]
async fn what_too_few_have_is_repaired_and_what_nobody_has_is_named() {
    let net = net(6).await;
    let file = net.nodes[0].file(1, 9_500).await;
    let all = net.nodes[0].kept().await;
    for cid in &all {
        net.until_kept(cid).await;
    }
    net.until_settled().await;
    let leaves: Vec<Cid> = all.into_iter().filter(|cid| *cid != file.cid).collect();
    let (thin, lost) = (leaves[0], leaves[1]);
    let keepers = net.nodes[0].blocks.keepers(&thin).await.unwrap();
    let away = keepers.iter().find(|keeper| !keeper.is_this_node).unwrap();
    net.of(away.peer).blocks.let_go(&[thin]).await.unwrap();
    for node in &net.nodes {
        node.blocks.let_go(&[lost]).await.unwrap();
    }
    let upkeep = net.nodes[0].upkeep(QUIET);
    let all = roots(&[("cakes@v1", file.cid)]);
    let checked = upkeep.check(Scope::Everywhere, all, &silent).await.unwrap();
    assert_eq!((checked.blocks, checked.thin, checked.lost), (11, 1, 1));
    let [Lost { of, block, reason }] = &checked.named[..] else {
        panic!("{checked:?}");
    };
    assert_eq!((of.as_str(), *block), ("cakes@v1", Some(lost)));
    assert!(reason.contains("not found on"), "{reason}");
    net.until_kept(&thin).await;
    // A root that is not known is named as well.
    let unknown = stream::iter([("pie".to_owned(), Err("no majority answers".to_owned()))]);
    let checked = upkeep
        .check(Scope::Everywhere, unknown, &silent)
        .await
        .unwrap();
    assert_eq!(checked.named[0].reason, "no majority answers");
    assert_eq!(checked.named[0].block, None);
}

#[tokio::test]
async fn a_scrub_finds_what_is_damaged_and_goes_on_after_a_restart() {
    let net = net(4).await;
    for seed in 0..200 {
        net.nodes[0].blocks.put(raw(seed, 1000)).await.unwrap();
    }
    let config = Config {
        scrub_every: Some(Duration::from_secs(86_400)),
        ..QUIET
    };
    let kept = net.nodes[0].kept().await;
    let faults = net.nodes[0].faults.as_ref().unwrap();
    // Read at such a rate it does not get behind the first page by itself.
    {
        let slow = Config {
            scrub_bytes_per_second: 64_000,
            ..config
        };
        let upkeep = net.nodes[0].upkeep(slow);
        let running = tokio::spawn(upkeep.clone().look_after());
        until(async || upkeep.scrubbed().await.unwrap().blocks == 64).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    // One that was read already, and one that was not.
    faults.corrupt(&kept[3], Bytes::from_static(b"rot"));
    faults.corrupt(&kept[150], Bytes::from_static(b"rot"));
    let upkeep = net.nodes[0].upkeep(config);
    let before = upkeep.scrubbed().await.unwrap();
    assert!(before.began.is_some() && before.ended.is_none());
    let running = tokio::spawn(upkeep.clone().look_after());
    until(async || upkeep.scrubbed().await.unwrap().ended.is_some()).await;
    let scrubbed = upkeep.scrubbed().await.unwrap();
    assert_eq!((scrubbed.blocks, scrubbed.damaged), (200, 1));
    assert_eq!(scrubbed.began, None);
    assert_eq!(scrubbed.bytes, 199_000);
    running.abort();
}
