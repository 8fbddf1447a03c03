//! What was missed is asked for (E8).

use crate::net::{Node, until};
use crate::toy::{say, subject};

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_yet_is_waited_for_and_what_was_missed_is_asked_for() {
    let node = Node::start().await;
    let mut following = node.handle.follow(vec![(subject(0), None)]).await.unwrap();
    until("it was asked for", async || node.handle.stats().asked == 1).await;
    // It comes to be, and nobody announces it.
    node.kept.newest.lock().insert(subject(0), 1);
    assert_eq!(following.next().await.unwrap().version, 1);
    // Nobody answers for a while.
    *node.kept.fails.lock() = true;
    node.kept.newest.lock().insert(subject(0), 2);
    until("it was asked for in vain", async || {
        node.handle.stats().ask_failed >= 2
    })
    .await;
    *node.kept.fails.lock() = false;
    assert_eq!(following.next().await.unwrap().version, 2);
}

#[tokio::test(start_paused = true)]
async fn who_asks_waits_longer_each_time_and_not_for_ever() {
    let node = Node::start().await;
    *node.kept.fails.lock() = true;
    let following = node.handle.follow(vec![(subject(0), None)]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    // 2, 4, 8, 16, 32 s, and then every minute.
    let asked = node.handle.stats().asked;
    assert!((12..=16).contains(&asked), "{asked}");
    drop(following);
}

#[tokio::test(start_paused = true)]
async fn somebody_new_is_asked_and_all_that_is_followed_is_asked_at_a_bounded_rate() {
    let (node, other) = (Node::start().await, Node::start().await);
    let mut all = Vec::new();
    for first in 0..4u8 {
        let subjects = (0..notify::MAX_SUBJECTS).map(|at| {
            let subject = guid::Guid::new(u128::from(first) << 64 | at as u128);
            (subject, None)
        });
        all.push(node.handle.follow(subjects.collect()).await.unwrap());
    }
    let begin = tokio::time::Instant::now();
    until("all were asked for", async || {
        node.handle.stats().asked == 256
    })
    .await;
    // Twenty a second.
    assert!(begin.elapsed() >= std::time::Duration::from_secs(12));
    node.dial(&other).await;
    // Before a minute has gone by.
    until("all were asked for again", async || {
        node.handle.stats().asked == 512
    })
    .await;
    assert!(begin.elapsed() < std::time::Duration::from_secs(60));
}

#[tokio::test]
async fn an_answer_and_an_announcement_of_the_same_are_told_once() {
    let node = Node::start().await;
    let mut following = node.handle.follow(vec![(subject(0), None)]).await.unwrap();
    node.handle.announce(say(subject(0), 3, true)).await;
    assert_eq!(following.next().await.unwrap().version, 3);
    node.handle.announce(say(subject(0), 3, true)).await;
    node.handle.announce(say(subject(0), 4, true)).await;
    assert_eq!(following.next().await.unwrap().version, 4);
}
