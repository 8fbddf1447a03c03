//! From who has something new to who follows it (E1 to E5, E9).

use notify::{FollowError, MAX_SUBJECTS, MAX_WATCHERS, topic};

use crate::net::{Node, until};
use crate::toy::{say, subject};

#[tokio::test]
async fn what_is_announced_reaches_those_who_follow_it_over_others() {
    let (one, middle, other) = (
        Node::start().await,
        Node::start().await,
        Node::start().await,
    );
    let mut near = middle
        .handle
        .follow(vec![(subject(0), None)])
        .await
        .unwrap();
    let mut far = other
        .handle
        .follow(vec![(subject(0), None), (subject(9), None)])
        .await
        .unwrap();
    one.dial(&middle).await;
    middle.dial(&other).await;
    let topic = topic("toys", 0).to_string();
    middle.until_listened(&topic, 1).await;
    one.until_listened(&topic, 1).await;
    for version in 1..=3 {
        one.handle.announce(say(subject(0), version, true)).await;
        for following in [&mut near, &mut far] {
            let statement = following.next().await.unwrap();
            assert_eq!(
                (statement.subject, statement.version),
                (subject(0), version)
            );
        }
    }
    // Who follows nothing subscribes to nothing, and the others to the shards of what they do.
    assert!(one.topics().await.is_empty());
    let mut topics = other.topics().await;
    topics.sort();
    assert_eq!(
        topics,
        [topic.clone(), notify::topic("toys", 1).to_string()]
    );
}

#[tokio::test]
async fn what_nobody_listened_to_is_announced_when_somebody_does() {
    let (one, other) = (Node::start().await, Node::start().await);
    one.handle.announce(say(subject(0), 1, true)).await;
    let mut following = other.handle.follow(vec![(subject(0), None)]).await.unwrap();
    one.dial(&other).await;
    assert_eq!(following.next().await.unwrap().version, 1);
}

#[tokio::test]
async fn who_is_slow_gets_the_newest_of_each_and_holds_nobody_up() {
    let node = Node::start().await;
    let both = vec![(subject(0), None), (subject(1), None)];
    let mut slow = node.handle.follow(both).await.unwrap();
    let mut quick = node.handle.follow(vec![(subject(0), None)]).await.unwrap();
    node.handle.announce(say(subject(1), 1, true)).await;
    for version in 1..=500 {
        node.handle.announce(say(subject(0), version, true)).await;
        assert_eq!(quick.next().await.unwrap().version, version);
    }
    // An older one changes nothing.
    node.handle.announce(say(subject(0), 20, true)).await;
    node.handle.announce(say(subject(1), 2, true)).await;
    until("all are announced", async || {
        node.handle.stats().announced == 503
    })
    .await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let statement = slow.next().await.unwrap();
        told.push((statement.subject, statement.version));
    }
    assert_eq!(told, [(subject(1), 2), (subject(0), 500)]);
    // And nothing else waits.
    node.handle.announce(say(subject(0), 501, true)).await;
    assert_eq!(slow.next().await.unwrap().version, 501);
}

#[tokio::test]
async fn a_follower_goes_on_behind_what_it_knows() {
    let node = Node::start().await;
    node.kept
        .newest
        .lock()
        .extend([(subject(0), 5), (subject(1), 5)]);
    let known = vec![(subject(0), Some(5)), (subject(1), Some(4))];
    let mut following = node.handle.follow(known).await.unwrap();
    assert_eq!(following.next().await.unwrap().subject, subject(1));
    node.handle.announce(say(subject(0), 6, true)).await;
    assert_eq!(following.next().await.unwrap().version, 6);
}

#[tokio::test]
async fn followers_and_what_they_follow_are_bounded_and_go() {
    let node = Node::start().await;
    let follow = async |count: usize| {
        let subjects = (0..count).map(|at| (guid::Guid::new(at as u128), None));
        node.handle.follow(subjects.collect()).await
    };
    assert_eq!(follow(0).await.err(), Some(FollowError::Subjects));
    assert_eq!(
        follow(MAX_SUBJECTS + 1).await.err(),
        Some(FollowError::Subjects)
    );
    let mut all = Vec::new();
    for _ in 0..MAX_WATCHERS {
        all.push(follow(MAX_SUBJECTS).await.unwrap());
    }
    assert_eq!(follow(1).await.err(), Some(FollowError::Watchers));
    assert_eq!(node.handle.stats().followed, MAX_SUBJECTS as u64);
    drop(all);
    let one = follow(1).await;
    assert!(one.is_ok());
    assert_eq!(node.handle.stats().followed, 1);
}
