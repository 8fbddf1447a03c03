//! Whatever happens: every request is answered once, and what a node keeps is sound.

use std::time::Duration;

use guid::{Guid, Span};
use proptest::prelude::*;
use webcache_core::{Config, Copied, Duty, Input, Message, Offered, Scheme, Told};

use crate::net::{Net, Origin};

#[derive(Clone, Debug)]
enum Step {
    Request {
        peer: u32,
        object: u8,
    },
    Change {
        object: u8,
        to: u8,
    },
    Evict {
        peer: u32,
        object: u8,
    },
    Move {
        from: u32,
        to: u32,
    },
    Kill {
        peer: u32,
    },
    Restart {
        peer: u32,
    },
    Pass {
        millis: u16,
    },
    Slow {
        slow: bool,
    },
    Forge {
        from: u32,
        to: u32,
        message: Message<u32>,
    },
}

fn copy() -> impl Strategy<Value = Copied> {
    (0u64..3, 0u64..10, 0u64..100_000_000).prop_map(|(version, size, fresh_us)| Copied {
        version,
        size,
        fresh_us,
    })
}

fn message() -> impl Strategy<Value = Message<u32>> {
    let (ask, version) = (1u64..9, prop::option::of(0u64..3));
    let base = (ask, 0u8..4, version, copy(), 0u32..6, any::<bool>());
    (base, 0u8..10).prop_map(|((ask, object, version, copy, peer, flag), which)| {
        let object = object_number(object);
        match which {
            0 => Message::Get {
                ask,
                object,
                version,
                without: flag.then_some(peer),
            },
            1 => Message::Wait { ask, object },
            2 => Message::Current { ask, object, copy },
            3 => Message::Redirect {
                ask,
                object,
                delegate: peer,
            },
            4 => Message::Origin {
                ask,
                object,
                duty: if flag { Duty::Tell } else { Duty::None },
            },
            5 => Message::Told {
                object,
                outcome: if flag { Told::Got(copy) } else { Told::Failed },
            },
            6 => Message::Fetch {
                ask,
                object,
                version,
            },
            7 => Message::Gone { ask, object },
            8 => Message::Told {
                object,
                outcome: Told::Private,
            },
            _ => Message::Offer {
                objects: vec![Offered {
                    object,
                    copy,
                    delegates: vec![peer],
                }],
            },
        }
    })
}

/// An answer to the last question that was put of its object, if there was one.
fn with_number(net: &Net, to: u32, mut message: Message<u32>) -> Message<u32> {
    let (Message::Wait { ask, object }
    | Message::Current { ask, object, .. }
    | Message::Redirect { ask, object, .. }
    | Message::Origin { ask, object, .. }
    | Message::Gone { ask, object }) = &mut message
    else {
        return message;
    };
    let mut asked = net.asked.iter().rev();
    if *ask % 2 == 0
        && let Some((.., number)) = asked.find(|(peer, of, _)| (*peer, *of) == (to, *object))
    {
        *ask = *number;
    }
    message
}

fn object_number(number: u8) -> Guid {
    Guid::hash(&[number])
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, object) = (0u32..6, 0u8..4);
    prop_oneof![
        8 => (peer.clone(), object.clone()).prop_map(|(peer, object)| Step::Request { peer, object }),
        1 => (object.clone(), 0u8..5).prop_map(|(object, to)| Step::Change { object, to }),
        1 => (peer.clone(), object).prop_map(|(peer, object)| Step::Evict { peer, object }),
        1 => (peer.clone(), peer.clone()).prop_map(|(from, to)| Step::Move { from, to }),
        1 => peer.clone().prop_map(|peer| Step::Kill { peer }),
        1 => peer.clone().prop_map(|peer| Step::Restart { peer }),
        3 => (0u16..5000).prop_map(|millis| Step::Pass { millis }),
        1 => any::<bool>().prop_map(|slow| Step::Slow { slow }),
        2 => (peer.clone(), peer, message())
            .prop_map(|(from, to, message)| Step::Forge { from, to, message }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_request_has_one_answer(
        directory in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let scheme = if directory { Scheme::Directory } else { Scheme::HomeStore };
        let config = Config { scheme, max_asks: 3, max_waiting: 4, max_places: 3, max_entries: 6, ..Config::default() };
        let mut net = Net::with(config.clone(), 6);
        let mut tickets = Vec::new();
        for step in steps {
            match step {
                Step::Request { peer, object } if !net.dead.contains(&peer) => {
                    tickets.push((peer, net.request(peer, object_number(object))));
                }
                Step::Change { object, to } => {
                    let to = match to {
                        0 => Origin::Down,
                        1 => Origin::Private,
                        version => Origin::Public(version.into()),
                    };
                    net.origin.insert(object_number(object), to);
                }
                Step::Evict { peer, object } => net.evict(peer, object_number(object)),
                Step::Move { from, to } => net.input(from, Input::Moved { span: Span::full(), to }),
                Step::Kill { peer } if net.dead.len() < 5 => {
                    net.dead.insert(peer);
                    tickets.retain(|(of, _)| *of != peer);
                }
                Step::Restart { peer } if net.dead.remove(&peer) => net.add(peer, config.clone()),
                Step::Pass { millis } => net.pass(Duration::from_millis(millis.into())),
                Step::Slow { slow } => net.origin_is_slow = slow,
                // Numbers cannot be guessed: here they are, in part, known.
                Step::Forge { from, to, message } => {
                    let message = with_number(&net, to, message);
                    net.deliver(from, to, message);
                }
                Step::Request { .. } | Step::Kill { .. } | Step::Restart { .. } => {}
            }
        }
        net.origin_is_slow = false;
        net.pass(Duration::from_secs(600));
        for (peer, ticket) in tickets {
            prop_assert!(net.source_of(ticket).is_some(), "{peer} gave {ticket:?} no answer");
        }
    }
}
