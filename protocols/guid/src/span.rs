//! Arcs of the ring.

use serde::{Deserialize, Serialize};

use crate::Guid;

/// An arc of the ring: all identifiers met going up from `from` to `to`, both
/// included (G6). Where `to` is below `from` the arc passes through zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first identifier.
    pub from: Guid,
    /// The last identifier.
    pub to: Guid,
}

impl Span {
    /// The arc from `from` up to `to`.
    pub const fn new(from: Guid, to: Guid) -> Span {
        Span { from, to }
    }

    /// The whole ring.
    pub const fn full() -> Span {
        Span {
            from: Guid::new(0),
            to: Guid::new(u128::MAX),
        }
    }

    /// Whether `guid` lies on the arc.
    pub const fn contains(&self, guid: Guid) -> bool {
        self.from.clockwise_to(guid) <= self.last_offset()
    }

    /// Steps from the first to the last identifier: one less than it has identifiers.
    pub const fn last_offset(&self) -> u128 {
        self.from.clockwise_to(self.to)
    }

    /// Cuts the arc into at most `parts` arcs of nearly equal length, in order. Fewer
    /// come back when the arc has fewer identifiers than `parts`.
    ///
    /// # Panics
    /// When `parts` is zero.
    pub fn split(&self, parts: usize) -> Vec<Span> {
        assert!(parts > 0, "an arc cannot be cut into no parts");
        let last = self.last_offset();
        let parts = (parts as u128).min(last.saturating_add(1));
        if parts == 1 {
            return vec![*self];
        }
        // The arc has last + 1 identifiers, which does not fit when it is the whole
        // ring: quotient and remainder of last + 1 are taken from those of last.
        let (mut step, mut rest) = (last / parts, last % parts + 1);
        if rest == parts {
            (step, rest) = (step + 1, 0);
        }
        let at = |offset: u128| Guid::new(self.from.as_u128().wrapping_add(offset));
        let mut begin = 0u128;
        (0..parts)
            .map(|part| {
                let length = step + u128::from(part < rest);
                let span = Span::new(at(begin), at(begin.wrapping_add(length - 1)));
                begin = begin.wrapping_add(length);
                span
            })
            .collect()
    }
}
