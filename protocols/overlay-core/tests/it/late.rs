//! What comes after it was given up (P9, L18).

use std::time::Duration;

use guid::Guid;
use overlay_core::{
    Addrs, Answer, AppId, Body, Config, Contact, Input, Message, MessageId, Outcome, Output,
    Overlay, RequestId, RouteFailure, Routed, State, Time, TraceHop, View,
};

type Core = Overlay<u32>;

fn contact(peer: u32) -> Contact<u32> {
    Contact {
        guid: Guid::hash(&peer.to_be_bytes()),
        peer,
        addrs: Addrs::default(),
    }
}

/// A network of one.
fn alone(peer: u32) -> Core {
    let mut core = Core::new(Config::default(), contact(peer), peer.into(), Time::ZERO);
    assert_eq!(until(&mut core, Time::from_micros(1_000_000)), []);
    assert_eq!(core.state(), State::Active);
    core
}

fn outputs(core: &mut Core) -> Vec<Output<u32>> {
    std::iter::from_fn(|| core.poll_output()).collect()
}

/// What the core sends.
fn sent(core: &mut Core) -> Vec<Message<u32>> {
    let outputs = outputs(core).into_iter();
    let sent = outputs.filter_map(|output| match output {
        Output::Send { message, .. } => Some(message),
        _ => None,
    });
    sent.collect()
}

/// Lets time pass in which nothing arrives. Gives out what is sent.
fn until(core: &mut Core, end: Time) -> Vec<Message<u32>> {
    let mut all = sent(core);
    while let Some((at, _)) = core.poll_timeout().filter(|(at, _)| *at <= end) {
        core.handle_input(at, Input::Timeout);
        all.extend(sent(core));
    }
    all
}

#[test]
fn who_answers_late_is_taken_in_on_both_sides() {
    let (mut one, mut other) = (alone(1), alone(2));
    let now = Time::from_micros(1_000_000);
    one.handle_input(now, Input::PeerFound(contact(2)));
    // The other sleeps: by now the one has given it up.
    let later = now + Duration::from_secs(10);
    let probes = until(&mut one, later);
    assert!(probes.len() >= 3);
    // Now it wakes up, and everything arrives in time. In the next round it asks who has
    // called and not said how far away it is.
    let mut flying: Vec<(u32, Message<u32>)> = probes.into_iter().map(|one| (2, one)).collect();
    for step in 0..45 {
        let moment = later + Duration::from_millis(100 * step);
        flying.extend(until(&mut one, moment).into_iter().map(|one| (2, one)));
        flying.extend(until(&mut other, moment).into_iter().map(|one| (1, one)));
        while let Some((to, message)) = flying.pop() {
            let (from, core) = match to {
                1 => (2, &mut one),
                _ => (1, &mut other),
            };
            core.handle_input(moment, Input::Received { from, message });
            flying.extend(sent(core).into_iter().map(|message| (from, message)));
        }
    }
    for (core, neighbour) in [(&one, 2), (&other, 1)] {
        let leafs: Vec<u32> = core.larger_leafs().iter().map(|leaf| leaf.peer).collect();
        assert_eq!(leafs, [neighbour]);
    }
}

#[test]
fn who_has_left_says_nothing_when_its_connections_close() {
    let (mut one, now) = (alone(1), Time::from_micros(1_000_000));
    let sender = contact(2);
    one.handle_input(
        now,
        Input::Received {
            from: 2,
            message: Message::Announce {
                sender,
                rtt_micros: 500,
            },
        },
    );
    assert_eq!(one.larger_leafs(), [contact(2)]);
    // It said nothing of having this node for a neighbour, so it is asked.
    assert!(matches!(sent(&mut one)[..], [Message::Probe { .. }]));
    one.handle_input(now, Input::Leave);
    assert_eq!(sent(&mut one), [Message::Leave]);
    one.handle_input(now, Input::PeerGone(2));
    assert_eq!(outputs(&mut one), []);
    assert_eq!(one.poll_timeout(), None);
}

#[test]
fn each_publish_command_ends_by_its_own_deadline() {
    // A joiner whose only seed answers every probe and never lets it in, so that no way is
    // ever walked.
    let config = Config::default();
    let mut core = Core::new(config.clone(), contact(1), 1, Time::ZERO);
    let object = Guid::hash(b"object");
    let at = |secs| Time::ZERO + Duration::from_secs(secs);
    let mut commands = vec![at(8), at(4), at(0)];
    let (mut now, mut made, mut ends) = (Time::ZERO, Vec::new(), Vec::new());
    core.handle_input(now, Input::PeerFound(contact(2)));
    while now < at(25) {
        while let Some(output) = core.poll_output() {
            match output {
                Output::Send {
                    message: Message::Probe { nonce, .. },
                    ..
                } => {
                    let view = View {
                        sender: contact(2),
                        active: true,
                        leafs: Vec::new(),
                        failed: Vec::new(),
                        rtt_micros: None,
                        probe_period_ms: 0,
                    };
                    let message = Message::ProbeReply { nonce, view };
                    core.handle_input(now, Input::Received { from: 2, message });
                }
                Output::Done { request, .. } => ends.push((request, now)),
                _ => {}
            }
        }
        let (due, _) = core.poll_timeout().expect("a joiner waits for something");
        if let Some(begins) = commands.pop_if(|begins| *begins <= due) {
            now = now.max(begins);
            let request = RequestId(made.len() as u64);
            made.push(now);
            core.handle_input(now, Input::Publish { request, object });
        } else {
            now = now.max(due);
            core.handle_input(now, Input::Timeout);
        }
    }
    assert_eq!(core.state(), State::Joining);
    let expected = (0..).zip(&made);
    let expected = expected.map(|(id, made)| (RequestId(id), *made + config.request_timeout));
    assert_eq!(ends, expected.collect::<Vec<_>>());
}

/// The name of the message by which a core asks, and its answer as `answer` makes it.
fn asked(core: &mut Core, now: Time, answer: Answer<u32>) -> Vec<Output<u32>> {
    let message = until(core, now)
        .into_iter()
        .find_map(|message| match message {
            Message::Route(routed) => Some(routed.id),
            _ => None,
        });
    let id = message.expect("it asks");
    core.handle_input(
        now,
        Input::Received {
            from: 2,
            message: Message::Reply {
                id,
                hops: 1,
                trace: None,
                from: contact(2),
                answer,
            },
        },
    );
    outputs(core)
}

#[test]
fn an_answer_of_another_kind_is_none() {
    let (mut core, now) = (alone(1), Time::from_micros(1_000_000));
    let announce = Message::Announce {
        sender: contact(2),
        rtt_micros: 500,
    };
    core.handle_input(
        now,
        Input::Received {
            from: 2,
            message: announce,
        },
    );
    let route = |request| Input::Route {
        request: RequestId(request),
        key: contact(2).guid,
        k: 1,
        app: AppId(1),
        payload: "hello".into(),
        wants_reply: true,
    };
    core.handle_input(now, route(1));
    assert_eq!(asked(&mut core, now, Answer::Holder), []);
    core.handle_input(now, route(2));
    let done = asked(&mut core, now, Answer::Refused("no".to_owned()));
    let refused = Err(RouteFailure::Refused("no".to_owned()));
    assert!(
        matches!(&done[..], [Output::Done { request: RequestId(2), outcome }]
        if *outcome == refused)
    );

    let trace = Input::Locate {
        request: RequestId(3),
        key: contact(2).guid,
        k: 2,
        trace: true,
    };
    core.handle_input(now, trace);
    let many = (2..20).map(contact).collect();
    let done = asked(&mut core, now, Answer::ReplicaSet(many));
    let [
        Output::Done {
            outcome: Ok(Outcome::Replied { answer, .. }),
            ..
        },
    ] = &done[..]
    else {
        panic!("it brought {done:?}");
    };
    assert_eq!(answer, &Answer::ReplicaSet(vec![contact(2), contact(3)]));
}

#[test]
fn a_trace_that_is_full_grows_no_more() {
    let (mut core, now) = (alone(1), Time::from_micros(1_000_000));
    let announce = Message::Announce {
        sender: contact(2),
        rtt_micros: 500,
    };
    let hop = |peer| TraceHop {
        contact: contact(peer),
        rtt_micros: None,
    };
    let routed = Message::Route(Routed {
        id: MessageId {
            origin: contact(3).guid,
            number: 1,
        },
        key: contact(2).guid,
        origin: contact(3),
        hops: 0,
        trace: Some((100..165).map(hop).collect()),
        body: Body::ReplicaSet { k: 1 },
    });
    for (from, message) in [(2, announce), (3, routed)] {
        assert_eq!(message.validate(&Config::default()), Ok(()));
        core.handle_input(now, Input::Received { from, message });
    }
    let sent = sent(&mut core);
    assert!(sent.iter().any(|one| matches!(one, Message::Route(_))));
    for message in sent {
        assert_eq!(message.validate(&Config::default()), Ok(()));
    }
}
