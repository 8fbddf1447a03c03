//! The other side is go-libp2p.

use std::path::Path;

use interop::{
    cell::{Peer, Transport},
    foreign::Foreign,
    line::Command,
    prepare,
};

use crate::support::{DIALER, LISTENER, Meeting, PATIENCE, built, measured};

fn variables<'a>(
    transport: &'a str,
    is_dialer: &'a str,
    redis: &'a str,
) -> [(&'a str, &'a str); 6] {
    [
        ("transport", transport),
        ("is_dialer", is_dialer),
        ("muxer", "yamux"),
        ("security", "noise"),
        ("redis_addr", redis),
        ("test_timeout_seconds", "60"),
    ]
}

#[test]
fn go_libp2p_dials_and_is_dialled() {
    const TEST: &str = "go-libp2p dials and is dialled";
    if let Some(reason) = prepare::missing(Peer::Go) {
        assert!(
            std::env::var_os("LAB_REQUIRED").is_none(),
            "{TEST}: {reason}"
        );
        eprintln!("skipped: {TEST}: {reason}");
        return;
    }
    let Some(meeting) = Meeting::new(TEST) else {
        return;
    };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let go = prepare::prepare(Peer::Go, sources, &built()).unwrap();
    let start = |node: usize, label: &str, transport: Transport| {
        let listen = transport.address(meeting.lab.ipv4(node, 0), 4001);
        let args = ["--listen".to_owned(), listen];
        Foreign::start(&meeting.lab, node, label, &go, &args).unwrap()
    };
    let redis = meeting.redis();
    for transport in Transport::ALL {
        let listener = start(LISTENER, "go-listener", transport);
        meeting.say(&["RPUSH", "listenerAddr", &listener.addr().unwrap()]);
        let output = meeting.run(DIALER, &variables(transport.name(), "true", &redis));
        assert!(!measured(&output).ping.is_zero());
        drop(listener);

        let listener = meeting.start(
            LISTENER,
            transport.name(),
            &variables(transport.name(), "false", &redis),
        );
        let said = meeting.say(&["BLPOP", "listenerAddr", "60"]);
        let addr = said.lines().last().unwrap().to_owned();
        let peer = addr.rsplit('/').next().unwrap().to_owned();
        let mut dialer = start(DIALER, "go-dialer", transport);
        dialer.ask(Command::Dial { addr }, PATIENCE).unwrap();
        dialer.ask(Command::Ping { peer }, PATIENCE).unwrap();
        listener.kill().unwrap();
    }
}
