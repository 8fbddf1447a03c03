//! What must hold in every run, one file each (S11).

mod bounds;
mod delivery;
mod first_hand;
mod leaf_sets;
mod pointers;
mod routing;
mod walk;

use crate::{Happening, Observer, Sim};

pub use bounds::Bounds;
pub use delivery::Delivered;
pub use first_hand::FirstHand;
pub use leaf_sets::LeafSets;
pub use pointers::Pointers;
pub use routing::Routing;

/// Something that must hold.
pub trait Invariant: Send {
    /// What, in a few words.
    fn name(&self) -> &'static str;

    /// Where it is from.
    fn source(&self) -> &'static str;

    /// Checked at each happening.
    ///
    /// # Errors
    /// What does not hold.
    fn saw(&mut self, _sim: &Sim, _what: &Happening) -> Result<(), String> {
        Ok(())
    }

    /// Checked in full, when nothing has gone wrong for long enough.
    ///
    /// # Errors
    /// What does not hold.
    fn check(&mut self, _sim: &Sim) -> Result<(), String> {
        Ok(())
    }
}

/// Most violations kept: the first say what is wrong.
const MOST_KEPT: usize = 20;

/// Invariants that are being watched, and what was found.
pub struct Checks {
    invariants: Vec<Box<dyn Invariant>>,
    /// The first violations.
    pub violations: Vec<String>,
    /// All of them.
    pub count: u64,
}

impl Checks {
    /// All there are.
    pub fn all() -> Checks {
        Checks::of(vec![
            Box::new(Delivered),
            Box::new(LeafSets),
            Box::new(Routing::default()),
            Box::new(Bounds),
            Box::new(FirstHand),
            Box::new(Pointers::default()),
        ])
    }

    /// These.
    pub fn of(invariants: Vec<Box<dyn Invariant>>) -> Checks {
        Checks {
            invariants,
            violations: Vec::new(),
            count: 0,
        }
    }

    /// Checks everything in full. Says whether it holds.
    pub fn check(&mut self, sim: &Sim) -> bool {
        let before = self.count;
        for at in 0..self.invariants.len() {
            let result = self.invariants[at].check(sim);
            self.note(at, sim, result);
        }
        self.count == before
    }

    fn note(&mut self, at: usize, sim: &Sim, result: Result<(), String>) {
        let Err(what) = result else {
            return;
        };
        self.count += 1;
        if self.violations.len() < MOST_KEPT {
            let invariant = &self.invariants[at];
            let (name, source) = (invariant.name(), invariant.source());
            let now = sim.now();
            self.violations
                .push(format!("at {now}: {name} ({source}): {what}"));
        }
    }
}

impl Observer for Checks {
    fn saw(&mut self, sim: &Sim, what: &Happening) {
        for at in 0..self.invariants.len() {
            let result = self.invariants[at].saw(sim, what);
            self.note(at, sim, result);
        }
    }
}
