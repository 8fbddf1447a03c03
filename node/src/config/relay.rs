//! Settings of relaying (`docs/specs/nat.md`).

use std::{fmt, num::NonZeroU32};

use libp2p::{Multiaddr, multiaddr::Protocol};
use serde::{Deserialize, Serialize};

/// Relays that may be named: each takes a connection and has a reservation.
pub const MAX_NAMED: usize = 8;

/// What is relayed for others, and whether others are asked to relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Whether to relay for others.
    pub serve: bool,
    /// Whether a node that others cannot dial asks peers it knows to relay.
    pub auto: bool,
    /// Peers that may be reached through this node at a time.
    pub reservations: NonZeroU32,
    /// Circuits at a time.
    pub circuits: NonZeroU32,
    /// Of these, circuits that one peer has, begun or taken.
    pub circuits_per_peer: NonZeroU32,
    /// What may pass a circuit, both directions together, in MiB.
    pub circuit_mib: NonZeroU32,
    /// How long a circuit may last.
    pub circuit_seconds: NonZeroU32,
}

impl Default for Relay {
    fn default() -> Self {
        let some = |number| NonZeroU32::new(number).expect("written down below, and not 0");
        Self {
            serve: false,
            auto: false,
            reservations: some(128),
            circuits: some(128),
            // A leaf set of neighbours that can only be reached so.
            circuits_per_peer: some(32),
            circuit_mib: some(64),
            circuit_seconds: some(3600),
        }
    }
}

/// The address of a relay: something to dial, closed by `/p2p/PEER`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayAddress(Multiaddr);

impl RelayAddress {
    /// The address.
    pub fn get(&self) -> &Multiaddr {
        &self.0
    }
}

impl TryFrom<String> for RelayAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address: Multiaddr = text
            .parse()
            .map_err(|error| format!("{text:?} is not a multiaddress: {error}"))?;
        if address.iter().any(|part| part == Protocol::P2pCircuit) {
            return Err(format!(
                "{text:?} leads over a relay itself: name the relay, without /p2p-circuit"
            ));
        }
        let mut parts = address.iter();
        let dialled = !matches!(parts.next(), Some(Protocol::P2p(_)) | None);
        if !dialled || !matches!(parts.last(), Some(Protocol::P2p(_))) {
            return Err(format!(
                "{text:?} does not say who the relay is: \
                 an address of a relay looks like /ip4/192.0.2.7/tcp/4747/p2p/12D3KooW..."
            ));
        }
        Ok(Self(address))
    }
}

impl From<RelayAddress> for String {
    fn from(address: RelayAddress) -> String {
        address.to_string()
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The relays that a person has named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<RelayAddress>", into = "Vec<RelayAddress>")]
pub struct Relays(Vec<RelayAddress>);

impl Relays {
    /// Their addresses.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.0.iter().map(|relay| relay.0.clone()).collect()
    }
}

impl TryFrom<Vec<RelayAddress>> for Relays {
    type Error = String;

    fn try_from(relays: Vec<RelayAddress>) -> Result<Self, String> {
        match relays.len() <= MAX_NAMED {
            true => Ok(Self(relays)),
            false => Err(format!("{MAX_NAMED} relays at most")),
        }
    }
}

impl From<Relays> for Vec<RelayAddress> {
    fn from(relays: Relays) -> Self {
        relays.0
    }
}
