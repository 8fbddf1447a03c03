//! What was read of a listed host's `https` is shared as what was asked for with a prefix (Q48).

use std::sync::Arc;

use webcache::{Config, Scheme};

use super::member::{Member, home_of, open};
use crate::{
    origin::{Origin, Script, until},
    visitor::{Visitor, authority, place},
};

#[tokio::test]
async fn what_anybody_may_have_is_a_peer_hit_and_what_is_private_is_not() {
    let (origin, roots) = Origin::start_tls().await;
    let at = place(&origin);
    let (authority, _folder) = authority(&[&at]);
    let visitor = Visitor::of(&authority);
    let config = Config {
        roots,
        authority: Some(Arc::clone(&authority)),
        ..Config::default()
    };
    let members = Member::network_with(&config, &open(Scheme::HomeStore), 3).await;
    let path_of = |folder: &str| {
        let mut paths = (0..1000).map(|number| format!("/{folder}/{number}"));
        let at_first = |path: &String| home_of(&members, &format!("https://{at}{path}")) == 0;
        paths.find(at_first).unwrap()
    };
    let public = path_of("public");
    origin.says(&public, Script::ok("Cache-Control: max-age=600", "for all"));
    for (number, peer) in [
        (1, "hedgerow-peer; fwd=miss; stored"),
        (2, "hedgerow-peer; hit; ttl="),
    ] {
        let member = &members[number].client;
        let reply = visitor.get(member, &at, &public, "").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "for all"));
        let said = reply.all("cache-status");
        assert!(said[0].starts_with(peer), "{said:?}");
        until(|| members[0].client.store.objects() == 1).await;
    }
    assert_eq!(origin.count(), 1);
    for (folder, fields, field) in [
        ("private", "Cache-Control: private, max-age=600", ""),
        ("cookie", "Cache-Control: max-age=600\nSet-Cookie: a=b", ""),
        ("known", "Cache-Control: max-age=600", "Cookie: a=b"),
        (
            "named",
            "Cache-Control: public, max-age=600",
            "Authorization: x",
        ),
    ] {
        let path = path_of(folder);
        origin.says(&path, Script::ok(fields, "for one"));
        for number in [1, 2] {
            let reply = visitor
                .get(&members[number].client, &at, &path, field)
                .await;
            assert_eq!(reply.text(), "for one");
            let said = reply.all("cache-status");
            assert!(
                !said.iter().any(|said| said.starts_with("hedgerow-peer")),
                "{folder}: {said:?}"
            );
        }
    }
    for (member, objects) in members.iter().zip([1, 1, 1]) {
        assert_eq!(member.client.store.objects(), objects);
    }
}
