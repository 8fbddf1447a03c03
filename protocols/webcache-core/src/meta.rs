//! What others know of a copy (Q2).

use overlay_core::Time;

use crate::Copied;

/// A copy of an object, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Follows from the validators: equal means the same representation.
    pub version: u64,
    /// Bytes of the body.
    pub size: u64,
    /// Until when it may be used without asking the origin.
    pub fresh_until: Time,
}

impl Meta {
    /// Whether it may be used without asking the origin.
    pub fn is_fresh(&self, now: Time) -> bool {
        now < self.fresh_until
    }

    /// As it is told to others, whose clocks differ.
    pub(crate) fn told(&self, now: Time) -> Copied {
        let left = self.fresh_until.since(now).as_micros();
        Copied {
            version: self.version,
            size: self.size,
            fresh_us: u64::try_from(left).unwrap_or(u64::MAX),
        }
    }
}

impl Copied {
    /// As it is kept here.
    pub fn meta(&self, now: Time) -> Meta {
        Meta {
            version: self.version,
            size: self.size,
            fresh_until: now + std::time::Duration::from_micros(self.fresh_us),
        }
    }
}
