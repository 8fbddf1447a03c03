//! Two nodes with one key.

use objects::{Action, Heads, ReadError, Version, WriteError, aguid};

use crate::net::net_with;
use crate::support::{fields, keypair, name};

#[tokio::test]
async fn a_fork_is_kept_shown_and_ended_by_a_choice() {
    let net = net_with(4, |node, own| match node {
        0 | 1 => keypair(9),
        _ => own,
    })
    .await;
    let owner = net.nodes[0].owner();
    let cat = aguid(&owner, &name("cat"));
    let base = net.put(0, "cat", "base", vec![]).await.unwrap().record;
    // The other node signs its own second version before it has heard of the first one's.
    let ours = net.put(0, "cat", "ours", vec![]).await.unwrap().record;
    let mut theirs = fields("cat", "x", &[&base]);
    theirs.root = Some(net.file("theirs").await);
    let theirs = objects::Record::sign(&keypair(9), theirs).unwrap();
    let block = theirs.encoded().clone();
    unixfs::BlockSink::put(&net.blocks, theirs.vguid(), block)
        .await
        .unwrap();
    // Three of four are a majority of whichever three keep it.
    for node in &net.nodes[1..] {
        let heads = Heads::of(theirs.clone());
        node.store().put(heads).await.unwrap();
    }

    // Whoever reads sees both, whichever replicas answer first.
    for node in &net.nodes {
        let heads = node.newest(cat).await.unwrap();
        let mut seen = heads.vguids();
        let mut both = vec![ours.vguid(), theirs.vguid()];
        seen.sort();
        both.sort();
        assert_eq!(seen, both);
        let error = node.version(cat, Version::Newest).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ReadError::Fork { seq: 2, .. }));
        for vguid in &both {
            assert!(text.contains(&vguid.to_string()), "{text}");
            assert!(node.version(cat, Version::Vguid(*vguid)).await.is_ok());
        }
        // Before the fork there is one.
        assert_eq!(node.version(cat, Version::Number(1)).await.unwrap(), base);
        let history = node.history(cat, 10).await.unwrap();
        assert_eq!((history.heads, history.versions.len()), (2, 3));
    }
    let written = net.put(0, "dog", "no fork", vec![]).await.unwrap();
    assert_eq!(written.newest.single(), Some(&written.record));
    // Nothing is written over it by accident.
    let error = net.put(0, "cat", "more", vec![]).await;
    assert!(matches!(
        error,
        Err(WriteError::Read(ReadError::Fork { .. }))
    ));
    // A choice ends it, and none is lost from history.
    let choice = Action::Restore(Version::Vguid(theirs.vguid()));
    let ended = net.act(1, "cat", choice).await.unwrap().record;
    assert_eq!(ended.fields().previous, [theirs.vguid(), ours.vguid()]);
    assert_eq!(ended.root(), theirs.root());
    let reader = &net.nodes[2];
    assert_eq!(reader.version(cat, Version::Newest).await.unwrap(), ended);
    assert_eq!(
        reader.version(cat, Version::Number(2)).await.unwrap(),
        theirs
    );
    assert_eq!(reader.history(cat, 10).await.unwrap().versions.len(), 4);
}

#[tokio::test]
async fn a_fork_of_removals_is_ended_by_choosing_one() {
    let net = net_with(3, |node, own| match node {
        0 | 1 => keypair(9),
        _ => own,
    })
    .await;
    let cat = aguid(&net.nodes[0].owner(), &name("cat"));
    let base = net.put(0, "cat", "base", vec![]).await.unwrap().record;
    let ours = net.act(0, "cat", Action::Remove).await.unwrap().record;
    let mut theirs = fields("cat", "", &[&base]);
    (theirs.root, theirs.size, theirs.time) = (None, 0, 5);
    let theirs = objects::Record::sign(&keypair(9), theirs).unwrap();
    for node in &net.nodes {
        node.store().put(Heads::of(theirs.clone())).await.unwrap();
    }
    assert_eq!(net.nodes[2].newest(cat).await.unwrap().vguids().len(), 2);
    let choice = Action::Restore(Version::Vguid(ours.vguid()));
    let ended = net.act(1, "cat", choice).await.unwrap().record;
    assert_eq!(ended.fields().previous, [ours.vguid(), theirs.vguid()]);
    assert!(ended.is_removal());
    assert_eq!(net.nodes[2].newest(cat).await.unwrap().vguids().len(), 1);
}

#[tokio::test]
async fn two_writers_at_once_fork_or_come_one_after_the_other() {
    let net = net_with(3, |_, _| keypair(9)).await;
    let writes = (0..3).map(|node| {
        let content = format!("by {node}");
        let net = &net;
        async move { net.put(node, "cat", &content, vec![]).await }
    });
    let written = futures::future::join_all(writes).await;
    let cat = aguid(&net.nodes[0].owner(), &name("cat"));
    let history = net.nodes[1].history(cat, 100).await.unwrap();
    assert!(written.iter().any(Result::is_ok), "nobody wrote");
    // What was acknowledged is in the history, on whichever branch.
    for written in written.into_iter().flatten() {
        // Who wrote is told of those who wrote beside it.
        let newest = written.newest.records();
        assert!(newest.contains(&written.record) || newest[0].seq() > written.record.seq());
        let vguid = written.record.vguid();
        let known = history
            .versions
            .iter()
            .any(|record| record.vguid() == vguid);
        assert!(known, "version {} is hidden", written.record.seq());
    }
}

/// The longer branch replaces the shorter one at the replicas, which cannot tell; who wrote
/// the shorter one can.
#[tokio::test]
async fn who_was_overtaken_while_cut_off_says_so_and_ends_it() {
    let net = net_with(5, |node, own| match node {
        0 | 1 => keypair(9),
        _ => own,
    })
    .await;
    let cat = aguid(&net.nodes[0].owner(), &name("cat"));
    net.put(0, "cat", "base", vec![]).await.unwrap();
    net.cut(&[0]);
    let short = net.put(0, "cat", "short", vec![]).await.unwrap().record;
    for content in ["a", "b", "long"] {
        net.put(1, "cat", content, vec![]).await.unwrap();
    }
    net.cut(&[]);
    // Who has one key and wrote nothing there sees nothing of it.
    let heads = net.nodes[1].newest(cat).await.unwrap();
    let long = heads.single().unwrap().clone();
    assert_eq!((short.seq(), long.seq()), (2, 4));
    assert_eq!(net.nodes[1].overtaken(&heads).await.unwrap(), None);
    assert_eq!(net.nodes[2].overtaken(&heads).await.unwrap(), None);
    // Who wrote the shorter one does, and does not write on by accident.
    let heads = net.nodes[0].newest(cat).await.unwrap();
    assert_eq!(heads.single(), Some(&long));
    let aside = net.nodes[0].overtaken(&heads).await.unwrap();
    assert_eq!(aside, Some(short.clone()));
    let history = net.nodes[0].history(cat, 100).await.unwrap();
    assert_eq!(history.overtaken, Some(short.clone()));
    let Err(error) = net.put(0, "cat", "more", vec![]).await else {
        panic!("it wrote over a branch");
    };
    for branch in [&short, &long] {
        assert!(
            error.to_string().contains(&branch.vguid().to_string()),
            "{error}"
        );
    }
    // A choice ends it, for all.
    let choice = Action::Restore(Version::Vguid(short.vguid()));
    let ended = net.act(0, "cat", choice).await.unwrap().record;
    assert_eq!(ended.fields().previous, [long.vguid(), short.vguid()]);
    assert_eq!(ended.root(), short.root());
    assert_eq!(ended.seq(), 5);
    for node in &net.nodes {
        let history = node.history(cat, 100).await.unwrap();
        let numbers: Vec<u64> = history
            .versions
            .iter()
            .map(|version| version.seq())
            .collect();
        assert_eq!(numbers, [5, 4, 3, 2, 2, 1]);
        assert_eq!((history.overtaken, history.missing), (None, None));
        assert_eq!(node.version(cat, Version::Number(4)).await.unwrap(), long);
    }
    net.put(0, "cat", "more", vec![]).await.unwrap();
    net.put(1, "cat", "and more", vec![]).await.unwrap();
    let heads = net.nodes[0].newest(cat).await.unwrap();
    assert_eq!(net.nodes[0].overtaken(&heads).await.unwrap(), None);
    // Nor did the lists of names lose any.
    assert_eq!(
        net.nodes[2]
            .names(&net.nodes[0].owner(), "", 10)
            .await
            .unwrap(),
        ["cat"]
    );
}

/// Names that were given while the network was cut are listed when it is whole again.
#[tokio::test]
async fn a_list_of_names_that_was_overtaken_is_joined_again() {
    let net = net_with(5, |node, own| match node {
        0 | 1 => keypair(9),
        _ => own,
    })
    .await;
    net.cut(&[0]);
    net.put(0, "mine", "x", vec![]).await.unwrap();
    for other in ["one", "two"] {
        net.put(1, other, "x", vec![]).await.unwrap();
    }
    net.cut(&[]);
    net.put(0, "more", "x", vec![]).await.unwrap();
    let names = net.nodes[3]
        .names(&net.nodes[0].owner(), "", 10)
        .await
        .unwrap();
    assert_eq!(names, ["mine", "more", "one", "two"]);
}
