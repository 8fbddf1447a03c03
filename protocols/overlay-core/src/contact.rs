//! Who a node is.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use guid::Guid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the driver calls a peer: a PeerId in the node, a number in a simulator.
pub trait Peer: Copy + Ord + Hash + Debug + Send + Sync + 'static {}

impl<T: Copy + Ord + Hash + Debug + Send + Sync + 'static> Peer for T {}

/// Most bytes of encoded addresses in a contact: a dozen multiaddresses.
pub const MAX_ADDRS: usize = 512;

/// Addresses as the driver encodes them. The core carries them and never looks inside.
///
/// Contacts are what a node has most of, so this is one pointer, and none where there are
/// no addresses; all copies share the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Addrs(Option<Arc<Bytes>>);

impl Addrs {
    /// Addresses in the driver's encoding.
    pub fn new(encoded: Bytes) -> Addrs {
        Addrs((!encoded.is_empty()).then(|| Arc::new(encoded)))
    }

    /// What the driver encoded.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |encoded| encoded)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for Addrs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Addrs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Addrs, D::Error> {
        Bytes::deserialize(deserializer).map(Addrs::new)
    }
}

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
