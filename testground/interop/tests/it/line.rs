//! The line protocol, byte for byte.

use interop::line::{Command, Ready, Request};

fn ping() -> Request {
    Request {
        id: 7,
        within_ms: 1500,
        command: Command::Ping {
            peer: "12D3".to_owned(),
        },
    }
}

#[test]
fn a_request_is_one_line_of_json() {
    assert_eq!(
        ping().to_line(),
        "{\"id\":7,\"within_ms\":1500,\"do\":\"ping\",\"peer\":\"12D3\"}\n"
    );
    let publish = Request {
        id: 8,
        within_ms: 1,
        command: Command::Publish {
            topic: "t".to_owned(),
            data: "two\nlines".to_owned(),
        },
    };
    assert_eq!(publish.to_line().matches('\n').count(), 1);
}

#[test]
fn names_of_commands_are_those_of_the_specification() {
    let page = include_str!("../../../../docs/specs/interop-peer.md");
    // What is below has tables of its own.
    let page = page.split("## Measuring").next().unwrap();
    let peer = || "p".to_owned();
    let (key, topic, data) = (peer, peer, peer);
    let all = [
        Command::Dial { addr: peer() },
        Command::Reserve {
            addr: "a".to_owned(),
        },
        Command::Ping { peer: peer() },
        Command::Identify { peer: peer() },
        Command::MdnsWait { peer: peer() },
        Command::KadWait { peer: peer() },
        Command::FindPeer { peer: peer() },
        Command::Provide {
            key: key(),
            content: "c".to_owned(),
        },
        Command::FindProviders { key: key() },
        Command::Subscribe { topic: topic() },
        Command::Publish {
            topic: topic(),
            data: data(),
        },
        Command::GossipWait {
            topic: topic(),
            data: data(),
        },
        Command::Add {
            path: "p".to_owned(),
        },
        Command::Fetch {
            key: key(),
            path: "p".to_owned(),
        },
    ];
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<&str> = rows.skip(1).collect();
    assert_eq!(rows.len(), all.len());
    for (row, command) in rows.into_iter().zip(all) {
        let value = serde_json::to_value(&command).unwrap();
        let name = value["do"].as_str().unwrap();
        assert!(row.starts_with(&format!("| `{name}` |")), "{row}: {name}");
        assert_eq!(name, command.name());
        for member in value.as_object().unwrap().keys().filter(|key| *key != "do") {
            assert!(row.contains(&format!("`{member}`")), "{row}: {member}");
        }
    }
}

#[test]
fn an_answer_is_ok_or_an_error_and_has_the_number_of_its_request() {
    let answer = ping().answer(r#"{"id":7,"ok":{"rtt_ms":0.3}}"#).unwrap();
    assert_eq!(answer.unwrap()["rtt_ms"], 0.3);
    let answer = ping().answer(r#"{"id":7,"error":"no route"}"#).unwrap();
    assert_eq!(answer, Err("no route".to_owned()));
    for wrong in [
        r#"{"id":6,"ok":{}}"#,
        r#"{"id":7}"#,
        r#"{"id":7,"ok":{},"error":"both"}"#,
        r#"{"ok":{}}"#,
        "listening",
        "",
    ] {
        assert!(ping().answer(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_first_line_names_peer_and_addresses() {
    let line = r#"{"ready":true,"peer":"12D3","addrs":["/ip4/10.0.0.1/tcp/1/p2p/12D3"],"versions":["a 1"]}"#;
    let ready = Ready::parse(line).unwrap();
    assert_eq!((ready.peer.as_str(), ready.addrs.len()), ("12D3", 1));
    for wrong in [
        r#"{"ready":true,"peer":"12D3","addrs":[],"versions":[]}"#,
        r#"{"ready":false,"peer":"12D3","addrs":["/ip4/10.0.0.1/tcp/1"],"versions":[]}"#,
        r#"{"ready":true,"peer":"","addrs":["/ip4/10.0.0.1/tcp/1"],"versions":[]}"#,
        "Traceback (most recent call last):",
    ] {
        assert!(Ready::parse(wrong).is_err(), "{wrong}");
    }
}
