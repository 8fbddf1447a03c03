//! What is pinned is kept here.

use std::sync::atomic::Ordering;

use blocks::{Block, DAG_CBOR};
use bytes::Bytes;
use cid::Cid;
use libp2p_identity::Keypair;
use objects::{Fields, Name, Record};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use upkeep::{MAX_DEPTH, PinError, PinState, Progress};

use crate::net::{Node, QUIET, net, noise, raw};

fn silent(_: Progress) {}

/// A block with codec dag-cbor that links to others.
fn linking(links: &[Cid]) -> Block {
    let bytes = wire::encode(&links.to_vec());
    Block::of(DAG_CBOR, bytes.into()).unwrap()
}

async fn has_all(node: &Node, cids: &[Cid]) -> bool {
    let kept = node.kept().await;
    cids.iter().all(|cid| kept.contains(cid))
}

#[tokio::test]
async fn all_blocks_of_a_root_come_here_and_the_bytes_are_counted() {
    let net = net(6).await;
    let file = net.nodes[0].file(1, 50_500).await;
    let here = &net.nodes[5];
    let before = here.kept().await.len();
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    let added = upkeep.pin(file.cid, "a file").await.unwrap();
    assert_eq!(added.label, "a file");
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().push(progress);
    let pin = upkeep.pinned(file.cid, &tell).await.unwrap();
    assert_eq!(pin.state, PinState::Whole);
    assert_eq!(pin.blocks, 52);
    assert_eq!(
        Some(pin.bytes),
        pin.expected,
        "the links say how much there is"
    );
    assert!(pin.bytes > 50_500);
    assert_eq!(here.kept().await.len(), 52);
    assert!(before < 52, "some of them were not here");
    assert!(
        told.lock()
            .iter()
            .all(|progress| progress.done <= pin.bytes)
    );
    // From here, without anybody else.
    let bytes = {
        here.source.turns.close();
        let mut bytes = Vec::new();
        let local = Local(here);
        let read = unixfs::export_to_writer(&file.cid, &local, &mut bytes, 4).await;
        read.unwrap();
        bytes
    };
    assert_eq!(bytes, noise(1, 50_500));
    running.abort();
}

/// What a node keeps, and nothing else.
struct Local<'a>(&'a Node);

#[async_trait::async_trait]
impl unixfs::BlockSource for Local<'_> {
    async fn get(&self, cid: &Cid) -> Result<Bytes, unixfs::BoxError> {
        let kept = self.0.blocks.get_local(cid).await?;
        kept.ok_or_else(|| "not here".into())
    }
}

#[tokio::test]
async fn a_pin_goes_on_where_the_node_ended() {
    let net = net(6).await;
    // Two levels of nodes above the leaves.
    let file = net.nodes[0].file(2, 300_000).await;
    let here = &net.nodes[5];
    let before = here.kept().await.len() as u64;
    let part = Semaphore::new(0);
    here.source.turns.forget_permits(Semaphore::MAX_PERMITS);
    here.source.turns.add_permits(60);
    {
        let upkeep = here.upkeep(QUIET);
        let running = tokio::spawn(upkeep.clone().look_after());
        upkeep.pin(file.cid, "").await.unwrap();
        // Ended when it has got what it could.
        let told = |progress: Progress| {
            if progress.done > 40_000 {
                part.add_permits(1);
            }
        };
        tokio::select! {
            pin = upkeep.pinned(file.cid, &told) => panic!("{pin:?}"),
            turn = part.acquire() => turn.unwrap().forget(),
        }
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    let asked = here.source.asked.load(Ordering::SeqCst);
    here.source.turns.add_permits(1_000_000);
    // What was here already, and what has come.
    let kept = here.kept().await.len() as u64;
    assert!(kept > before);
    let upkeep = here.upkeep(QUIET);
    let pins = upkeep.pins().await.unwrap();
    assert_eq!(pins[0].state, PinState::Getting);
    let running = tokio::spawn(upkeep.clone().look_after());
    let pin = upkeep.pinned(file.cid, &silent).await.unwrap();
    let asked = here.source.asked.load(Ordering::SeqCst) - asked;
    assert_eq!(here.kept().await.len() as u64, pin.blocks);
    assert_eq!(asked, pin.blocks - kept, "nothing is got twice");
    running.abort();
}

#[tokio::test]
async fn what_cannot_be_got_is_named_and_got_when_it_is_pinned_again() {
    let net = net(6).await;
    let file = net.nodes[0].file(3, 20_000).await;
    let here = &net.nodes[5];
    let kept = here.kept().await;
    let all = net.nodes[0].kept().await;
    let missing = *all
        .iter()
        .find(|cid| **cid != file.cid && !kept.contains(cid))
        .unwrap();
    here.source.refused.lock().push(missing);
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(file.cid, "").await.unwrap();
    let failed = upkeep.pinned(file.cid, &silent).await.unwrap_err();
    assert!(matches!(&*failed, PinError::Block { cid, .. } if *cid == missing));
    let pins = upkeep.pins().await.unwrap();
    let said = PinState::Failed(format!("block {missing}: nobody gives it"));
    assert_eq!(pins[0].state, said);
    here.source.refused.lock().clear();
    upkeep.pin(file.cid, "").await.unwrap();
    let pin = upkeep.pinned(file.cid, &silent).await.unwrap();
    assert_eq!(pin.blocks, 21);
    assert!(has_all(here, &all).await);
    running.abort();
}

#[tokio::test]
async fn a_version_is_pinned_with_its_properties_and_without_what_was_before() {
    let net = net(6).await;
    let putter = &net.nodes[0];
    let owner = Keypair::generate_ed25519();
    let (old, new) = (putter.file(4, 3000).await, putter.file(5, 3000).await);
    let named = raw(6, 100);
    let nowhere = raw(7, 100);
    let properties = linking(&[*named.cid(), *nowhere.cid()]);
    for block in [&named, &properties] {
        putter.blocks.put((*block).clone()).await.unwrap();
    }
    let sign = |seq, previous: Vec<Cid>, root, properties| {
        let fields = Fields {
            name: Name::new("cakes").unwrap(),
            seq,
            previous,
            root: Some(root),
            size: 3000,
            time: 0,
            properties,
        };
        Record::sign(&owner, fields).unwrap()
    };
    let first = sign(1, Vec::new(), old.cid, None);
    let second = sign(2, vec![first.vguid()], new.cid, Some(*properties.cid()));
    for record in [&first, &second] {
        let block = Block::new(record.vguid(), record.encoded().clone()).unwrap();
        putter.blocks.put(block).await.unwrap();
    }
    let here = &net.nodes[5];
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(second.vguid(), "cakes@v2").await.unwrap();
    let pin = upkeep.pinned(second.vguid(), &silent).await.unwrap();
    // The record, a file of four blocks, the properties, and what they name; noted, but not there:
    // the other one.
    assert_eq!(pin.blocks, 8);
    assert!(
        has_all(
            here,
            &[second.vguid(), new.cid, *properties.cid(), *named.cid()]
        )
        .await
    );
    // What was before is pinned by nobody: it goes, where it is not owed.
    upkeep.unpin(second.vguid()).await.unwrap();
    assert_eq!(upkeep.pins().await.unwrap(), []);
    running.abort();
}

#[tokio::test]
async fn what_is_no_block_or_nested_too_deep_is_refused() {
    let net = net(1).await;
    let here = &net.nodes[0];
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    let other: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
        .parse()
        .unwrap();
    let blake = Cid::new_v1(
        0x55,
        cid::multihash::Multihash::wrap(0xb220, &[7; 32]).unwrap(),
    );
    assert!(
        upkeep.pin(other, "").await.is_ok(),
        "a name that nobody has is pinned, and waits"
    );
    let refused = upkeep.pin(blake, "").await.unwrap_err();
    assert!(matches!(refused, PinError::Unsupported(_)), "{refused}");
    upkeep.unpin(other).await.unwrap();
    let mut below = linking(&[]);
    for _ in 0..MAX_DEPTH {
        here.blocks.put(below.clone()).await.unwrap();
        below = linking(&[*below.cid()]);
    }
    let top = *below.cid();
    here.blocks.put(below).await.unwrap();
    upkeep.pin(top, "").await.unwrap();
    let refused = upkeep.pinned(top, &silent).await.unwrap_err();
    assert!(matches!(&*refused, PinError::TooDeep), "{refused}");
    // Whoever waits for it hears that it was unpinned.
    let waiting = upkeep.clone();
    upkeep.unpin(top).await.unwrap();
    let removed = waiting.pinned(top, &silent).await.unwrap_err();
    assert!(matches!(&*removed, PinError::Removed), "{removed}");
    running.abort();
}

#[tokio::test]
async fn repeated_blocks_are_counted_once() {
    let net = net(5).await;
    let putter = &net.nodes[0];
    let options = unixfs::Options {
        chunking: unixfs::Chunking::Size(1000),
        max_links: 60,
        ..unixfs::Options::default()
    };
    // A hundred chunks that are all the same, below three nodes of which two are the same.
    let zeros = vec![0; 120_000];
    let file = unixfs::import_reader(&zeros[..], &putter.source, &options);
    let file = file.await.unwrap();
    let here = &net.nodes[4];
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(file.cid, "").await.unwrap();
    let pin = upkeep.pinned(file.cid, &silent).await.unwrap();
    // One chunk, one node above sixty of it, the root.
    assert_eq!(pin.blocks, 3);
    let kept = here.kept().await;
    let mut bytes = 0;
    for cid in &kept {
        bytes += here.blocks.store().size(cid).await.unwrap().unwrap();
    }
    assert_eq!((kept.len() as u64, bytes), (pin.blocks, pin.bytes));
    running.abort();
}

#[tokio::test]
async fn what_properties_name_is_got_whole_where_it_is_the_content_too() {
    let net = net(6).await;
    let putter = &net.nodes[0];
    let owner = Keypair::generate_ed25519();
    let content = putter.file(8, 9000).await;
    let properties = linking(&[content.cid]);
    putter.blocks.put(properties.clone()).await.unwrap();
    let fields = Fields {
        name: Name::new("cakes").unwrap(),
        seq: 1,
        previous: Vec::new(),
        root: Some(content.cid),
        size: 9000,
        time: 0,
        properties: Some(*properties.cid()),
    };
    let record = Record::sign(&owner, fields).unwrap();
    let block = Block::new(record.vguid(), record.encoded().clone()).unwrap();
    putter.blocks.put(block).await.unwrap();
    let here = &net.nodes[5];
    let upkeep = here.upkeep(QUIET);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(record.vguid(), "cakes@v1").await.unwrap();
    let pin = upkeep.pinned(record.vguid(), &silent).await.unwrap();
    // Nine chunks, the node above them, the properties, the record.
    assert_eq!(pin.blocks, 12);
    let all = net.nodes[0].kept().await;
    assert!(has_all(here, &all).await);
    running.abort();
}

#[tokio::test]
async fn a_root_that_is_pinned_again_at_once_is_another_pin() {
    let net = net(6).await;
    let file = net.nodes[0].file(9, 5000).await;
    let here = &net.nodes[5];
    let upkeep = here.upkeep(QUIET);
    // Nothing is given: the first pin is in work when it is removed.
    here.source.turns.forget_permits(Semaphore::MAX_PERMITS);
    let running = tokio::spawn(upkeep.clone().look_after());
    upkeep.pin(file.cid, "first").await.unwrap();
    crate::net::until(async || here.source.asked.load(Ordering::SeqCst) > 0).await;
    assert!(upkeep.unpin(file.cid).await.unwrap());
    let again = upkeep.pin(file.cid, "second").await.unwrap();
    assert_eq!(again.label, "second");
    here.source.turns.add_permits(1_000_000);
    let pin = upkeep.pinned(file.cid, &silent).await.unwrap();
    assert_eq!((pin.blocks, pin.label.as_str()), (6, "second"));
    // Once that is removed as well nothing is pinned any more.
    assert!(upkeep.unpin(file.cid).await.unwrap());
    for cid in net.nodes[0].kept().await {
        net.until_kept(&cid).await;
    }
    let collected = upkeep.collect(true, &silent).await.unwrap();
    assert_eq!(collected.pinned, 0);
    running.abort();
}

#[tokio::test]
async fn more_pins_than_are_in_work_come_to_their_end() {
    let net = net(5).await;
    let here = &net.nodes[4];
    let upkeep = here.upkeep(QUIET);
    let mut roots = Vec::new();
    for seed in 20..27 {
        roots.push(net.nodes[0].file(seed, 3000).await.cid);
    }
    // One that never ends, as nobody gives its root.
    let missing = *raw(99, 10).cid();
    upkeep.pin(missing, "").await.unwrap();
    for root in &roots {
        upkeep.pin(*root, "").await.unwrap();
    }
    let running = tokio::spawn(upkeep.clone().look_after());
    for root in &roots {
        let pin = upkeep.pinned(*root, &silent).await.unwrap();
        assert_eq!(pin.blocks, 4);
    }
    let pins = upkeep.pins().await.unwrap();
    assert_eq!(pins.len(), 8);
    assert_eq!(pins[0].root, missing);
    assert!(matches!(pins[0].state, PinState::Failed(_)), "{pins:?}");
    running.abort();
}
