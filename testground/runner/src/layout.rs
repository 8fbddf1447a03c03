//! Which LANs the instances of a case are on.

use serde::{Deserialize, Serialize};

use crate::manifest::{FormatError, Source};

/// The most LANs that a lab has.
const MAX_LANS: usize = 8;

/// The LANs of a case: one with everybody on it, in both address families, unless set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// LANs among which the instances are divided, in their order. A router joins them, which
    /// passes packets on but nothing that is for everybody.
    pub lans: usize,
    /// LANs that everybody is on, each with an interface of its own.
    pub interfaces: usize,
    /// Which addresses there are.
    pub family: Family,
    /// What hides each LAN but the first: a NAT of its own between that LAN and the first, in
    /// place of the router.
    pub nat: Option<Nat>,
    /// Whether packets go through the switch though it is perfect: instances shape it.
    pub switch: bool,
}

/// Address families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

/// Kinds of NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nat {
    /// An inner address and port has the same outer port whoever it talks to.
    Cone,
    /// It has another outer port for each of those.
    Symmetric,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            lans: 1,
            interfaces: 1,
            family: Family::Both,
            nat: None,
            switch: false,
        }
    }
}

impl Layout {
    /// Refuses a layout that no lab has; `at` is where it is written.
    pub(crate) fn check(&self, source: &Source<'_>, at: usize) -> Result<(), FormatError> {
        for (name, count) in [("lans", self.lans), ("interfaces", self.interfaces)] {
            if !(1..=MAX_LANS).contains(&count) {
                return Err(source.error(at, format!("`{name}` is 1 to {MAX_LANS}")));
            }
        }
        if self.nat.is_some() && (self.lans < 2 || self.family == Family::Ipv6) {
            return Err(source.error(at, "`nat` hides `lans` but the first, and IPv4 alone"));
        }
        if self.lans > 1 && self.interfaces > 1 {
            return Err(source.error(at, "several `lans` or several `interfaces`: one of the two"));
        }
        if self.lans > 1 && self.switch {
            return Err(source.error(
                at,
                "several `lans` have a router, which is not the switch's to shape",
            ));
        }
        Ok(())
    }

    /// Nodes of the lab that are no instances: the sync service, and a NAT for each hidden LAN.
    pub fn helpers(&self) -> usize {
        1 + self.nat.map_or(0, |_| self.lans - 1)
    }

    /// The LAN of an instance's first interface, of so many instances.
    pub fn lan_of(&self, instance: usize, instances: usize) -> usize {
        // The first LANs have one more where it does not come out even.
        let (each, more) = (instances / self.lans, instances % self.lans);
        let of_larger = more * (each + 1);
        match instance.checked_sub(of_larger) {
            None => instance / (each + 1),
            Some(rest) => more + rest / each.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_divided_evenly_and_in_order() {
        let layout = Layout {
            lans: 3,
            ..Layout::default()
        };
        let lans: Vec<usize> = (0..8).map(|one| layout.lan_of(one, 8)).collect();
        assert_eq!(lans, [0, 0, 0, 1, 1, 1, 2, 2]);
        assert_eq!(Layout::default().lan_of(7, 8), 0);
        assert_eq!(layout.lan_of(1, 2), 1);
    }
}
