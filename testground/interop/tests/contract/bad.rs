//! What goes wrong is said on stderr, and the exit code is 1.

use std::process::{Command, Output};

use crate::support::{DIALER, LISTENER, Meeting, PROGRAM, assert_fails};

/// Runs it where it reaches nobody.
fn alone(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

const DIAL: [(&str, &str); 3] = [
    ("is_dialer", "true"),
    ("transport", "quic-v1"),
    ("test_timeout_seconds", "1"),
];

#[test]
fn variables_that_are_missing_or_wrong() {
    assert_fails(&alone(&[]), "is_dialer is not set");
    let webrtc = [("is_dialer", "true"), ("transport", "webrtc-direct")];
    assert_fails(&alone(&webrtc), "no transport `webrtc-direct`");
    let newer = [("IS_DIALER", "perhaps"), ("TRANSPORT", "tcp")];
    assert_fails(&alone(&newer), "IS_DIALER: `perhaps`");
}

#[test]
fn a_redis_that_is_not_there() {
    let nowhere = [&DIAL[..], &[("redis_addr", "127.0.0.1:1")]].concat();
    assert_fails(&alone(&nowhere), "no Redis at 127.0.0.1:1");
    let odd = [&DIAL[..], &[("redis_addr", "a b")]].concat();
    assert_fails(&alone(&odd), "`a b` is no address of a Redis");
}

#[test]
fn nobody_comes() {
    let Some(meeting) = Meeting::new("nobody comes") else {
        return;
    };
    let redis = meeting.redis();
    let dial = [&DIAL[..], &[("redis_addr", &redis)]].concat();
    assert_fails(&meeting.run(DIALER, &dial), "");

    let mut listen = dial.clone();
    listen[0] = ("is_dialer", "false");
    let output = meeting.run(LISTENER, &listen);
    assert_fails(&output, "without being ended");
    // It has left its address all the same, which nobody answers at any more.
    let mut patient = dial.clone();
    patient[2] = ("test_timeout_seconds", "30");
    assert_fails(&meeting.run(DIALER, &patient), "cannot dial /ip4/");

    meeting.say(&["RPUSH", "listenerAddr", "somewhere"]);
    assert_fails(&meeting.run(DIALER, &dial), "no multiaddress: `somewhere`");
}

#[test]
fn an_address_that_was_set_and_not_pushed_is_taken() {
    let Some(meeting) = Meeting::new("an address that was set") else {
        return;
    };
    let redis = meeting.redis();
    let dial = [&DIAL[..], &[("redis_addr", &redis)]].concat();
    meeting.say(&["SET", "listenerAddr", "elsewhere"]);
    assert_fails(&meeting.run(DIALER, &dial), "no multiaddress: `elsewhere`");
}
