//! The origin, asked on behalf of peers (Q8, Q36), and what is said to be still right (Q4).

use std::{sync::Arc, time::Duration, time::SystemTime};

use guid::Guid;
use http::{HeaderMap, Method, StatusCode, Version, header};
use http_cache_semantics::BeforeRequest;
use libp2p_identity::PeerId;
use webcache_core::{Copied, Purpose};

use super::{Trust, message::Head, node::Node, owed::Outcome};
use crate::{
    arriving::Reading,
    body,
    forward::{Answer, Failure},
    keeper::{self, Copy, From, New, NotKept},
    stats::Counters,
    store::Stored,
    wanted::Wanted,
};

/// Asks the origin for all that wait at this home, and tells the core what came of it.
pub(super) async fn fetch(node: Arc<Node>, object: Guid, wanted: Arc<Wanted>, asker: PeerId) {
    // Its own clients are bounded elsewhere.
    let place = match asker == node.me {
        true => None,
        false => match node.fetches.take(asker) {
            Some(place) => Some(place),
            None => return node.fetched(object, Purpose::Group, Outcome::Failed),
        },
    };
    let (outcome, reading) = ask(&node, object, &wanted).await;
    node.fetched(object, Purpose::Group, outcome);
    // Whoever waited reads it by now.
    let done = reading.map(|reading| reading.arriving.done.clone());
    if let Some(done) = done {
        done.cancelled().await;
    }
    drop(place);
}

async fn ask(node: &Arc<Node>, object: Guid, wanted: &Wanted) -> (Outcome, Option<Reading>) {
    if node.config.offline {
        return (Outcome::Failed, None);
    }
    let counters = &node.keeper.counters;
    let stale = stale(node, object, wanted);
    let (stored, fields) = match stale {
        Some((stored, conditions)) => (Some(stored), conditions),
        None => (None, wanted.plain.clone()),
    };
    let conditions = fields.clone();
    let sent = node.origins.send(
        Method::GET,
        &wanted.url,
        Version::HTTP_11,
        fields,
        body::empty(),
    );
    let answer = match sent.await {
        Ok(answer) => answer,
        Err(failure) => {
            if matches!(failure, Failure::NotPublic) {
                Counters::add(&counters.not_public);
            }
            tracing::debug!(url = %wanted.url, %failure, "web cache: not got for peers");
            return (Outcome::Failed, None);
        }
    };
    Counters::add(&counters.fetched_for_peers);
    match (stored, answer.response.status()) {
        (Some(stored), StatusCode::NOT_MODIFIED) => {
            let mut said = answer.response.map(|_| ());
            let keeper = &node.keeper;
            let renewed = keeper.renewed(wanted, &stored, &conditions, &mut said, true);
            let Some((meta, _)) = renewed else {
                return (Outcome::Failed, None);
            };
            let outcome = Outcome::of_renewed(&meta);
            match keeper.keep_renewed(meta, &stored).await {
                Ok(()) => (outcome, None),
                Err(_) => (Outcome::Failed, None),
            }
        }
        // Failures are for who asks.
        (_, status) if status.is_server_error() => (Outcome::Failed, None),
        (_, _) => begin(node, wanted, answer).await,
    }
}

async fn begin(node: &Arc<Node>, wanted: &Wanted, answer: Answer) -> (Outcome, Option<Reading>) {
    let keeper = &node.keeper;
    if !keeper.store.has_room_for_peers() {
        return (Outcome::of_not_kept(NotKept::NoRoom), None);
    }
    let meta = keeper.meta(wanted, &answer.response, answer.framed, true);
    let (meta, promise) = match meta {
        Ok(kept) => kept,
        Err(why) => return (Outcome::of_not_kept(why), None),
    };
    let outcome = Outcome::of_new(&meta);
    if outcome == Outcome::Private {
        return (outcome, None);
    }
    let (head, body) = answer.response.into_parts();
    let new = New {
        from: From::Origin,
        meta,
        promise,
        length: keeper::content_length(&head.headers),
        head: (head.status, head.headers),
        body: body::of_origin(body, node.config.stall_timeout),
        hurry: true,
    };
    match keeper.begin(new).await {
        Ok((reading, _)) => (outcome, Some(reading)),
        Err((error, _)) => {
            tracing::warn!(%error, "web cache: an answer is not kept");
            (Outcome::Failed, None)
        }
    }
}

/// The stale copy that is here, with the fields of a request that asks whether it is right.
fn stale(node: &Node, object: Guid, wanted: &Wanted) -> Option<(Arc<Stored>, HeaderMap)> {
    let Some(Copy::Stored(stored)) = node.keeper.find(object, wanted, true) else {
        return None;
    };
    let request = wanted.against(&stored);
    match stored
        .meta
        .policy
        .before_request(&request, SystemTime::now())
    {
        BeforeRequest::Stale {
            request,
            matches: true,
        } => Some((stored, request.headers)),
        BeforeRequest::Stale { .. } | BeforeRequest::Fresh(_) => None,
    }
}

/// Renews the stale copy that is here by what a home says of it, if that makes it fresh.
pub(super) async fn renew(node: &Arc<Node>, wanted: &Wanted, head: &Head, copy: Copied) -> bool {
    let keeper = &node.keeper;
    let object = wanted.plain_object();
    let Some(Copy::Stored(stored)) = keeper.find(object, wanted, false) else {
        return false;
    };
    // What no digest covers a liar could make fresh for ever, or turn into something else.
    let believed = node.settings.trust == Trust::All;
    if stored.meta.version != copy.version || !(believed || stored.meta.is_checked(wanted)) {
        return false;
    }
    let head = match believed {
        true => head,
        false => &Head::new(StatusCode::NOT_MODIFIED, &HeaderMap::new(), None),
    };
    let Some(mut said) = head.response() else {
        return false;
    };
    *said.status_mut() = StatusCode::NOT_MODIFIED;
    said.headers_mut().remove(header::CONTENT_LENGTH);
    if head.fields.is_empty() {
        say_age(&stored, copy, said.headers_mut());
    }
    let request = wanted.against(&stored);
    let before = stored
        .meta
        .policy
        .before_request(&request, SystemTime::now());
    let BeforeRequest::Stale { request, .. } = before else {
        return true;
    };
    let conditions = &request.headers;
    let Some((meta, _)) = keeper.renewed(wanted, &stored, conditions, &mut said, true) else {
        return false;
    };
    if meta.policy.time_to_live(SystemTime::now()).is_zero() {
        return false;
    }
    keeper.keep_renewed(meta, &stored).await.is_ok()
}

/// A directory knows for how long a copy is fresh, and no more: that is said as an age, which the
/// copy's own lifetime is reckoned with. It makes nothing fresh for longer than it was at first.
fn say_age(stored: &Stored, copy: Copied, fields: &mut HeaderMap) {
    let policy = &stored.meta.policy;
    // At a time before it came, it is as old as it was said to be then.
    let before = SystemTime::UNIX_EPOCH;
    let lifetime = policy.time_to_live(before) + policy.age(before);
    let fresh = Duration::from_micros(copy.fresh_us).min(lifetime);
    let age = lifetime.saturating_sub(fresh).as_secs();
    fields.insert(header::AGE, age.into());
    if let Ok(date) = httpdate::fmt_http_date(SystemTime::now()).parse() {
        fields.insert(header::DATE, date);
    }
}
