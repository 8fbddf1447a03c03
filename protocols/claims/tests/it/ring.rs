//! Claims and releases among nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use claims::{
    Claim, FreePage, Item, Limits, MAX_LOOKED, MemoryClaims, Outcome, RELEASE_LIFE, Refused, State,
    Store, Usage,
};
use guid::Span;
use replicas::{GetError, PutError, Refusal, RequestError, StoreError};

use crate::net::Net;
use crate::support::{DAY, HOUR, NOW, TestClock, block, claim, name, release, secret};

const GRACE: Duration = Duration::from_secs(DAY);

fn id(name: &Claim) -> Bytes {
    name.to_bytes().into()
}

#[tokio::test(start_paused = true)]
async fn what_one_node_claims_and_releases_all_members_know() {
    let net = Net::start(6).await;
    let block = block(1);
    let (one, members) = (net.outsider(&block), net.members(&block));
    assert_eq!(members.len(), 3);
    assert_eq!(one.handle.agreed(&block).await.unwrap(), State::Unclaimed);

    let receipt = one.handle.claim(&block, &secret(1)).await.unwrap();
    assert_eq!((receipt.wanted, receipt.stored_on.len()), (3, 3));
    for node in &net.nodes {
        assert_eq!(node.handle.agreed(&block).await.unwrap(), State::Claimed);
    }
    for member in &members {
        assert_eq!(member.state(&block).await, State::Claimed);
    }
    // It is kept where it belongs and nowhere else.
    assert_eq!(one.store.usage().claims, 0);

    net.advance(HOUR);
    let receipt = one.handle.release(&block, &secret(1)).await.unwrap();
    assert_eq!(receipt.stored_on.len(), 3);
    let since = NOW + HOUR;
    for member in &members {
        assert_eq!(member.state(&block).await, State::Free { since });
        let agreed = member.handle.agreed(&block).await.unwrap();
        assert_eq!(agreed, State::Free { since });
        assert!(!member.handle.unwanted(&block, GRACE).await);
    }
    net.advance(DAY - 1);
    assert!(!members[0].handle.unwanted(&block, GRACE).await);
    net.advance(1);
    for member in &members {
        assert!(member.handle.unwanted(&block, GRACE).await);
    }
    // One of them is given the block again: there it is wanted.
    members[1].store.put_again(&block).await.unwrap();
    assert!(!members[1].handle.unwanted(&block, GRACE).await);
    assert!(members[0].handle.unwanted(&block, GRACE).await);
    // And claimed again, with another secret.
    one.handle.claim(&block, &secret(2)).await.unwrap();
    for member in &members {
        assert_eq!(member.state(&block).await, State::Claimed);
        assert!(!member.handle.unwanted(&block, GRACE).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_released_cannot_be_made_again() {
    let net = Net::start(3).await;
    let (node, block) = (&net.nodes[0], block(1));
    node.handle.claim(&block, &secret(1)).await.unwrap();
    node.handle.release(&block, &secret(1)).await.unwrap();
    node.handle.claim(&block, &secret(1)).await.unwrap();
    for node in &net.nodes {
        assert_eq!(node.state(&block).await, State::Free { since: NOW });
    }
}

#[tokio::test(start_paused = true)]
async fn another_secret_releases_nothing() {
    let net = Net::start(4).await;
    let (node, block) = (&net.nodes[0], block(1));
    node.handle.claim(&block, &secret(1)).await.unwrap();
    let forged = release(1, 2, NOW).encode();
    let put = node.replicas.hand_over(&id(&name(1, 1)), forged).await;
    let Err(PutError::NoQuorum { receipt, .. }) = put else {
        panic!("{put:?}");
    };
    assert!(receipt.stored_on.is_empty());
    let invalid = |(_, error): &(_, RequestError)| {
        let why = Refusal::Invalid;
        matches!(error, RequestError::Refused { why: said, .. } if *said == why)
    };
    assert!(receipt.failed.iter().all(invalid), "{receipt:?}");
    // Nor is it of use to release what one has not claimed.
    node.handle.release(&block, &secret(2)).await.unwrap();
    for node in net.members(&block) {
        assert_eq!(node.state(&block).await, State::Claimed);
    }
}

#[tokio::test(start_paused = true)]
async fn only_blocks_can_be_claimed() {
    let net = Net::start(1).await;
    let v0: Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
        .parse()
        .unwrap();
    let handle = &net.nodes[0].handle;
    let claimed = handle.claim(&v0, &secret(1)).await;
    assert!(matches!(claimed, Err(PutError::Invalid(_))));
    let released = handle.release(&v0, &secret(1)).await;
    assert!(matches!(released, Err(PutError::Invalid(_))));
    assert!(matches!(handle.agreed(&v0).await, Err(GetError::Invalid)));
    assert_eq!(handle.state(&v0).await.unwrap(), State::Unclaimed);
    assert!(!handle.is_duty(&v0));
    assert_eq!(net.nodes[0].store.usage().claims, 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_away_learns_of_the_release() {
    let mut net = Net::start(3).await;
    let block = block(1);
    net.nodes[0].handle.claim(&block, &secret(1)).await.unwrap();
    let away = net.kill(2).await;
    net.nodes[0]
        .handle
        .release(&block, &secret(1))
        .await
        .unwrap();
    assert_eq!(away.state(&block).await, State::Claimed);
    // It comes back with what it had, later: for it the release comes then.
    away.clock.advance(5 * HOUR);
    let back = net.add_with(away.clock, away.store).await;
    let since = NOW + 5 * HOUR;
    net.nodes[back]
        .comes_to(&block, State::Free { since })
        .await;
    // The others have not taken the claim from it.
    for node in &net.nodes[..2] {
        assert_eq!(node.state(&block).await, State::Free { since: NOW });
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_member_gets_the_claims_that_belong_to_it() {
    let mut net = Net::start(2).await;
    for by in 0..20 {
        let node = &net.nodes[0].handle;
        node.claim(&block(by % 5), &secret(by)).await.unwrap();
    }
    let new = net.add(Limits::default()).await;
    for of in 0..5 {
        net.nodes[new].comes_to(&block(of), State::Claimed).await;
    }
    // Settled only when all was compared.
    let late = tokio::time::Instant::now() + Duration::from_secs(1_200);
    while !net.nodes[new].handle.is_settled() {
        assert!(tokio::time::Instant::now() < late, "never settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(net.nodes[new].store.usage().claims, 20);
}

#[tokio::test(start_paused = true)]
async fn ended_releases_are_not_listed_and_do_not_come_back() {
    let net = Net::start(3).await;
    let block = block(1);
    let node = &net.nodes[0];
    node.handle.claim(&block, &secret(1)).await.unwrap();
    node.handle.release(&block, &secret(1)).await.unwrap();
    // For two of them it has ended, the clock of the third is half a day behind.
    for node in &net.nodes[..2] {
        node.clock.advance(RELEASE_LIFE);
    }
    let third = &net.nodes[2];
    third.clock.advance(RELEASE_LIFE - DAY / 2);
    for node in &net.nodes[..2] {
        assert_eq!(node.store.sweep().await.unwrap(), 1);
        assert_eq!(node.state(&block).await, State::Unclaimed);
        assert_eq!(node.store.list(Span::full(), None, 9).await.unwrap(), []);
    }
    assert_eq!(third.state(&block).await, State::Free { since: NOW });
    // Offered by the third, it is known, and kept no more. Repair does so, too.
    let (id, item) = (id(&name(1, 1)), release(1, 1, NOW));
    let put = third.replicas.hand_over(&id, item.encode());
    assert_eq!(put.await.unwrap().stored_on.len(), 3);
    let compared = third.handle.stats().reconciled;
    let late = tokio::time::Instant::now() + Duration::from_secs(3_600);
    while third.handle.stats().reconciled < compared + 4 {
        assert!(tokio::time::Instant::now() < late, "never compared");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for node in &net.nodes[..2] {
        assert_eq!(node.store.usage().claims, 0);
        assert_eq!(node.handle.stats().mismatches, 0);
    }
    // A day later it is refused.
    net.advance(DAY);
    let put = node.replicas.hand_over(&id, item.encode());
    assert!(matches!(put.await, Err(PutError::NoQuorum { .. })));
    assert_eq!(node.handle.agreed(&block).await.unwrap(), State::Unclaimed);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_and_nothing_is_unwanted_there() {
    let mut net = Net::start(2).await;
    let small = net.add(Limits { claims: 2 }).await;
    let (node, small) = (&net.nodes[0], &net.nodes[small]);
    node.handle.claim(&block(1), &secret(1)).await.unwrap();
    node.handle.release(&block(1), &secret(1)).await.unwrap();
    net.advance(DAY);
    assert!(small.handle.unwanted(&block(1), GRACE).await);
    node.handle.claim(&block(2), &secret(2)).await.unwrap();
    let receipt = node.handle.claim(&block(3), &secret(3)).await.unwrap();
    assert_eq!(receipt.stored_on.len(), 2);
    let [(who, RequestError::Refused { why, .. })] = &receipt.failed[..] else {
        panic!("{receipt:?}");
    };
    assert_eq!((*who, *why), (small.contact.peer, Refusal::Full));
    assert_eq!(small.store.usage().claims, 2);
    assert!(matches!(small.state(&block(1)).await, State::Free { .. }));
    assert!(!small.handle.unwanted(&block(1), GRACE).await);
    assert!(net.nodes[1].handle.unwanted(&block(1), GRACE).await);
    // Nor soon after it has room again: it does not know yet what it has missed.
    small.store.discard(name(2, 2)).await.unwrap();
    assert!(!small.handle.unwanted(&block(1), GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_agreed_without_a_majority() {
    let mut net = Net::start(3).await;
    let block = block(1);
    net.nodes[0].handle.claim(&block, &secret(1)).await.unwrap();
    net.nodes[0]
        .handle
        .release(&block, &secret(1))
        .await
        .unwrap();
    net.nodes[2].stop().await;
    let free = State::Free { since: NOW };
    assert_eq!(net.nodes[0].handle.agreed(&block).await.unwrap(), free);
    net.nodes[1].stop().await;
    let agreed = net.nodes[0].handle.agreed(&block).await;
    assert!(
        matches!(agreed, Err(GetError::Unavailable { .. })),
        "{agreed:?}"
    );
    // What is known here is known.
    assert_eq!(net.nodes[0].state(&block).await, free);
    // And nothing is known of a block of which nothing is here.
    let agreed = net.nodes[0].handle.agreed(&crate::support::block(2)).await;
    assert!(agreed.is_err(), "{agreed:?}");
}

#[tokio::test(start_paused = true)]
async fn one_who_knows_of_a_claim_is_enough() {
    let net = Net::start(3).await;
    for node in &net.nodes {
        node.store.put(release(1, 1, NOW)).await.unwrap();
    }
    // Two of three know: one of them is among any majority.
    for node in &net.nodes[1..] {
        node.store.put(claim(1, 2)).await.unwrap();
    }
    let node = &net.nodes[0];
    assert_eq!(node.state(&block(1)).await, State::Free { since: NOW });
    let agreed = node.handle.agreed(&block(1)).await.unwrap();
    assert_eq!(agreed, State::Claimed);
}

#[tokio::test(start_paused = true)]
async fn a_page_full_of_releases_is_not_taken_for_all() {
    let net = Net::start(3).await;
    let node = &net.nodes[0];
    node.store.put(release(1, 0, NOW)).await.unwrap();
    for other in &net.nodes[1..] {
        for by in 1..MAX_LOOKED as u16 - 1 {
            other.store.put(release(1, by, NOW)).await.unwrap();
        }
    }
    let agreed = node.handle.agreed(&block(1)).await.unwrap();
    assert_eq!(agreed, State::Free { since: NOW });
    // What was listed was got, checked, and is known here now.
    assert_eq!(node.store.usage().claims, MAX_LOOKED as u64 - 1);
    for other in &net.nodes[1..] {
        other.store.put(release(1, 999, NOW)).await.unwrap();
    }
    let agreed = node.handle.agreed(&block(1)).await.unwrap();
    assert_eq!(agreed, State::Claimed);
    assert_eq!(node.store.usage().claims, MAX_LOOKED as u64 - 1);
}

/// Lists claims as released, and a release that does not exist where it keeps nothing.
struct Liar(MemoryClaims);

#[async_trait::async_trait]
impl Store for Liar {
    fn now(&self) -> u64 {
        self.0.now()
    }

    async fn put(&self, item: Item) -> Result<Outcome, Refused> {
        self.0.put(item).await
    }

    async fn get(&self, name: Claim) -> Result<Option<Item>, StoreError> {
        self.0.get(name).await
    }

    async fn version(&self, name: Claim) -> Result<Option<u64>, StoreError> {
        self.0.version(name).await
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Claim>,
        limit: usize,
    ) -> Result<Vec<(Claim, u64)>, StoreError> {
        let mut listed = self.0.list(span, after, limit).await?;
        if listed.is_empty() && span.contains(name(1, 9).place()) && after.is_none() {
            listed.push((name(1, 9), 0));
        }
        for (name, version) in &mut listed {
            *version = Item::release(name.block, &secret(0), NOW).version();
        }
        Ok(listed)
    }

    async fn state(&self, block: &Cid) -> Result<State, StoreError> {
        self.0.state(block).await
    }

    async fn put_again(&self, block: &Cid) -> Result<(), StoreError> {
        self.0.put_again(block).await
    }

    async fn free(&self, after: Option<Cid>, limit: usize) -> Result<FreePage, StoreError> {
        self.0.free(after, limit).await
    }

    async fn discard(&self, name: Claim) -> Result<(), StoreError> {
        self.0.discard(name).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.0.sweep().await
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

/// A node that tells the truth among those that do not.
async fn among_liars() -> Net {
    let mut net = Net::start(1).await;
    for _ in 0..2 {
        let clock = TestClock::new();
        let store = MemoryClaims::new(Limits::default(), Arc::new(clock.clone()));
        net.add_with(clock, Arc::new(Liar(store))).await;
    }
    net.nodes[0].store.put(release(1, 1, NOW)).await.unwrap();
    net
}

#[tokio::test(start_paused = true)]
async fn one_that_lists_what_was_not_released_is_not_believed() {
    let net = among_liars().await;
    for liar in &net.nodes[1..] {
        liar.store.put(claim(1, 2)).await.unwrap();
    }
    let node = &net.nodes[0];
    assert_eq!(node.state(&block(1)).await, State::Free { since: NOW });
    let agreed = node.handle.agreed(&block(1)).await.unwrap();
    assert_eq!(agreed, State::Claimed);
}

#[tokio::test(start_paused = true)]
async fn one_that_lists_what_does_not_exist_is_not_believed() {
    let net = among_liars().await;
    let node = &net.nodes[0];
    let agreed = node.handle.agreed(&block(1)).await.unwrap();
    assert_eq!(agreed, State::Claimed);
    assert_eq!(node.state(&block(1)).await, State::Free { since: NOW });
}
