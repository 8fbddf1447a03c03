//! Several LANs, routers between them, and NATs.

use lab::{Builder, Lab, LabError, Nat};

use crate::{PROBE, both, echoes, reaches, started};

#[test]
fn routers_join_lans() {
    if !Lab::available_or_skip("routers_join_lans") {
        return;
    }
    // 0 and 1 on the first LAN, 1 and 2 on the second, 2 and 3 on the third.
    let builder = echoes(4).bridges(3);
    let builder = builder.lan(0, [0, 1]).lan(1, [1, 2]).lan(2, [2, 3]);
    for lab in both(builder.router(1).router(2)) {
        assert!(reaches(&lab, 0, "tcp", lab.ipv4(3, 2)), "two routers away");
        assert!(reaches(&lab, 3, "tcp", lab.ipv6(0, 0)), "in both families");
        let addresses = lab.output(3, "ip", ["-brief", "address"]).unwrap();
        let addresses = String::from_utf8(addresses.stdout).unwrap();
        assert!(
            addresses.contains("eth2") && !addresses.contains("eth0"),
            "a node is on its own LANs alone: {addresses}"
        );
        // A cable that was cut and mended still leads to the other LANs.
        lab.link_down(3, 2).unwrap();
        lab.link_up(3, 2).unwrap();
        assert!(reaches(&lab, 3, "tcp", lab.ipv4(0, 0)));
    }
}

/// Two public nodes, 0 and 1; a NAT, 2, and behind it 3.
fn behind(nat: Nat) -> Builder {
    let builder = echoes(4).bridges(2);
    builder.lan(0, [0, 1, 2]).lan(1, [2, 3]).nat(2, 0, nat)
}

/// Which addresses both public nodes see of one port of node 3.
fn seen(lab: &Lab) -> Vec<String> {
    let (one, other) = (lab.ipv4(0, 0).to_string(), lab.ipv4(1, 0).to_string());
    let output = lab
        .output(3, PROBE, ["seen-as", "4000", &one, &other])
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Whether NATs can be made here; says in a line why not.
fn nat_or_skip(test: &str) -> bool {
    if !Lab::available_or_skip(test) {
        return false;
    }
    match behind(Nat::Cone).build() {
        Ok(_) => true,
        Err(LabError::Unavailable(reason)) => {
            assert!(std::env::var_os("LAB_REQUIRED").is_none(), "{reason}");
            eprintln!("skipped: {test}: {reason}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_cone_shows_everybody_the_same_port() {
    if !nat_or_skip("a_cone_shows_everybody_the_same_port") {
        return;
    }
    for lab in both(behind(Nat::Cone)) {
        let outside = format!("{}:4000", lab.ipv4(2, 0));
        assert_eq!(seen(&lab), [outside.clone(), outside]);
        assert!(reaches(&lab, 3, "tcp", lab.ipv4(0, 0)), "out it goes");
        assert!(
            !reaches(&lab, 0, "udp", lab.ipv4(3, 1)),
            "nobody outside has a way in"
        );
        assert!(
            !reaches(&lab, 3, "udp", lab.ipv6(0, 0)),
            "nor is there IPv6"
        );
    }
}

#[test]
fn a_symmetric_nat_shows_each_peer_another_port() {
    if !nat_or_skip("a_symmetric_nat_shows_each_peer_another_port") {
        return;
    }
    let lab = started(behind(Nat::Symmetric).switched(1));
    let seen = seen(&lab);
    let outside = format!("{}:", lab.ipv4(2, 0));
    assert!(
        seen.iter().all(|seen| seen.starts_with(&outside)),
        "{seen:?}"
    );
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn a_lan_that_is_not_there_is_named() {
    let error = Lab::builder().nodes(2).lan(1, [0]).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid lab: node 0 on bridge 1: there are 2 nodes and 1 bridges, from 0"
    );
    let error = Lab::builder().nodes(2).router(7).build().unwrap_err();
    assert!(error.to_string().contains("node 7 on bridge 0"), "{error}");
}
