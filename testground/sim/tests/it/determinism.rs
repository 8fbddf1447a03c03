//! One seed decides everything (S2).

use std::time::Duration;

use sim::dice::{Dice, Purpose};
use sim::lookups::{self, Target};
use sim::network::{Rule, Shape};
use sim::{Contact, Digest, Settings, Sim, Traffic, Unobserved, formation};

/// A run with everything that draws chance: places, jitter, loss, deaths, lookups.
fn run(seed: u64, shape: Shape) -> (Digest, Traffic, u64) {
    let mut settings = Settings::calm(seed);
    settings.shape = shape;
    settings.overlay.heartbeat = Duration::from_secs(2);
    let mut sim = Sim::new(&settings).expect("a shape");
    formation::grow(&mut sim, 60, Contact::Random, &mut Unobserved).expect("joins");
    sim.links_mut().set_everywhere(Rule {
        loss: 0.02,
        jitter: Duration::from_millis(3),
    });
    let mut dice = Dice::new(seed, Purpose::Lookups);
    sim.crash(7);
    lookups::run(&mut sim, 300, Target::Keys, &mut dice);
    sim.leave(9);
    sim.run(Duration::from_secs(20), &mut Unobserved);
    (sim.digest(), *sim.traffic(), sim.events())
}

#[test]
fn two_runs_of_a_seed_are_identical_and_two_seeds_are_not() {
    let shapes = [
        Shape::default(),
        Shape::Sphere {
            antipode_micros: 100_000.0,
        },
        Shape::TransitStub(Default::default()),
    ];
    for shape in shapes {
        let first = run(1, shape.clone());
        assert!(first.2 > 10_000, "{} events", first.2);
        assert_eq!(first, run(1, shape.clone()));
        assert_ne!(first.0, run(2, shape).0);
    }
}
