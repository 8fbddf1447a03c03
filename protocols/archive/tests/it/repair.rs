//! Sweeps make anew what is lost.

use archive::{Contents, Looked, Manifest};

use crate::net::{Net, Node, net, still_net};
use crate::support::{by_object, contents, key, noise, record};

/// What the nodes fetched of fragments so far.
fn fetched<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<u64> {
    let nodes = nodes.into_iter();
    nodes
        .map(|node| node.fragments.stats().items_fetched)
        .collect()
}

#[tokio::test]
async fn what_is_made_anew_outlives_the_next_losses() {
    let mut net = net(9).await;
    let manifest = net.archived("cakes", 1_500_000).await;
    let all = (9 * manifest.segments()) as u64;
    net.blocks.lose_all();
    let mut dead = Vec::new();
    // Three nodes at a time, twice: six of nine fragments would be gone, and any 4 are needed.
    for _ in 0..2 {
        // Those with fewest: after the first losses a node may have more than may be lost.
        let census = net.nodes[8].handle.census(&manifest).await;
        let columns = |node: &usize| {
            let has = |column: &&archive::Column| column.node == Some(net.peer(*node));
            census.columns.iter().filter(has).count()
        };
        let mut alive: Vec<usize> = (0..8).filter(|node| !dead.contains(node)).collect();
        alive.sort_by_key(columns);
        for node in &alive[..3] {
            net.kill(*node).await;
            dead.push(*node);
        }
        let census = net.nodes[8].handle.census(&manifest).await;
        assert!(census.there() < all, "{census:?}");
        net.sweep(0, &dead).await;
        let census = net.nodes[8].handle.census(&manifest).await;
        assert_eq!(census.there(), all);
    }
    net.nodes[8]
        .handle
        .restore(&manifest, &|_| ())
        .await
        .unwrap();
    assert!(net.is_there(&manifest).await);
}

#[tokio::test]
async fn one_looks_and_the_others_have_nothing_to_do() {
    let mut net = net(6).await;
    let manifest = net.archived("cakes", 1000).await;
    net.kill(3).await;
    // In the first round all look, one after the other; in the second, only the closest one does.
    net.sweep(0, &[3]).await;
    let vguid = manifest.record().vguid();
    let looked = |net: &Net| -> Vec<Looked> {
        let nodes = net.nodes.iter().enumerate().filter(|(at, _)| *at != 3);
        nodes
            .filter_map(|(_, node)| node.handle.looked(&vguid))
            .collect()
    };
    let seen = looked(&net);
    assert_eq!(seen.len(), 5, "all of so few keep the manifest");
    assert_eq!(seen.iter().map(|looked| looked.made).sum::<u64>(), 1);
    assert_eq!(
        seen.iter()
            .filter(|looked| looked.there < looked.wanted)
            .count(),
        1
    );
    net.sweep(0, &[3]).await;
    let seen = looked(&net);
    assert!(seen.iter().all(|looked| looked.made == 0));
    // What is lost now is seen by the closest one only, and the others say what they saw before.
    let census = net.nodes[0].handle.census(&manifest).await;
    let lost = net.of(census.columns[0].node.unwrap()).store.lose_all();
    let lost = lost.await as u64;
    net.sweep(1, &[3]).await;
    let again = looked(&net);
    let changed = seen
        .iter()
        .zip(&again)
        .filter(|(before, now)| before != now);
    let changed: Vec<_> = changed
        .map(|(_, now)| (now.wanted - now.there, now.made))
        .collect();
    assert_eq!(changed, [(lost, lost)]);
}

#[tokio::test]
async fn a_fragment_at_its_old_place_is_brought_to_the_new_one() {
    let mut net = still_net(4).await;
    let manifest = net.archived("cakes", 1000).await;
    // Until a newcomer takes a place over.
    let mut census;
    loop {
        net.join().await;
        census = net.nodes[0].handle.census(&manifest).await;
        if census.there() < 4 {
            break;
        }
        assert!(net.nodes.len() < 60, "nobody came to stand nearer");
    }
    // Nothing is lost: it can be read where it was.
    net.blocks.lose_all();
    let newcomer = net.nodes.len() - 1;
    let restored = net.nodes[newcomer]
        .handle
        .restore(&manifest, &|_| ())
        .await
        .unwrap();
    assert_eq!(restored.missing, 0);
    let away = 4 - census.there();
    net.sweep(0, &[]).await;
    let vguid = manifest.record().vguid();
    let looked = net
        .nodes
        .iter()
        .filter_map(|node| node.handle.looked(&vguid));
    assert_eq!(looked.map(|looked| looked.made).sum::<u64>(), away);
    assert_eq!(net.nodes[0].handle.census(&manifest).await.there(), 4);
    let holders = net.nodes[0].handle.census(&manifest).await;
    let newcomer = net.peer(newcomer);
    assert!(
        holders
            .columns
            .iter()
            .any(|column| column.node == Some(newcomer))
    );
}

#[tokio::test]
async fn beyond_repair_is_said_and_not_made_up() {
    let mut net = net(6).await;
    let manifest = net.archived("cakes", 1000).await;
    for node in 0..4 {
        net.kill(node).await;
    }
    let before = fetched(&net.nodes[4..]);
    net.sweep(0, &[0, 1, 2, 3]).await;
    // Who can count sees that it is in vain, and moves nothing.
    assert_eq!(fetched(&net.nodes[4..]), before);
    let looked = net.nodes[4].handle.looked(&manifest.record().vguid());
    let looked = looked
        .or(net.nodes[5].handle.looked(&manifest.record().vguid()))
        .unwrap();
    assert_eq!((looked.made, looked.lost), (0, 1));
    assert!(looked.there < 3);
}

#[tokio::test]
async fn a_damaged_fragment_is_dropped_when_it_is_read_and_made_anew() {
    let net = net(4).await;
    let manifest = net.archived("cakes", 1000).await;
    for node in &net.nodes[..2] {
        assert_eq!(node.store.corrupt_all().await, 1);
    }
    // Each node reads its own, as a restore there does.
    for node in &net.nodes[..2] {
        for index in 0..4 {
            let _ = node.fragments.get(&manifest.fragment(0, index)).await;
        }
    }
    assert_eq!(net.nodes[3].handle.census(&manifest).await.there(), 2);
    net.sweep(0, &[]).await;
    assert_eq!(net.nodes[3].handle.census(&manifest).await.there(), 4);
}

#[tokio::test]
async fn a_full_node_does_not_have_all_coded_again_for_it() {
    let net = still_net(4).await;
    let manifest = net.archived("cakes", 2_500_000).await;
    assert_eq!((manifest.segments(), manifest.rate().needed()), (5, 2));
    let census = net.nodes[0].handle.census(&manifest).await;
    let full = net.of(census.columns[1].node.unwrap());
    assert_eq!(full.store.lose_all().await, 5);
    full.store.set_full(true);
    let before = fetched(&net.nodes);
    net.sweep(0, &[]).await;
    for (before, after) in before.into_iter().zip(fetched(&net.nodes)) {
        assert!(after - before <= 2, "one segment, and no more");
    }
    // As soon as it has room, all of it is made.
    full.store.set_full(false);
    for _ in 0..2 {
        net.sweep(0, &[]).await;
    }
    assert_eq!(net.nodes[0].handle.census(&manifest).await.there(), 20);
}

#[tokio::test]
async fn an_archive_without_fragments_holds_up_no_other() {
    let net = still_net(4).await;
    let manifest = net.archived("cakes", 1000).await;
    let census = net.nodes[0].handle.census(&manifest).await;
    net.of(census.columns[0].node.unwrap())
        .store
        .lose_all()
        .await;
    // Somebody signs a manifest of fragments that nobody has.
    let owner = key(9);
    let roots = noise(1, 300 * 32);
    let forged = Contents {
        roots: roots
            .chunks(32)
            .map(|root| root.try_into().unwrap())
            .collect(),
        ..contents(300)
    };
    let forged = Manifest::sign(&owner, record(&owner, 1), forged).unwrap();
    let vguid = forged.record().vguid();
    let version = vguid.hash().digest().try_into().unwrap();
    let name = by_object(forged.record().aguid(), 1, version);
    let put = net.nodes[0].manifests.put(name, forged.encoded().clone());
    put.await.unwrap();
    let closest = &net.nodes[0].handle;
    closest.sweep(0).await.unwrap();
    assert_eq!(net.nodes[0].handle.census(&manifest).await.there(), 4);
    let looked = closest.looked(&vguid).unwrap();
    assert_eq!((looked.there, looked.made, looked.lost), (0, 0, 4));
}

#[tokio::test]
async fn what_lies_elsewhere_goes_when_its_place_has_it() {
    // Nothing moves by itself: what is left behind is brought to its place by a sweep.
    let mut net = still_net(5).await;
    let manifest = net.archived("cakes", 3_000_000).await;
    let all = (5 * manifest.segments()) as u64;
    let kept = |net: &Net| -> u64 {
        let nodes = net.nodes.iter();
        nodes.map(|node| node.handle.usage().fragments.items).sum()
    };
    assert_eq!(kept(&net), all);
    let mut joined = 0;
    // Until the place of a column is another node's.
    while net.nodes[0].handle.census(&manifest).await.there() == all {
        net.join().await;
        joined += 1;
        assert!(joined < 50, "50 nodes came, and nobody's place");
    }
    // Its place does not have it yet: it stays.
    for node in &net.nodes {
        assert_eq!(node.handle.let_go_of_strays().await.unwrap().items, 0);
    }
    net.sweep(0, &[]).await;
    assert_eq!(net.nodes[0].handle.census(&manifest).await.there(), all);
    assert!(kept(&net) > all, "the old copy is still there");
    let mut gone = 0;
    for node in &net.nodes {
        let strays = node.handle.let_go_of_strays().await.unwrap();
        assert_eq!(strays.items > 0, strays.bytes > 0);
        gone += strays.items;
    }
    assert!(gone > 0);
    assert_eq!(kept(&net), all);
    let census = net.nodes[0].handle.census(&manifest).await;
    assert_eq!(census.there(), all);
}
