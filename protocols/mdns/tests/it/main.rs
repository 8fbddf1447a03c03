//! Discovery on real links, in the lab's namespaces.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic like tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::{Builder, Family, Lab, Process};

const PROBE: &str = env!("CARGO_BIN_EXE_mdns-probe");

/// Generous: the tests share a small machine with others.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a probe on a node, which announces its addresses on all bridges.
fn probe(lab: &Lab, node: usize) -> (Arc<Process>, String) {
    let addresses = (0..lab.bridges()).flat_map(|bridge| {
        [
            format!("/ip4/{}/tcp/4747", lab.ipv4(node, bridge)),
            format!("/ip6/{}/tcp/4747", lab.ipv6(node, bridge)),
        ]
    });
    let process = lab
        .spawn(node, &format!("probe-{node}"), PROBE, addresses)
        .unwrap();
    let line = process
        .wait_line("peer", PATIENCE, |line| line.starts_with("peer "))
        .unwrap();
    (process, line["peer ".len()..].to_owned())
}

fn sees(process: &Process, verb: &str, peer: &str, address: impl std::fmt::Display) {
    let wanted = format!("{verb} {peer} {address}");
    process
        .wait_line(&wanted, PATIENCE, |line| line == wanted)
        .unwrap();
}

fn ip4(lab: &Lab, node: usize, bridge: usize) -> String {
    format!("/ip4/{}/tcp/4747", lab.ipv4(node, bridge))
}

fn ip6(lab: &Lab, node: usize, bridge: usize) -> String {
    format!("/ip6/{}/tcp/4747", lab.ipv6(node, bridge))
}

fn lab_for(test: &str, builder: Builder) -> Option<Lab> {
    Lab::available_or_skip(test).then(|| builder.build().unwrap())
}

#[test]
fn three_nodes_find_each_other_on_both_families() {
    let Some(lab) = lab_for("three_nodes", Lab::builder().nodes(3)) else {
        return;
    };
    let begun = Instant::now();
    let probes: Vec<_> = (0..3).map(|node| probe(&lab, node)).collect();
    for (at, (process, _)) in probes.iter().enumerate() {
        for (of, (_, peer)) in probes.iter().enumerate().filter(|(of, _)| *of != at) {
            sees(process, "found", peer, ip4(&lab, of, 0));
            sees(process, "found", peer, ip6(&lab, of, 0));
        }
    }
    println!("all found after {:?}", begun.elapsed());
}

#[test]
fn ipv4_alone_and_ipv6_alone() {
    for (family, address) in [
        (Family::Ipv4, ip4 as fn(&Lab, _, _) -> _),
        (Family::Ipv6, ip6),
    ] {
        let builder = Lab::builder().nodes(2).family(family);
        let Some(lab) = lab_for("one_family", builder) else {
            return;
        };
        let (first, first_peer) = probe(&lab, 0);
        let (second, second_peer) = probe(&lab, 1);
        sees(&first, "found", &second_peer, address(&lab, 1, 0));
        sees(&second, "found", &first_peer, address(&lab, 0, 0));
    }
}

/// A socket on the wrong interface would find one of the two at most.
#[test]
fn two_interfaces_each_find_their_own() {
    let Some(lab) = lab_for("two_interfaces", Lab::builder().nodes(3).bridges(2)) else {
        return;
    };
    lab.unplug(1, 1).unwrap();
    lab.unplug(2, 0).unwrap();
    let (middle, middle_peer) = probe(&lab, 0);
    let (first, first_peer) = probe(&lab, 1);
    let (second, second_peer) = probe(&lab, 2);
    for address in [ip4 as fn(&Lab, _, _) -> _, ip6] {
        sees(&middle, "found", &first_peer, address(&lab, 1, 0));
        sees(&middle, "found", &second_peer, address(&lab, 2, 1));
        sees(&first, "found", &middle_peer, address(&lab, 0, 0));
        sees(&second, "found", &middle_peer, address(&lab, 0, 1));
    }
}

/// With duplicate address detection, so that IPv6 is tentative at first.
#[test]
fn an_interface_plugged_in_later_is_used_and_its_loss_noticed() {
    let builder = Lab::builder()
        .nodes(2)
        .bridges(2)
        .unplugged(1)
        .with_duplicate_address_detection();
    let Some(lab) = lab_for("hot_plug", builder) else {
        return;
    };
    let (first, first_peer) = probe(&lab, 0);
    let (second, second_peer) = probe(&lab, 1);
    sees(&first, "found", &second_peer, ip4(&lab, 1, 0));
    for node in 0..2 {
        lab.plug(node, 1).unwrap();
    }
    sees(&first, "found", &second_peer, ip4(&lab, 1, 1));
    sees(&first, "found", &second_peer, ip6(&lab, 1, 1));
    sees(&second, "found", &first_peer, ip4(&lab, 0, 1));
    sees(&second, "found", &first_peer, ip6(&lab, 0, 1));
    lab.unplug(0, 1).unwrap();
    sees(&first, "lost", &second_peer, ip4(&lab, 1, 1));
    sees(&first, "lost", &second_peer, ip6(&lab, 1, 1));
}

#[test]
fn who_leaves_says_goodbye() {
    let Some(lab) = lab_for("goodbye", Lab::builder().nodes(2)) else {
        return;
    };
    let (first, _) = probe(&lab, 0);
    let (second, second_peer) = probe(&lab, 1);
    sees(&first, "found", &second_peer, ip4(&lab, 1, 0));
    assert!(second.terminate(PATIENCE).unwrap().success());
    sees(&first, "lost", &second_peer, ip4(&lab, 1, 0));
}

/// A packet that could be sent by anyone on the link.
#[test]
fn garbage_on_the_link_stops_nothing() {
    let Some(lab) = lab_for("garbage", Lab::builder().nodes(2).ipv4_only()) else {
        return;
    };
    let (first, _) = probe(&lab, 0);
    first
        .wait_line("readiness", PATIENCE, |line| line == "READY=1")
        .unwrap();
    let flood = "i=0; while [ $i -lt 20 ]; do head -c 1200 /dev/urandom \
                 > /dev/udp/224.0.0.251/5353; i=$((i+1)); done";
    lab.output(1, "bash", ["-c", flood]).unwrap();
    let (_, peer) = probe(&lab, 1);
    sees(&first, "found", &peer, ip4(&lab, 1, 0));
}
