//! No node but the root may deliver a message or name a key's replicas, whatever is lost.

use std::time::Duration;

use overlay_core::{Input, State};

use crate::net::Net;

/// Deliveries anywhere but at the node closest of those active at that moment.
fn astray(net: &Net) -> usize {
    let wrong = net.deliveries.iter().filter(|one| one.at != one.root);
    wrong.count()
}

#[test]
fn heavy_loss_makes_nobody_deliver_what_is_not_its() {
    for seed in 0..4 {
        let mut net = Net::grow(seed, 120);
        // Probes are not lost: nobody may be taken for dead.
        net.route_loss = 400;
        for number in 0..1500u32 {
            let key = net.random_key();
            net.route(number % 120, key);
            net.run(Duration::from_millis(1));
        }
        net.run(Duration::from_secs(1));
        assert_eq!(astray(&net), 0, "of {}", net.deliveries.len());
    }
}

#[test]
fn a_death_makes_nobody_take_its_leaf_set_for_the_whole_ring() {
    let mut net = Net::grow(1, 100);
    let keys: Vec<_> = (0..10).map(|_| net.random_key()).collect();
    let place = net.random_key();
    let victim = net.closest(place)[0];
    net.kill(victim);
    let neighbours = net.closest(place)[..16].to_vec();
    for _ in 0..1500 {
        net.run(Duration::from_millis(10));
        for node in &neighbours {
            for key in &keys {
                let Some(set) = net.nodes[node].replica_set(*key, 3) else {
                    continue;
                };
                let set: Vec<_> = set.iter().map(|contact| contact.peer).collect();
                // Until the death is known, the dead node may still be named.
                if set.contains(&victim) {
                    continue;
                }
                assert_eq!(set, net.closest(*key)[..3], "at {}", net.now);
            }
        }
    }
}

#[test]
fn a_side_that_died_as_a_whole_makes_nobody_deliver_what_is_not_its() {
    for seed in 0..10 {
        let mut net = Net::grow(seed, 80);
        let mut ring: Vec<_> = net.nodes.keys().copied().collect();
        ring.sort_by_key(|node| net.contacts[node].guid);
        for node in &ring[20..28] {
            net.kill(*node);
        }
        for _ in 0..300 {
            let key = net.random_key();
            net.route(ring[19], key);
            net.route(ring[28], key);
            net.run(Duration::from_millis(50));
        }
        assert_eq!(astray(&net), 0, "of {}", net.deliveries.len());
        net.run(Duration::from_secs(20));
        net.assert_leaf_sets();
    }
}

/// How a candidate turns out to be none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Candidate {
    Restarted,
    RestartedAndFound,
    Leaves,
}

/// While a gap is mended, the one who would fill it turns out to have been restarted, or
/// to leave: whoever stands behind it fills the gap.
#[test]
fn a_candidate_that_is_none_leaves_no_gap() {
    for candidate in [
        Candidate::Restarted,
        Candidate::RestartedAndFound,
        Candidate::Leaves,
    ] {
        a_candidate_leaves_no_gap(candidate);
    }
}

fn a_candidate_leaves_no_gap(candidate: Candidate) {
    for seed in 0..10 {
        let mut net = Net::grow(seed, 60);
        let mut ring: Vec<_> = net.nodes.keys().copied().collect();
        ring.sort_by_key(|node| net.contacts[node].guid);
        // With eight on a side, the death of the 20th makes the 19th ask for the 28th.
        net.kill(ring[20]);
        let me = ring[19];
        let knows = |net: &Net, node| {
            let leafs = net.nodes[&me].larger_leafs();
            leafs.iter().any(|leaf| leaf.peer == node)
        };
        while knows(&net, ring[20]) {
            net.run(Duration::from_millis(1));
        }
        match candidate {
            Candidate::Restarted | Candidate::RestartedAndFound => net.forget(ring[28]),
            Candidate::Leaves => net.input(ring[28], Input::Leave),
        }
        if candidate == Candidate::RestartedAndFound {
            net.tell(me, ring[28]);
        }
        let key = net.contacts[&ring[29]].guid;
        for _ in 0..1000 {
            net.route(me, key);
            net.run(Duration::from_millis(2));
            if let Some(set) = net.nodes[&me].replica_set(key, 1) {
                let at = net.now;
                assert_eq!(set[0].peer, ring[29], "{candidate:?}, seed {seed}, at {at}");
            }
        }
        assert!(knows(&net, ring[29]) || knows(&net, ring[28]));
        assert_eq!(astray(&net), 0, "of {}", net.deliveries.len());
        if candidate == Candidate::Leaves {
            net.kill(ring[28]);
        } else {
            net.tell(ring[28], ring[5]);
            net.run_until_active(ring[28]);
        }
        net.run(Duration::from_secs(20));
        net.assert_leaf_sets();
    }
}

#[test]
fn joins_make_nobody_deliver_what_is_another_active_nodes() {
    for seed in 0..4 {
        let mut net = Net::grow(seed, 30);
        for _ in 0..10 {
            // Two at a time, so that neighbours may join beside each other.
            let joiners = [net.add(), net.add()];
            for joiner in joiners {
                net.tell(joiner, (joiner * 7) % 30);
            }
            for at in 0..100u32 {
                let key = net.contacts[&joiners[at as usize % 2]].guid;
                net.route(at % 30, key);
                net.run(Duration::from_millis(1));
            }
            assert!(
                joiners
                    .iter()
                    .all(|node| net.nodes[node].state() == State::Active)
            );
        }
        net.run(Duration::from_secs(1));
        assert_eq!(astray(&net), 0, "of {}", net.deliveries.len());
        assert_eq!(net.deliveries.len(), 1000);
        net.assert_leaf_sets();
    }
}

#[test]
fn a_short_partition_heals_without_discovery() {
    let mut net = Net::grow(3, 16);
    for one in 0..8 {
        for other in 8..16 {
            net.cut.insert((one, other));
        }
    }
    net.run(Duration::from_secs(30));
    net.cut.clear();
    net.run(Duration::from_secs(60));
    net.assert_leaf_sets();
}

#[test]
fn one_acquaintance_is_enough_for_wide_networks() {
    for seed in 0..3 {
        let mut net = Net::new(seed);
        for number in 0..80u32 {
            let node = net.add();
            if number >= 2 {
                net.tell(node, number % 2);
            }
            net.run_until_active(node);
            net.run(Duration::from_millis(50));
        }
        net.tell(0, 1);
        net.run(Duration::from_secs(10));
        net.assert_leaf_sets();
    }
}

#[test]
fn a_stranger_with_many_names_keeps_no_neighbour_out() {
    use guid::Guid;
    use overlay_core::{Addrs, Contact, Message, View};
    let mut net = Net::grow(5, 20);
    for peer in 1000u32..4000 {
        let sender = Contact {
            guid: Guid::hash(&peer.to_be_bytes()),
            peer,
            addrs: Addrs::default(),
        };
        let view = View {
            sender,
            active: false,
            leafs: Vec::new(),
            failed: Vec::new(),
            rtt_micros: None,
            probe_period_ms: 0,
        };
        for node in 0..20 {
            let message = Message::Probe {
                nonce: 1,
                view: view.clone(),
            };
            net.input(
                node,
                Input::Received {
                    from: peer,
                    message,
                },
            );
        }
    }
    let joiner = net.add();
    net.tell(joiner, 3);
    net.run_until_active(joiner);
    net.run(Duration::from_millis(200));
    net.assert_leaf_sets();
}
