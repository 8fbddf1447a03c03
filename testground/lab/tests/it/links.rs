//! What passes between nodes, and what does not.

use lab::{Family, Lab};

use crate::{PATIENCE, PROBE, both, echoes, reaches, started};

#[test]
fn both_families_and_both_protocols() {
    if !Lab::available_or_skip("both_families_and_both_protocols") {
        return;
    }
    for lab in both(echoes(3)) {
        for protocol in ["udp", "tcp"] {
            assert!(
                reaches(&lab, 0, protocol, lab.ipv4(2, 0)),
                "{protocol} over IPv4"
            );
            assert!(
                reaches(&lab, 2, protocol, lab.ipv6(1, 0)),
                "{protocol} over IPv6"
            );
        }
        assert!(reaches(&lab, 1, "udp", "127.0.0.1"), "loopback");
        let traffic = lab.traffic(2, 0);
        assert!(
            traffic.received_bytes > 100_000 && traffic.sent_packets > 0,
            "{traffic:?}"
        );
    }
}

#[test]
fn one_family_only() {
    if !Lab::available_or_skip("one_family_only") {
        return;
    }
    let lab = started(echoes(2).ipv4_only());
    assert!(reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
    assert!(!reaches(&lab, 0, "udp", lab.ipv6(1, 0)));
    let addresses = lab
        .output(0, "ip", ["-6", "addr", "show", "dev", "eth0"])
        .unwrap();
    assert!(
        addresses.stdout.is_empty(),
        "no IPv6 address, not even link-local"
    );

    let lab = started(echoes(2).ipv6_only());
    assert!(!reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
    assert!(reaches(&lab, 0, "udp", lab.ipv6(1, 0)));

    let lab = started(echoes(2).family(Family::Ipv6LinkLocal));
    let addresses = lab
        .output(0, "ip", ["-6", "addr", "show", "dev", "eth0"])
        .unwrap();
    let addresses = String::from_utf8(addresses.stdout).unwrap();
    assert!(
        addresses.contains("fe80::1:1/64") && !addresses.contains("fd77"),
        "{addresses}"
    );
}

#[test]
fn two_bridges_are_two_networks() {
    if !Lab::available_or_skip("two_bridges_are_two_networks") {
        return;
    }
    for lab in both(echoes(2).bridges(2)) {
        lab.detach(0, 0).unwrap();
        assert!(!reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
        assert!(reaches(&lab, 0, "udp", lab.ipv4(1, 1)));
        assert!(reaches(&lab, 0, "tcp", lab.ipv6(1, 1)));
    }
}

#[test]
fn links_go_and_come() {
    if !Lab::available_or_skip("links_go_and_come") {
        return;
    }
    for lab in both(echoes(2)) {
        lab.link_down(1, 0).unwrap();
        assert!(!reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
        lab.link_up(1, 0).unwrap();
        assert!(reaches(&lab, 0, "tcp", lab.ipv4(1, 0)));
        assert!(
            reaches(&lab, 0, "tcp", lab.ipv6(1, 0)),
            "IPv6 addresses are back as well"
        );
        lab.unplug(1, 0).unwrap();
        assert!(!reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
        assert_eq!(lab.traffic(1, 0).received_bytes, 0);
        lab.plug(1, 0).unwrap();
        assert!(reaches(&lab, 0, "tcp", lab.ipv6(1, 0)));
    }
}

#[test]
fn partitions_and_heals() {
    if !Lab::available_or_skip("partitions_and_heals") {
        return;
    }
    for lab in both(echoes(4)) {
        lab.partition(0, &[&[0, 1], &[2, 3]]).unwrap();
        assert!(reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
        assert!(reaches(&lab, 2, "udp", lab.ipv6(3, 0)));
        assert!(!reaches(&lab, 0, "udp", lab.ipv4(2, 0)));
        lab.heal(0).unwrap();
        assert!(reaches(&lab, 0, "tcp", lab.ipv4(2, 0)));
    }
}

#[test]
fn multicast_passes() {
    if !Lab::available_or_skip("multicast_passes") {
        return;
    }
    for builder in [Lab::builder(), Lab::builder().switched(1)] {
        let lab = builder.nodes(2).build().unwrap();
        let listener = lab
            .spawn(0, "listener", PROBE, ["listen-multicast"])
            .unwrap();
        listener
            .wait_line("readiness", PATIENCE, |line| line == "READY=1")
            .unwrap();
        assert!(
            lab.output(1, PROBE, ["multicast"])
                .unwrap()
                .status
                .success()
        );
        let heard = listener
            .wait_line("packet", PATIENCE, |line| line.starts_with("heard"))
            .unwrap();
        assert_eq!(heard, format!("heard {}", lab.ipv4(1, 0)));
        assert!(listener.wait_exit(PATIENCE).unwrap().success());
    }
}
