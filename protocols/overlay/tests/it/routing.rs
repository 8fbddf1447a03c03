//! Where messages end.

use bytes::Bytes;
use guid::{Base, Guid};
use overlay::{AppConfig, AppId, RouteError, Upcall};

use crate::net::{by_closeness, guids, in_time, network};

const APP: AppId = AppId(1);

fn keys() -> impl Iterator<Item = Guid> {
    (0..20u8).map(|number| Guid::hash(&[number]))
}

#[tokio::test]
async fn requests_are_answered_by_the_root() {
    let nodes = network(5).await;
    for node in &nodes {
        let mut upcalls = node.handle.register(APP, AppConfig::default());
        let me = node.guid();
        tokio::spawn(async move {
            while let Some(upcall) = upcalls.next().await {
                let Upcall::Deliver(delivery) = upcall else {
                    continue;
                };
                let mut answer = delivery.payload.to_vec();
                answer.extend_from_slice(&me.to_bytes());
                let responder = delivery.responder.expect("a request");
                responder.reply(answer.into()).await.expect("the node runs");
            }
        });
    }
    for key in keys() {
        let root = by_closeness(&nodes, key)[0];
        for node in &nodes {
            let reply = in_time(node.handle.request(key, APP, Bytes::from_static(b"who:")));
            let reply = reply.await.expect("answered");
            assert_eq!(reply.from.guid, root);
            assert_eq!(
                reply.payload,
                [b"who:".as_slice(), &root.to_bytes()].concat()
            );
            assert_eq!(reply.hops == 0, node.guid() == root);
        }
    }
}

#[tokio::test]
async fn any_of_the_closest_nodes_answers_and_the_asker_itself_if_it_is_one() {
    let nodes = network(5).await;
    for node in &nodes {
        let mut upcalls = node.handle.register(APP, AppConfig::default());
        tokio::spawn(async move {
            while let Some(upcall) = upcalls.next().await {
                let Upcall::Deliver(delivery) = upcall else {
                    continue;
                };
                let responder = delivery.responder.expect("a request");
                responder.reply(Bytes::new()).await.expect("the node runs");
            }
        });
    }
    for key in keys() {
        let closest = by_closeness(&nodes, key);
        for node in &nodes {
            let reply = in_time(node.handle.request_any(key, 3, APP, Bytes::new()));
            let reply = reply.await.expect("answered");
            assert!(closest[..3].contains(&reply.from.guid));
            assert_eq!(reply.hops == 0, closest[..3].contains(&node.guid()));
        }
    }
    for k in [0, 17] {
        let error = in_time(
            nodes[0]
                .handle
                .request_any(nodes[0].guid(), k, APP, Bytes::new()),
        );
        let error = error.await;
        assert!(matches!(error, Err(RouteError::Invalid(_))), "{error:?}");
    }
}

#[tokio::test]
async fn routed_messages_are_delivered_once_to_the_root() {
    let nodes = network(3).await;
    let key = Guid::hash(b"somewhere");
    let root = by_closeness(&nodes, key)[0];
    let at = nodes
        .iter()
        .find(|node| node.guid() == root)
        .expect("a node");
    let mut upcalls = at.handle.register(APP, AppConfig::default());
    for (sender, payload) in nodes.iter().zip([&b"a"[..], b"b", b"c"]) {
        let routed = sender.handle.route(key, APP, Bytes::from_static(payload));
        in_time(routed).await.expect("taken");
        let upcall = in_time(upcalls.next()).await;
        let Some(Upcall::Deliver(delivery)) = upcall else {
            panic!("{upcall:?}")
        };
        assert_eq!((delivery.key, &delivery.payload[..]), (key, payload));
        assert_eq!(delivery.origin, sender.handle.me());
        assert!(delivery.responder.is_none());
    }
}

#[tokio::test]
async fn replica_sets_are_the_closest_nodes_wherever_asked() {
    let nodes = network(5).await;
    for key in keys() {
        let closest = by_closeness(&nodes, key);
        for node in &nodes {
            let set = in_time(node.handle.replica_set(key, 3))
                .await
                .expect("known");
            assert_eq!(guids(&set), closest[..3]);
            let local = node
                .handle
                .local_replica_set(key, 3)
                .expect("the whole overlay is known");
            assert_eq!(local, set);
        }
    }
}

#[tokio::test]
async fn traces_end_at_the_root() {
    let nodes = network(4).await;
    for key in keys() {
        let root = by_closeness(&nodes, key)[0];
        let hops = in_time(nodes[0].handle.trace(key)).await.expect("traced");
        assert_eq!(hops[0].contact.guid, nodes[0].guid());
        let last = hops.last().expect("at least this node");
        assert_eq!(last.contact.guid, root);
        assert_eq!(last.shared_prefix, key.shared_prefix(root, Base::B4));
        assert_eq!(hops.len() == 1, nodes[0].guid() == root);
    }
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused() {
    let nodes = network(1).await;
    let large = Bytes::from(vec![0; overlay::MAX_PAYLOAD + 1]);
    let error = in_time(nodes[0].handle.request(nodes[0].guid(), APP, large)).await;
    assert!(matches!(error, Err(RouteError::Invalid(_))), "{error:?}");
}
