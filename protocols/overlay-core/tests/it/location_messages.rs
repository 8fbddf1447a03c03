//! What a hostile node may say about objects, and what comes of it (L4, L15, L17).

use std::time::Duration;

use bytes::Bytes;
use guid::Guid;
use overlay_core::{
    Addrs, Answer, AppId, Body, Config, Contact, Errand, Input, Location, MAX_PAYLOAD, Message,
    MessageId, Publish, RouteFailure, Routed, Search, Spread, Stored, Task, Way,
};
use proptest::prelude::*;

use crate::net::{Net, Node};

fn publish(holder: Contact<Node>, object: Guid) -> Location<Node> {
    Location::Publish(Publish {
        nonce: 1,
        holder,
        object,
        salt: Some(0),
        lifetime: 900,
        except: Vec::new(),
        spread: Spread::default(),
    })
}

fn search(object: Guid) -> Search {
    Search {
        object,
        salt: 0,
        want: 1,
        errand: 1,
        task: Task::Find,
        reached: Vec::new(),
        silent: Vec::new(),
        asides: None,
    }
}

#[test]
fn nobody_publishes_in_the_name_of_another() {
    let mut net = Net::grow(1, 20);
    let object = net.random_key();
    let victim = net.contacts[&7].clone();
    for node in 0..20 {
        let message = Message::Location(publish(victim.clone(), object));
        net.input(node, Input::Received { from: 3, message });
    }
    assert_eq!(net.pointing(object, 7), []);
    assert_eq!(net.pointing(object, 3), []);
    assert_eq!(net.located(9, object, 1), Err(RouteFailure::NotFound));
}

#[test]
fn nobody_takes_away_the_pointers_of_another() {
    let mut net = Net::grow(2, 20);
    let object = net.random_key();
    net.published(7, object);
    let before = net.pointing(object, 7);
    for node in 0..20 {
        for message in [
            Location::Unpublish { nonce: 1, object },
            Location::Unpublished { nonce: 1 },
            Location::ErrandTaken {
                nonce: 1,
                holds: false,
            },
            Location::Moved {
                ways: vec![(object, 0), (object, 7)],
            },
        ] {
            let message = Message::Location(message);
            net.input(node, Input::Received { from: 3, message });
        }
    }
    assert_eq!(net.pointing(object, 7), before);
    assert!(net.located(9, object, 1).is_ok());
}

#[test]
fn a_false_holder_delays_a_search_and_no_more() {
    let mut net = Net::grow(3, 60);
    let object = net.random_key();
    net.published(7, object);
    // It says that it holds the object, and then does not.
    let liar = net.contacts[&8].clone();
    for node in (0..60).filter(|node| *node != 8) {
        let message = Message::Location(publish(liar.clone(), object));
        net.input(node, Input::Received { from: 8, message });
    }
    for from in 20..40 {
        let found = net.located(from, object, 2).expect("one holds it");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].holder.peer, 7);
    }
}

#[test]
fn a_flood_of_pointers_leaves_room_for_others() {
    let mut config = Config::default();
    config.location.max_pointers_of_publisher = 100;
    let mut net = Net::grow_with(4, config, 20);
    let flooder = net.contacts[&8].clone();
    for number in 0u32..2000 {
        let object = Guid::hash(&number.to_be_bytes());
        let message = Message::Location(publish(flooder.clone(), object));
        net.input(0, Input::Received { from: 8, message });
    }
    assert_eq!(net.nodes[&0].pointers().count(), 100);
    let object = net.random_key();
    net.published(7, object);
    assert!(net.located(3, object, 1).is_ok());
}

#[test]
fn lists_and_numbers_out_of_bounds_are_refused() {
    let config = Config::default();
    let me = Contact {
        guid: Guid::new(5),
        peer: 5,
        addrs: Addrs::default(),
    };
    let object = Guid::new(1);
    let id = MessageId {
        origin: me.guid,
        number: 1,
    };
    let routed = |search: Search| {
        Message::Route(Routed {
            id,
            key: object,
            origin: me.clone(),
            hops: 0,
            trace: None,
            body: Body::Search(Box::new(search)),
        })
    };
    let large = Task::Deliver {
        app: AppId(1),
        payload: Bytes::from(vec![0; MAX_PAYLOAD + 1]),
    };
    let many = vec![Guid::new(2); 33];
    let refused = [
        routed(Search {
            salt: 8,
            ..search(object)
        }),
        routed(Search {
            want: 17,
            ..search(object)
        }),
        routed(Search {
            task: large.clone(),
            ..search(object)
        }),
        routed(Search {
            reached: many.clone(),
            ..search(object)
        }),
        routed(Search {
            silent: many.clone(),
            ..search(object)
        }),
        routed(Search {
            asides: Some(many.clone()),
            ..search(object)
        }),
        Message::Location(Location::Moved {
            ways: vec![(object, 0); 65],
        }),
        Message::Location(Location::Moved {
            ways: vec![(object, 8)],
        }),
        Message::Location(Location::Published {
            nonce: 1,
            stored: Stored::Kept,
            way: Way::Root,
            also: vec![me.clone(); 25],
        }),
        Message::Location(Location::Errand(Errand {
            nonce: 1,
            id,
            origin: me.clone(),
            hops: 65,
            object,
            errand: 1,
            task: Task::Find,
        })),
        Message::Reply {
            id,
            hops: 1,
            trace: None,
            from: me.clone(),
            answer: Answer::Searched { reached: many },
        },
    ];
    for message in refused {
        assert!(message.validate(&config).is_err(), "{message:?}");
    }
    let accepted = [
        routed(search(object)),
        Message::Location(publish(me, object)),
    ];
    for message in accepted {
        assert!(message.validate(&config).is_ok());
    }
}

/// Messages with random contents from a node nobody invited.
fn hostile() -> impl Strategy<Value = Message<Node>> {
    let guid = (0u32..8).prop_map(|number| Guid::hash(&number.to_be_bytes()));
    // The driver has checked each GUID against its key, so it follows from the peer.
    let contact = (6u32..40).prop_map(|peer| Contact {
        guid: Guid::hash(&peer.to_be_bytes()),
        peer,
        addrs: Addrs::default(),
    });
    let guids = prop::collection::vec(guid.clone(), 0..9);
    let nonce = 0u64..40;
    let id = (any::<u128>(), any::<u64>()).prop_map(|(origin, number)| MessageId {
        origin: Guid::new(origin),
        number,
    });
    let task = prop_oneof![
        Just(Task::Find),
        (0u16..3).prop_map(|app| Task::Deliver {
            app: AppId(app),
            payload: Bytes::from_static(b"x"),
        })
    ];
    let searched = (
        guid.clone(),
        (0u8..8, 0u8..17, any::<u64>(), task.clone()),
        guids.clone(),
        guids.clone(),
        prop::option::of(guids.clone().prop_map(|mut list| {
            list.truncate(8);
            list
        })),
    )
        .prop_map(
            |(object, (salt, want, errand, task), reached, silent, asides)| Search {
                object,
                salt,
                want,
                errand,
                task,
                reached,
                silent,
                asides,
            },
        );
    let way = prop_oneof![
        Just(Way::Root),
        Just(Way::Unknown),
        contact.clone().prop_map(Way::Next)
    ];
    prop_oneof![
        (
            nonce.clone(),
            contact.clone(),
            guid.clone(),
            prop::option::of(0u8..8),
            any::<u32>(),
            guids.clone()
        )
            .prop_map(|(nonce, holder, object, salt, lifetime, except)| {
                Message::Location(Location::Publish(Publish {
                    nonce,
                    holder,
                    object,
                    salt,
                    lifetime,
                    except,
                    spread: Spread {
                        backups: 8,
                        neighbours: 8,
                        copies: 8,
                    },
                }))
            }),
        (
            nonce.clone(),
            way,
            prop::collection::vec(contact.clone(), 0..20)
        )
            .prop_map(|(nonce, way, also)| Message::Location(Location::Published {
                nonce,
                stored: Stored::Kept,
                way,
                also,
            })),
        (nonce.clone(), guid.clone())
            .prop_map(|(nonce, object)| Message::Location(Location::Unpublish { nonce, object })),
        (nonce.clone(), any::<bool>())
            .prop_map(|(nonce, holds)| Message::Location(Location::ErrandTaken { nonce, holds })),
        prop::collection::vec((guid.clone(), 0u8..8), 0..20)
            .prop_map(|ways| Message::Location(Location::Moved { ways })),
        (nonce, id.clone(), contact.clone(), guid, any::<u64>(), task).prop_map(
            |(nonce, id, origin, object, errand, task)| Message::Location(Location::Errand(
                Errand {
                    nonce,
                    id,
                    origin,
                    hops: 3,
                    object,
                    errand,
                    task,
                }
            ))
        ),
        (
            id.clone(),
            any::<u128>(),
            contact.clone(),
            0u8..65,
            searched
        )
            .prop_map(|(id, key, origin, hops, search)| Message::Route(Routed {
                id: MessageId {
                    origin: origin.guid,
                    ..id
                },
                key: Guid::new(key),
                origin,
                hops,
                trace: None,
                body: Body::Search(Box::new(search)),
            })),
        (id, contact, guids).prop_map(|(id, from, reached)| Message::Reply {
            id,
            hops: 1,
            trace: None,
            from,
            answer: Answer::Searched { reached },
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_breaks_an_invariant(
        seed in 0u64..100,
        messages in prop::collection::vec((0u32..6, 6u32..40, hostile()), 1..100),
    ) {
        let mut net = Net::grow(seed, 6);
        for number in 0u32..4 {
            net.published(number, Guid::hash(&number.to_be_bytes()));
        }
        for (node, from, message) in messages {
            prop_assert!(message.validate(&Config::default()).is_ok());
            net.input(node, Input::Received { from, message });
            net.run(Duration::from_millis(1));
        }
    }

    #[test]
    fn messages_survive_their_encoding(message in hostile()) {
        let bytes = serde_ipld_dagcbor::to_vec(&message).unwrap();
        prop_assert_eq!(serde_ipld_dagcbor::from_slice::<Message<u32>>(&bytes).unwrap(), message);
    }
}
