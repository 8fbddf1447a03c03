//! Copies beyond duty: published, found when they are nearer or the last, and gone when
//! they are gone (R17 to R20).

use std::sync::Arc;
use std::time::Duration;

use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use replicas::{Config, GetError, ItemId};

use crate::directory::Board;
use crate::map::{CACHED, Mood, item, key, name};
use crate::net::{Net, Node, config, until};

const NEAR: Duration = Duration::from_millis(1);
const FAR: Duration = Duration::from_millis(80);

/// Nodes of which nobody keeps anything; the widest read asks 4 of them. They wait for an
/// answer for ever: the clock may run ahead while this process has other things to hash.
async fn net(nodes: usize) -> (Net, Arc<Board>) {
    let year = Duration::from_secs(365 * 24 * 3600);
    let config = Config {
        hedge_after: year,
        request_timeout: year,
        open_timeout: year,
        ..config()
    };
    hasty_net(nodes, config).await
}

/// The same with other waits.
async fn hasty_net(nodes: usize, config: Config) -> (Net, Arc<Board>) {
    let config = Config {
        search_width: 4,
        ..config
    };
    let net = Net::with_copies(nodes, config).await;
    let board = net.board.clone().unwrap();
    (net, board)
}

/// Puts an item on its replica set and nowhere else.
fn place(net: &Net, id: &ItemId) {
    for node in net.closest(key(id), 3) {
        node.map.keep(id, item(id, 1, b"x"));
    }
}

/// The nodes that an ordinary read never asks, farthest first.
fn outsiders(net: &Net, id: &ItemId) -> Vec<PeerId> {
    let mut peers: Vec<PeerId> = net
        .closest(key(id), net.nodes.len())
        .iter()
        .map(|node| node.contact.peer)
        .collect();
    peers.reverse();
    peers.truncate(net.nodes.len() - 4);
    peers
}

/// A node reads an item; its copy is published when this returns.
async fn read_and_publish(net: &Net, board: &Board, reader: PeerId, id: &ItemId) {
    net.node(reader).handle.get(id).await.unwrap();
    until("the copy is published", || {
        board.holders().contains(&reader)
    })
    .await;
}

fn all_measured(net: &Net, peers: &[&Node], rtt: Duration) {
    for node in peers {
        net.ring.measured(node.contact.peer, rtt);
    }
}

fn object(id: &ItemId) -> Guid {
    Guid::hash(&[&b"/hedgerow/test/1.0.0\0"[..], id].concat())
}

/// What items are called on the board, in order.
fn objects<'a>(ids: impl IntoIterator<Item = &'a ItemId>) -> Vec<Guid> {
    let mut objects: Vec<Guid> = ids.into_iter().map(object).collect();
    objects.sort();
    objects
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_a_read_left_outlives_all_replicas() {
    let (mut net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let outsiders = outsiders(&net, &id);
    let (reader, second) = (outsiders[0], outsiders[1]);
    read_and_publish(&net, &board, reader, &id).await;
    assert_eq!(board.objects(), [object(&id)]);
    assert_eq!(net.node(reader).handle.published(), 1);
    let copies = net.node(second).handle.holders(&id, 16).await.unwrap();
    assert_eq!(copies.len(), 1);

    let replicas: Vec<PeerId> = net
        .closest(key(&id), 3)
        .iter()
        .map(|node| node.contact.peer)
        .collect();
    for peer in replicas {
        let at = net.nodes.iter().position(|node| node.contact.peer == peer);
        net.kill(at.unwrap());
    }
    let got = net.node(second).handle.get(&id).await;
    assert_eq!(got.unwrap(), item(&id, 1, b"x"));
    assert_eq!(net.node(second).handle.stats().copies_fetched, 1);
}

#[tokio::test(start_paused = true)]
async fn a_near_copy_is_asked_and_far_replicas_are_not() {
    let (net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let outsiders = outsiders(&net, &id);
    all_measured(&net, &net.closest(key(&id), 3), FAR);
    net.ring.measured(outsiders[0], NEAR);
    read_and_publish(&net, &board, outsiders[0], &id).await;
    let set = net.closest(key(&id), 3);
    let sent = |node: &Node| node.handle.stats().bytes_sent;
    let before: u64 = set.iter().map(|node| sent(node)).sum();

    let second = net.node(outsiders[1]);
    second.handle.get(&id).await.unwrap();
    assert_eq!(second.handle.stats().copies_fetched, 1);
    let whole = item(&id, 1, b"x").len() as u64;
    assert_eq!(sent(net.node(outsiders[0])), whole);
    let after: u64 = set.iter().map(|node| sent(node)).sum();
    assert_eq!(before, after);
}

#[tokio::test(start_paused = true)]
async fn near_replicas_are_read_without_a_search() {
    let (net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let outsiders = outsiders(&net, &id);
    all_measured(&net, &net.closest(key(&id), 3), NEAR);
    read_and_publish(&net, &board, outsiders[0], &id).await;
    net.node(outsiders[1]).handle.get(&id).await.unwrap();
    let stats = net.node(outsiders[1]).handle.stats();
    assert_eq!((stats.searches, stats.copies_fetched), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn of_the_replicas_the_near_one_is_asked() {
    let (net, _) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let set = net.closest(key(&id), 3);
    net.ring.measured(set[0].contact.peer, FAR);
    net.ring
        .measured(set[1].contact.peer, Duration::from_millis(40));
    net.ring.measured(set[2].contact.peer, NEAR);
    let reader = net.node(outsiders(&net, &id)[0]);
    for _ in 0..3 {
        reader.map.lose_copy(&id);
        reader.handle.get(&id).await.unwrap();
        until("the copy is kept", || reader.map.copy(&id).is_some()).await;
    }
    let whole = item(&id, 1, b"x").len() as u64;
    let sent: Vec<u64> = set
        .iter()
        .map(|node| node.handle.stats().bytes_sent)
        .collect();
    assert_eq!(sent, [0, 0, 3 * whole]);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_does_not_end_does_not_hold_up_a_read() {
    let (net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let outsiders = outsiders(&net, &id);
    all_measured(&net, &net.closest(key(&id), 3), FAR);
    read_and_publish(&net, &board, outsiders[0], &id).await;
    board.never_ends();
    net.node(outsiders[1]).handle.get(&id).await.unwrap();
    let stats = net.node(outsiders[1]).handle.stats();
    assert_eq!((stats.searches, stats.copies_fetched), (1, 0));
    // What nobody has is not found, all the same.
    let missing = name(2);
    let Err(GetError::NotFound { .. }) = net.node(outsiders[1]).handle.get(&missing).await else {
        panic!("something else");
    };
}

#[tokio::test(start_paused = true)]
async fn holders_that_lie_are_silent_or_have_lost_it_cost_a_read_nothing_but_time() {
    for mood in [Some(Mood::Lies), Some(Mood::Hangs), None] {
        let (net, board) = hasty_net(10, config()).await;
        let id = name(1);
        place(&net, &id);
        let outsiders = outsiders(&net, &id);
        all_measured(&net, &net.closest(key(&id), 3), FAR);
        read_and_publish(&net, &board, outsiders[0], &id).await;
        let holder = net.node(outsiders[0]);
        match mood {
            Some(mood) => holder.map.set(mood),
            None => holder.map.lose_copy(&id),
        }
        let reader = net.node(outsiders[1]);
        let got = reader.handle.get(&id).await;
        assert_eq!(got.unwrap(), item(&id, 1, b"x"));
        assert_eq!(reader.handle.stats().copies_fetched, 0);
        if mood.is_none() {
            // The holder has noticed, and publishes it no more.
            until("the publication is gone", || {
                !board.holders().contains(&outsiders[0])
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_false_holder_does_not_hide_a_true_one() {
    let (mut net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let outsiders = outsiders(&net, &id);
    let (true_holder, liar, reader) = (outsiders[0], outsiders[1], outsiders[2]);
    read_and_publish(&net, &board, true_holder, &id).await;
    board.add(object(&id), net.node(liar).contact.clone());
    let replicas: Vec<PeerId> = net
        .closest(key(&id), 3)
        .iter()
        .map(|node| node.contact.peer)
        .collect();
    for peer in replicas {
        let at = net.nodes.iter().position(|node| node.contact.peer == peer);
        net.kill(at.unwrap());
    }
    let reader = net.node(reader);
    assert_eq!(reader.handle.get(&id).await.unwrap(), item(&id, 1, b"x"));
    assert_eq!(reader.handle.stats().copies_missed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_false_holder_of_what_nobody_has_leaves_it_not_found() {
    let (net, board) = net(10).await;
    let id = name(1);
    let outsiders = outsiders(&net, &id);
    let gone = Contact {
        guid: Guid::hash(b"gone"),
        peer: PeerId::random(),
        addrs: Vec::new(),
    };
    board.add(object(&id), gone);
    board.add(object(&id), net.node(outsiders[0]).contact.clone());
    let Err(GetError::NotFound { asked }) = net.node(outsiders[1]).handle.get(&id).await else {
        panic!("something else");
    };
    assert_eq!(asked.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_makes_room_in_the_cache_is_published_no_more() {
    let (net, board) = net(10).await;
    let first = name(0);
    let reader = outsiders(&net, &first)[0];
    place(&net, &first);
    read_and_publish(&net, &board, reader, &first).await;
    // As many more as the cache has room for, none of which is the reader's duty.
    let others: Vec<ItemId> = (1..100)
        .map(name)
        .filter(|id| {
            net.closest(key(id), 3)
                .iter()
                .all(|node| node.contact.peer != reader)
        })
        .take(CACHED)
        .collect();
    for id in &others {
        place(&net, id);
        net.node(reader).handle.get(id).await.unwrap();
        until("the copy is kept", || {
            net.node(reader).map.copy(id).is_some()
        })
        .await;
    }
    assert_eq!(net.node(reader).map.copy(&first), None);
    until("the others are published, and it is not", || {
        board.objects() == objects(&others)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn publications_have_a_budget_and_a_pace() {
    let config = Config {
        published: 3,
        ..config()
    };
    let net = Net::with_copies(8, config.clone()).await;
    let board = net.board.clone().unwrap();
    let writer = &net.nodes[0];
    // What a put keeps at its node beyond duty is published as well.
    let beyond = |id: &ItemId| {
        let set = net.closest(key(id), 3);
        set.iter()
            .all(|node| node.contact.peer != writer.contact.peer)
    };
    let ids: Vec<ItemId> = (0..200).map(name).filter(beyond).take(20).collect();
    for id in &ids {
        let put = writer.handle.put(id.clone(), item(id, 1, b"x"));
        put.await.unwrap();
    }
    let newest = objects(&ids[17..]);
    until("the last three are published", || board.objects() == newest).await;
    assert!(board.most() <= 2 * config.published, "{}", board.most());
    let times = board.published();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= config.publish_every);
    }

    // One of them is used: the next two do not push it out.
    writer.handle.get(&ids[17]).await.unwrap();
    for id in &ids[..2] {
        writer
            .handle
            .put(id.clone(), item(id, 2, b"y"))
            .await
            .unwrap();
    }
    until("the used one has stayed", || {
        board.objects() == objects([&ids[17], &ids[0], &ids[1]])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_budget_publishes_and_looks_for_nothing() {
    let config = Config {
        published: 0,
        ..config()
    };
    let net = Net::with_copies(8, config).await;
    let board = net.board.clone().unwrap();
    let id = name(1);
    place(&net, &id);
    let reader = net.outsider(key(&id), 3);
    reader.handle.get(&id).await.unwrap();
    until("the copy is kept", || reader.map.copy(&id).is_some()).await;
    assert!(reader.handle.get(&name(2)).await.is_err());
    assert_eq!(reader.handle.stats().searches, 0);
    assert!(board.published().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_was_damaged_is_published_no_more() {
    let (net, board) = net(10).await;
    let id = name(1);
    place(&net, &id);
    let reader = net.node(outsiders(&net, &id)[0]);
    read_and_publish(&net, &board, reader.contact.peer, &id).await;
    reader.map.corrupt(&id);
    reader.map.lose_copy(&id);
    // It is read from its replicas again.
    assert_eq!(reader.handle.get(&id).await.unwrap(), item(&id, 1, b"x"));
    assert_eq!(reader.handle.stats().corrupted, 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_from_elsewhere_is_kept_whoever_is_to_have_it() {
    let (net, _) = net(3).await;
    // In a network of three everything is the duty of each.
    let (id, node) = (name(0), &net.nodes[0]);
    node.handle.keep_copy(&id, &item(&id, 1, b"x"));
    until("the copy is kept", || node.map.copy(&id).is_some()).await;
    assert_eq!(node.handle.get(&id).await.unwrap(), item(&id, 1, b"x"));
}
