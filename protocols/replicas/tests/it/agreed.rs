//! Whose word counts for what is the newest (R22, R23).

use replicas::GetError;

use crate::map::{Mood, item, key, name};
use crate::net::{Net, until};

async fn settled(net: &Net) {
    until("all have compared what they share", || {
        net.nodes.iter().all(|node| node.handle.is_settled())
    })
    .await;
}

/// Repair brought two that have just come an older version first; the third one has the newest,
/// and is in this mood.
async fn two_have_just_come(mood: Mood) -> Result<(), GetError> {
    let net = Net::start(6).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    set[0].map.keep(&id, item(&id, 1, b"old"));
    set[1].map.keep(&id, item(&id, 1, b"old"));
    set[2].map.keep(&id, item(&id, 2, b"new"));
    set[2].map.set(mood);
    assert!(!set[0].handle.is_settled() && !set[1].handle.is_settled());
    let got = net.outsider(key(&id), 3).handle.get_agreed(&id).await?;
    assert_eq!(got, item(&id, 2, b"new"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_has_come_just_now_does_not_hide_the_newest() {
    two_have_just_come(Mood::SlowToRead).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_the_one_who_knows_does_not_answer_nobody_guesses() {
    let failed = two_have_just_come(Mood::Hangs).await;
    assert!(
        matches!(failed, Err(GetError::Unavailable { .. })),
        "{failed:?}"
    );
}

/// All three have come just now; those who acknowledged the newest stand behind them.
#[tokio::test(start_paused = true)]
async fn those_who_kept_it_before_are_asked_as_well() {
    let net = Net::start(6).await;
    let id = name(1);
    let all = net.closest(key(&id), 6);
    for (at, node) in all.iter().take(5).enumerate() {
        let (version, content) = [(1, &b"old"[..]), (2, b"new")][usize::from(at > 2)];
        node.map.keep(&id, item(&id, version, content));
    }
    let newest = item(&id, 2, b"new");
    assert_eq!(all[5].handle.get_agreed(&id).await.unwrap(), newest);
    // The replicas have it now.
    let kept = all[..3]
        .iter()
        .filter(|node| node.map.kept(&id).as_ref() == Some(&newest));
    assert!(kept.count() >= 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_compared_it_with_all_counts() {
    let net = Net::start(6).await;
    settled(&net).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    for node in &set[..2] {
        node.map.keep(&id, item(&id, 1, b"all"));
    }
    set[2].map.set(Mood::Hangs);
    let asker = net.outsider(key(&id), 3);
    assert_eq!(
        asker.handle.get_agreed(&id).await.unwrap(),
        item(&id, 1, b"all")
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_place_compares_it_first() {
    let mut net = Net::start(4).await;
    settled(&net).await;
    let new = net.add().await;
    assert!(!net.nodes[new].handle.is_settled());
    settled(&net).await;
}

/// A reader that brings the others up to date is told of a version that none of those who
/// answered had.
#[tokio::test(start_paused = true)]
async fn a_read_goes_on_with_the_higher_version_that_it_hears_of() {
    let net = Net::start(6).await;
    settled(&net).await;
    let id = name(1);
    let set = net.closest(key(&id), 3);
    for (node, version) in set.iter().zip(1u64..) {
        node.map.keep(&id, item(&id, version, b"x"));
    }
    set[2].map.set(Mood::SlowToRead);
    let asker = net.outsider(key(&id), 3);
    let newest = item(&id, 3, b"x");
    assert_eq!(asker.handle.get_agreed(&id).await.unwrap(), newest);
    let kept = set
        .iter()
        .filter(|node| node.map.kept(&id).as_ref() == Some(&newest));
    assert!(kept.count() >= 2);
}

/// What it has is here; that it takes nothing is its own matter.
#[tokio::test(start_paused = true)]
async fn a_neighbour_that_is_full_keeps_nobody_unsettled() {
    let net = Net::start(3).await;
    net.nodes[0].map.set(Mood::Full);
    net.nodes[1].map.keep(&name(1), item(&name(1), 1, b"x"));
    until("those with room have compared", || {
        net.nodes[1..].iter().all(|node| node.handle.is_settled())
    })
    .await;
}

/// One that is there and never answers holds up the others for a while.
#[tokio::test(start_paused = true)]
async fn a_neighbour_that_hangs_is_not_waited_for_for_ever() {
    let net = Net::start(3).await;
    net.nodes[0].map.set(Mood::Hangs);
    net.nodes[1].map.keep(&name(1), item(&name(1), 1, b"x"));
    until("those that answer have compared", || {
        net.nodes[1..].iter().all(|node| node.handle.is_settled())
    })
    .await;
}
