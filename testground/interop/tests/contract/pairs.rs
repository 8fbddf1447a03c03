//! Two of them, on each transport and in both dialects.

use interop::cell::Transport;

use crate::support::{DIALER, LISTENER, Meeting, measured};

fn older<'a>(transport: &'a str, is_dialer: &'a str, redis: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut variables = vec![
        ("transport", transport),
        ("is_dialer", is_dialer),
        ("ip", "0.0.0.0"),
        ("redis_addr", redis),
        ("test_timeout_seconds", "60"),
    ];
    if transport != "quic-v1" {
        variables.extend([("muxer", "yamux"), ("security", "noise")]);
    }
    variables
}

fn newer<'a>(transport: &'a str, is_dialer: &'a str, redis: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut variables = vec![
        ("TRANSPORT", transport),
        ("IS_DIALER", is_dialer),
        ("LISTENER_IP", "0.0.0.0"),
        ("REDIS_ADDR", redis),
        ("TEST_KEY", "a5b50d5e"),
        ("DEBUG", "false"),
    ];
    if transport != "quic-v1" {
        variables.extend([("MUXER", "yamux"), ("SECURE_CHANNEL", "noise")]);
    }
    variables
}

#[test]
fn two_of_them_meet_on_every_transport() {
    let Some(meeting) = Meeting::new("two of them meet on every transport") else {
        return;
    };
    let redis = meeting.redis();
    for transport in Transport::ALL {
        let listener = meeting.start(
            LISTENER,
            transport.name(),
            &older(transport.name(), "false", &redis),
        );
        let output = meeting.run(DIALER, &older(transport.name(), "true", &redis));
        let measured = measured(&output);
        assert!(!measured.ping.is_zero() && measured.ping < measured.handshake_plus_one_rtt);
        // One line, and nothing else.
        assert_eq!(
            output.stdout.iter().filter(|byte| **byte == b'\n').count(),
            1
        );
        assert_eq!(listener.status(), None, "it runs until it is ended");
        listener.kill().unwrap();
    }
}

#[test]
fn they_speak_the_newer_dialect_too() {
    let Some(meeting) = Meeting::new("they speak the newer dialect too") else {
        return;
    };
    let redis = meeting.redis();
    for transport in Transport::ALL {
        let label = |does: &str| format!("{transport}-{does}");
        // The dialler waits for the other one.
        let dialer = meeting.start(
            DIALER,
            &label("dials"),
            &newer(transport.name(), "true", &redis),
        );
        let listener = meeting.start(
            LISTENER,
            &label("listens"),
            &newer(transport.name(), "false", &redis),
        );
        let status = dialer.wait_exit(crate::support::PATIENCE).unwrap();
        assert!(status.success(), "{}", dialer.tail(20));
        let said = std::fs::read_to_string(dialer.stdout_log()).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let ms =
            |line: &str, name: &str| -> f64 { line.strip_prefix(name).unwrap().parse().unwrap() };
        assert_eq!(
            (lines.len(), lines[0], lines[3]),
            (4, "latency:", "  unit: ms")
        );
        let handshake = ms(lines[1], "  handshake_plus_one_rtt: ");
        assert!(
            ms(lines[2], "  ping_rtt: ") <= handshake && handshake > 0.0,
            "{said}"
        );
        listener.kill().unwrap();
    }
}
