//! A few cores under a scheduler that loses, repeats, delays and reorders what they say,
//! crashes and restarts them, and tells them what discovery would.
//!
//! A safety phase, in which only what must always hold is checked, and then a liveness
//! phase: the noise ends, discovery names everyone to somebody, and the network has to be
//! whole: leaf sets as the ring says, each message at its root, each object found.

mod net;

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use guid::Guid;
use overlay_core::{Config, Input};

use net::{Net, PORT};

/// Steps of the noise.
const MAX_STEPS: usize = 400;

/// How long the network has to become whole: members found dead are asked every 15 s
/// whether they are back, and hearsay of them is not believed for a minute.
const HEALING: Duration = Duration::from_secs(180);

/// Settings and steps.
///
/// # Panics
/// When a core breaks an invariant, or the network is not whole after the noise.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((config, count)) = any_config(&mut u) else {
        return;
    };
    let mut net = Net::new(config, count);
    for _ in 0..MAX_STEPS {
        if u.is_empty() || step(&mut net, &mut u).is_err() {
            break;
        }
    }
    net.end_noise();
    net.discover();
    net.run(HEALING / 2);
    // Discovery goes on for ever.
    net.discover();
    net.run(HEALING / 2);
    net.assert_whole();
}

fn any_config(u: &mut Unstructured<'_>) -> Result<(Config, u8)> {
    let kind = u.arbitrary::<u8>()?;
    let config = Config {
        digit_bits: [4, 1][usize::from(kind & 1)],
        leaf_set: [4, 16][usize::from(kind >> 1 & 1)],
        ..Config::default()
    };
    Ok((config, 4 + (kind >> 2) % 5))
}

fn step(net: &mut Net, u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=23u8)? {
        0..=3 => {
            let which = u.arbitrary()?;
            net.bring(which, true);
        }
        4 => {
            let which = u.arbitrary()?;
            net.lose(which);
        }
        5 => {
            let which = u.arbitrary()?;
            net.bring(which, false);
        }
        // Time passes, and nothing arrives.
        6..=7 => {
            let amount = u64::from(u.arbitrary::<u8>()?);
            let unit = [100, 10_000, 100_000][u.choose_index(3)?];
            net.stall(Duration::from_micros(amount * unit));
        }
        // Time passes as it should.
        8..=11 => {
            let amount = u64::from(u.arbitrary::<u8>()?);
            let unit = [1000, 40_000][u.choose_index(2)?];
            net.run(Duration::from_micros(amount * unit));
        }
        12 => {
            let node = net.any_node(u)?;
            net.crash(node);
        }
        13..=14 => {
            let node = net.any_node(u)?;
            net.restart(node);
        }
        15..=17 => {
            let (node, other) = (net.any_node(u)?, net.any_node(u)?);
            net.find(node, other);
        }
        18 => {
            let (node, other) = (net.any_node(u)?, net.any_node(u)?);
            net.input(node, Input::PeerGone(other));
        }
        19 => {
            let (node, other) = (net.any_node(u)?, net.any_node(u)?);
            net.toggle_link(node, other);
        }
        20 => {
            let (node, key) = (net.any_node(u)?, any_key(net, u)?);
            net.route(node, key);
        }
        21 => {
            let node = net.any_node(u)?;
            net.publish(node, Guid::hash(&[PORT, u.arbitrary::<u8>()? % 4]));
        }
        22 => {
            let node = net.any_node(u)?;
            net.locate(node, Guid::hash(&[PORT, u.arbitrary::<u8>()? % 4]));
        }
        _ => {
            let node = net.any_node(u)?;
            if u.ratio(1, 4)? {
                net.input(node, Input::Leave);
            }
        }
    }
    Ok(())
}

/// A key next to a node, or anywhere.
fn any_key(net: &Net, u: &mut Unstructured<'_>) -> Result<Guid> {
    let node = net.any_node(u)?;
    let place = net.place(node).as_u128();
    Ok(match u.arbitrary::<u8>()? {
        0..=63 => Guid::new(place),
        64..=127 => Guid::new(place.wrapping_add(1)),
        byte => Guid::hash(&[byte]),
    })
}
