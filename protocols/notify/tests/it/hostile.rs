//! What is no good goes no further, and counts against who sent it (E5 to E7).

use notify::{GRAYLIST, topic};

use crate::net::{Node, until};
use crate::toy::{MAX_SIZE, say, subject};

/// A sender, one who follows, and one behind that one.
async fn chain() -> [Node; 3] {
    let nodes = [
        Node::start().await,
        Node::start().await,
        Node::start().await,
    ];
    let all = nodes.each_ref();
    let topic = topic("toys", 0).to_string();
    for follower in &all[1..] {
        // For as long as the test runs.
        std::mem::forget(
            follower
                .handle
                .follow(vec![(subject(0), None)])
                .await
                .unwrap(),
        );
    }
    all[0].dial(all[1]).await;
    all[1].dial(all[2]).await;
    all[0].until_listened(&topic, 1).await;
    all[1].until_listened(&topic, 1).await;
    nodes
}

#[tokio::test]
async fn forged_misplaced_and_oversized_statements_are_rejected_and_held_against_the_sender() {
    let [sender, follower, behind] = chain().await;
    let here = topic("toys", 0).to_string();
    let first = follower.score(sender.peer).await;
    sender
        .publish(&here, say(subject(0), 1, false).to_vec())
        .await;
    until("the forged one is rejected", async || {
        follower.handle.stats().rejected == 1
    })
    .await;
    until("it counts", async || {
        follower.score(sender.peer).await < first
    })
    .await;
    // Of another shard, and so for others.
    sender
        .publish(&here, say(subject(9), 1, true).to_vec())
        .await;
    until("the misplaced one is rejected", async || {
        follower.handle.stats().rejected == 2
    })
    .await;
    // Too long: nobody reads what is in it.
    let mut long = say(subject(0), 7, true).to_vec();
    long.resize(MAX_SIZE + 1, 1);
    sender.publish(&here, long).await;
    until("nothing more is taken from it", async || {
        follower.score(sender.peer).await < GRAYLIST
    })
    .await;
    // None of it went on.
    let stats = behind.handle.stats();
    assert_eq!((stats.accepted, stats.rejected, stats.ignored), (0, 0, 0));
    assert!(behind.score(follower.peer).await >= 0.0);
}

#[tokio::test]
async fn replayed_older_statements_go_no_further_and_are_nobodys_fault() {
    let [sender, follower, behind] = chain().await;
    let here = topic("toys", 0).to_string();
    sender
        .publish(&here, say(subject(0), 5, true).to_vec())
        .await;
    until("all have it", async || behind.handle.stats().accepted == 1).await;
    for version in 1..5 {
        sender
            .publish(&here, say(subject(0), version, true).to_vec())
            .await;
    }
    until("they are ignored", async || {
        follower.handle.stats().ignored == 4
    })
    .await;
    assert!(follower.score(sender.peer).await >= 0.0);
    sender
        .publish(&here, say(subject(0), 6, true).to_vec())
        .await;
    until("the next one is heard", async || {
        behind.handle.stats().accepted == 2
    })
    .await;
    assert_eq!(behind.handle.stats().ignored, 0);
    // Nor does it bring back what nobody follows here, of the same shard.
    sender
        .publish(&here, say(subject(1), 5, true).to_vec())
        .await;
    until("it went on", async || behind.handle.stats().accepted == 3).await;
    sender
        .publish(&here, say(subject(1), 4, true).to_vec())
        .await;
    until("it is ignored", async || {
        follower.handle.stats().ignored == 5
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_not_passed_on() {
    let [sender, follower, behind] = chain().await;
    let here = topic("toys", 0).to_string();
    const FLOOD: u64 = 2_000;
    for version in 1..=FLOOD {
        sender
            .publish(&here, say(subject(0), version, true).to_vec())
            .await;
    }
    until("the first ones are heard", async || {
        behind.handle.stats().accepted >= 100
    })
    .await;
    until("the flood is over", async || {
        let before = follower.handle.stats();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        before == follower.handle.stats()
    })
    .await;
    let heard = follower.handle.stats().accepted;
    assert!(heard < FLOOD, "{heard}");
}
