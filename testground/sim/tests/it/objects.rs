//! Objects: that they are found, also where one of their holders is out of reach.

use std::time::Duration;

use sim::dice::{Dice, Purpose};
use sim::network::Cut;
use sim::objects::{self, Errands};
use sim::tables::{Name, Options};
use sim::{Contact, Node, Settings, Sim, Unobserved, formation};

use crate::tables::{mean, small};

#[test]
fn the_way_to_an_object_is_short_and_extra_pointers_shorten_it() {
    let table = small(Name::Objects, &Options::new(vec![1], true));
    let median = |name: &str| {
        mean(
            &table,
            &format!("median beyond the nearest 5%, 1 holder, {name}"),
        )
    };
    assert!(median("ours") < median("all roots"), "{table}");
    assert!(median("all roots") < median("none"), "{table}");
    assert!(median("ours") < 2.0, "{table}");
    for name in ["none", "(1,5,3)", "ours"] {
        for holders in ["1 holder", "5 holders"] {
            let lost = format!("messages that reached nobody, {holders}, {name}");
            assert!(mean(&table, &lost) == 0.0, "{table}");
        }
    }
}

#[test]
fn objects_are_found_again_within_a_minute_of_many_deaths_and_joins() {
    let table = small(Name::ObjectsFailures, &Options::new(vec![1], true));
    for target in ["nodes", "objects"] {
        for after in ["a fifth died", "half joined"] {
            let label = format!("to {target}: seconds until all arrive for good after {after}");
            assert!(mean(&table, &label) <= 60.0, "{table}");
        }
        let churn = format!("to {target}: arrival 20 s, life 240 s");
        assert!(mean(&table, &churn) > 0.99, "{table}");
    }
}

#[test]
fn several_nodes_on_a_host_even_the_load_out() {
    let table = small(Name::Load, &Options::new(vec![1], true));
    for what in ["keys", "pointers", "messages passed on"] {
        let of = |nodes: &str| mean(&table, &format!("{what}: most over mean, {nodes} a host"));
        assert!(of("6 nodes") < of("1 node"), "{table}");
        assert!(of("6 nodes") >= 1.0, "{table}");
    }
    // Nothing is lost on the way to the hosts: 100 keys each.
    for nodes in ["1 node", "6 nodes"] {
        let keys = mean(&table, &format!("keys: mean, {nodes} a host"));
        assert!((keys - 100.0).abs() < 1e-9, "{table}");
    }
}

/// 80 nodes and 30 objects with three holders each. The nearest holder to each sender is out
/// of reach: dead, cut off, or heard by nobody though it hears. Everyone's message must
/// reach another, and the share of those that do within a second.
fn out_of_reach(how: impl Fn(&mut Sim, Vec<Node>)) -> f64 {
    let mut sim = Sim::new(&Settings::calm(3)).expect("a shape");
    formation::grow(&mut sim, 80, Contact::Nearest, &mut Unobserved).expect("joins");
    let mut dice = Dice::new(3, Purpose::Objects);
    let objects = objects::publish(&mut sim, 30, 3, &mut dice);
    // One holder of each, so that two are left, and other objects' ways lead through it.
    let mut side: Vec<Node> = objects.iter().map(|object| object.holders[0]).collect();
    side.sort_unstable();
    side.dedup();
    side.truncate(20);
    how(&mut sim, side.clone());
    let mut errands = Errands::default();
    for object in &objects {
        let left = object.holders.iter().any(|holder| !side.contains(holder));
        for node in 0..80 {
            if left && !side.contains(&node) && !object.holders.contains(&node) {
                errands.send(&mut sim, node, object);
            }
        }
        sim.run(Duration::from_secs(1), &mut errands);
    }
    sim.run(Duration::from_secs(12), &mut errands);
    assert!(errands.all.len() > 1_000);
    let lost = errands
        .all
        .iter()
        .filter(|errand| errand.answered.is_none());
    assert_eq!(lost.count(), 0, "of {}", errands.all.len());
    let prompt = errands.all.iter().filter(|errand| {
        let reached = errand.reached.map(|(time, _)| time.since(errand.asked));
        reached.is_some_and(|taken| taken < Duration::from_secs(1))
    });
    prompt.count() as f64 / errands.all.len() as f64
}

#[test]
fn a_holder_out_of_reach_is_passed_over_for_another() {
    let dead = out_of_reach(|sim, side| side.into_iter().for_each(|node| sim.crash(node)));
    println!("within 1 s, some holders dead: {dead:.4}");
    for both_ways in [true, false] {
        let cut = out_of_reach(|sim, side| {
            sim.links_mut().cut(Cut { side, both_ways });
        });
        println!("within 1 s, some cut off, both ways {both_ways}: {cut:.4}");
    }
}
