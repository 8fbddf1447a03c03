//! What is needed, what is released, and what goes.

use cid::Cid;
use claims::State;
use objects::{Action, Insert, Name, Record, Update, Version};
use tokio::task::JoinHandle;
use upkeep::{Handle, Keep, Progress, PruneError};

use crate::net::{Net, Node, QUIET, net, raw, until};

fn silent(_: Progress) {}

const LAST: Keep = Keep {
    last: Some(1),
    within: None,
};

/// A kilobyte more at the end of a file.
fn append() -> Update {
    let splice = Action::Splice {
        offset: None,
        delete: 0,
        insert: Insert::Bytes(vec![7; 1000].into()),
    };
    Update::when(Vec::new(), vec![splice])
}

/// A net in which each node tells what it needs, and lets nothing go that a test does not ask
/// for.
struct Caring {
    net: Net,
    upkeep: Vec<Handle>,
    running: Vec<JoinHandle<()>>,
}

impl Caring {
    async fn start(nodes: usize) -> Caring {
        let net = net(nodes).await;
        net.until_settled().await;
        for node in &net.nodes {
            until(async || node.claims.is_settled()).await;
        }
        let upkeep: Vec<Handle> = net.nodes.iter().map(|node| node.caring(QUIET)).collect();
        let running = upkeep
            .iter()
            .map(|upkeep| tokio::spawn(upkeep.clone().look_after()));
        let running = running.collect();
        Caring {
            net,
            upkeep,
            running,
        }
    }

    fn node(&self, at: usize) -> &Node {
        &self.net.nodes[at]
    }

    /// Writes a version of a name.
    async fn write(&self, at: usize, name: &str, root: Cid) -> Record {
        let update = Update::when(Vec::new(), vec![Action::Set(root)]);
        self.update(at, name, update).await
    }

    async fn update(&self, at: usize, name: &str, update: Update) -> Record {
        let name = Name::new(name).unwrap();
        let written = self.node(at).objects.update(&name, update).await;
        written.unwrap().record
    }

    /// What those who have to keep a block know of the need for it, if it is the same.
    async fn state(&self, cid: &Cid) -> Option<State> {
        let mut all: Option<State> = None;
        for keeper in self.node(0).blocks.keepers(cid).await.unwrap() {
            let state = self.net.of(keeper.peer).claims.state(cid).await.unwrap();
            let state = match state {
                // When is each one's own.
                State::Free { .. } => State::Free { since: 0 },
                state => state,
            };
            if *all.get_or_insert(state) != state {
                return None;
            }
        }
        all
    }

    async fn until_claimed(&self, cids: &[Cid]) {
        self.until_state(cids, State::Claimed).await;
    }

    async fn until_free(&self, cids: &[Cid]) {
        self.until_state(cids, State::Free { since: 0 }).await;
    }

    async fn until_state(&self, cids: &[Cid], state: State) {
        for cid in cids {
            until(async || self.state(cid).await == Some(state)).await;
        }
    }

    /// Has all nodes let go of what nobody needs, until none has anything of it.
    async fn let_go(&self) {
        for upkeep in &self.upkeep {
            upkeep.remove_unwanted().await.unwrap();
        }
    }

    /// How many nodes keep a block.
    async fn copies(&self, cid: &Cid) -> usize {
        let mut copies = 0;
        for node in &self.net.nodes {
            copies += usize::from(node.blocks.has(cid).await.unwrap());
        }
        copies
    }

    /// The leaves of a file.
    async fn leaves(&self, root: &Cid) -> Vec<Cid> {
        let mut leaves = Vec::new();
        let mut open = vec![*root];
        while let Some(cid) = open.pop() {
            let bytes = self.node(0).blocks.get(&cid).await.unwrap();
            let links = blocks::links(&cid, &bytes).unwrap();
            if cid.codec() == blocks::RAW {
                leaves.push(cid);
            }
            open.extend(links);
        }
        leaves
    }

    async fn prune(&self, at: usize, record: &Record) -> u64 {
        let upkeep = &self.upkeep[at];
        let pruned = upkeep.prune(record.aguid(), LAST, false).await.unwrap();
        upkeep.release(&silent).await.unwrap();
        pruned.versions
    }
}

#[tokio::test]
async fn what_no_version_needs_goes_from_all_nodes() {
    let net = Caring::start(8).await;
    let here = net.node(0);
    let old = here.file(1, 40_000).await.cid;
    let first = net.write(0, "a", old).await;
    // The second version has other leaves at its end.
    let second = net.update(0, "a", append()).await;
    let new = second.root().unwrap();
    let (was, is) = (net.leaves(&old).await, net.leaves(&new).await);
    let shared: Vec<Cid> = was.iter().copied().filter(|cid| is.contains(cid)).collect();
    assert!(!shared.is_empty() && shared.len() < is.len());
    net.until_claimed(&[&[old, first.vguid()][..], &is].concat())
        .await;
    // Nothing goes before it is pruned.
    net.upkeep[0].release(&silent).await.unwrap();
    net.let_go().await;
    assert_eq!(net.state(&old).await, Some(State::Claimed));
    assert!(net.copies(&old).await >= 3);

    let dry = net.upkeep[0].prune(first.aguid(), LAST, true).await;
    assert_eq!(dry.unwrap().versions, 1);
    assert_eq!(net.upkeep[0].floor(first.aguid()).await.unwrap(), 0);
    assert_eq!(net.prune(0, &first).await, 1);
    assert_eq!(net.upkeep[0].floor(first.aguid()).await.unwrap(), 2);
    net.until_free(&[old]).await;
    net.let_go().await;
    assert_eq!(net.copies(&old).await, 0, "the root of the first version");
    for cid in &is {
        assert!(net.copies(cid).await >= 3, "what the second has");
    }
    // The record stays: the history is whole.
    assert!(net.copies(&first.vguid()).await >= 3);
    let history = net.node(5).objects.history(first.aguid(), 10).await;
    assert_eq!(history.unwrap().versions.len(), 2);
    // Again, there is nothing to do.
    assert_eq!(net.prune(0, &first).await, 0);
}

#[tokio::test]
async fn what_others_need_stays() {
    let net = Caring::start(6).await;
    let root = net.node(0).file(2, 3_000).await.cid;
    let leaf = net.leaves(&root).await[0];
    let first = net.write(0, "a", root).await;
    // Another key's, a pin, and what has no name.
    assert_eq!(net.node(1).file(2, 3_000).await.cid, root);
    let others = net.write(1, "b", root).await;
    net.upkeep[2].pin(root, "").await.unwrap();
    net.upkeep[2].pinned(root, &silent).await.unwrap();
    net.upkeep[3].keep(leaf).await.unwrap();
    net.until_claimed(&[root, leaf]).await;
    let claims = async || {
        let found = net.node(0).claims.agreed(&leaf).await;
        matches!(found, Ok(State::Claimed))
    };
    assert!(claims().await);

    let empty = net.node(0).file(3, 10).await.cid;
    net.write(0, "a", empty).await;
    assert_eq!(net.prune(0, &first).await, 1);
    net.write(1, "b", empty).await;
    assert_eq!(net.prune(1, &others).await, 1);
    net.upkeep[2].unpin(root).await.unwrap();
    until(async || net.upkeep[2].release(&silent).await.unwrap().blocks > 0).await;
    // Nobody needs the whole; one leaf of it is kept for its own sake.
    net.until_free(&[root]).await;
    net.let_go().await;
    assert_eq!(net.copies(&root).await, 0);
    assert!(net.copies(&leaf).await >= 3);
    assert!(claims().await);
}

#[tokio::test]
async fn a_pin_keeps_its_blocks_where_it_is() {
    let net = Caring::start(6).await;
    let root = net.node(0).file(4, 3_000).await.cid;
    let first = net.write(0, "a", root).await;
    net.until_claimed(&[root]).await;
    let empty = net.node(0).file(3, 10).await.cid;
    net.write(0, "a", empty).await;
    net.prune(0, &first).await;
    net.until_free(&[root]).await;
    // Pinned when all have released it: its node does not let go, and claims it.
    net.upkeep[4].pin(root, "").await.unwrap();
    net.upkeep[4].pinned(root, &silent).await.unwrap();
    net.until_claimed(&[root]).await;
    net.let_go().await;
    assert!(net.copies(&root).await >= 3);
    assert!(net.node(4).blocks.has(&root).await.unwrap());
}

#[tokio::test]
async fn what_was_put_again_stays_though_it_was_released() {
    let net = Caring::start(6).await;
    let root = net.node(0).file(5, 3_000).await.cid;
    let first = net.write(0, "a", root).await;
    net.until_claimed(&[root]).await;
    let empty = net.node(0).file(3, 10).await.cid;
    net.write(0, "a", empty).await;
    net.prune(0, &first).await;
    net.until_free(&[root]).await;
    // By somebody who has not said yet what for, as in an upload that takes long.
    assert_eq!(net.node(5).file(5, 3_000).await.cid, root);
    net.until_state(&[root], State::Unclaimed).await;
    net.let_go().await;
    assert!(net.copies(&root).await >= 3);
    net.write(5, "c", root).await;
    net.until_claimed(&[root]).await;
    net.let_go().await;
    assert!(net.copies(&root).await >= 3);
}

#[tokio::test]
async fn nothing_is_released_where_something_that_is_needed_cannot_be_read() {
    let net = Caring::start(6).await;
    let here = net.node(0);
    let (old, new) = (here.file(6, 3_000).await.cid, here.file(7, 3_000).await.cid);
    let first = net.write(0, "a", old).await;
    let second = net.write(0, "a", new).await;
    net.until_claimed(&[old, new]).await;
    // Its own copy of the record is gone, and nobody gives it one.
    here.source.refused.lock().push(second.vguid());
    here.blocks.let_go(&[second.vguid()]).await.unwrap();
    net.upkeep[0]
        .prune(first.aguid(), LAST, false)
        .await
        .unwrap();
    let error = net.upkeep[0].release(&silent).await.unwrap_err();
    assert!(error.to_string().starts_with("a, version "), "{error}");
    assert_eq!(net.state(&old).await, Some(State::Claimed));
    here.source.refused.lock().clear();
    assert!(net.upkeep[0].release(&silent).await.unwrap().blocks > 0);
    net.until_free(&[old]).await;
}

#[tokio::test]
async fn what_is_to_be_released_is_released_after_a_start() {
    let mut net = Caring::start(6).await;
    let root = net.node(0).file(8, 3_000).await.cid;
    let first = net.write(0, "a", root).await;
    net.until_claimed(&[root]).await;
    let empty = net.node(0).file(3, 10).await.cid;
    net.write(0, "a", empty).await;
    // Stopped before anything was sent.
    net.running[0].abort();
    assert!((&mut net.running[0]).await.unwrap_err().is_cancelled());
    net.prune(0, &first).await;
    assert_eq!(net.state(&root).await, Some(State::Claimed));
    net.upkeep.remove(0);
    let upkeep = net.node(0).caring(QUIET);
    assert_eq!(upkeep.floor(first.aguid()).await.unwrap(), 2);
    tokio::spawn(upkeep.clone().look_after());
    net.until_free(&[root]).await;
    // And the new version is claimed, which was written while nobody looked.
    net.until_claimed(&[empty]).await;
}

#[tokio::test]
async fn what_was_superseded_before_anybody_was_told_goes_as_well() {
    let mut net = Caring::start(6).await;
    net.running[0].abort();
    assert!((&mut net.running[0]).await.unwrap_err().is_cancelled());
    let here = net.node(0);
    let (old, new) = (here.file(10, 40_000).await.cid, here.file(11, 10).await.cid);
    let first = net.write(0, "a", old).await;
    let was = net.leaves(&old).await;
    // Lists of names that are not kept either.
    let list = objects::aguid(&here.objects.owner(), &Name::namespace());
    let list = async |number| {
        let list = here.objects.version(list, Version::Number(number));
        list.await.unwrap().root().unwrap()
    };
    let lists = list(1).await;
    for name in 0..20 {
        net.write(0, &format!("b{name}"), new).await;
    }
    let second = net.update(0, "a", append()).await.root().unwrap();
    let is = net.leaves(&second).await;
    let shared: Vec<Cid> = was.into_iter().filter(|cid| is.contains(cid)).collect();
    assert!(!shared.is_empty());
    assert_eq!(net.prune(0, &first).await, 1);
    assert_eq!(net.state(&old).await, Some(State::Unclaimed));
    // Claims and releases are sent from now on.
    tokio::spawn(net.upkeep[0].clone().look_after());
    net.until_claimed(&[new, second, list(21).await]).await;
    net.until_claimed(&shared).await;
    net.until_free(&[old, lists]).await;
    net.let_go().await;
    assert_eq!(net.copies(&old).await, 0);
    assert_eq!(net.copies(&lists).await, 0);
    let again = net.upkeep[0].release(&silent).await.unwrap();
    assert_eq!(again.blocks, 0, "what was released is not released again");
}

#[tokio::test]
async fn a_copy_that_nobody_owes_goes_with_what_it_is_of() {
    let net = Caring::start(8).await;
    let root = net.node(0).file(12, 3_000).await.cid;
    let first = net.write(0, "a", root).await;
    net.until_claimed(&[root]).await;
    // One that came to be here and is nobody's duty, as where the ring has changed.
    let mut strangers = net.net.nodes.iter().skip(1);
    let stray = loop {
        let node = strangers.next().unwrap();
        if !node.owes(&root).await {
            break node;
        }
    };
    let bytes = net.node(0).blocks.get(&root).await.unwrap();
    let block = blocks::Block::new(root, bytes).unwrap();
    stray.blocks.put_local(block).await.unwrap();
    let empty = net.node(0).file(3, 10).await.cid;
    net.write(0, "a", empty).await;
    net.prune(0, &first).await;
    net.until_free(&[root]).await;
    net.let_go().await;
    assert_eq!(net.copies(&root).await, 1);
    // It does not know, and offers it; nobody wants it.
    let before = stray.blocks.stats().repair_pushed;
    stray.blocks.repair(&root);
    until(async || stray.blocks.stats().repair_pushed >= before + 3).await;
    assert_eq!(net.copies(&root).await, 1);
    let at = net
        .net
        .nodes
        .iter()
        .position(|node| node.peer == stray.peer);
    let collected = net.upkeep[at.unwrap()].collect(false, &silent).await;
    assert!(collected.unwrap().gone > 0);
    assert_eq!(net.copies(&root).await, 0);
}

#[tokio::test]
async fn a_pin_of_a_version_says_nothing_of_those_before_it() {
    let net = Caring::start(6).await;
    let (here, mut roots, mut records) = (net.node(0), Vec::new(), Vec::new());
    for seed in 20..24 {
        let root = here.file(seed, 3_000).await.cid;
        records.push(net.write(0, "a", root).await);
        roots.push(root);
    }
    net.until_claimed(&roots).await;
    for pinned in [&records[3], &records[1]] {
        let upkeep = &net.upkeep[0];
        upkeep.pin(pinned.vguid(), "a").await.unwrap();
        upkeep.pinned(pinned.vguid(), &silent).await.unwrap();
        assert_eq!(upkeep.release(&silent).await.unwrap().blocks, 0);
    }
    // Nor does a pruned record keep a pin from being claimed.
    assert_eq!(net.prune(0, &records[0]).await, 3);
    net.until_free(&[roots[0], roots[2]]).await;
    net.until_claimed(&[roots[1], roots[3]]).await;
    net.let_go().await;
    assert_eq!(net.copies(&roots[0]).await, 0);
    assert!(net.copies(&roots[1]).await >= 3, "it is pinned");
    // What was pruned, and is still somewhere, is kept by all again.
    let upkeep = &net.upkeep[0];
    let gone = upkeep.bring_back(records[0].vguid()).await.unwrap_err();
    assert!(gone.to_string().contains(&roots[0].to_string()), "{gone}");
    assert!(upkeep.unpin(records[1].vguid()).await.unwrap());
    assert!(upkeep.release(&silent).await.unwrap().blocks > 0);
    net.until_free(&[roots[1]]).await;
    upkeep.bring_back(records[1].vguid()).await.unwrap();
    net.let_go().await;
    assert!(net.copies(&roots[1]).await >= 3);
}

#[tokio::test]
async fn one_root_that_nobody_has_does_not_keep_others_from_being_claimed() {
    let net = Caring::start(6).await;
    let there = raw(31, 100);
    net.node(0).blocks.put(there.clone()).await.unwrap();
    let lost = net.node(0).file(30, 3_000).await.cid;
    for node in &net.net.nodes {
        node.blocks.let_go(&[lost]).await.unwrap();
    }
    net.upkeep[0].keep(lost).await.unwrap();
    net.upkeep[0].keep(*there.cid()).await.unwrap();
    net.write(0, "a", *there.cid()).await;
    net.until_claimed(&[*there.cid()]).await;
    let error = net.upkeep[0].release(&silent).await.unwrap_err();
    assert!(error.to_string().contains(&lost.to_string()), "{error}");
    assert!(net.upkeep[0].unkeep(lost).await.unwrap());
    assert!(!net.upkeep[0].unkeep(lost).await.unwrap());
    net.upkeep[0].release(&silent).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_pruned_is_refused() {
    let net = Caring::start(4).await;
    let root = raw(9, 100);
    net.node(0).blocks.put(root.clone()).await.unwrap();
    let record = net.write(0, "a", *root.cid()).await;
    let nothing = net.upkeep[0]
        .prune(record.aguid(), Keep::default(), false)
        .await;
    assert!(matches!(nothing, Err(PruneError::KeepsNothing)));
    let others = net.upkeep[1].prune(record.aguid(), LAST, false).await;
    assert!(matches!(others, Err(PruneError::NotYours)));
    let unknown = net.upkeep[0].prune(guid::Guid::hash(b"none"), LAST, false);
    assert!(matches!(unknown.await, Err(PruneError::Read(_))));
    let newest = net.node(0).objects.version(record.aguid(), Version::Newest);
    assert_eq!(newest.await.unwrap().vguid(), record.vguid());
    let own = net.upkeep[0].own_objects("").await.unwrap();
    assert_eq!(own, [("a".to_owned(), record.aguid())]);
}
