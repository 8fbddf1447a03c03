//! Which arcs this node has kept long enough to say what is the newest there (R23).
//!
//! Who has come to a replica set just now has what it was given so far, which may be of before
//! the newest. It says so until it has compared the arc with all who share it.

use guid::Guid;
use parking_lot::Mutex;

use crate::arcs::Arcs;

#[derive(Default)]
pub(crate) struct Duty(Mutex<State>);

#[derive(Default)]
struct State {
    mine: Arcs,
    settled: Arcs,
    /// What belonged here all the time since the comparison that is under way began.
    comparing: Arcs,
}

impl Duty {
    /// Whether this node has kept what belongs to `key` for long enough.
    pub(crate) fn is_settled(&self, key: Guid) -> bool {
        self.0.lock().settled.contains(key)
    }

    /// Whether that holds of all that belongs here.
    pub(crate) fn is_all_settled(&self) -> bool {
        let state = self.0.lock();
        !state.mine.is_empty() && state.mine.without(&state.settled).is_empty()
    }

    /// From now on this belongs here. What does not any more has to be compared anew when it
    /// does again: meanwhile others were told of what is new.
    pub(crate) fn belongs_here(&self, mine: &Arcs) {
        let state = &mut *self.0.lock();
        state.mine = mine.clone();
        state.settled = state.settled.and(mine);
        state.comparing = state.comparing.and(mine);
    }

    /// Begins to compare `mine` with those who share it.
    pub(crate) fn compare(&self, mine: &Arcs) {
        let state = &mut *self.0.lock();
        state.mine = mine.clone();
        state.comparing = mine.clone();
    }

    /// All was compared but what is shared with those whose turn has not come, or with whom it
    /// did not work.
    pub(crate) fn compared(&self, but: &Arcs) {
        let state = &mut *self.0.lock();
        let compared = state.comparing.without(but);
        state.settled = state.settled.or(&compared);
    }
}
