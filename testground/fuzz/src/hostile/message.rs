//! Messages out of arbitrary bytes: any that a hostile peer can make decode, with contacts
//! that stand where they belong (O2), because the shell lets no others through.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use guid::Guid;
use overlay_core::{
    Answer, AnyOf, AppId, Body, Errand, Full, Location, Message, MessageId, Part, Publish, Routed,
    Search, Spread, Stored, Task, TraceHop, View, Way,
};

use crate::places::{
    ME, Peer, any_contact, any_contacts, any_object, any_other, any_place, any_places, contact,
    place,
};

/// A message from a peer, which may name it as its sender.
pub(super) fn any_message(u: &mut Unstructured<'_>, from: Peer) -> Result<Message<Peer>> {
    Ok(match u.int_in_range(0..=15u8)? {
        0 => Message::Probe {
            nonce: u.arbitrary()?,
            view: any_view(u, from)?,
        },
        1 => Message::ProbeReply {
            nonce: u.arbitrary()?,
            view: any_view(u, from)?,
        },
        2 => Message::Ping {
            nonce: u.arbitrary()?,
        },
        3 => Message::Pong {
            nonce: u.arbitrary()?,
            active: u.arbitrary()?,
        },
        4 => Message::Heartbeat,
        5..=7 => Message::Route(any_routed(u)?),
        8 => Message::Ack { id: any_id(u)? },
        9 => Message::Refuse { id: any_id(u)? },
        10 => Message::Reply {
            id: any_id(u)?,
            hops: u.arbitrary()?,
            trace: any_trace(u)?,
            from: contact(from, 0),
            answer: any_answer(u)?,
        },
        11 => Message::StateRequest {
            nonce: u.arbitrary()?,
            part: any_part(u)?,
        },
        12 => Message::Announce {
            sender: contact(from, 0),
            rtt_micros: u.arbitrary()?,
        },
        13 => Message::Leave,
        _ => Message::Location(any_location(u, from)?),
    })
}

/// An answer to what the node has asked, with the nonce or name that makes it read;
/// `None` where the message asks nothing.
pub(super) fn any_reply(
    u: &mut Unstructured<'_>,
    from: Peer,
    question: &Message<Peer>,
) -> Result<Option<Message<Peer>>> {
    Ok(Some(match question {
        Message::Probe { nonce, .. } => Message::ProbeReply {
            nonce: *nonce,
            view: any_view(u, from)?,
        },
        Message::Ping { nonce } => Message::Pong {
            nonce: *nonce,
            active: u.ratio(7, 8)?,
        },
        Message::StateRequest { nonce, part } => {
            let part = if u.ratio(7, 8)? { *part } else { any_part(u)? };
            let contacts = any_contacts(u)?;
            let rtt = u.arbitrary::<u16>()?;
            let mut rtts: Vec<u32> = (0..)
                .map(|at| u32::from(rtt) * at)
                .take(contacts.len())
                .collect();
            if u.ratio(1, 32)? {
                rtts.push(u.arbitrary()?);
            }
            Message::StateReply {
                nonce: *nonce,
                part,
                contacts,
                rtts,
            }
        }
        Message::Route(routed) => match u.int_in_range(0..=7u8)? {
            0..=1 => Message::Ack { id: routed.id },
            2 => Message::Refuse { id: routed.id },
            // It comes back as if it were on its way, or in circles.
            3 => Message::Route(Routed {
                hops: u.int_in_range(0..=65)?,
                trace: any_trace(u)?,
                ..routed.clone()
            }),
            _ => Message::Reply {
                id: routed.id,
                hops: u.arbitrary()?,
                trace: any_trace(u)?,
                from: contact(from, 0),
                answer: match &routed.body {
                    Body::Join { .. } if u.ratio(7, 8)? => Answer::Join {
                        rows: any_contacts(u)?,
                        near: any_contacts(u)?,
                        leafs: any_contacts(u)?,
                    },
                    Body::Search(_) if u.ratio(3, 4)? => match u.arbitrary()? {
                        true => Answer::Holder,
                        false => Answer::Searched {
                            reached: any_places(u)?,
                        },
                    },
                    Body::ReplicaSet { .. } if u.ratio(3, 4)? => {
                        Answer::ReplicaSet(any_contacts(u)?)
                    }
                    _ => any_answer(u)?,
                },
            },
        },
        Message::Location(Location::Publish(publish)) => Message::Location(Location::Published {
            nonce: publish.nonce,
            stored: any_stored(u)?,
            way: any_way(u)?,
            also: any_contacts(u)?,
        }),
        Message::Location(Location::Unpublish { nonce, .. }) => {
            Message::Location(Location::Unpublished { nonce: *nonce })
        }
        Message::Location(Location::Errand(errand)) => Message::Location(Location::ErrandTaken {
            nonce: errand.nonce,
            holds: u.arbitrary()?,
        }),
        _ => return Ok(None),
    }))
}

/// What an honest, active peer among the neighbours would answer: by it the node gets in.
pub(super) fn honest_reply(from: Peer, question: &Message<Peer>) -> Option<Message<Peer>> {
    let leafs: Vec<_> = (1..=8)
        .filter(|peer| *peer != from)
        .map(|peer| contact(peer, 120))
        .collect();
    Some(match question {
        Message::Probe { nonce, .. } => Message::ProbeReply {
            nonce: *nonce,
            view: View {
                sender: contact(from, 120),
                active: true,
                leafs,
                failed: Vec::new(),
                rtt_micros: None,
                probe_period_ms: 0,
            },
        },
        Message::Ping { nonce } => Message::Pong {
            nonce: *nonce,
            active: true,
        },
        Message::StateRequest { nonce, part } => Message::StateReply {
            nonce: *nonce,
            part: *part,
            rtts: vec![2000; leafs.len()],
            contacts: leafs,
        },
        Message::Route(routed) if matches!(routed.body, Body::Join { .. }) => Message::Reply {
            id: routed.id,
            hops: 1,
            trace: None,
            from: contact(from, 120),
            answer: Answer::Join {
                rows: (25..40).map(|peer| contact(peer, 0)).collect(),
                near: Vec::new(),
                leafs,
            },
        },
        Message::Route(routed) => Message::Ack { id: routed.id },
        Message::Location(Location::Publish(publish)) => Message::Location(Location::Published {
            nonce: publish.nonce,
            stored: Stored::Kept,
            way: Way::Root,
            also: Vec::new(),
        }),
        Message::Location(Location::Unpublish { nonce, .. }) => {
            Message::Location(Location::Unpublished { nonce: *nonce })
        }
        Message::Location(Location::Errand(errand)) => Message::Location(Location::ErrandTaken {
            nonce: errand.nonce,
            holds: true,
        }),
        _ => return None,
    })
}

fn any_view(u: &mut Unstructured<'_>, from: Peer) -> Result<View<Peer>> {
    let sender = contact(from, if u.arbitrary()? { 120 } else { 0 });
    let (active, leafs, failed) = (u.ratio(7, 8)?, any_contacts(u)?, any_places(u)?);
    let rtt_micros: Option<u32> = u.arbitrary()?;
    Ok(View {
        sender,
        active,
        leafs,
        failed,
        rtt_micros,
        // Of what is drawn already, so that older inputs keep their meaning.
        probe_period_ms: rtt_micros.unwrap_or_default().rotate_left(16),
    })
}

fn any_id(u: &mut Unstructured<'_>) -> Result<MessageId> {
    Ok(MessageId {
        origin: any_place(u)?,
        // Few, so that they meet; and the bit that tells a search beside its root.
        number: u64::from(u.arbitrary::<u8>()? % 16) | u64::from(u.ratio(1, 8)?) << 63,
    })
}

fn any_routed(u: &mut Unstructured<'_>) -> Result<Routed<Peer>> {
    let hops = match u.arbitrary::<u8>()? {
        low @ 0..=191 => low % 4,
        high => high % 67,
    };
    let (id, key, origin) = (any_id(u)?, any_place(u)?, any_contact(u)?);
    Ok(Routed {
        // Whoever names another's message is refused before anything is done.
        id: MessageId {
            origin: origin.guid,
            ..id
        },
        key,
        origin,
        hops,
        trace: any_trace(u)?,
        body: any_body(u)?,
    })
}

fn any_trace(u: &mut Unstructured<'_>) -> Result<Option<Vec<TraceHop<Peer>>>> {
    let length = match u.arbitrary::<u8>()? {
        0..=191 => return Ok(None),
        192..=239 => u.int_in_range(0..=3u32)?,
        240.. => u.int_in_range(60..=66)?,
    };
    let hop = |peer| TraceHop {
        contact: contact(peer, 0),
        rtt_micros: None,
    };
    Ok(Some((1..=length).map(hop).collect()))
}

fn any_body(u: &mut Unstructured<'_>) -> Result<Body<Peer>> {
    Ok(match u.int_in_range(0..=7u8)? {
        0..=2 => {
            let app = AppId(u.arbitrary::<u8>()? as u16 % 3);
            let payload = any_payload(u)?;
            Body::App {
                any_of: AnyOf::new(takers(&payload)),
                app,
                payload,
                wants_reply: u.arbitrary()?,
            }
        }
        3 => Body::Join {
            rows: any_contacts(u)?,
            near: any_contacts(u)?,
        },
        4 => match u.arbitrary::<u8>()? {
            k @ 0..=127 => Body::ReplicaSet { k },
            k => Body::NeighbourSet { k },
        },
        _ => Body::Search(Box::new(Search {
            object: any_object(u)?,
            salt: u.arbitrary::<u8>()? % 9,
            want: u.arbitrary::<u8>()? % 18,
            errand: u.arbitrary::<u8>()?.into(),
            task: any_task(u)?,
            reached: any_places(u)?,
            silent: any_places(u)?,
            asides: match u.ratio(1, 4)? {
                true => Some(any_places(u)?),
                false => None,
            },
        })),
    })
}

/// How many may take an application's message: of what is drawn already, so that older
/// inputs keep their meaning.
pub(super) fn takers(payload: &[u8]) -> usize {
    match payload.len() % 4 {
        3 => 1 + usize::from(payload[0] % 20),
        _ => 1,
    }
}

/// An application's message, seldom as long as it may be or longer.
pub(super) fn any_payload(u: &mut Unstructured<'_>) -> Result<Bytes> {
    Ok(match u.arbitrary::<u8>()? {
        0..=250 => Bytes::from_static(b"hello"),
        251..=253 => vec![1; 64 * 1024].into(),
        254.. => vec![1; 64 * 1024 + 1].into(),
    })
}

fn any_task(u: &mut Unstructured<'_>) -> Result<Task> {
    Ok(match u.arbitrary()? {
        true => Task::Find,
        false => Task::Deliver {
            app: AppId(1),
            payload: any_payload(u)?,
        },
    })
}

fn any_answer(u: &mut Unstructured<'_>) -> Result<Answer<Peer>> {
    Ok(match u.int_in_range(0..=5u8)? {
        0 => Answer::App(any_payload(u)?),
        1 => Answer::Refused("no".repeat(u.int_in_range(0..=513usize)?)),
        2 => Answer::Join {
            rows: any_contacts(u)?,
            near: any_contacts(u)?,
            leafs: any_contacts(u)?,
        },
        3 => Answer::ReplicaSet(any_contacts(u)?),
        4 => Answer::Holder,
        _ => Answer::Searched {
            reached: any_places(u)?,
        },
    })
}

fn any_part(u: &mut Unstructured<'_>) -> Result<Part> {
    Ok(match u.arbitrary::<u8>()? {
        0..=63 => Part::Near,
        row => Part::Row(row % 34),
    })
}

fn any_stored(u: &mut Unstructured<'_>) -> Result<Stored> {
    Ok(match u.int_in_range(0..=7u8)? {
        0 => Stored::NotJoined,
        1 => Stored::Full(Full::Pointers),
        2 => Stored::Full(Full::Object),
        _ => Stored::Kept,
    })
}

fn any_way(u: &mut Unstructured<'_>) -> Result<Way<Peer>> {
    Ok(match u.int_in_range(0..=3u8)? {
        0 => Way::Root,
        1 => Way::Unknown,
        _ => Way::Next(any_contact(u)?),
    })
}

fn any_location(u: &mut Unstructured<'_>, from: Peer) -> Result<Location<Peer>> {
    Ok(match u.int_in_range(0..=9u8)? {
        0..=3 => Location::Publish(Publish {
            nonce: u.arbitrary()?,
            holder: contact(from, if u.arbitrary()? { 120 } else { 0 }),
            object: any_object(u)?,
            salt: match u.arbitrary::<u8>()? {
                0..=63 => None,
                salt => Some(salt % 9),
            },
            lifetime: match u.arbitrary::<u8>()? {
                short @ 0..=127 => short.into(),
                128..=250 => 900,
                251.. => u32::MAX,
            },
            except: any_places(u)?,
            spread: Spread {
                backups: u.arbitrary::<u8>()? % 10,
                neighbours: u.arbitrary::<u8>()? % 10,
                copies: u.arbitrary::<u8>()? % 10,
            },
        }),
        4 => Location::Published {
            nonce: u.arbitrary()?,
            stored: any_stored(u)?,
            way: any_way(u)?,
            also: any_contacts(u)?,
        },
        5 => Location::Unpublish {
            nonce: u.arbitrary()?,
            object: any_object(u)?,
        },
        6 => {
            let count = match u.arbitrary::<u8>()? {
                few @ 0..=239 => usize::from(few) % 4,
                240.. => 65,
            };
            let mut ways: Vec<(Guid, u8)> = Vec::new();
            for _ in 0..count.min(4) {
                ways.push((any_object(u)?, u.arbitrary::<u8>()? % 9));
            }
            ways.resize(count, (place(1), 0));
            Location::Moved { ways }
        }
        7 => Location::Unpublished {
            nonce: u.arbitrary()?,
        },
        8 => Location::Errand(Errand {
            nonce: u.arbitrary()?,
            id: any_id(u)?,
            origin: any_contact(u)?,
            hops: u.arbitrary::<u8>()? % 67,
            object: any_object(u)?,
            errand: u.arbitrary::<u8>()?.into(),
            task: any_task(u)?,
        }),
        _ => Location::ErrandTaken {
            nonce: u.arbitrary()?,
            holds: u.arbitrary()?,
        },
    })
}

/// Whom a message says it is from, where its kind says so.
pub(super) fn named_sender(message: &Message<Peer>) -> Option<Peer> {
    match message {
        Message::Probe { view, .. } | Message::ProbeReply { view, .. } => Some(view.sender.peer),
        Message::Reply { from, .. } => Some(from.peer),
        Message::Announce { sender, .. } => Some(sender.peer),
        Message::Location(Location::Publish(publish)) => Some(publish.holder.peer),
        _ => None,
    }
}

/// A crowd: several peers who say the same, or seldom more than a node keeps.
pub(super) fn any_crowd(u: &mut Unstructured<'_>) -> Result<impl Iterator<Item = Peer> + use<>> {
    let first = any_other(u)?;
    let count = match u.arbitrary::<u8>()? {
        few @ 0..=250 => Peer::from(few) % 24,
        251.. => 2100,
    };
    Ok((first..first + count).filter(|peer| *peer != ME))
}
