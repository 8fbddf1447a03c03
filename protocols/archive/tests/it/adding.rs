//! Archiving: on which nodes, how many of how many, and when it is refused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use archive::{AddError, FindError};
use bytes::Bytes;
use cid::{Cid, multihash::Multihash};
use ipld_core::ipld::Ipld;
use ipld_dagpb::{PbLink, PbNode};
use objects::Version;
use unixfs::BlockSink;

use crate::net::net;
use crate::support::{archives_of, by_object, noise};

#[tokio::test]
async fn every_fragment_of_a_part_is_on_another_node() {
    for (nodes, needed) in [(2, 1), (3, 1), (5, 2), (9, 4)] {
        let net = net(nodes).await;
        let manifest = net.archived("cakes", 300_000).await;
        let rate = manifest.rate();
        assert_eq!((rate.needed(), rate.fragments()), (needed, nodes));
        let census = net.nodes[nodes - 1].handle.census(&manifest).await;
        let holders: BTreeSet<_> = census.columns.iter().map(|column| column.node).collect();
        assert_eq!(holders.len(), nodes);
        assert_eq!(census.there(), (nodes * manifest.segments()) as u64);
        assert_eq!((census.least(), census.nodes()), (nodes, nodes));
        // Each node has its own column and nothing else, also the one that archived.
        for node in &net.nodes {
            let kept = node.handle.usage().fragments.items;
            assert_eq!(kept, manifest.segments() as u64);
        }
    }
}

#[tokio::test]
async fn more_nodes_than_fragments() {
    let net = net(34).await;
    let manifest = net.archived("cakes", 1000).await;
    assert_eq!(
        (manifest.rate().needed(), manifest.rate().fragments()),
        (16, 32)
    );
    let census = net.nodes[33].handle.census(&manifest).await;
    assert_eq!((census.nodes(), census.least()), (32, 32));
}

#[tokio::test]
async fn a_large_version_goes_in_parts_and_says_how_far_it_is() {
    let net = net(4).await;
    let length = 3_000_000;
    let record = net.version("cakes", &noise(length as u64, length)).await;
    let done = AtomicU64::new(0);
    let report = |bytes| {
        assert!(done.swap(bytes, Ordering::Relaxed) < bytes);
    };
    let added = net.nodes[0]
        .handle
        .add(record, false, &report)
        .await
        .unwrap();
    assert_eq!((added.missing, added.first_failure), (0, None));
    let manifest = added.manifest;
    // Three chunks, the node above them, the record.
    assert_eq!(manifest.contents().blocks, 5);
    assert_eq!(done.into_inner(), manifest.contents().length);
    assert_eq!(manifest.segments(), length.div_ceil(2 * archive::SHARD));
}

#[tokio::test]
async fn a_directory_and_one_block_twice() {
    let net = net(3).await;
    let directory = tempfile::tempdir().unwrap();
    for name in ["one", "other"] {
        std::fs::write(directory.path().join(name), b"the same").unwrap();
    }
    std::fs::write(directory.path().join("third"), noise(1, 2_000_000)).unwrap();
    let options = unixfs::Options::default();
    let imported = unixfs::import_path(directory.path(), &net.blocks, &options, &|_| ()).await;
    let root = imported.unwrap().cid;
    let fields = objects::Fields {
        root: Some(root),
        ..net.version("folder", b"x").await.fields().clone()
    };
    let record = objects::Record::sign(&net.owner, fields).unwrap();
    let added = net.nodes[0].handle.add(record, false, &|_| ()).await;
    let manifest = added.unwrap().manifest;
    // The record, the folder, one block for two files, a file of two chunks.
    assert_eq!(manifest.contents().blocks, 6);
    net.blocks.lose_all();
    net.nodes[1]
        .handle
        .restore(&manifest, &|_| ())
        .await
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("out");
    let options = unixfs::ExportOptions::default();
    unixfs::export_to_path(&root, &net.blocks, &to, &options, &|_| ())
        .await
        .unwrap();
    assert_eq!(std::fs::read(to.join("other")).unwrap(), b"the same");
    assert_eq!(
        std::fs::read(to.join("third")).unwrap(),
        noise(1, 2_000_000)
    );
}

#[tokio::test]
async fn anybody_finds_it_by_name_number_and_vguid() {
    let net = net(4).await;
    let manifest = net.archived("cakes", 10).await;
    let (aguid, vguid) = (manifest.record().aguid(), manifest.record().vguid());
    for node in &net.nodes {
        for version in [Version::Newest, Version::Number(1), Version::Vguid(vguid)] {
            assert_eq!(node.handle.find(aguid, version).await.unwrap(), manifest);
        }
        assert_eq!(
            node.handle.of_version(&vguid).await.unwrap().as_ref(),
            Some(&manifest)
        );
        assert_eq!(
            node.handle.all(aguid).await.unwrap(),
            std::slice::from_ref(&manifest)
        );
    }
    let missing = net.nodes[1].handle.find(aguid, Version::Number(2)).await;
    let error = missing.unwrap_err();
    assert_eq!(
        error.to_string(),
        "version v2 is not archived; archived are: v1"
    );
    let nothing = net.nodes[1]
        .handle
        .find(guid::Guid::new(3), Version::Newest)
        .await;
    assert!(matches!(nothing, Err(FindError::Nothing)));
    // It is listed where it was made, and nowhere else.
    let own = net.nodes[0].handle.own().await.unwrap();
    assert_eq!(
        (own.len(), own[0].name.as_str(), own[0].seq),
        (1, "cakes", 1)
    );
    assert!(net.nodes[1].handle.own().await.unwrap().is_empty());
}

#[tokio::test]
async fn once_unless_again() {
    let mut net = net(3).await;
    let first = net.archived("cakes", 1000).await;
    let record = first.record().clone();
    let again = net.nodes[0]
        .handle
        .add(record.clone(), false, &|_| ())
        .await;
    assert_eq!(
        again.unwrap_err().to_string(),
        "version 1 is archived already: any 1 of 3 fragments"
    );
    for _ in 0..3 {
        net.join().await;
    }
    let added = net.nodes[0]
        .handle
        .add(record, true, &|_| ())
        .await
        .unwrap();
    assert_eq!(added.manifest.rate().fragments(), 6);
    let found = net.nodes[4]
        .handle
        .of_version(&first.record().vguid())
        .await;
    assert_eq!(found.unwrap(), Some(added.manifest));
}

#[tokio::test]
async fn names_that_lead_nowhere_hide_nothing() {
    let net = net(5).await;
    let manifest = net.archived("cakes", 10).await;
    let aguid = manifest.record().aguid();
    // Of five all but one list names of later versions that nobody has.
    for node in &net.nodes[..4] {
        let names = (0..40).map(|at| by_object(aguid, u64::MAX - at, [at as u8; 32]));
        node.manifest_store.list_as_well(archives_of(aguid), names);
    }
    for node in [&net.nodes[4], &net.nodes[0]] {
        for version in [Version::Newest, Version::Number(1)] {
            assert_eq!(node.handle.find(aguid, version).await.unwrap(), manifest);
        }
        let all = node.handle.all(aguid).await.unwrap();
        assert_eq!(all, std::slice::from_ref(&manifest));
        let forged = node.handle.find(aguid, Version::Number(u64::MAX)).await;
        let Err(FindError::NotThis { archived, .. }) = forged else {
            panic!("{forged:?}");
        };
        assert_eq!(archived, [1]);
    }
}

#[tokio::test]
async fn where_the_manifest_came_nowhere_it_is_put_again() {
    let net = net(4).await;
    let record = net.version("cakes", &noise(1, 1000)).await;
    let (vguid, owner) = (record.vguid(), &net.nodes[0].handle);
    let others = &net.nodes[1..];
    let set_full = |full| {
        let stores = others.iter().map(|node| &node.manifest_store);
        stores.for_each(|store| store.set_full(full));
    };
    set_full(true);
    for _ in 0..2 {
        let failed = owner.add(record.clone(), false, &|_| ()).await;
        assert!(matches!(failed, Err(AddError::Manifest(_))), "{failed:?}");
    }
    let found = owner.find(record.aguid(), Version::Number(1)).await;
    let manifest = Some(found.unwrap());
    set_full(false);
    let already = owner.add(record, false, &|_| ()).await;
    assert!(matches!(already, Err(AddError::Already { .. })));
    for node in others {
        assert_eq!(node.handle.of_version(&vguid).await.unwrap(), manifest);
    }
    // Nothing was coded a second time.
    for node in &net.nodes {
        assert_eq!(node.handle.usage().fragments.items, 1);
    }
}

#[tokio::test]
async fn what_is_not_archived_says_why() {
    let net = net(1).await;
    let record = net.version("cakes", b"eggs").await;
    let alone = net.nodes[0]
        .handle
        .add(record.clone(), false, &|_| ())
        .await;
    let error = alone.unwrap_err();
    assert!(matches!(error, AddError::TooFewNodes(1)));
    assert_eq!(
        error.to_string(),
        "fragments belong on different nodes, at least 2, and this node knows of no other"
    );

    let net = crate::net::net(2).await;
    let stranger = net.nodes[1]
        .handle
        .add(record.clone(), false, &|_| ())
        .await;
    assert!(matches!(stranger, Err(AddError::NotYours(_))));
    // Of a version whose blocks are gone nothing is left behind.
    let record = net.version("cakes", b"eggs").await;
    net.blocks.lose_all();
    let gone = net.nodes[0]
        .handle
        .add(record.clone(), false, &|_| ())
        .await;
    assert!(matches!(gone, Err(AddError::Walk(_))));
    let found = net.nodes[0].handle.of_version(&record.vguid()).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn all_of_it_runs_on_any_thread() {
    fn spawned(_: impl Future + Send) {}
    let net = net(2).await;
    let manifest = net.archived("cakes", 10).await;
    let (handle, aguid) = (&net.nodes[0].handle, manifest.record().aguid());
    spawned(handle.look_after());
    spawned(handle.all(aguid));
    spawned(handle.find(aguid, Version::Newest));
    spawned(handle.own());
    spawned(handle.census(&manifest));
    spawned(handle.add(manifest.record().clone(), true, &|_| ()));
    spawned(handle.restore(&manifest, &|_| ()));
}

/// A block of links in DAG-PB.
fn links(cids: &[Cid]) -> blocks::Block {
    let link = |cid: &Cid| PbLink {
        cid: *cid,
        name: None,
        size: None,
    };
    let node = PbNode {
        links: cids.iter().map(link).collect(),
        data: None,
    };
    let bytes = Bytes::from(node.into_bytes());
    blocks::Block::of(blocks::DAG_PB, bytes).unwrap()
}

/// A properties block with a link.
fn properties_of(cid: Cid) -> blocks::Block {
    let bytes = serde_ipld_dagcbor::to_vec(&Ipld::List(vec![Ipld::Link(cid)]));
    blocks::Block::of(blocks::DAG_CBOR, bytes.unwrap().into()).unwrap()
}

#[tokio::test]
async fn every_block_of_the_dag_is_in_it() {
    let net = net(3).await;
    let leaf = blocks::Block::of(blocks::RAW, b"eggs".to_vec().into()).unwrap();
    let above = links(&[*leaf.cid()]);
    let identity = Multihash::wrap(0, above.bytes()).unwrap();
    let identity = Cid::new_v1(blocks::DAG_PB, identity);
    let by_itself = links(&[identity]);
    // Beside the leaf: what a properties block names, too, and then its own link.
    let named = properties_of(*above.cid());
    let fields = net.version("folder", b"x").await.fields().clone();
    for (name, root, properties, count) in [
        ("identity", &by_itself, None, 3),
        ("named", &links(&[*above.cid()]), Some(*named.cid()), 5),
    ] {
        for block in [&leaf, &above, &by_itself, &named, root] {
            net.blocks
                .put(*block.cid(), block.bytes().clone())
                .await
                .unwrap();
        }
        let fields = objects::Fields {
            name: objects::Name::new(name).unwrap(),
            root: Some(*root.cid()),
            properties,
            ..fields.clone()
        };
        let record = objects::Record::sign(&net.owner, fields).unwrap();
        let added = net.nodes[0].handle.add(record, false, &|_| ()).await;
        let blocks = added.unwrap().manifest.contents().blocks;
        assert_eq!(blocks, count, "{name}");
    }
}
