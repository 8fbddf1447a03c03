//! The sync service over real sockets.

use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use serde_json::{Value, json};
use testground::environment::Environment;
use testground::event::Event;
use testground::params::Params;
use testground::sync::{Client, Limits, Request, Server, SyncError, What};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Socket = WebSocketStream<TcpStream>;

/// A service on loopback with these bounds; where it listens.
async fn service(limits: Limits) -> String {
    let server = Server::bind("127.0.0.1:0", limits).await.unwrap();
    let address = server.address().unwrap().to_string();
    tokio::spawn(server.serve());
    address
}

async fn client(address: &str) -> Client {
    Client::connect_to(address, "run:r:plan:p:case:c".to_owned())
        .await
        .unwrap()
}

async fn socket(address: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://{address}/"), stream)
        .await
        .unwrap();
    socket
}

async fn send(socket: &mut Socket, text: impl ToString) {
    socket.send(Message::text(text.to_string())).await.unwrap();
}

async fn receive(socket: &mut Socket) -> Value {
    let message = socket.next().await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn the_wire_is_what_testgrounds_sdks_expect() {
    let address = service(Limits::default()).await;
    let mut socket = socket(&address).await;
    // All five fields are there in every response, as the Go SDK's types have them.
    for (request, response) in [
        (
            json!({"id": "0", "is_cancel": false, "signal_entry": {"state": "ready"}}),
            json!({"id": "0", "error": "", "publish": null, "subscribe": "", "signal_entry": {"seq": 1}}),
        ),
        (
            json!({"id": "1", "is_cancel": false, "barrier": {"state": "ready", "target": 1}}),
            json!({"id": "1", "error": "", "publish": null, "subscribe": "", "signal_entry": null}),
        ),
        (
            json!({"id": "2", "publish": {"topic": "t", "payload": {"b": [1], "a": "x"}}}),
            json!({"id": "2", "error": "", "publish": {"seq": 1}, "subscribe": "", "signal_entry": null}),
        ),
        (
            json!({"id": "3", "subscribe": {"topic": "t"}}),
            json!({"id": "3", "error": "", "publish": null, "subscribe": "{\"a\":\"x\",\"b\":[1]}", "signal_entry": null}),
        ),
    ] {
        send(&mut socket, request).await;
        assert_eq!(receive(&mut socket).await, response);
    }
    // A cancelled subscription is silent, and its id free again.
    send(&mut socket, json!({"id": "3", "is_cancel": true})).await;
    send(
        &mut socket,
        json!({"id": "4", "publish": {"topic": "t", "payload": 2}}),
    )
    .await;
    assert_eq!(receive(&mut socket).await["id"], "4");
    send(
        &mut socket,
        json!({"id": "3", "barrier": {"state": "other", "target": 0}}),
    )
    .await;
    assert_eq!(receive(&mut socket).await["id"], "3");
}

#[tokio::test]
async fn a_barrier_fires_at_its_count_for_all_who_wait() {
    let address = service(Limits::default()).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client(&address).await;
        waiting.spawn(async move { client.signal_and_wait("ready", 20).await.unwrap() });
    }
    let mut numbers = waiting.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    // Whoever comes later does not wait.
    client(&address).await.barrier("ready", 20).await.unwrap();
}

#[tokio::test]
async fn a_barrier_does_not_fire_before_its_count() {
    let address = service(Limits::default()).await;
    let (one, two) = (client(&address).await, client(&address).await);
    one.signal_entry("ready").await.unwrap();
    let barrier = tokio::spawn(async move { one.barrier("ready", 2).await });
    // Answers that come after the barrier was asked for show that it waits.
    for number in 1..50 {
        assert_eq!(two.signal_entry("other").await.unwrap(), number);
    }
    assert!(!barrier.is_finished());
    two.signal_entry("ready").await.unwrap();
    barrier.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_topic_is_the_same_for_those_who_come_early_and_late() {
    let address = service(Limits::default()).await;
    let (one, two) = (client(&address).await, client(&address).await);
    let mut early = one.subscribe::<u32>("t").await.unwrap();
    for number in 0..1000u32 {
        let publisher = if number % 2 == 0 { &one } else { &two };
        assert_eq!(
            publisher.publish("t", &number).await.unwrap(),
            i64::from(number) + 1
        );
    }
    let mut late = two.subscribe::<u32>("t").await.unwrap();
    for number in 0..1000 {
        assert_eq!(early.next().await.unwrap(), number);
        assert_eq!(late.next().await.unwrap(), number);
    }
    let mut texts = one.subscribe::<String>("t").await.unwrap();
    assert!(matches!(texts.next().await, Err(SyncError::Payload(_))));
}

#[tokio::test]
async fn events_are_published_where_testground_looks_for_them() {
    let address = service(Limits::default()).await;
    let group = "single".to_owned();
    client(&address)
        .await
        .signal_event(&Event::Success { group })
        .await
        .unwrap();
    let mut socket = socket(&address).await;
    let topic = "run:r:plan:p:case:c:run_events";
    send(
        &mut socket,
        json!({"id": "0", "subscribe": {"topic": topic}}),
    )
    .await;
    assert_eq!(
        receive(&mut socket).await["subscribe"],
        r#"{"success_event":{"group":"single"}}"#
    );
}

#[tokio::test]
async fn a_bad_client_gets_an_error_and_harms_nobody() {
    let limits = Limits {
        message_bytes: 4096,
        name_bytes: 64,
        waiting: 2,
        ..Limits::default()
    };
    let address = service(limits).await;
    let good = client(&address).await;
    let mut bad = socket(&address).await;
    for (request, id, expected) in [
        ("nonsense".to_owned(), "", "malformed request"),
        ("[]".to_owned(), "", "malformed request"),
        (
            json!({"id": "7", "barrier": {"state": 1}}).to_string(),
            "7",
            "malformed request",
        ),
        (json!({"id": "8"}).to_string(), "8", "asks for nothing"),
        (
            json!({"id": "9", "subscribe": {"topic": "t"}, "signal_entry": {"state": "s"}})
                .to_string(),
            "9",
            "several things",
        ),
        (
            json!({"id": "10", "subscribe": {"topic": "t".repeat(65)}}).to_string(),
            "10",
            "longer than 64 bytes",
        ),
        (
            json!({"id": "x".repeat(200), "subscribe": {"topic": "t"}}).to_string(),
            "",
            "the id",
        ),
    ] {
        send(&mut bad, request).await;
        let response = receive(&mut bad).await;
        assert_eq!(response["id"], id, "{response}");
        assert!(
            response["error"].as_str().unwrap().contains(expected),
            "{response}"
        );
    }
    bad.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    assert!(
        receive(&mut bad).await["error"]
            .as_str()
            .unwrap()
            .contains("text messages")
    );
    for (id, expected) in [
        ("a", None),
        ("a", Some("of this id")),
        ("b", None),
        ("c", Some("no more")),
    ] {
        send(
            &mut bad,
            json!({"id": id, "barrier": {"state": "never", "target": 9}}),
        )
        .await;
        if let Some(expected) = expected {
            let response = receive(&mut bad).await;
            assert!(
                response["error"].as_str().unwrap().contains(expected),
                "{response}"
            );
        }
    }
    // Too much at once ends this client's connection; the others' go on.
    let _ = bad.send(Message::text("x".repeat(100_000))).await;
    while let Some(Ok(message)) = bad.next().await {
        assert!(message.is_close(), "{message}");
    }
    // Not a WebSocket at all.
    let mut raw = TcpStream::connect(&address).await.unwrap();
    raw.write_all(b"GARBAGE\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = raw.read_to_end(&mut rest).await;
    assert_eq!(good.signal_entry("s").await.unwrap(), 1);
}

#[tokio::test]
async fn who_does_not_read_holds_up_only_itself() {
    let limits = Limits {
        answers: 4,
        ..Limits::default()
    };
    let address = service(limits).await;
    let good = client(&address).await;
    let big = "x".repeat(100_000);
    for _ in 0..100 {
        good.publish("t", &big).await.unwrap();
    }
    let mut deaf = socket(&address).await;
    for id in 0..10 {
        send(
            &mut deaf,
            json!({"id": id.to_string(), "subscribe": {"topic": "run:r:plan:p:case:c:topics:t"}}),
        )
        .await;
    }
    let mut subscription = good.subscribe::<String>("t").await.unwrap();
    for _ in 0..100 {
        assert_eq!(subscription.next().await.unwrap().len(), big.len());
    }
}

#[tokio::test]
async fn what_is_kept_has_bounds() {
    let limits = Limits {
        names: 3,
        payloads: 2,
        payload_bytes: 20,
        ..Limits::default()
    };
    let address = service(limits).await;
    let client = client(&address).await;
    let refused = |result: Result<i64, SyncError>, expected: &str| match result {
        Err(SyncError::Refused(reason)) => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other:?}"),
    };
    refused(client.publish("t", &"x".repeat(20)).await, "20 bytes");
    client.publish("t", &1).await.unwrap();
    client.publish("t", &2).await.unwrap();
    refused(client.publish("t", &3).await, "2 payloads");
    client.signal_entry("a").await.unwrap();
    client.signal_entry("b").await.unwrap();
    refused(client.signal_entry("c").await, "3 topics and states");
    client.signal_entry("a").await.unwrap();
}

#[tokio::test]
async fn only_so_many_clients_are_served_at_once() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let address = service(limits).await;
    let first = client(&address).await;
    first.signal_entry("s").await.unwrap();
    let second = tokio::spawn({
        let address = address.clone();
        async move { client(&address).await.signal_entry("s").await }
    });
    first.signal_entry("s").await.unwrap();
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn runs_do_not_hear_each_other() {
    let address = service(Limits::default()).await;
    let environment = |run: &str| {
        let (host, port) = address.split_once(':').unwrap();
        Environment {
            plan: "p".to_owned(),
            case: "c".to_owned(),
            run: run.to_owned(),
            instances: 1,
            params: Params::new(),
            group: "single".to_owned(),
            group_instances: 1,
            sidecar: false,
            subnet: String::new(),
            outputs: String::new(),
            temp: String::new(),
            start: String::new(),
            sync_host: host.to_owned(),
            sync_port: port.parse().unwrap(),
            seed: 0,
            faults: 0,
        }
    };
    for run in ["one", "two"] {
        let client = Client::connect(&environment(run)).await.unwrap();
        assert_eq!(client.signal_entry("s").await.unwrap(), 1);
        assert_eq!(
            client.exchange("t", &run.to_owned(), 1).await.unwrap(),
            [run]
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_decoder_panic(text in ".*") {
        let _ = Request::decode(&text, 128, 1024);
    }

    #[test]
    fn requests_that_are_nearly_right_are_decoded_or_refused(
        id in prop_oneof![Just(json!("1")), Just(json!(1)), Just(json!(null))],
        field in prop_oneof![
            Just("publish"), Just("subscribe"), Just("barrier"), Just("signal_entry"), Just("odd")
        ],
        key in prop_oneof![Just("topic"), Just("state"), Just("target")],
        value in prop_oneof![Just(json!("x")), Just(json!(5)), Just(json!(null)), Just(json!({}))],
        cancel in any::<bool>(),
    ) {
        let text = json!({"id": id, "is_cancel": cancel, field: {key: value}}).to_string();
        match Request::decode(&text, 128, 1024) {
            Ok((id, what)) => prop_assert!(id == "1" && (what == What::Cancel) == cancel),
            Err((id, error)) => prop_assert!(id.len() <= 1 && !error.to_string().is_empty()),
        }
    }
}
