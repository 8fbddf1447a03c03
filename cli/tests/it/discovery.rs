use std::time::{Duration, Instant};

use lab::{Builder, Lab};

use crate::net::{Net, text};

/// Three nodes, told nothing, name each other within three seconds of their start.
fn three_nodes(builder: Builder, family: &str) {
    let begin = Instant::now();
    let net = Net::start(builder.nodes(3));
    let ids: Vec<String> = (0..3).map(|node| net.peer_id(node)).collect();
    for node in 0..3 {
        net.until("two peers", || {
            let peers = net.json(node, &["peers", "ls"]);
            let peers = peers.as_array().expect("a list");
            let others = ids.iter().enumerate().filter(|(other, _)| *other != node);
            others.into_iter().all(|(_, id)| {
                peers.iter().any(|peer| {
                    text(&peer["peer_id"]) == *id
                        && peer["connections"].as_array().is_some_and(|far_ends| {
                            far_ends
                                .iter()
                                .all(|address| text(address).starts_with(family))
                        })
                })
            })
        });
    }
    // What the network promises; the lab itself takes some of it.
    let waited = begin.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    net.until_settled(&[0, 1, 2]);
}

#[test]
fn three_nodes_find_each_other_over_ipv4() {
    if Lab::available_or_skip("three_nodes_find_each_other_over_ipv4") {
        three_nodes(Lab::builder().ipv4_only(), "/ip4/");
    }
}

#[test]
fn three_nodes_find_each_other_over_ipv6_alone() {
    if Lab::available_or_skip("three_nodes_find_each_other_over_ipv6_alone") {
        three_nodes(Lab::builder().ipv6_only(), "/ip6/");
    }
}

#[test]
fn restarted_nodes_keep_their_names_and_find_each_other_again() {
    if !Lab::available_or_skip("restarted_nodes_keep_their_names_and_find_each_other_again") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    let before: Vec<String> = (0..3).map(|node| net.peer_id(node)).collect();
    for node in 0..3 {
        assert!(
            net.lab.stop(node).expect("it stops").success(),
            "a clean stop exits with 0"
        );
    }
    net.lab.start_all().expect("nodes start");
    for (node, name) in before.iter().enumerate() {
        net.lab
            .wait_ready(node, Duration::from_secs(60))
            .expect("ready again");
        assert_eq!(net.peer_id(node), *name);
    }
    net.until_settled(&[0, 1, 2]);
}

#[test]
fn pings_over_quic_do_not_wait_for_other_traffic() {
    if !Lab::available_or_skip("pings_over_quic_do_not_wait_for_other_traffic") {
        return;
    }
    let quic = ["--listen", "/ip4/{ipv4}/udp/4747/quic-v1"];
    let net = Net::start_with(Lab::builder().nodes(2), &quic);
    net.until_settled(&[0, 1]);
    let other = net.peer_id(1);
    let pongs = net.json(0, &["peers", "ping", &other, "-c", "10"]);
    for pong in pongs.as_array().expect("a list") {
        // Neighbours exchange heartbeats every two seconds: an answer that comes with the
        // next of those was stuck.
        let rtt = pong["rtt_ms"].as_f64().expect("a number");
        assert!(rtt < 1000.0, "{pongs}");
    }
}
