//! Lost copies come back, and only what differs moves (R12 to R16).

use crate::map::{item, key, name};
use crate::net::{Net, until};

fn complete(net: &Net, items: usize) -> bool {
    (0..items).map(name).all(|id| {
        net.closest(key(&id), 3)
            .iter()
            .all(|node| node.map.kept(&id).is_some())
    })
}

#[tokio::test(start_paused = true)]
async fn copies_lost_with_a_node_are_made_again() {
    let mut net = Net::start(6).await;
    for n in 0..40 {
        let id = name(n);
        net.nodes[n % 6]
            .handle
            .put(id.clone(), item(&id, 1, &[n as u8; 1000]))
            .await
            .unwrap();
    }
    // One after the other, down to the last three.
    for _ in 0..3 {
        net.kill(0);
        until("all items have three copies again", || complete(&net, 40)).await;
    }
    for n in 0..40 {
        let id = name(n);
        assert_eq!(
            net.nodes[0].handle.get(&id).await.unwrap(),
            item(&id, 1, &[n as u8; 1000])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_told_from_what_is_moved() {
    let mut net = Net::start(3).await;
    let id = name(1);
    let put = net.nodes[0].handle.put(id.clone(), item(&id, 1, b"x"));
    put.await.unwrap();
    until("all have it", || {
        net.nodes.iter().all(|node| node.map.kept(&id).is_some())
    })
    .await;
    assert!(net.nodes.iter().all(|node| !node.map.was_moved(&id)));
    // Lost by one of them, by itself and with a change of the leaf set.
    net.nodes[1].map.forget(&id);
    net.nodes[0].handle.repair(&id);
    until("it is back", || net.nodes[1].map.kept(&id).is_some()).await;
    assert!(net.nodes[1].map.was_moved(&id));
    net.nodes[2].map.forget(&id);
    net.add().await;
    until("it is back", || net.nodes[2].map.kept(&id).is_some()).await;
    assert!(net.nodes[2].map.was_moved(&id));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_needs_is_not_brought_back() {
    let mut net = Net::start(3).await;
    let (gone, stays) = (name(1), name(2));
    for id in [&gone, &stays] {
        let put = net.nodes[0].handle.put(id.clone(), item(id, 1, b"x"));
        put.await.unwrap();
    }
    for node in &net.nodes {
        node.map.unwant(&gone);
    }
    for id in [&gone, &stays] {
        net.nodes[1].map.forget(id);
        net.nodes[0].handle.repair(id);
    }
    until("the other is back", || {
        net.nodes[1].map.kept(&stays).is_some()
    })
    .await;
    net.nodes[1].map.forget(&stays);
    // A change of the leaf set has all of them compare what they have.
    let new = net.add().await;
    net.nodes[new].map.unwant(&gone);
    until("the other is back", || {
        net.nodes[1].map.kept(&stays).is_some()
    })
    .await;
    until("all have compared", || {
        net.nodes.iter().all(|node| node.handle.is_settled())
    })
    .await;
    assert!(net.nodes[1].map.kept(&gone).is_none());
    assert!(net.nodes[new].map.kept(&gone).is_none());
    // Who has it keeps it, and gives it to who asks.
    assert_eq!(
        net.nodes[new].handle.get(&gone).await.unwrap(),
        item(&gone, 1, b"x")
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_node_gets_what_belongs_to_it() {
    let mut net = Net::start(4).await;
    for n in 0..40 {
        let id = name(n);
        net.nodes[0]
            .handle
            .put(id.clone(), item(&id, 1, b"x"))
            .await
            .unwrap();
    }
    let new = net.add().await;
    until("the new node has its share", || complete(&net, 40)).await;
    assert!(!net.nodes[new].map.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_what_differs_moves_and_the_newer_version_wins() {
    let mut net = Net::start(1).await;
    let same = 1000;
    for n in 0..same {
        net.nodes[0].map.keep(&name(n), item(&name(n), 1, b"same"));
    }
    let only_here = name(same);
    let newer_there = name(0);
    net.nodes[0]
        .map
        .keep(&only_here, item(&only_here, 1, b"here"));
    net.nodes[0].map.keep(&name(1), item(&name(1), 2, b"newer"));
    let second = net.add().await;
    for n in 0..same {
        net.nodes[second]
            .map
            .keep(&name(n), item(&name(n), 1, b"same"));
    }
    let only_there = name(same + 1);
    net.nodes[second]
        .map
        .keep(&only_there, item(&only_there, 1, b"there"));
    net.nodes[second]
        .map
        .keep(&newer_there, item(&newer_there, 5, b"newer"));

    until("both keep the same", || {
        net.nodes[0].map.all() == net.nodes[1].map.all()
    })
    .await;
    assert_eq!(
        net.nodes[0].map.kept(&newer_there),
        Some(item(&newer_there, 5, b"newer"))
    );
    assert_eq!(net.nodes[0].map.all().len(), same + 2);
    let stats = [net.nodes[0].handle.stats(), net.nodes[1].handle.stats()];
    let moved: u64 = stats
        .iter()
        .map(|stats| stats.repair_pulled + stats.repair_pushed)
        .sum();
    assert_eq!(moved, 4);
}

#[tokio::test(start_paused = true)]
async fn a_corrupted_copy_is_replaced_from_another_replica() {
    let net = Net::start(4).await;
    let id = name(1);
    let bytes = item(&id, 1, b"whole");
    net.nodes[0]
        .handle
        .put(id.clone(), bytes.clone())
        .await
        .unwrap();
    let victim = net.closest(key(&id), 3)[1];
    victim.map.corrupt(&id);
    // It is read, found to be bad, and still delivered.
    assert_eq!(victim.handle.get(&id).await.unwrap(), bytes);
    assert_eq!(victim.handle.stats().corrupted, 1);
    until("the copy is good again", || {
        victim.map.kept(&id).as_ref() == Some(&bytes)
    })
    .await;
}
