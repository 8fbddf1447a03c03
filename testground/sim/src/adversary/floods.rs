//! Bad nodes that fill good ones: what they send through them is for other bad nodes, who
//! answer probes and never acknowledge it, so the good ones try again and again.

use std::collections::BTreeMap;

use bytes::Bytes;
use overlay_core::{AppId, Body, Message, MessageId, Routed};

use super::Sent;
use super::colluders::Colluders;
use crate::Node;
use crate::dice::Dice;

/// An application that nobody has.
const NOBODYS: AppId = AppId(u16::MAX);

/// What other bad nodes made is swallowed without a word.
pub(super) fn receives(colluders: &Colluders, message: Message<Node>) -> Option<Message<Node>> {
    match &message {
        Message::Route(routed) if colluders.has(routed.origin.peer) => None,
        _ => Some(message),
    }
}

pub(super) fn strike(
    colluders: &Colluders,
    dice: &mut Dice,
    made: &mut u64,
    each: u32,
    victims: &BTreeMap<Node, Node>,
) -> Vec<Sent> {
    let mut sends = Vec::new();
    for origin in colluders.all() {
        let Some(to) = victims.get(&origin.peer).copied() else {
            continue;
        };
        for _ in 0..each {
            let Some(goal) = colluders.random(dice) else {
                continue;
            };
            *made += 1;
            let body = Body::App {
                app: NOBODYS,
                payload: Bytes::new(),
                any_of: None,
                wants_reply: false,
            };
            sends.push(Sent {
                from: origin.peer,
                to,
                message: Message::Route(Routed {
                    id: MessageId {
                        origin: origin.guid,
                        number: *made,
                    },
                    key: goal.guid,
                    origin: origin.clone(),
                    hops: 0,
                    trace: None,
                    body,
                }),
            });
        }
    }
    sends
}
