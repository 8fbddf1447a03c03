//! Who a node is.

use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;
use guid::Guid;
use serde::{Deserialize, Serialize};

/// What the driver calls a peer: a PeerId in the node, a number in a simulator.
pub trait Peer: Copy + Ord + Hash + Debug + Send + Sync + 'static {}

impl<T: Copy + Ord + Hash + Debug + Send + Sync + 'static> Peer for T {}

/// Most bytes of encoded addresses in a contact: a dozen multiaddresses.
pub const MAX_ADDRS: usize = 512;

/// Addresses as the driver encodes them. The core carries them and never looks inside.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Addrs(pub Bytes);

/// A node of the overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact<P> {
    /// Its place on the ring.
    #[serde(rename = "g")]
    pub guid: Guid,
    /// Its name with the driver.
    #[serde(rename = "p")]
    pub peer: P,
    /// Where it can be dialled.
    #[serde(rename = "a")]
    pub addrs: Addrs,
}
