//! Restoring when all replicas of the blocks are gone.

use std::sync::atomic::{AtomicU64, Ordering};

use archive::{Contents, Manifest, RestoreError};

use crate::net::net;

#[tokio::test]
async fn from_any_fragments_that_are_enough() {
    let mut net = net(9).await;
    let manifest = net.archived("cakes", 3_000_000).await;
    net.blocks.lose_all();
    assert!(!net.is_there(&manifest).await);
    // 4 of 9 are enough: so 5 nodes may go, also the one that archived.
    for node in 0..5 {
        net.kill(node).await;
    }
    let reader = &net.nodes[7].handle;
    let found = reader
        .find(manifest.record().aguid(), objects::Version::Newest)
        .await;
    assert_eq!(found.unwrap(), manifest);
    let done = AtomicU64::new(0);
    let report = |bytes| {
        assert!(done.swap(bytes, Ordering::Relaxed) < bytes);
    };
    let restored = reader.restore(&manifest, &report).await.unwrap();
    assert_eq!(restored.blocks, manifest.contents().blocks);
    assert_eq!(done.into_inner(), manifest.contents().length);
    assert!(net.is_there(&manifest).await);

    // One more is too many, and the answer says how many there are.
    net.blocks.lose_all();
    net.kill(5).await;
    let reader = &net.nodes[7].handle;
    let error = reader.restore(&manifest, &|_| ()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("too few fragments: of part 1 of 3, 3 of 9 could be got, 4 are needed"),
        "{error}"
    );
}

#[tokio::test]
async fn fragments_that_do_not_verify_are_counted_and_others_taken() {
    let net = net(6).await;
    let manifest = net.archived("cakes", 100_000).await;
    net.blocks.lose_all();
    let reader = &net.nodes[0].handle;
    let census = reader.census(&manifest).await;
    let holder = |index: usize| net.of(census.columns[index].node.unwrap());
    // Those that are asked first, as nothing has to be computed of what they have.
    for index in 0..3 {
        assert_eq!(holder(index).store.corrupt_all().await, 1);
    }
    let restored = reader.restore(&manifest, &|_| ()).await.unwrap();
    assert_eq!((restored.missing, restored.bad), (3, 3));
    assert!(net.is_there(&manifest).await);
    // With one more damaged there are too few, and it is said that they are damaged.
    assert_eq!(holder(3).store.corrupt_all().await, 1);
    let error = reader.restore(&manifest, &|_| ()).await.unwrap_err();
    let RestoreError::TooFew { found, bad, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(found, 2);
    assert!(bad > 0, "{error}");
}

/// A manifest of the same fragments that says something else of them.
fn twisted(
    net: &crate::net::Net,
    manifest: &Manifest,
    twist: impl FnOnce(&mut Contents),
) -> Manifest {
    let mut contents = manifest.contents().clone();
    twist(&mut contents);
    Manifest::sign(&net.owner, manifest.record().clone(), contents).unwrap()
}

#[tokio::test]
async fn a_manifest_that_does_not_fit_its_fragments_restores_nothing_wrong() {
    let net = net(4).await;
    let manifest = net.archived("cakes", 1_200_000).await;
    net.blocks.lose_all();
    let segments = manifest.segments();
    assert_eq!(segments, 3);
    let reader = &net.nodes[1].handle;
    type Case = Box<dyn FnOnce(&mut Contents)>;
    let cases: [Case; 5] = [
        Box::new(|contents| contents.roots.swap(0, 1)),
        Box::new(|contents| contents.roots[1] = [9; 32]),
        Box::new(|contents| contents.blocks += 1),
        Box::new(|contents| contents.blocks -= 1),
        Box::new(|contents| contents.length -= 2),
    ];
    for (at, case) in cases.into_iter().enumerate() {
        let twisted = twisted(&net, &manifest, case);
        let outcome = reader.restore(&twisted, &|_| ()).await;
        assert!(
            matches!(
                outcome,
                Err(RestoreError::Wrong(_) | RestoreError::TooFew { .. })
            ),
            "case {at}: {outcome:?}"
        );
        net.blocks.lose_all();
    }
    reader.restore(&manifest, &|_| ()).await.unwrap();
    assert!(net.is_there(&manifest).await);
}
