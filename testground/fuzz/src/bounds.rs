//! The bounds of P26, L17 and O4, said a second time: what a decoder lets through and what
//! a core sends has to keep them, whatever `Message::validate` thinks.

use overlay_core::{
    Answer, Body, Config, Contact, Location, Message, Part, Routed, Search, Task, TraceHop,
};

/// Checks one message.
///
/// # Panics
/// When a bound is exceeded.
pub(crate) fn assert_bounded<P>(message: &Message<P>, config: &Config) {
    for contact in message.contacts() {
        assert!(contact.addrs.as_bytes().len() <= 512, "long addresses");
    }
    match message {
        Message::Probe { view, .. } | Message::ProbeReply { view, .. } => {
            list(&view.leafs);
            assert!(view.failed.len() <= 64, "many dead");
        }
        Message::Route(routed) => assert_routed(routed),
        Message::Reply { trace, answer, .. } => {
            assert_trace(trace.as_deref());
            assert_answer(answer);
        }
        Message::StateRequest { part, .. } => assert_part(*part, config),
        Message::StateReply {
            part,
            contacts,
            rtts,
            ..
        } => {
            assert_part(*part, config);
            list(contacts);
            assert_eq!(contacts.len(), rtts.len(), "a distance for each");
        }
        Message::Location(message) => assert_location(message),
        Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Heartbeat
        | Message::Ack { .. }
        | Message::Refuse { .. }
        | Message::Announce { .. }
        | Message::Leave => {}
    }
}

fn list<P>(contacts: &[Contact<P>]) {
    assert!(contacts.len() <= 1024, "a list of {}", contacts.len());
}

fn assert_part(part: Part, config: &Config) {
    if let Part::Row(row) = part {
        let rows = 128 / config.digit_bits;
        assert!(u32::from(row) < rows, "row {row} of {rows}");
    }
}

fn assert_trace<P>(trace: Option<&[TraceHop<P>]>) {
    let length = trace.map_or(0, <[_]>::len);
    assert!(length <= 65, "a trace of {length}");
}

fn assert_payload(payload: &[u8]) {
    assert!(payload.len() <= 64 * 1024, "{} bytes", payload.len());
}

fn assert_task(task: &Task) {
    match task {
        Task::Find => {}
        Task::Deliver { payload, .. } => assert_payload(payload),
    }
}

fn assert_routed<P>(routed: &Routed<P>) {
    assert!(routed.hops <= 64, "{} hops", routed.hops);
    assert_trace(routed.trace.as_deref());
    match &routed.body {
        Body::App { payload, .. } => assert_payload(payload),
        Body::Join { rows, near } => {
            list(rows);
            list(near);
        }
        Body::ReplicaSet { .. } | Body::NeighbourSet { .. } => {}
        Body::Search(search) => assert_search(search),
    }
}

fn assert_search(search: &Search) {
    assert!(search.salt < 8, "root {}", search.salt);
    assert!(search.want <= 16, "{} holders", search.want);
    assert!(search.reached.len() <= 32, "many holders");
    assert!(search.silent.len() <= 32, "many silent holders");
    assert!(
        search.asides.as_ref().map_or(0, Vec::len) <= 8,
        "many beside the root"
    );
    assert_task(&search.task);
}

fn assert_answer<P>(answer: &Answer<P>) {
    match answer {
        Answer::App(payload) => assert_payload(payload),
        Answer::Refused(reason) => assert!(reason.len() <= 1024, "a long reason"),
        Answer::Join { rows, near, leafs } => {
            list(rows);
            list(near);
            list(leafs);
        }
        Answer::ReplicaSet(contacts) => list(contacts),
        Answer::Searched { reached } => assert!(reached.len() <= 32, "many holders"),
        Answer::Holder => {}
    }
}

fn assert_location<P>(message: &Location<P>) {
    match message {
        Location::Publish(publish) => {
            assert!(publish.salt.is_none_or(|salt| salt < 8), "a ninth root");
            assert!(publish.except.len() <= 16, "many silent hops");
            let spread = publish.spread;
            let most = spread.backups.max(spread.neighbours).max(spread.copies);
            assert!(most <= 8, "{most} more pointers");
        }
        Location::Published { also, .. } => assert!(also.len() <= 24, "many more"),
        Location::Moved { ways } => {
            assert!(ways.len() <= 64, "many ways");
            assert!(ways.iter().all(|(_, salt)| *salt < 8), "a ninth root");
        }
        Location::Errand(errand) => {
            assert!(errand.hops <= 64, "{} hops", errand.hops);
            assert_task(&errand.task);
        }
        Location::Unpublish { .. }
        | Location::Unpublished { .. }
        | Location::ErrandTaken { .. } => {}
    }
}
