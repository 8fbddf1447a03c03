//! Upcalls: their bounds and what intercepting applications can do.

use bytes::Bytes;
use overlay::{AppConfig, AppId, Config, RouteError, Upcall};

use crate::net::{Node, in_time, network};

const APP: AppId = AppId(7);

#[tokio::test]
async fn requests_to_nobody_or_to_a_full_application_fail_by_name() {
    let nodes = network(2).await;
    let (asker, root) = (&nodes[0].handle, &nodes[1]);
    let ask = || asker.request(root.guid(), APP, Bytes::new());
    let error = in_time(ask()).await.expect_err("nobody is there");
    assert!(matches!(error, RouteError::Refused(_)), "{error}");

    let config = AppConfig {
        queue: 1,
        intercept: false,
    };
    let mut upcalls = root.handle.register(APP, config);
    // Takes the only place.
    in_time(root.handle.route(root.guid(), APP, Bytes::new()))
        .await
        .expect("taken");
    let error = in_time(ask()).await.expect_err("no room");
    assert_eq!(error, RouteError::Overloaded);

    // An application that drops a request has answered it too.
    drop(in_time(upcalls.next()).await);
    let (answer, ()) =
        in_time(async { tokio::join!(ask(), async { drop(upcalls.next().await) }) }).await;
    assert!(matches!(answer, Err(RouteError::Refused(_))), "{answer:?}");
}

#[tokio::test]
async fn a_second_registration_takes_the_place_of_the_first() {
    let node = Node::start(Config::default(), &[]).await;
    in_time(node.handle.active()).await;
    let mut first = node.handle.register(APP, AppConfig::default());
    let mut second = node.handle.register(APP, AppConfig::default());
    assert!(in_time(first.next()).await.is_none());
    in_time(
        node.handle
            .route(node.guid(), APP, Bytes::from_static(b"x")),
    )
    .await
    .expect("taken");
    assert!(matches!(
        in_time(second.next()).await,
        Some(Upcall::Deliver(_))
    ));
}

#[tokio::test]
async fn an_intercepting_application_changes_and_stops_messages() {
    let nodes = network(2).await;
    let config = AppConfig {
        queue: 8,
        intercept: true,
    };
    let mut here = nodes[0].handle.register(APP, config);
    let mut there = nodes[1].handle.register(APP, AppConfig::default());
    let send = |payload: &'static [u8]| {
        let (handle, key) = (nodes[0].handle.clone(), nodes[1].guid());
        tokio::spawn(async move { handle.route(key, APP, Bytes::from_static(payload)).await })
    };
    for change in [false, true] {
        let sent = send(b"plain");
        let upcall = in_time(here.next()).await;
        let Some(Upcall::Forward(forward)) = upcall else {
            panic!("{upcall:?}")
        };
        assert_eq!(forward.next.guid, nodes[1].guid());
        if change {
            forward
                .gate
                .pass(Bytes::from_static(b"changed"))
                .await
                .expect("the node runs");
            let upcall = in_time(there.next()).await;
            let Some(Upcall::Deliver(delivery)) = upcall else {
                panic!("{upcall:?}")
            };
            assert_eq!(delivery.payload, b"changed".as_slice());
        } else {
            forward.gate.stop();
        }
        // Stopped or not, the command ends.
        let _ = in_time(sent).await.expect("no panic");
    }
}

#[tokio::test]
async fn everything_fails_once_the_node_has_stopped() {
    let node = Node::start(Config::default(), &[]).await;
    let handle = node.handle.clone();
    node.kill().await;
    let error = handle.trace(handle.me().guid).await.expect_err("stopped");
    assert_eq!(error, RouteError::Stopped);
    handle.leave().await;
}
