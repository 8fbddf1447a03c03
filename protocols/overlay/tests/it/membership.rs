//! Joining, leaving, dying.

use overlay::{Config, Event, State};

use crate::net::{Node, in_time, network};

#[tokio::test]
async fn a_node_alone_becomes_active() {
    let mut node = Node::start(Config::default(), &[]).await;
    in_time(node.handle.active()).await;
    assert_eq!(in_time(node.events.recv()).await, Some(Event::Active));
    let set = node
        .handle
        .local_replica_set(node.guid(), 3)
        .expect("it is the whole overlay");
    assert_eq!(set, [node.handle.me()]);
}

#[tokio::test]
async fn nodes_find_each_other_through_one() {
    let nodes = network(5).await;
    for node in &nodes {
        let snapshot = node.handle.snapshot();
        assert_eq!(snapshot.state, State::Active);
        for contact in snapshot.leaf_set.contacts() {
            let other = nodes
                .iter()
                .find(|other| other.peer == contact.peer)
                .expect("a node");
            assert_eq!(*contact, other.handle.me());
            assert_eq!(contact.addrs, std::slice::from_ref(&other.addr));
        }
    }
}

#[tokio::test]
async fn a_killed_node_is_noticed() {
    let mut nodes = network(4).await;
    let dead = nodes.remove(0);
    let mut upcalls = nodes[0]
        .handle
        .register(overlay::AppId(9), overlay::AppConfig::default());
    let gone = dead.peer;
    dead.kill().await;
    for node in &nodes {
        in_time(node.knows(2)).await;
        assert!(
            node.handle
                .snapshot()
                .leaf_set
                .contacts()
                .all(|contact| contact.peer != gone)
        );
    }
    let update = in_time(upcalls.next()).await;
    let Some(overlay::Upcall::Update { left, .. }) = update else {
        panic!("{update:?}")
    };
    assert_eq!(
        left.iter().map(|contact| contact.peer).collect::<Vec<_>>(),
        [gone]
    );
}

#[tokio::test]
async fn a_node_that_leaves_says_so() {
    let mut nodes = network(3).await;
    let leaver = nodes.remove(0);
    in_time(leaver.handle.leave()).await;
    assert_eq!(leaver.handle.snapshot().state, State::Left);
    for node in &nodes {
        in_time(node.knows(1)).await;
    }
    let error = leaver
        .handle
        .trace(leaver.guid())
        .await
        .expect_err("it has left");
    assert_eq!(error, overlay::RouteError::Left);
}
