//! Objects: who holds one, and what its holders say (O12, O13).

use bytes::Bytes;

use crate::{
    Contact, RouteError,
    error::{NO_APPLICATION, OVERLOADED},
};

/// How well an object can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Roots of the object that know of this node.
    pub roots: usize,
    /// Nodes that keep a pointer to this node, the roots among them.
    pub pointers: usize,
}

/// A node that holds an object, and has said so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node.
    pub contact: Contact,
    /// Hops the search took to it.
    pub hops: usize,
}

/// What became of a message at one holder of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectReply {
    /// The holder.
    pub from: Contact,
    /// Hops the message took to it.
    pub hops: usize,
    /// What its application answered, or why it did not.
    pub answer: Result<Bytes, RouteError>,
}

impl From<overlay_core::Published> for Published {
    fn from(published: overlay_core::Published) -> Self {
        Self {
            roots: published.roots,
            pointers: published.pointers,
        }
    }
}

impl From<overlay_core::Found<libp2p_identity::PeerId>> for Holder {
    fn from(found: overlay_core::Found<libp2p_identity::PeerId>) -> Self {
        Self {
            contact: Contact::from(&found.holder),
            hops: found.hops.into(),
        }
    }
}

impl From<overlay_core::Found<libp2p_identity::PeerId>> for ObjectReply {
    fn from(found: overlay_core::Found<libp2p_identity::PeerId>) -> Self {
        let answer = match found.reply {
            Some(Ok(payload)) => Ok(payload),
            Some(Err(why)) if why == OVERLOADED => Err(RouteError::Overloaded),
            Some(Err(why)) if why == NO_APPLICATION => Err(RouteError::NoApplication),
            Some(Err(why)) => Err(RouteError::Refused(why)),
            // A holder that does not say what its application said.
            None => Err(RouteError::Refused("it gave no answer".to_owned())),
        };
        Self {
            from: Contact::from(&found.holder),
            hops: found.hops.into(),
            answer,
        }
    }
}
