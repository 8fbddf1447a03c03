//! Mistakes put back, and seen by the invariants (S12).

use std::time::Duration;

use overlay_core::{Answer, Location, Message};
use sim::dice::{Dice, Purpose};
use sim::invariants::{Checks, Delivered, LeafSets, Pointers};
use sim::lookups::Log;
use sim::{Contact, Happening, Observer, Settings, Sim, Unobserved, formation, objects};

/// Lookups and invariants see the same run.
struct Both(Log, Checks);

impl Observer for Both {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        self.0.saw(sim, what);
        self.1.saw(sim, what);
    }
}

/// A network of 60, one more that joins while lookups go on, and what the invariants say.
fn join(mistake: bool) -> Checks {
    let mut sim = Sim::new(&Settings::calm(1)).expect("a shape");
    formation::grow(&mut sim, 60, Contact::Nearest, &mut Unobserved).expect("joins");
    if mistake {
        // A joiner that becomes active before its leaf set is complete: it hears of nobody
        // but the root, and takes the root and itself for the whole ring.
        sim.set_tamper(Some(Box::new(|_, to, mut message| {
            if to == 60 {
                match &mut message {
                    Message::Reply {
                        answer: Answer::Join { leafs, rows, near },
                        ..
                    } => {
                        leafs.clear();
                        rows.clear();
                        near.clear();
                    }
                    Message::Probe { view, .. } | Message::ProbeReply { view, .. } => {
                        view.leafs.clear();
                    }
                    _ => {}
                }
            }
            Some(message)
        })));
    }
    let mut both = Both(
        Log::default(),
        Checks::of(vec![Box::new(Delivered), Box::new(LeafSets)]),
    );
    let mut dice = Dice::new(1, Purpose::Lookups);
    // Asked at the moment at which it becomes active.
    let joined = sim.add();
    let known = formation::introduce(&sim, joined, Contact::Nearest, &mut dice);
    sim.tell(joined, known.expect("somebody is there"));
    formation::wait_until_active(&mut sim, joined, &mut both).expect("it joins");
    for _ in 0..200 {
        let key = dice.guid();
        both.0.ask(&mut sim, joined, key);
    }
    sim.run_until_quiet(Duration::from_secs(20), &mut both);
    both.1.check(&sim);
    both.1
}

#[test]
fn a_joiner_that_is_active_too_early_is_caught() {
    let right = join(false);
    assert_eq!(right.count, 0, "{:?}", right.violations);
    let wrong = join(true);
    let said = |name: &str| wrong.violations.iter().any(|one| one.contains(name));
    assert!(said("only the root delivers"), "{:?}", wrong.violations);
    assert!(wrong.count > 10);
}

/// Objects in a network of 40 that becomes one of 80, so that many of their roots change,
/// and what the invariant says. `mistake` changes messages about them, or says no to lose one.
fn move_roots(mistake: fn(&mut Location<sim::Node>) -> bool) -> Checks {
    let mut sim = Sim::new(&Settings::calm(1)).expect("a shape");
    formation::grow(&mut sim, 40, Contact::Nearest, &mut Unobserved).expect("joins");
    sim.set_tamper(Some(Box::new(move |_, _, mut message| {
        let passes = match &mut message {
            Message::Location(location) => mistake(location),
            _ => true,
        };
        passes.then_some(message)
    })));
    let mut checks = Checks::of(vec![Box::new(Pointers::default())]);
    let mut dice = Dice::new(1, Purpose::Objects);
    objects::publish(&mut sim, 60, 1, &mut dice);
    formation::grow(&mut sim, 80, Contact::Nearest, &mut checks).expect("joins");
    sim.run(Duration::from_secs(20), &mut checks);
    checks.check(&sim);
    checks
}

#[test]
fn pointers_that_do_not_follow_their_root_are_caught() {
    let right = move_roots(|_| true);
    assert_eq!(right.count, 0, "{:?}", right.violations);
    let wrong = move_roots(|message| !matches!(message, Location::Moved { .. }));
    let said = |what: &str| wrong.violations.iter().any(|one| one.contains(what));
    assert!(said("has no pointer to"), "{:?}", wrong.violations);
}

#[test]
fn pointers_that_are_kept_too_long_are_caught() {
    let wrong = move_roots(|message| {
        if let Location::Publish(publish) = message {
            publish.lifetime *= 10;
        }
        true
    });
    let said = |what: &str| wrong.violations.iter().any(|one| one.contains(what));
    assert!(said("longer than a lifetime"), "{:?}", wrong.violations);
}
