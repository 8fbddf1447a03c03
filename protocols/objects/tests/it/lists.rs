//! The list of names: many who write at once, lists that fail, and long ones (J5).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use libp2p_identity::Keypair;
use objects::{
    Action, Fields, Handle, Heads, MAX_NAMES, Name, ReadError, Record, Update, Version, WriteError,
    aguid,
};
use tokio::task::JoinHandle;
use unixfs::BlockSink;

use crate::net::{Leaves, Net, net, net_with};
use crate::support::{keypair, name};

/// How many versions a node's list has.
async fn versions(handle: &Handle) -> u64 {
    match handle.newest(list(handle)).await {
        Ok(heads) => heads.seq(),
        Err(ReadError::NotFound { .. }) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn list(handle: &Handle) -> guid::Guid {
    aguid(&handle.owner(), &Name::namespace())
}

/// What a node's list says, as another one reads it.
async fn listed(net: &Net) -> Vec<String> {
    let owner = net.nodes[0].owner();
    let reader = net.nodes.last().unwrap();
    let names = reader.names(&owner, "", usize::MAX).await.unwrap();
    // What the writer remembers is what others read.
    let own = net.nodes[0].names(&owner, "", usize::MAX).await;
    assert_eq!(own.unwrap(), names);
    names
}

fn numbered(names: std::ops::Range<usize>) -> Vec<String> {
    names.map(|number| format!("n{number:03}")).collect()
}

/// Has the first node put objects under these names, each in a task of its own, until all of them
/// are there and wait to be listed.
async fn put_and_wait(net: &Net, names: &[String]) -> Vec<JoinHandle<Result<(), WriteError>>> {
    let root = net.file("content").await;
    let mut writes = net.nodes[0].writes();
    let mut tasks = Vec::new();
    for text in names {
        let (handle, name) = (net.nodes[0].clone(), name(text));
        let update = Update::when(Vec::new(), vec![Action::Set(root)]);
        let task = async move { handle.update(&name, update).await.map(|_| ()) };
        tasks.push(tokio::spawn(task));
    }
    // It is told of where a task goes on to wait without a pause, on this one thread.
    for _ in names {
        writes.recv().await.unwrap();
    }
    tasks
}

/// The first name, whose list is being written and does not end, and others that wait for it.
async fn one_is_held(net: &Net, others: &[String]) -> Vec<JoinHandle<Result<(), WriteError>>> {
    net.gate.leaves.send_replace(Leaves::Held);
    let mut came = net.gate.came.subscribe();
    let before = *came.borrow_and_update();
    let mut tasks = put_and_wait(net, &numbered(0..1)).await;
    came.wait_for(|came| *came > before).await.unwrap();
    tasks.extend(put_and_wait(net, others).await);
    tasks
}

#[tokio::test]
async fn who_wait_are_listed_together() {
    let net = net(3).await;
    let tasks = one_is_held(&net, &numbered(1..17)).await;
    // Who has to wait for the list is not acknowledged.
    assert!(tasks.iter().all(|task| !task.is_finished()));
    net.gate.leaves.send_replace(Leaves::Stored);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(listed(&net).await, numbered(0..17));
    assert_eq!(versions(&net.nodes[0]).await, 2);
    // Who writes one after the other has a version for each.
    for name in numbered(17..20) {
        net.put(0, &name, "x", vec![]).await.unwrap();
    }
    assert_eq!(versions(&net.nodes[0]).await, 5);
}

#[tokio::test]
async fn one_version_takes_up_a_bounded_number() {
    let net = net(1).await;
    let tasks = one_is_held(&net, &numbered(1..602)).await;
    net.gate.leaves.send_replace(Leaves::Stored);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(listed(&net).await, numbered(0..602));
    // One, 256, 256, and the 89 that are left.
    assert_eq!(versions(&net.nodes[0]).await, 4);
}

#[tokio::test]
async fn a_list_that_fails_fails_for_all_who_waited_and_the_next_write_mends_it() {
    let net = net(3).await;
    let tasks = one_is_held(&net, &numbered(1..17)).await;
    net.gate.leaves.send_replace(Leaves::Refused);
    for task in tasks {
        // J5: the objects are there.
        task.await.unwrap().unwrap();
    }
    // The first, and one for all the others.
    assert_eq!(*net.gate.came.borrow(), 2);
    assert!(listed(&net).await.is_empty());
    assert_eq!(versions(&net.nodes[0]).await, 0);
    net.gate.leaves.send_replace(Leaves::Stored);
    net.put(0, "n017", "x", vec![]).await.unwrap();
    assert_eq!(listed(&net).await, numbered(0..18));
    assert_eq!(versions(&net.nodes[0]).await, 1);
}

#[tokio::test]
async fn who_goes_away_in_the_middle_holds_up_nobody_and_is_listed() {
    let net = net(3).await;
    let mut tasks = one_is_held(&net, &numbered(1..6)).await;
    let mut came = net.gate.came.subscribe();
    // Who waits; who has a list written for itself; and who then has one for all.
    for (gone, lists) in [(3, 1), (0, 2), (1, 2)] {
        tasks[gone].abort();
        assert!((&mut tasks[gone]).await.unwrap_err().is_cancelled());
        came.wait_for(|came| *came >= lists).await.unwrap();
    }
    net.gate.leaves.send_replace(Leaves::Stored);
    for stays in [2, 4, 5] {
        (&mut tasks[stays]).await.unwrap().unwrap();
    }
    assert_eq!(listed(&net).await, numbered(0..6));
    assert_eq!(versions(&net.nodes[0]).await, 1);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_keeps_no_other_from_the_list() {
    let net = net(3).await;
    let tasks = one_is_held(&net, &numbered(1..5)).await;
    let lost = aguid(&net.nodes[0].owner(), &name("n002"));
    for node in &net.nodes {
        node.store().discard(lost).await.unwrap();
    }
    net.gate.leaves.send_replace(Leaves::Stored);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(listed(&net).await, ["n000", "n001", "n003", "n004"]);
}

#[tokio::test]
async fn the_list_is_of_the_objects_that_are_there_whoever_wrote_last() {
    let net = Arc::new(net(3).await);
    for round in 0..4 {
        let many = (0..48).map(|number| {
            let net = Arc::clone(&net);
            async move {
                let name = format!("n{}", number % 8);
                match (number * 7 + round) % 3 {
                    // There may be nothing to remove.
                    0 => drop(net.act(0, &name, Action::Remove).await),
                    _ => drop(net.put(0, &name, "x", vec![]).await.unwrap()),
                }
            }
        });
        futures::future::join_all(many).await;
        let mut live = Vec::new();
        for number in 0..8 {
            let text = format!("n{number}");
            let of = aguid(&net.nodes[0].owner(), &name(&text));
            if net.nodes[1].version(of, Version::Newest).await.is_ok() {
                live.push(text);
            }
        }
        assert_eq!(listed(&net).await, live);
    }
}

/// A list as it may have been written before: a file of leaves of 1 MiB, as the first node would have signed it.
async fn stands(net: &Net, key: &Keypair, text: &str) {
    let fields = Fields {
        name: Name::namespace(),
        seq: 1,
        previous: Vec::new(),
        root: Some(net.file(text).await),
        size: text.len() as u64,
        time: 2_000_000_000_000,
        properties: None,
    };
    let record = Record::sign(key, fields).unwrap();
    let block = record.encoded().clone();
    net.blocks.put(record.vguid(), block).await.unwrap();
    for node in &net.nodes {
        let heads = Heads::of(record.clone());
        node.store().put(heads).await.unwrap();
    }
}

fn lines(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

async fn net_of_keys() -> (Net, Keypair) {
    let net = net_with(3, |node, own| match node {
        0 => keypair(9),
        _ => own,
    });
    (net.await, keypair(9))
}

#[tokio::test]
async fn a_name_on_a_long_list_costs_a_small_leaf_and_the_nodes_above_it() {
    let (net, key) = net_of_keys().await;
    let mut names: BTreeSet<String> = (0..100_000)
        .map(|number| format!("photos/2026/{number:06}.jpg"))
        .collect();
    stands(&net, &key, &lines(&names)).await;
    let cost = || {
        let (read, written) = (&net.gate.read, &net.gate.written);
        (
            read.swap(0, Ordering::Relaxed),
            written.swap(0, Ordering::Relaxed),
        )
    };
    // The list is read, and of its large leaves the one that changes is divided.
    for number in [50_000, 50_001] {
        let name = format!("photos/2026/{number:06}-new.jpg");
        net.put(0, &name, "x", vec![]).await.unwrap();
        names.insert(name);
    }
    let (read, _) = cost();
    assert!(read > 2_400_000, "{read} bytes were read");
    let name = "photos/2026/050000-again.jpg";
    net.put(0, name, "x", vec![]).await.unwrap();
    names.insert(name.to_owned());
    // Two nodes, a leaf, the record; and what was there of them. The content is an object's own.
    let (read, written) = cost();
    assert!(written < 40_000, "{written} bytes were written");
    assert!(read < 40_000, "{read} bytes were read");
    net.act(0, "photos/2026/050001-new.jpg", Action::Remove)
        .await
        .unwrap();
    names.remove("photos/2026/050001-new.jpg");
    let (read, written) = cost();
    assert!(read < 40_000 && written < 40_000, "{read} {written}");
    let wanted: Vec<String> = names.into_iter().collect();
    assert!(listed(&net).await == wanted);
    let owner = net.nodes[0].owner();
    let behind = net.nodes[2].names_behind(&owner, "photos/2026/05", Some(name), 2);
    assert_eq!(
        behind.await.unwrap(),
        ["photos/2026/050000-new.jpg", "photos/2026/050000.jpg"]
    );
}

#[tokio::test]
async fn of_those_who_want_the_last_place_on_a_full_list_one_gets_it() {
    let (net, key) = net_of_keys().await;
    let names: BTreeSet<String> = (1..MAX_NAMES).map(|number| number.to_string()).collect();
    stands(&net, &key, &lines(&names)).await;
    let many = ["a", "b", "c", "d"].map(|name| net.put(0, name, "x", vec![]));
    let outcomes = futures::future::join_all(many).await;
    let mut there = Vec::new();
    for (outcome, text) in outcomes.into_iter().zip(["a", "b", "c", "d"]) {
        match outcome {
            Ok(_) => there.push(text),
            Err(WriteError::TooManyNames) => {
                // No version was made.
                let of = aguid(&net.nodes[0].owner(), &name(text));
                let none = net.nodes[1].newest(of).await;
                assert!(matches!(none, Err(ReadError::NotFound { .. })), "{none:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(there.len(), 1);
    let names = listed(&net).await;
    assert_eq!(
        (names.len(), names.last().unwrap().as_str()),
        (MAX_NAMES, there[0])
    );
    // What is listed is written as ever, and a name that goes makes room.
    net.put(0, "17", "x", vec![]).await.unwrap();
    let error = net.put(0, "new", "x", vec![]).await.unwrap_err();
    assert!(matches!(error, WriteError::TooManyNames), "{error}");
    net.act(0, "17", Action::Remove).await.unwrap();
    net.put(0, "new", "x", vec![]).await.unwrap();
    assert_eq!(listed(&net).await.len(), MAX_NAMES);
}

/// What somebody else wrote there is no list of ours: it is not changed in the middle.
#[tokio::test]
async fn a_list_in_another_order_is_written_anew() {
    for text in ["b\nc\n/x\n\na", "c\na\nb\n"] {
        let (net, key) = net_of_keys().await;
        stands(&net, &key, text).await;
        net.put(0, "bb", "x", vec![]).await.unwrap();
        let heads = net.nodes[1].newest(list(&net.nodes[0])).await.unwrap();
        let root = heads.single().unwrap().root().unwrap();
        assert_eq!(net.read(root).await, "a\nb\nbb\nc\n");
        assert_eq!(listed(&net).await, ["a", "b", "bb", "c"]);
    }
}
