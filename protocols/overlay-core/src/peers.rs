//! What is known of each peer, at first hand.

use crate::rtt::Rtt;
use crate::{Contact, Time};

/// Most peers something is going on with: every row of a table in the largest network
/// simulated, the leaf and neighbourhood sets, and as many candidates.
pub(crate) const MAX_PEERS: usize = 2048;

/// Most probes out at a time, so that a long list of strangers is no flood.
pub(crate) const MAX_PROBES: usize = 256;

/// Most nodes asked again and again whether they are back: a few leaf sets.
pub(crate) const MAX_LOST: usize = 64;

/// How often a lost node is asked before it is given up: for two hours if it is the only
/// one, longer where many were lost at once.
pub(crate) const MAX_HEAL_TRIES: u32 = 480;

/// A member that was found dead, and may only be cut off.
#[derive(Clone, Debug)]
pub(crate) struct Lost<P> {
    pub(crate) contact: Contact<P>,
    pub(crate) tries: u32,
}

/// One peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerState<P> {
    pub(crate) contact: Contact<P>,
    pub(crate) rtt: Rtt,
    /// When anything last came from it.
    pub(crate) heard: Time,
    /// When anything last went to it.
    pub(crate) told: Time,
    /// A probe it has not answered.
    pub(crate) probe: Option<Probing>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    pub(crate) nonce: u64,
    pub(crate) sent: Time,
    pub(crate) tries: u32,
    /// With views on both sides; else a ping.
    pub(crate) full: bool,
    /// Asked because another node called it dead, so that the others know already.
    pub(crate) announced: bool,
    /// The view it carries is no longer the newest, so it is followed by another.
    pub(crate) outdated: bool,
}
