//! Writing, reading, history, names, and quorums.

use objects::{Action, Name, ReadError, Version, WriteError, aguid};

use crate::net::net;
use crate::support::name;

#[tokio::test]
async fn what_one_node_writes_another_reads_and_so_are_older_versions() {
    let net = net(5).await;
    let (one, other) = (&net.nodes[0], &net.nodes[3]);
    for (number, content) in ["first", "second", "third"].into_iter().enumerate() {
        let written = net.put(0, "photos/cat", content, vec![]).await.unwrap();
        assert_eq!(written.record.seq(), number as u64 + 1);
        assert!(written.replicas.stored_on.len() >= 2);
    }
    let cat = aguid(&one.owner(), &name("photos/cat"));
    for (version, content) in [
        (Version::Newest, "third"),
        (Version::Number(1), "first"),
        (Version::Number(2), "second"),
        (Version::Number(3), "third"),
    ] {
        let record = other.version(cat, version).await.unwrap();
        assert_eq!(net.read(record.root().unwrap()).await, content);
        let again = other.version(cat, Version::Vguid(record.vguid())).await;
        assert_eq!(again.unwrap(), record);
    }
    for wrong in [0, 4] {
        let error = other.version(cat, Version::Number(wrong)).await;
        assert!(matches!(error, Err(ReadError::NoVersion { newest: 3, .. })));
    }
    let history = other.history(cat, 2).await.unwrap();
    assert_eq!(
        (history.versions.len(), history.more, history.heads),
        (2, true, 1)
    );
    let history = other.history(cat, 100).await.unwrap();
    let numbers: Vec<u64> = history.versions.iter().map(|record| record.seq()).collect();
    assert_eq!((numbers, history.more), (vec![3, 2, 1], false));
}

#[tokio::test]
async fn what_is_removed_is_gone_by_name_and_there_by_number_and_comes_back() {
    let net = net(4).await;
    let one = &net.nodes[0];
    net.put(0, "cat", "first", vec![]).await.unwrap();
    net.put(0, "dog", "woof", vec![]).await.unwrap();
    let names = async || one.names(&one.owner(), "", 10).await.unwrap();
    assert_eq!(names().await, ["cat", "dog"]);
    let removed = net.act(0, "cat", Action::Remove).await.unwrap().record;
    assert!(removed.is_removal() && removed.seq() == 2);
    assert_eq!(names().await, ["dog"]);
    let cat = removed.aguid();
    let error = net.nodes[2].version(cat, Version::Newest).await;
    assert!(matches!(error, Err(ReadError::Removed { seq: 2 })));
    assert!(net.nodes[2].version(cat, Version::Number(1)).await.is_ok());
    let error = net.act(0, "cat", Action::Remove).await;
    assert!(matches!(
        error,
        Err(WriteError::Read(ReadError::Removed { seq: 2 }))
    ));
    let error = net.act(0, "cow", Action::Remove).await;
    assert!(matches!(
        error,
        Err(WriteError::Read(ReadError::NotFound { .. }))
    ));
    let restore = Action::Restore(Version::Number(1));
    let back = net.act(0, "cat", restore).await.unwrap().record;
    assert_eq!(back.seq(), 3);
    assert_eq!(net.read(back.root().unwrap()).await, "first");
    // Seen from elsewhere, and the list is a versioned object itself.
    let theirs = net.nodes[3].names(&one.owner(), "c", 10).await.unwrap();
    assert_eq!(theirs, ["cat"]);
    let list = aguid(&one.owner(), &Name::namespace());
    let versions = net.nodes[1].history(list, 100).await.unwrap().versions;
    assert_eq!(versions.len(), 4);
    assert_eq!(net.read(versions[0].root().unwrap()).await, "cat\ndog\n");
}

#[tokio::test]
async fn a_miss_names_who_was_asked_and_what_may_have_been_meant() {
    let net = net(4).await;
    let one = &net.nodes[0];
    net.put(0, "photos/cat.jpg", "x", vec![]).await.unwrap();
    let typed = name("photos/cta.jpg");
    let Err(ReadError::NotFound { asked }) = one
        .version(aguid(&one.owner(), &typed), Version::Newest)
        .await
    else {
        panic!("something was found");
    };
    assert_eq!(asked.len(), 3);
    assert_eq!(
        one.nearest_names(&one.owner(), &typed).await,
        ["photos/cat.jpg"]
    );
}

#[tokio::test]
async fn a_prefix_is_brought_into_the_form_that_names_have() {
    let net = net(1).await;
    let one = &net.nodes[0];
    net.put(0, "caf\u{e9}/menu", "x", vec![]).await.unwrap();
    for typed in ["caf\u{e9}/", "cafe\u{301}/", "cafe\u{301}"] {
        let names = one.names(&one.owner(), typed, 10).await.unwrap();
        assert_eq!(names, ["caf\u{e9}/menu"], "{typed:?}");
    }
}

#[tokio::test]
async fn what_one_request_walks_is_bounded_and_says_where_to_go_on() {
    let net = net(1).await;
    for content in 0..8 {
        net.put(0, "cat", &content.to_string(), vec![])
            .await
            .unwrap();
    }
    let cat = aguid(&net.nodes[0].owner(), &name("cat"));
    let whole = net.nodes[0].history(cat, 100).await.unwrap().versions;
    let reader = net.reader(3);
    assert_eq!(
        reader.version(cat, Version::Number(5)).await.unwrap(),
        whole[3]
    );
    let Err(error) = reader.version(cat, Version::Number(4)).await else {
        panic!("it went further than it may");
    };
    let text = error.to_string();
    assert!(
        matches!(
            error,
            ReadError::TooFar {
                records: 3,
                seq: 4,
                ..
            }
        ),
        "{text}"
    );
    assert!(text.contains(&whole[4].vguid().to_string()), "{text}");
    // From there it goes on.
    let next = Version::Vguid(whole[4].vguid());
    assert_eq!(reader.version(cat, next).await.unwrap(), whole[4]);
    let history = reader.history(cat, 100).await.unwrap();
    assert_eq!((history.versions.len(), history.more), (4, true));
    let (missing, why) = history.missing.unwrap();
    assert_eq!(missing, whole[4].vguid());
    assert!(why.contains("further back"), "{why}");
}

#[tokio::test]
async fn a_majority_is_enough_and_less_is_an_error_both_ways() {
    let mut net = net(3).await;
    net.put(0, "cat", "first", vec![]).await.unwrap();
    net.kill(2).await;
    let second = net.put(0, "cat", "second", vec![]).await.unwrap().record;
    let read = net.nodes[1].version(second.aguid(), Version::Newest).await;
    assert_eq!(read.unwrap(), second);
    net.kill(1).await;
    // A reader without a majority does not guess, though it has a copy itself.
    let error = net.nodes[0].version(second.aguid(), Version::Newest).await;
    assert!(matches!(error, Err(ReadError::Replicas(_))), "{error:?}");
    let error = net.put(0, "cat", "third", vec![]).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn a_version_that_was_read_once_is_never_unseen() {
    let mut net = net(3).await;
    let first = net.put(0, "cat", "first", vec![]).await.unwrap().record;
    let second = net.put(0, "cat", "second", vec![]).await.unwrap().record;
    // As after a write that reached one replica: the others have the version before.
    let old = objects::Heads::of(first.clone());
    for behind in [1, 2] {
        let store = net.nodes[behind].store();
        store.discard(first.aguid()).await.unwrap();
        store.put(old.clone()).await.unwrap();
    }
    assert_eq!(
        net.nodes[0]
            .version(first.aguid(), Version::Newest)
            .await
            .unwrap(),
        second
    );
    // Who read it has seen to it that a majority has it: its own death changes nothing.
    net.kill(0).await;
    let read = net.nodes[1].version(first.aguid(), Version::Newest).await;
    assert_eq!(read.unwrap(), second);
}
