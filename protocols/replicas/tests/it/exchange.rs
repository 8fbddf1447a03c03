//! Putting and getting (R10, R11).

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;
use replicas::{GetError, PutError};

use crate::map::{Mood, item, key, name};
use crate::net::{Net, Node, until};

#[tokio::test(start_paused = true)]
async fn an_item_is_put_on_the_closest_and_got_by_all() {
    let net = Net::start(6).await;
    let id = name(1);
    let bytes = item(&id, 1, &[7; 100_000]);
    let receipt = net.nodes[0]
        .handle
        .put(id.clone(), bytes.clone())
        .await
        .unwrap();
    let wanted: BTreeSet<_> = net
        .closest(key(&id), 3)
        .iter()
        .map(|node| node.contact.peer)
        .collect();
    assert_eq!(
        receipt.stored_on.iter().copied().collect::<BTreeSet<_>>(),
        wanted
    );
    assert_eq!(
        (receipt.wanted, receipt.failed, receipt.pending),
        (3, vec![], vec![])
    );
    for node in &net.nodes {
        assert_eq!(node.handle.get(&id).await.unwrap(), bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn many_items_are_under_way_at_a_time_and_come_from_several_peers() {
    let net = Net::start(4).await;
    let all: Vec<_> = (0..100).map(name).collect();
    for id in &all {
        for node in net.closest(key(id), 3) {
            node.map.keep(id, item(id, 1, &[1; 50_000]));
        }
    }
    // Whoever keeps the fewest: at least a quarter of them are elsewhere.
    let kept = |node: &&Node| all.iter().filter(|id| node.map.kept(id).is_some()).count();
    let asker = net.nodes.iter().min_by_key(kept).unwrap();
    let got: Vec<_> = futures::stream::iter(&all)
        .map(|id| asker.handle.get(id))
        .buffer_unordered(32)
        .collect()
        .await;
    assert!(got.iter().all(Result::is_ok));
    let elsewhere = all.iter().filter(|id| asker.map.kept(id).is_none()).count() as u64;
    assert!(elsewhere >= 25, "{elsewhere} of 100 are elsewhere");
    assert_eq!(asker.handle.stats().items_fetched, elsewhere);
    let serving = net.nodes.iter().filter(|node| {
        node.contact.peer != asker.contact.peer && node.handle.stats().requests_served > 0
    });
    assert!(serving.count() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_lone_node_is_its_own_replica_set() {
    let net = Net::start(1).await;
    let id = name(1);
    let receipt = net.nodes[0]
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await
        .unwrap();
    assert_eq!((receipt.stored_on.len(), receipt.wanted), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_is_not_found_and_says_who_was_asked() {
    let net = Net::start(5).await;
    let Err(GetError::NotFound { asked }) = net.nodes[0].handle.get(&name(1)).await else {
        panic!("found");
    };
    let others: BTreeSet<_> = net.nodes[1..]
        .iter()
        .map(|node| node.contact.peer)
        .collect();
    assert_eq!(asked.into_iter().collect::<BTreeSet<_>>(), others);
}

#[tokio::test(start_paused = true)]
async fn one_full_replica_is_named_and_two_are_too_many() {
    let net = Net::start(5).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    let writer = net.outsider(key(&id), 3);
    set[0].map.set(Mood::Full);
    let receipt = writer
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await
        .unwrap();
    assert_eq!(receipt.stored_on.len(), 2);
    assert_eq!(receipt.failed.len(), 1);
    assert_eq!(receipt.failed[0].0, set[0].contact.peer);

    set[1].map.set(Mood::Full);
    let refused = writer.handle.put(id.clone(), item(&id, 2, b"y")).await;
    let Err(PutError::NoQuorum { quorum: 2, receipt }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(receipt.stored_on, [set[2].contact.peer]);

    // With room again, the missing copies are made without being asked for.
    set[0].map.set(Mood::Honest);
    set[1].map.set(Mood::Honest);
    until("the copies are made", || {
        set.iter()
            .all(|node| node.map.kept(&id) == Some(item(&id, 2, b"y")))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_here_fails_the_put() {
    let net = Net::start(2).await;
    net.nodes[0].map.set(Mood::Full);
    let id = name(1);
    let refused = net.nodes[0]
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await;
    assert!(matches!(refused, Err(PutError::Local(_))));
}

#[tokio::test(start_paused = true)]
async fn names_and_items_that_are_none_are_refused() {
    let net = Net::start(2).await;
    let handle = &net.nodes[0].handle;
    let id = name(1);
    let refused = [
        handle.put(Bytes::from_static(b"other"), Bytes::new()).await,
        handle.put(id.clone(), item(&name(2), 1, b"x")).await,
        handle
            .put(id.clone(), item(&id, 1, &vec![0; 2 << 20]))
            .await,
    ];
    for refused in refused {
        assert!(matches!(refused, Err(PutError::Invalid(_))));
    }
    let unknown = handle.get(&Bytes::from_static(b"other")).await;
    assert!(matches!(unknown, Err(GetError::Invalid)));
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_of_a_majority_is_got() {
    let net = Net::start(5).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    set[0].map.keep(&id, item(&id, 1, b"old"));
    for node in &set[1..] {
        node.map.keep(&id, item(&id, 2, b"new"));
    }
    let asker = net.outsider(key(&id), 3);
    let newest = item(&id, 2, b"new");
    assert_eq!(asker.handle.get_newest(&id).await.unwrap(), newest);
    let found = asker.handle.find(key(&id)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.clone(), found[0].version), (id.clone(), 2));
    // The old copy is replaced.
    until("the old copy is replaced", || {
        set[0].map.kept(&id).as_ref() == Some(&newest)
    })
    .await;
}

/// A member that has nothing of it is new, and stands in for one that may have had the newest.
#[tokio::test(start_paused = true)]
async fn what_is_agreed_is_asked_of_all_where_somebody_is_new() {
    let net = Net::start(5).await;
    let (new, hangs) = (name(1), name(2));
    for id in [&new, &hangs] {
        let set = net.closest(key(id), 3);
        set[0].map.keep(id, item(id, 1, b"old"));
        set[2].map.keep(id, item(id, 2, b"new"));
    }
    // Whichever answers first.
    let asker = net.outsider(key(&new), 3);
    let newest = item(&new, 2, b"new");
    assert_eq!(asker.handle.get_agreed(&new).await.unwrap(), newest);
    // And is left with all.
    let set = net.closest(key(&new), 3);
    until("all have it", || {
        set.iter()
            .all(|node| node.map.kept(&new).as_ref() == Some(&newest))
    })
    .await;
    // Who may know more has to answer.
    net.closest(key(&hangs), 3)[2].map.set(Mood::Hangs);
    let asker = net.outsider(key(&hangs), 3);
    let failed = asker.handle.get_agreed(&hangs).await;
    assert!(
        matches!(failed, Err(GetError::Unavailable { .. })),
        "{failed:?}"
    );
}

/// Two of three may be the two that acknowledged a put: then it is not known whether what
/// the third lacks exists.
#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_nowhere_while_those_who_may_have_it_are_gone() {
    let net = Net::start(5).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    let reader = net.outsider(key(&id), 3);
    for (lost, certain) in [(1, true), (2, false), (3, false)] {
        net.ring.lose(set[1].contact.peer, lost);
        match reader.handle.get(&id).await {
            Err(GetError::NotFound { .. }) => assert!(certain, "{lost} lost"),
            Err(GetError::MayBeLost { asked }) => {
                assert!(!certain, "{lost} lost");
                assert_eq!(asked.len(), 4);
            }
            other => panic!("{other:?}"),
        }
        let here = set[1].handle.get_newest(&id).await;
        assert_eq!(matches!(here, Err(GetError::NotFound { .. })), certain);
        let listed = set[1].handle.find(key(&id)).await;
        assert_eq!(listed.is_ok(), certain);
    }
    // What somebody has is got all the same.
    reader
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await
        .unwrap();
    net.outsider(key(&id), 4).handle.get(&id).await.unwrap();
}

/// As where the way out of a machine is slow: what is sent first is in the way of the rest.
#[tokio::test(start_paused = true)]
async fn a_put_waits_for_slow_members_where_it_needs_them() {
    let config = replicas::Config {
        request_timeout: 10 * crate::map::SLOW,
        outbound_bytes_per_peer: 1 << 20,
        ..crate::net::config()
    };
    let net = Net::with_config(4, config).await;
    // The same three keep all three items, and the fourth puts them.
    let same = |id: &replicas::ItemId| net.outsider(key(id), 3).contact.peer;
    let writer = same(&name(0));
    let ids: Vec<_> = (0..)
        .map(name)
        .filter(|id| same(id) == writer)
        .take(3)
        .collect();
    for node in &net.nodes {
        node.map.set(Mood::Slow);
    }
    let writer = net.outsider(key(&ids[0]), 3);
    writer.map.set(Mood::Honest);
    let puts = ids.iter().map(|id| {
        let bytes = item(id, 1, &[7; 1_000_000]);
        writer.handle.put(id.clone(), bytes)
    });
    for put in futures::future::join_all(puts).await {
        assert!(put.expect("it is stored in the end").stored_on.len() >= 2);
    }
}
