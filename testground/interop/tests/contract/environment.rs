//! What the environment asks for.

use std::{collections::BTreeMap, time::Duration};

use interop::{
    cell::Transport,
    contract::{
        environment::{Dialect, Role, Task},
        report::Measured,
    },
};

fn read(variables: &[(&str, &str)]) -> Result<Task, String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Task::read(|name| variables.get(name).map(|value| (*value).to_owned()))
        .map_err(|error| format!("{error:#}"))
}

const OLDER: [(&str, &str); 4] = [
    ("transport", "tcp"),
    ("security", "noise"),
    ("muxer", "yamux"),
    ("is_dialer", "true"),
];

const NEWER: [(&str, &str); 5] = [
    ("TRANSPORT", "ws"),
    ("SECURE_CHANNEL", "noise"),
    ("MUXER", "yamux"),
    ("IS_DIALER", "false"),
    ("TEST_KEY", "0123abcd"),
];

#[test]
fn what_is_left_out_is_as_the_contract_says() {
    let task = read(&OLDER).unwrap();
    assert_eq!(
        (task.dialect, task.role),
        (Dialect::TestPlans, Role::Dialer)
    );
    assert_eq!(
        (task.redis.as_str(), task.key.as_str()),
        ("redis:6379", "listenerAddr")
    );
    assert_eq!(task.within, Duration::from_secs(180));
    assert_eq!(task.listen().to_string(), "/ip4/0.0.0.0/tcp/0");
    assert!(!task.debug);

    let task = read(&NEWER).unwrap();
    assert_eq!(
        (task.dialect, task.role),
        (Dialect::Unified, Role::Listener)
    );
    assert_eq!(task.key, "0123abcd_listener_multiaddr");
    assert_eq!(task.listen().to_string(), "/ip4/0.0.0.0/tcp/0/ws");
}

#[test]
fn all_that_can_be_set() {
    let more = [
        ("transport", "quic-v1"),
        ("ip", "::"),
        ("redis_addr", "10.0.0.1:7000"),
        ("test_timeout_seconds", "5"),
        ("security", "quic"),
        ("muxer", ""),
    ];
    let task = read(&[&OLDER[..], &more].concat()).unwrap();
    assert_eq!(
        (task.transport, task.redis.as_str()),
        (Transport::Quic, "10.0.0.1:7000")
    );
    assert_eq!(task.within, Duration::from_secs(5));
    assert_eq!(task.listen().to_string(), "/ip6/::/udp/0/quic-v1");

    let more = [
        ("REDIS_ADDR", "r:1"),
        ("LISTENER_IP", "10.1.1.1"),
        ("DEBUG", "true"),
    ];
    let task = read(&[&NEWER[..], &more].concat()).unwrap();
    assert_eq!((task.redis.as_str(), task.debug), ("r:1", true));
    assert_eq!(task.listen().to_string(), "/ip4/10.1.1.1/tcp/0/ws");
    // Programs of the older contract are told this one in capitals, too.
    let older = read(&[&OLDER[..], &[("REDIS_ADDR", "r:1")]].concat()).unwrap();
    assert_eq!(
        (older.dialect, older.redis.as_str()),
        (Dialect::TestPlans, "r:1")
    );
}

#[test]
fn what_cannot_be_served_is_named() {
    for (name, value, says) in [
        ("transport", "", "transport is not set"),
        (
            "transport",
            "webtransport",
            "no transport `webtransport`, but tcp, quic-v1 and ws",
        ),
        (
            "security",
            "tls",
            "security: a Hedgerow node has no `tls`, but noise",
        ),
        (
            "muxer",
            "mplex",
            "muxer: a Hedgerow node has no `mplex`, but yamux",
        ),
        ("muxer", "", "muxer is not set"),
        ("is_dialer", "", "is_dialer is not set"),
        ("is_dialer", "1", "neither true nor false"),
        ("ip", "here", "`here` is no address"),
        ("test_timeout_seconds", "soon", "no number of seconds"),
        ("test_timeout_seconds", "0", "not between 1 and"),
        (
            "test_timeout_seconds",
            "99999999999999999999",
            "no number of seconds",
        ),
    ] {
        let error = read(&[&OLDER[..], &[(name, value)]].concat()).unwrap_err();
        assert!(error.contains(says), "{name}={value}: {error}");
    }
    let error = read(&[&NEWER[..], &[("TEST_KEY", "")]].concat()).unwrap_err();
    assert_eq!(error, "TEST_KEY is not set");
}

#[test]
fn results_have_the_names_of_the_contract() {
    let measured = Measured {
        handshake_plus_one_rtt: Duration::from_micros(5011),
        ping: Duration::from_micros(599),
    };
    assert_eq!(
        measured.text(Dialect::TestPlans),
        "{\"handshakePlusOneRTTMillis\":5.011,\"pingRTTMilllis\":0.599}\n"
    );
    assert_eq!(
        measured.text(Dialect::Unified),
        "latency:\n  handshake_plus_one_rtt: 5.011\n  ping_rtt: 0.599\n  unit: ms\n"
    );
}
