//! Objects: found wherever they are, and spoken to (O12, O13).

use std::collections::BTreeSet;

use bytes::Bytes;
use guid::Guid;
use overlay::{AppConfig, AppId, Config, Handle, RouteError, Upcall};

use crate::net::{Node, in_time, network};

const APP: AppId = AppId(9);

/// Takes messages to objects and answers with its own name.
fn answering(handle: &Handle) -> tokio::task::JoinHandle<()> {
    let mut upcalls = handle.register(APP, AppConfig::default());
    let name = Bytes::from(handle.me().peer.to_bytes());
    tokio::spawn(async move {
        while let Some(upcall) = upcalls.next().await {
            if let Upcall::DeliverObject(delivery) = upcall {
                let responder = delivery.responder.expect("an answer is wanted");
                responder.reply(name.clone()).await.expect("the node runs");
            }
        }
    })
}

#[tokio::test]
async fn a_published_object_is_found_until_it_is_taken_back() {
    let nodes = network(6).await;
    let object = Guid::hash(b"object");
    let error = in_time(nodes[5].handle.locate(object, 1)).await;
    assert_eq!(error, Err(RouteError::NotFound));
    let published = in_time(nodes[1].handle.publish(object))
        .await
        .expect("published");
    assert_eq!(published.roots, 5);
    for node in &nodes {
        let found = in_time(node.handle.locate(object, 1)).await.expect("found");
        assert_eq!(found[0].contact.peer, nodes[1].peer);
    }
    in_time(nodes[2].handle.publish(object))
        .await
        .expect("published");
    let found = in_time(nodes[5].handle.locate(object, 3))
        .await
        .expect("found");
    let holders: BTreeSet<_> = found.iter().map(|one| one.contact.peer).collect();
    assert_eq!(holders, BTreeSet::from([nodes[1].peer, nodes[2].peer]));
    for node in [&nodes[1], &nodes[2]] {
        in_time(node.handle.unpublish(object))
            .await
            .expect("published");
    }
    let error = in_time(nodes[5].handle.locate(object, 1)).await;
    assert_eq!(error, Err(RouteError::NotFound));
    let error = in_time(nodes[1].handle.unpublish(object)).await;
    assert_eq!(error, Err(RouteError::NotPublished));
}

#[tokio::test]
async fn a_message_reaches_the_application_of_each_holder() {
    let nodes = network(5).await;
    let object = Guid::hash(b"object");
    for holder in &nodes[1..4] {
        in_time(holder.handle.publish(object))
            .await
            .expect("published");
    }
    let send = |count| {
        let sender = &nodes[0].handle;
        in_time(sender.send_to_object(object, count, APP, Bytes::from_static(b"hello")))
    };
    let replies = send(3).await.expect("they hold it");
    assert_eq!(replies.len(), 3);
    for reply in replies {
        assert_eq!(reply.answer, Err(RouteError::NoApplication));
    }
    let tasks: Vec<_> = nodes[1..4]
        .iter()
        .map(|node| answering(&node.handle))
        .collect();
    for count in 1..=4 {
        let replies = send(count).await.expect("they hold it");
        assert_eq!(replies.len(), count.min(3));
        for reply in replies {
            let name = reply.from.peer.to_bytes();
            assert_eq!(reply.answer.as_deref(), Ok(&name[..]));
        }
    }
    for task in tasks {
        task.abort();
    }
    let error = send(0).await;
    assert!(matches!(error, Err(RouteError::Invalid(_))), "{error:?}");
}

#[tokio::test]
async fn a_holder_that_is_gone_is_passed_over() {
    let mut nodes = network(6).await;
    let object = Guid::hash(b"object");
    for holder in &nodes[4..6] {
        in_time(holder.handle.publish(object))
            .await
            .expect("published");
    }
    let gone = nodes.pop().expect("six");
    let left = nodes[4].peer;
    gone.kill().await;
    for node in &nodes {
        let found = in_time(node.handle.locate(object, 1)).await.expect("found");
        assert_eq!(found[0].contact.peer, left);
    }
}

#[tokio::test]
async fn a_full_publisher_is_told_so() {
    let mut config = Config::default();
    config.pastry.location.max_publications = 1;
    let node = Node::start(config, &[]).await;
    in_time(node.handle.active()).await;
    in_time(node.handle.publish(Guid::hash(b"one")))
        .await
        .expect("published");
    let error = in_time(node.handle.publish(Guid::hash(b"two"))).await;
    assert_eq!(error, Err(RouteError::Full(overlay::Full::Publications)));
}
