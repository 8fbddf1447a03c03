//! Bad nodes, and what good ones make of them.

use std::path::Path;
use std::time::Duration;

use overlay_core::Message;
use sim::adversary::{Adversary, Behaviour, Sent};
use sim::dice::{Dice, Purpose};
use sim::invariants::{Checks, FirstHand};
use sim::scenario::Scenario;
use sim::tables::{Name, Options};
use sim::{Contact, Node, Settings, Sim, Unobserved, formation};

use crate::tables::{mean, small};

#[test]
fn lookups_end_right_with_defences_and_not_without() {
    let table = small(Name::BadNodes, &Options::new(vec![1], true));
    for who in ["20% drops", "20% misroutes"] {
        let with = mean(&table, &format!("right, {who}, with defences"));
        let without = mean(&table, &format!("right, {who}, without defences"));
        assert!(with > 0.98, "{who}\n{table}");
        assert!(without < 0.93, "{who}\n{table}");
    }
    let retries = mean(&table, "right, 20% drops, with random retries only");
    let none = mean(&table, "right, 20% drops, without defences");
    assert!(retries > none + 0.05, "{table}");
    // What a flooded node does for those who flood it.
    let work = |defence: &str| {
        mean(
            &table,
            &format!("messages a flooded node sends, 5% floods, {defence}"),
        )
    };
    assert!(
        work("with defences") < 0.8 * work("without defences"),
        "{table}"
    );
    // Where nobody is bad the defences change nothing, and cost little.
    let label = |defence: &str| format!("right, nobody is bad, {defence}");
    assert!(mean(&table, &label("with defences")) > 0.999, "{table}");
    assert!(mean(&table, &label("without defences")) > 0.999, "{table}");
}

/// A network of 80 in which nodes compare rows every ten seconds, and a node that never
/// lived.
fn network() -> (Sim, Node) {
    let mut settings = Settings::calm(1);
    settings.overlay.row_exchange = Duration::from_secs(10);
    let mut sim = Sim::new(&settings).expect("a shape");
    formation::grow(&mut sim, 1, Contact::Nearest, &mut Unobserved).expect("it founds");
    let mut dice = Dice::new(1, Purpose::Schedule);
    while sim.ring().len() < 80 {
        let node = sim.add();
        let known = formation::introduce(&sim, node, Contact::Nearest, &mut dice);
        sim.tell(node, known.expect("somebody is there"));
        formation::wait_until_active(&mut sim, node, &mut Unobserved).expect("it joins");
    }
    let never = sim.imagine();
    (sim, never)
}

fn check(sim: &Sim) -> Checks {
    let mut checks = Checks::of(vec![Box::new(FirstHand)]);
    checks.check(sim);
    checks
}

#[test]
fn a_node_that_never_answered_is_in_nobodys_sets_whatever_liars_say() {
    let (mut sim, never) = network();
    let bad = (10..26).map(|node| sim.contact(node).clone()).collect();
    let phantom = sim.contact(never).clone();
    let liars = Adversary::new(Behaviour::Lies, bad, vec![phantom.clone()], 1);
    sim.set_adversary(Some(liars));
    // It was named and asked.
    let asked = sim.traffic().total();
    sim.run(Duration::from_secs(120), &mut Unobserved);
    assert!(sim.traffic().total() > asked + 1000);
    assert_eq!(check(&sim).count, 0);
    // The check sees a node that is believed without having lived.
    let announce = Message::Announce {
        sender: phantom,
        rtt_micros: 1,
    };
    sim.forge(Sent {
        from: never,
        to: 0,
        message: announce,
    });
    sim.run(Duration::from_millis(500), &mut Unobserved);
    let caught = check(&sim);
    assert_eq!(caught.count, 1, "{:?}", caught.violations);
    assert!(caught.violations[0].contains("never lived"));
}

#[test]
fn bad_faults_that_cannot_be_are_refused_with_their_line() {
    let head = "title = 'x'\nnodes = 10\nlasts = '9s'\n[[fault]]\n";
    for (fault, line, reason) in [
        (
            "kind = 'bad'\nat = '1s'\nuntil = '2s'\nshare = 0.1\nbehaviour = 'sulks'\n",
            "line 9",
            "sulks",
        ),
        (
            "kind = 'bad'\nat = '1s'\nuntil = '2s'\nshare = 0.1\n",
            "line 8",
            "needs a behaviour",
        ),
        (
            "kind = 'bad'\nat = '1s'\nuntil = '2s'\nbehaviour = 'drops'\n",
            "line 8",
            "needs a share",
        ),
        (
            "kind = 'bad'\nat = '1s'\nbehaviour = 'drops'\nshare = 0.1\n",
            "line 8",
            "needs until",
        ),
        (
            "kind = 'bad'\nat = '1s'\nuntil = '2s'\nbehaviour = 'drops'\nshare = 1.0\n",
            "line 9",
            "nobody would be left",
        ),
        (
            "kind = 'crash'\nat = '1s'\nshare = 0.1\nbehaviour = 'drops'\n",
            "line 8",
            "no behaviour",
        ),
    ] {
        let text = format!("{head}{fault}");
        let error = Scenario::parse(Path::new("bad.toml"), &text).expect_err("it is refused");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error} {}", source.unwrap_or_default());
        assert!(said.contains(line) && said.contains(reason), "{said}");
    }
}
