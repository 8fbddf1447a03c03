//! The known gaps.

use std::path::Path;

use interop::{
    cell::{Check, Peer, Transport},
    known::Known,
};

#[test]
fn what_a_gap_leaves_out_stands_for_all() {
    let known = Known::parse(
        r#"
        [[gap]]
        peer = "js"
        transport = "quic-v1"
        checks = ["ping-out"]
        reason = "one cell"
        [[gap]]
        transport = "ws"
        reason = "a transport"
        "#,
    )
    .unwrap();
    let reason = |peer, transport, check| known.reason(peer, transport, check);
    assert_eq!(
        reason(Peer::Js, Transport::Quic, Check::PingOut),
        Some("one cell")
    );
    assert_eq!(reason(Peer::Js, Transport::Quic, Check::PingIn), None);
    assert_eq!(reason(Peer::Go, Transport::Quic, Check::PingOut), None);
    assert_eq!(
        reason(Peer::Go, Transport::Ws, Check::MdnsIn),
        Some("a transport")
    );
}

#[test]
fn a_gap_is_spelled_right_has_a_reason_and_is_not_everything() {
    for wrong in [
        "[[gap]]\npeer = \"js\"\n",
        "[[gap]]\npeer = \"js\"\nreason = \" \"\n",
        "[[gap]]\nreason = \"everything\"\n",
        "[[gap]]\npeer = \"perl\"\nreason = \"x\"\n",
        "[[gap]]\nchecks = [\"ping\"]\nreason = \"x\"\n",
        "[[gap]]\npear = \"js\"\nreason = \"x\"\n",
    ] {
        assert!(Known::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_file_of_the_project_is_sound() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("known-gaps.toml");
    Known::load(&path).unwrap();
}
