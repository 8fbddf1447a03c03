//! The routing table holds near nodes (Pastry, figure 7).

use guid::Base;

use crate::net::{Net, Node};

/// The share of the first row's entries that are the nearest live node for their cell.
fn nearest_share(net: &Net) -> f64 {
    let (mut nearest, mut all) = (0, 0);
    for (node, overlay) in &net.nodes {
        for (row, column, entry) in overlay.table().filter(|(row, ..)| *row == 0) {
            let fits = |other: &&Node| {
                *other != node && net.contacts[other].guid.digit(row, Base::B4) == column
            };
            let best = net.nodes.keys().filter(fits);
            let best = best.map(|other| net.latency(*node, *other)).min();
            all += 1;
            nearest += usize::from(best == Some(net.latency(*node, entry.peer)));
        }
    }
    nearest as f64 / all as f64
}

#[test]
fn joining_finds_near_nodes_for_the_first_row() {
    let net = Net::grow(1, 300);
    let share = nearest_share(&net);
    println!("{share:.3} of the entries are the nearest there are");
    assert!(share > 0.85, "{share}");
}
