//! New versions of objects as they come (E9 to E11 of `docs/specs/notify.md`).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use data_encoding::BASE64URL_NOPAD;
use futures::{Stream, StreamExt, stream};
use guid::Guid;
use notify::{FollowError, Following, Statement};
use objects::{Heads, Version};

use super::{
    App,
    failure::ApiError,
    named::{describe_record, fork_of, resolve},
    types::{Failure, ObjectEvent},
};

/// A line that says nothing but that the connection is there, so that proxies keep it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The newest version of each object, now and whenever there is a newer one. A name that does
/// not exist yet is waited for. Whoever is slow gets the newest of each and not all between.
/// With the id of the last event in `Last-Event-ID`, what came with or before it is not sent
/// again.
#[utoipa::path(get, path = "/api/v1/watch",
    params(("name" = Vec<String>, Query, description = "NAME, OWNER:NAME or hedgerow:AGUID, 1 to 64 of them"),
        ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was got")),
    responses(
    (status = 200, body = ObjectEvent, content_type = "text/event-stream"),
    (status = 400, body = Failure), (status = 404, body = Failure), (status = 503, body = Failure)))]
pub(crate) async fn watch(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut watched = Watched::default();
    for (key, text) in query {
        if key != "name" {
            return Err(ApiError::bad_request(format!(
                "there is no parameter {key:?}"
            )));
        }
        // More is refused below; names are not looked up for it.
        if watched.names.len() > notify::MAX_SUBJECTS {
            break;
        }
        let named = resolve(&app, &text).await?;
        if named.version != Version::Newest {
            return Err(ApiError::bad_request(format!(
                "{text} is a version, and never changes: watch the name"
            )));
        }
        watched.add(named.aguid, text);
    }
    let last = headers.get("last-event-id");
    if let Some(last) = last.and_then(|last| last.to_str().ok()) {
        watched.resume(last);
    }
    let following = app.versions.follow(watched.subjects()).await;
    let following = following.map_err(failed)?;
    let next = |(mut following, mut watched): (Following, Watched)| async move {
        loop {
            let statement = following.next().await?;
            if let Some(event) = watched.event(&statement) {
                return Some((Ok(event), (following, watched)));
            }
        }
    };
    let events = stream::unfold((following, watched), next);
    let events = events.take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn failed(error: FollowError) -> ApiError {
    match error {
        FollowError::Subjects => ApiError::bad_request(error),
        FollowError::Watchers | FollowError::Followed | FollowError::Stopped => {
            ApiError::unavailable(error)
        }
    }
}

/// What a client watches, in its order, and what it was told.
#[derive(Debug, Default)]
struct Watched {
    names: Vec<(Guid, String)>,
    /// The version of each; none before the first.
    told: Vec<Option<u64>>,
}

impl Watched {
    fn add(&mut self, aguid: Guid, text: String) {
        if self.names.iter().all(|(known, _)| *known != aguid) {
            self.names.push((aguid, text));
            self.told.push(None);
        }
    }

    fn subjects(&self) -> Vec<(Guid, Option<u64>)> {
        let subjects = self.names.iter().map(|(aguid, _)| *aguid);
        subjects.zip(self.told.iter().copied()).collect()
    }

    /// Which objects these are, in this order.
    fn which(&self) -> [u8; 8] {
        let all: Vec<u8> = self
            .names
            .iter()
            .flat_map(|(aguid, _)| aguid.to_bytes())
            .collect();
        let hash = Guid::hash(&all).to_bytes();
        let (first, _) = hash.split_first_chunk().expect("a GUID has 16 bytes");
        *first
    }

    /// All that the client was told, so that any node can go on from there (E10). No object
    /// has version 0.
    fn id(&self) -> String {
        let told = self.told.iter().map(|told| told.unwrap_or_default());
        let told = told.flat_map(u64::to_be_bytes);
        let all: Vec<u8> = self.which().into_iter().chain(told).collect();
        BASE64URL_NOPAD.encode(&all)
    }

    /// Goes on behind what an id says. One of other objects says nothing.
    fn resume(&mut self, id: &str) {
        let Ok(bytes) = BASE64URL_NOPAD.decode(id.as_bytes()) else {
            return;
        };
        let Some(told) = bytes.strip_prefix(&self.which()) else {
            return;
        };
        let (told, rest) = told.as_chunks::<8>();
        if told.len() != self.told.len() || !rest.is_empty() {
            return;
        }
        let versions = told.iter().map(|bytes| u64::from_be_bytes(*bytes));
        self.told = versions
            .map(|version| (version > 0).then_some(version))
            .collect();
    }

    fn event(&mut self, statement: &Statement) -> Option<Event> {
        let at = self
            .names
            .iter()
            .position(|(aguid, _)| *aguid == statement.subject)?;
        // It was checked before; what is not good says nothing.
        let heads = Heads::decode(statement.subject, &statement.data).ok()?;
        self.told[at] = Some(statement.version);
        let event = ObjectEvent {
            reference: self.names[at].1.clone(),
            aguid: statement.subject.to_string(),
            newest: heads.seq(),
            version: heads.single().map(describe_record),
            fork: fork_of(&heads),
        };
        let data = serde_json::to_string(&event).expect("a struct of texts and numbers");
        Some(Event::default().id(self.id()).event("version").data(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(names: &[u128]) -> Watched {
        let mut watched = Watched::default();
        for name in names {
            watched.add(Guid::new(*name), name.to_string());
        }
        watched
    }

    #[test]
    fn an_id_says_what_was_told_of_each() {
        let mut before = watched(&[7, 9, 7, 8]);
        before.told = vec![Some(5), None, Some(u64::MAX)];
        let id = before.id();
        let mut after = watched(&[7, 9, 8]);
        after.resume(&id);
        assert_eq!(after.told, before.told);
        // Of other objects, in another order, and what is none.
        for (names, id) in [
            (&[7, 9][..], &*id),
            (&[9, 7, 8], &id),
            (&[7, 9, 8], &id[1..]),
            (&[7, 9, 8], ""),
            (&[7, 9, 8], "?"),
        ] {
            let mut other = watched(names);
            other.resume(id);
            assert!(other.told.iter().all(Option::is_none), "{names:?} {id}");
        }
        // The longest goes into a header with ease.
        let most: Vec<u128> = (0..notify::MAX_SUBJECTS as u128).collect();
        assert!(watched(&most).id().len() < 1_024);
    }
}
