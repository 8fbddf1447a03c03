use bytes::Bytes;
use guid::Guid;
use overlay_core::{
    Addrs, Config, Contact, Input, MAX_ADDRS, MAX_PAYLOAD, Message, MessageId, Part, Routed, View,
};
use proptest::prelude::*;

use crate::net::Net;

fn contact(addrs: usize) -> Contact<u32> {
    Contact {
        guid: Guid::new(5),
        peer: 5,
        addrs: Addrs::new(Bytes::from(vec![0; addrs])),
    }
}

fn probe(view: View<u32>) -> Message<u32> {
    Message::Probe { nonce: 1, view }
}

#[test]
fn lists_numbers_and_payloads_out_of_bounds_are_refused() {
    let config = Config::default();
    let view = View {
        sender: contact(0),
        active: true,
        leafs: Vec::new(),
        failed: Vec::new(),
        rtt_micros: None,
        probe_period_ms: 0,
    };
    let id = MessageId {
        origin: contact(0).guid,
        number: 1,
    };
    let payload = Bytes::from(vec![0; MAX_PAYLOAD + 1]);
    let body = overlay_core::Body::App {
        app: overlay_core::AppId(0),
        payload,
        wants_reply: false,
        any_of: None,
    };
    let routed = Routed {
        id,
        key: Guid::new(0),
        origin: contact(0),
        hops: 0,
        trace: None,
        body,
    };
    let refused = [
        probe(View {
            leafs: vec![contact(0); 1025],
            ..view.clone()
        }),
        probe(View {
            failed: vec![Guid::new(1); 65],
            ..view.clone()
        }),
        probe(View {
            sender: contact(MAX_ADDRS + 1),
            ..view.clone()
        }),
        Message::StateRequest {
            nonce: 1,
            part: Part::Row(32),
        },
        Message::StateReply {
            nonce: 1,
            part: Part::Near,
            contacts: vec![contact(0); 2],
            rtts: vec![1],
        },
        Message::Route(routed.clone()),
        Message::Route(Routed {
            hops: 65,
            body: overlay_core::Body::ReplicaSet { k: 1 },
            ..routed.clone()
        }),
        // In the name of another node.
        Message::Route(Routed {
            id: MessageId {
                origin: Guid::new(77),
                ..id
            },
            body: overlay_core::Body::ReplicaSet { k: 1 },
            ..routed
        }),
    ];
    for message in refused {
        assert!(message.validate(&config).is_err(), "{}", message.kind());
    }
    assert!(probe(view).validate(&config).is_ok());
}

/// Messages with random contents from a node nobody invited.
fn hostile() -> impl Strategy<Value = Message<u32>> {
    // The driver has checked each GUID against its key, so it follows from the peer.
    let contact = (6u32..40).prop_map(|peer| Contact {
        guid: Guid::hash(&peer.to_be_bytes()),
        peer,
        addrs: Addrs::default(),
    });
    let list = prop::collection::vec(contact.clone(), 0..20);
    let view =
        (contact.clone(), any::<bool>(), list.clone()).prop_map(|(sender, active, leafs)| View {
            failed: leafs.iter().map(|leaf| leaf.guid).collect(),
            sender,
            active,
            leafs,
            rtt_micros: active.then_some(0),
            probe_period_ms: 0,
        });
    let id = (any::<u128>(), any::<u64>()).prop_map(|(origin, number)| MessageId {
        origin: Guid::new(origin),
        number,
    });
    let routed = (
        id.clone(),
        any::<u128>(),
        contact.clone(),
        0u8..65,
        list.clone(),
    )
        .prop_map(|(id, key, origin, hops, rows)| Routed {
            id: MessageId {
                origin: origin.guid,
                ..id
            },
            key: Guid::new(key),
            origin,
            hops,
            trace: None,
            body: overlay_core::Body::Join {
                near: rows.clone(),
                rows,
            },
        });
    prop_oneof![
        (any::<u64>(), view.clone()).prop_map(|(nonce, view)| Message::Probe { nonce, view }),
        (any::<u64>(), view).prop_map(|(nonce, view)| Message::ProbeReply { nonce, view }),
        (any::<u64>(), any::<bool>()).prop_map(|(nonce, active)| Message::Pong { nonce, active }),
        routed.prop_map(Message::Route),
        id.clone().prop_map(|id| Message::Ack { id }),
        id.prop_map(|id| Message::Refuse { id }),
        (any::<u64>(), list).prop_map(|(nonce, contacts)| Message::StateReply {
            nonce,
            part: Part::Near,
            rtts: vec![0; contacts.len()],
            contacts,
        }),
        (0u8..32).prop_map(|row| Message::StateRequest {
            nonce: 1,
            part: Part::Row(row)
        }),
        (contact, any::<u32>())
            .prop_map(|(sender, rtt_micros)| Message::Announce { sender, rtt_micros }),
        Just(Message::Heartbeat),
        Just(Message::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_breaks_an_invariant(seed in 0u64..100, messages in prop::collection::vec((0u32..6, 6u32..40, hostile()), 1..100)) {
        let mut net = Net::grow(seed, 6);
        for (node, from, message) in messages {
            net.input(node, Input::Received { from, message });
            net.run(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn arbitrary_bytes_never_decode_into_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = serde_ipld_dagcbor::from_slice::<Message<u32>>(&bytes) {
            let _ = message.validate(&Config::default());
        }
    }

    #[test]
    fn messages_survive_their_encoding(message in hostile()) {
        let bytes = serde_ipld_dagcbor::to_vec(&message).unwrap();
        prop_assert_eq!(serde_ipld_dagcbor::from_slice::<Message<u32>>(&bytes).unwrap(), message);
    }
}
