//! Nodes that come, go, fall silent, or take no part (Q5, Q12, Q34).

use webcache::Scheme;

use super::member::{Member, home_of, open, path_at};
use crate::origin::{Origin, Script, until};

#[tokio::test]
async fn a_home_that_is_gone_costs_one_trip() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let origin = Origin::start().await;
        let mut members = Member::network(&open(scheme), 4).await;
        let path = path_at(&members, &origin, "/gone", 0);
        origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
        let url = origin.url(&path);
        members[1].client.get(&url).await;
        assert_eq!(origin.count(), 1);
        members.remove(0).kill().await;
        // Those that are left: 1 has it, 2 and 3 have not.
        for member in &members[1..] {
            assert_eq!(member.client.get(&url).await.text(), "here");
        }
        assert!(origin.count() <= 2, "{} trips", origin.count());
    }
}

#[tokio::test]
async fn a_silent_home_is_waited_for_for_a_moment() {
    let origin = Origin::start().await;
    let members = Member::network(&open(Scheme::HomeStore), 3).await;
    let path = path_at(&members, &origin, "/silent", 0);
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
    members[0].freeze();
    let reply = members[1].client.get(&origin.url(&path)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "here"));
    assert_eq!(origin.count(), 1);
    until(|| members[1].stats().peers_silent > 0).await;
    // It is left out: the next is the home.
    let other = path_at(&members, &origin, "/silent/more", 0);
    origin.says(&other, Script::ok("Cache-Control: max-age=600", "more"));
    let url = origin.url(&other);
    let silent = members[1].stats().peers_silent;
    assert_eq!(members[1].client.get(&url).await.text(), "more");
    assert_eq!(members[1].stats().peers_silent, silent);
}

#[tokio::test]
async fn who_takes_no_part_is_no_home() {
    let origin = Origin::start().await;
    let mut members = Member::network(&open(Scheme::HomeStore), 2).await;
    let outsider = Member::join(None, &[&members[0], &members[1]]).await;
    members.push(outsider);
    let path = path_at(&members, &origin, "/part", 2);
    origin.says(&path, Script::ok("Cache-Control: max-age=600", "here"));
    let url = origin.url(&path);
    assert_eq!(members[0].client.get(&url).await.text(), "here");
    assert_eq!(members[1].client.get(&url).await.text(), "here");
    // One of the two is the home, whoever asks.
    assert_eq!(origin.count(), 1);
    // And its own proxy asks nobody.
    assert_eq!(members[2].client.get(&url).await.text(), "here");
    assert_eq!((origin.count(), members[2].stats().peer_hits), (2, 0));
}

#[tokio::test]
async fn who_comes_is_given_what_it_is_the_home_of() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let origin = Origin::start().await;
        let mut members = Member::network(&open(scheme), 2).await;
        let paths: Vec<String> = (0..40).map(|number| format!("/move/{number}")).collect();
        for path in &paths {
            origin.says(path, Script::ok("Cache-Control: max-age=600", path));
            members[0].client.get(&origin.url(path)).await;
        }
        let known: Vec<&Member> = members.iter().collect();
        let new = Member::join(Some(open(scheme)), &known).await;
        members.push(new);
        let moved: Vec<&String> = paths
            .iter()
            .filter(|path| home_of(&members, &origin.url(path)) == 2)
            .collect();
        match scheme {
            Scheme::HomeStore => {
                until(|| members[2].client.store.objects() == moved.len()).await;
            }
            Scheme::Directory => {
                until(|| members[2].stats().taken_over == moved.len() as u64).await;
            }
        }
        for path in &moved {
            let reply = members[1].client.get(&origin.url(path)).await;
            assert_eq!(reply.text(), **path);
        }
        assert_eq!(
            origin.count(),
            paths.len(),
            "{scheme:?}: {} moved",
            moved.len()
        );
    }
}

#[tokio::test]
async fn large_bodies_are_taken_over_whole() {
    let origin = Origin::start().await;
    let mut members = Member::network(&open(Scheme::HomeStore), 2).await;
    let large = "x".repeat(1024 * 1024);
    let paths: Vec<String> = (0..20).map(|number| format!("/large/{number}")).collect();
    for path in &paths {
        origin.says(path, Script::ok("Cache-Control: max-age=600", &large));
        members[0].client.get(&origin.url(path)).await;
    }
    let known: Vec<&Member> = members.iter().collect();
    let new = Member::join(Some(open(Scheme::HomeStore)), &known).await;
    members.push(new);
    let moved = paths.iter();
    let moved = moved.filter(|path| home_of(&members, &origin.url(path)) == 2);
    let moved = moved.count();
    until(|| members[2].client.store.objects() == moved).await;
    until(|| members[2].stats().taken_over == moved as u64).await;
    assert_eq!(origin.count(), paths.len());
}
