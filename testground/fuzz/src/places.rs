//! Where the peers of a target stand: so that a few bytes name neighbours, nodes for each
//! row of a table, and strangers.

use arbitrary::{Result, Unstructured};
use guid::Guid;
use overlay_core::{Addrs, Contact};

/// What a peer is called.
pub(crate) type Peer = u32;

/// The node under test. Its place is where the ring begins, so that its neighbours are on
/// both sides of zero.
pub(crate) const ME: Peer = 0;

const MY_PLACE: u128 = 5;

/// Peers that stand next to this node, on alternating sides.
const NEIGHBOURS: Peer = 24;

/// Peers that share ever more digits with this node.
const ROWS: Peer = 64;

/// The place that follows from a peer's name, as a node's follows from its key.
pub(crate) fn place(peer: Peer) -> Guid {
    let value = match peer {
        0 => MY_PLACE,
        1..=NEIGHBOURS => {
            let steps = u128::from(peer).pow(3) * 1000;
            if peer.is_multiple_of(2) {
                MY_PLACE.wrapping_add(steps)
            } else {
                MY_PLACE.wrapping_sub(steps)
            }
        }
        25..=ROWS => MY_PLACE ^ (1 << (127 - (peer - NEIGHBOURS) * 3)),
        _ => Guid::hash(&peer.to_be_bytes()).as_u128(),
    };
    Guid::new(value)
}

/// A peer's contact, with as many bytes of addresses.
pub(crate) fn contact(peer: Peer, addrs: usize) -> Contact<Peer> {
    Contact {
        guid: place(peer),
        peer,
        addrs: Addrs::new(vec![7; addrs].into()),
    }
}

/// A peer: mostly one of a few.
pub(crate) fn any_peer(u: &mut Unstructured<'_>) -> Result<Peer> {
    let byte = u.arbitrary::<u8>()?;
    if byte < 240 {
        // One byte reaches the neighbours, the rows and some strangers.
        return Ok(Peer::from(byte) % 96);
    }
    Ok(u.arbitrary::<u16>()?.into())
}

/// Anybody but the node itself, which no connection comes from.
pub(crate) fn any_other(u: &mut Unstructured<'_>) -> Result<Peer> {
    Ok(any_peer(u)?.max(1))
}

/// A contact, seldom with more addresses than are allowed.
pub(crate) fn any_contact(u: &mut Unstructured<'_>) -> Result<Contact<Peer>> {
    let peer = any_peer(u)?;
    let addrs = match u.arbitrary::<u8>()? {
        0..=127 => 0,
        128..=250 => 120,
        251..=253 => 512,
        254.. => 513,
    };
    Ok(contact(peer, addrs))
}

/// A list of contacts: none, a few that are named one by one, or very many.
pub(crate) fn any_contacts(u: &mut Unstructured<'_>) -> Result<Vec<Contact<Peer>>> {
    match u.arbitrary::<u8>()? {
        0..=99 => Ok(Vec::new()),
        100..=219 => {
            let count = u.int_in_range(1..=8)?;
            (0..count).map(|_| any_contact(u)).collect()
        }
        // Everyone around the node.
        220..=239 => Ok((0..=NEIGHBOURS).map(|peer| contact(peer, 0)).collect()),
        240.. => {
            let first = Peer::from(u.arbitrary::<u16>()?);
            let step = Peer::from(u.arbitrary::<u8>()?) + 1;
            let count = Peer::from(u.int_in_range(0..=1025u16)?);
            Ok((0..count).map(|at| contact(first + at * step, 0)).collect())
        }
    }
}

/// A place on the ring: that of a peer, one beside it, or any.
pub(crate) fn any_place(u: &mut Unstructured<'_>) -> Result<Guid> {
    let kind = u.arbitrary::<u8>()?;
    let near = place(any_peer(u)?).as_u128();
    Ok(Guid::new(match kind {
        0..=79 => near,
        80..=119 => near.wrapping_add(1),
        120..=159 => near.wrapping_sub(1),
        160..=199 => near.wrapping_add(1 << 127),
        200.. => Guid::hash(&near.to_be_bytes()).as_u128(),
    }))
}

/// One of a few objects, so that they meet.
pub(crate) fn any_object(u: &mut Unstructured<'_>) -> Result<Guid> {
    Ok(Guid::hash(&[u.arbitrary::<u8>()? % 12]))
}

/// A list of places.
pub(crate) fn any_places(u: &mut Unstructured<'_>) -> Result<Vec<Guid>> {
    match u.arbitrary::<u8>()? {
        0..=127 => Ok(Vec::new()),
        128..=239 => {
            let count = u.int_in_range(1..=4)?;
            (0..count).map(|_| any_place(u)).collect()
        }
        240.. => {
            let count = Peer::from(u.int_in_range(0..=66u8)?);
            Ok((0..count).map(place).collect())
        }
    }
}
