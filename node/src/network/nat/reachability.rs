//! Whether others can dial this node, as far as tests have shown (T3).

use std::{collections::BTreeSet, net::IpAddr};

use libp2p::Multiaddr;

use super::super::addresses::{ip_of, is_lan};

/// Whether others can dial this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has tried an address that tells.
    #[default]
    Unknown,
    /// Behind a NAT that lets nobody in.
    Private,
    /// Through its NAT, or it has a name of its own beyond the LAN.
    Public,
}

/// What the tests of candidates have shown.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    /// Addresses of this machine's interfaces that the node listens on.
    own: BTreeSet<IpAddr>,
    failed: bool,
    succeeded: bool,
}

impl Tests {
    /// An address that the node listens on.
    pub(crate) fn listens(&mut self, address: &Multiaddr) {
        self.own.extend(ip_of(address));
    }

    /// Whether an address is one of this machine's, as far as is known; loopback and link-local
    /// ones tell as little about others.
    pub(crate) fn is_own(&self, address: &Multiaddr) -> bool {
        !is_lan(address) || ip_of(address).is_some_and(|ip| self.own.contains(&ip))
    }

    /// A peer has tried a candidate.
    pub(crate) fn tested(&mut self, candidate: &Multiaddr, reached: bool) {
        // Who reaches an address of this machine is on its LAN, or there is no NAT.
        if self.is_own(candidate) {
            return;
        }
        match reached {
            true => self.succeeded = true,
            false => self.failed = true,
        }
    }

    pub(crate) fn reachability(&self) -> Reachability {
        match (self.succeeded, self.failed) {
            (true, _) => Reachability::Public,
            (false, true) => Reachability::Private,
            (false, false) => Reachability::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_other_machines_tell() {
        let [own, mapped, other] = ["10.0.0.5", "198.51.100.1", "198.51.100.2"]
            .map(|ip| format!("/ip4/{ip}/tcp/4747").parse::<Multiaddr>().unwrap());
        let mut tests = Tests::default();
        tests.listens(&own);
        tests.tested(&own, true);
        tests.tested(&own, false);
        for own in ["127.0.0.1", "169.254.3.4"] {
            tests.tested(&format!("/ip4/{own}/tcp/4747").parse().unwrap(), true);
        }
        assert_eq!(tests.reachability(), Reachability::Unknown);
        tests.tested(&mapped, false);
        assert_eq!(tests.reachability(), Reachability::Private);
        tests.tested(&other, true);
        assert_eq!(tests.reachability(), Reachability::Public);
    }
}
