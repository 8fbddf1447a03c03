//! Mistakes put back, and seen by the invariants (S12).

use overlay_core::{Answer, Message};
use sim::dice::{Dice, Purpose};
use sim::invariants::{Checks, Delivered, LeafSets};
use sim::lookups::Log;
use sim::{Contact, Happening, Observer, Settings, Sim, Unobserved, formation};

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
    sim.run_until_quiet(std::time::Duration::from_secs(20), &mut both);
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
