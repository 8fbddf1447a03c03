//! Bad nodes that route as they should and say what is not so: about who is in their rows
//! and leaf sets, about who is dead, and about who stands around a key.

use guid::{Base, Guid};
use overlay_core::{Answer, Body, Contact, Message, Part, View};

use super::colluders::Colluders;
use crate::Node;
use crate::dice::Dice;

/// As near as can be, so that everyone wants them.
const NEAR_MICROS: u32 = 1;

/// Nodes named in a list of neighbours.
const NAMED: usize = 16;

/// Of them, those that do not exist.
const PHANTOMS: usize = 2;

pub(super) fn sends(
    colluders: &Colluders,
    dice: &mut Dice,
    from: Node,
    message: Message<Node>,
) -> Message<Node> {
    let Some(me) = colluders.contact(from).map(|contact| contact.guid) else {
        return message;
    };
    match message {
        Message::Probe { nonce, view } => Message::Probe {
            nonce,
            view: false_view(colluders, dice, view),
        },
        Message::ProbeReply { nonce, view } => Message::ProbeReply {
            nonce,
            view: false_view(colluders, dice, view),
        },
        Message::StateReply { nonce, part, .. } => {
            let contacts = false_part(colluders, dice, me, part);
            Message::StateReply {
                nonce,
                part,
                rtts: vec![NEAR_MICROS; contacts.len()],
                contacts,
            }
        }
        Message::Route(mut routed) => {
            if let Body::Join { rows, near } = &mut routed.body {
                *rows = false_part(colluders, dice, routed.key, Part::Row(0));
                *near = some(colluders, dice);
            }
            Message::Route(routed)
        }
        Message::Reply {
            id,
            hops,
            trace,
            from,
            answer,
        } => {
            let answer = match answer {
                Answer::Join { .. } => Answer::Join {
                    rows: some(colluders, dice),
                    near: some(colluders, dice),
                    leafs: around(colluders, dice, id.origin),
                },
                Answer::ReplicaSet(named) => {
                    let key = named.first().map_or(me, |first| first.guid);
                    Answer::ReplicaSet(colluders.closest(key, named.len()))
                }
                answer => answer,
            };
            Message::Reply {
                id,
                hops,
                trace,
                from,
                answer,
            }
        }
        message => message,
    }
}

/// The good neighbours are dead, and there are others.
fn false_view(colluders: &Colluders, dice: &mut Dice, view: View<Node>) -> View<Node> {
    let good = view.leafs.iter().filter(|leaf| !colluders.has(leaf.peer));
    View {
        failed: good.map(|leaf| leaf.guid).collect(),
        leafs: around(colluders, dice, view.sender.guid),
        ..view
    }
}

/// Bad nodes around an identifier, and some that do not exist.
fn around(colluders: &Colluders, dice: &mut Dice, guid: Guid) -> Vec<Contact<Node>> {
    let mut named = colluders.closest(guid, NAMED - PHANTOMS);
    named.retain(|contact| contact.guid != guid);
    named.extend(phantoms(colluders, dice));
    named
}

fn false_part(colluders: &Colluders, dice: &mut Dice, me: Guid, part: Part) -> Vec<Contact<Node>> {
    let mut named: Vec<Contact<Node>> = match part {
        Part::Near => some(colluders, dice),
        Part::Row(row) => {
            let all = colluders.all().iter();
            let fits = all.filter(|one| me.shared_prefix(one.guid, Base::B4) == usize::from(row));
            let mut fits: Vec<_> = fits.cloned().collect();
            dice.shuffle(&mut fits);
            fits.truncate(NAMED);
            fits
        }
    };
    named.extend(phantoms(colluders, dice));
    named
}

fn some(colluders: &Colluders, dice: &mut Dice) -> Vec<Contact<Node>> {
    (0..NAMED)
        .filter_map(|_| colluders.random(dice).cloned())
        .collect()
}

fn phantoms(colluders: &Colluders, dice: &mut Dice) -> Vec<Contact<Node>> {
    let mut all = colluders.phantoms().to_vec();
    dice.shuffle(&mut all);
    all.truncate(PHANTOMS);
    all
}
