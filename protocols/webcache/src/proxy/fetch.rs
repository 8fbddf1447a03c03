//! `GET`: the store, what is on its way, the origin (Q20 to Q28).

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts, response};
use http_cache_semantics::BeforeRequest;
use hyper::Response;

use super::{Shared, is_partial};
use crate::{
    answer,
    arriving::Arriving,
    body::{self, Body},
    flights::{Flight, Lead, Part},
    forward::{Answer, Failure},
    headers::CacheStatus,
    keeper::{self, From, New},
    network::{Outcome, Owed, Peers},
    stats::Counters,
    store::Stored,
    wanted::Wanted,
};

/// How often a request waits for what others fetch before it goes by itself.
const MAX_TURNS: usize = 4;

/// Longer than anything is stale.
const ANY_AGE: u64 = 1 << 40;

impl Shared {
    /// `GET` and `HEAD`.
    pub(super) async fn look_up(self: Arc<Self>, url: Uri, parts: Parts) -> Response<Body> {
        // Q25: what is asked for with a name and a password is for who asks.
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return self.pass(url, parts, body::empty(), "bypass").await;
        }
        let learned = self.documents.digest(&url);
        let wanted = Wanted::known(url, parts, learned);
        for _ in 0..MAX_TURNS {
            let object = self.store.object(&wanted.text, &wanted.plain);
            let mut why = "uri-miss";
            let mut stale = None;
            let stored = self.store.find(object);
            let believes = self.believes_peers();
            if let Some(stored) = stored.filter(|stored| stored.meta.is_believed(&wanted, believes))
            {
                let now = SystemTime::now();
                match stored
                    .meta
                    .policy
                    .before_request(&wanted.against(&stored), now)
                {
                    BeforeRequest::Fresh(head) => {
                        return self.hit(&wanted, &stored, head, None).await;
                    }
                    BeforeRequest::Stale { matches: false, .. } => why = "vary-miss",
                    BeforeRequest::Stale { request, .. } => {
                        why = if wanted.directives.no_cache {
                            "request"
                        } else {
                            "stale"
                        };
                        if self.config.offline
                            && let Some(head) = stale_head(&wanted, &stored, ANY_AGE)
                        {
                            return self.hit(&wanted, &stored, head, Some("offline")).await;
                        }
                        let seconds = stored.meta.stale_while_revalidate;
                        if seconds > 0
                            && !wanted.directives.no_cache
                            && let Some(head) = stale_head(&wanted, &stored, seconds)
                        {
                            self.renew(&wanted, object, &stored, request.headers);
                            let detail = Some("stale-while-revalidate");
                            return self.hit(&wanted, &stored, head, detail).await;
                        }
                        stale = Some((stored, request.headers));
                    }
                }
            }
            if wanted.directives.only_if_cached || self.config.offline {
                let text = "not in the web cache";
                return self.refuse(StatusCode::GATEWAY_TIMEOUT, text);
            }
            // What comes of such a request is not the whole, unless the store has it.
            let alone = wanted.parts.method == Method::HEAD
                || (stale.is_none() && is_partial(&wanted.parts.headers));
            if alone {
                return self
                    .pass(wanted.url, wanted.parts, body::empty(), why)
                    .await;
            }
            let mut flight = match self.flights.join(object) {
                Part::Lead(lead) => return self.lead(&wanted, lead, stale, why).await,
                Part::Follow(flight) => flight,
            };
            let landed = flight
                .wait_for(|flight| !matches!(flight, Flight::Asked))
                .await
                .map(|flight| flight.clone());
            match landed {
                Ok(Flight::Arriving(arriving))
                    if !is_partial(&wanted.parts.headers)
                        && arriving.answers(&wanted.text, &wanted.plain)
                        && arriving.is_fresh(SystemTime::now()) =>
                {
                    return self.collapsed(&arriving, why);
                }
                Ok(Flight::Failed(origin)) => {
                    let stored = stale.and_then(|(stored, _)| self.instead(&wanted, stored));
                    match (stored, origin) {
                        (Some((stored, head)), origin) => {
                            let origin = origin.as_ref().copied();
                            return self.stale_instead(&wanted, &stored, head, origin).await;
                        }
                        (None, Err(failure)) => return self.failed(&wanted.text, &failure),
                        // What the origin says of its failure is for who asks.
                        (None, Ok(_)) => break,
                    }
                }
                // Its own way, for another variant or a part, or since it is for one alone or
                // stale as it comes.
                Ok(Flight::Arriving(_) | Flight::Over { stored: false }) => break,
                // It is in the store, or who fetched it has gone.
                Ok(Flight::Over { stored: true } | Flight::Asked) | Err(_) => {}
            }
        }
        self.pass(wanted.url, wanted.parts, body::empty(), "uri-miss")
            .await
    }

    /// Whether all that peers say is believed.
    fn believes_peers(&self) -> bool {
        self.peers.as_ref().is_some_and(Peers::are_believed)
    }

    pub(super) async fn hit(
        &self,
        wanted: &Wanted,
        stored: &Stored,
        head: response::Parts,
        detail: Option<&'static str>,
    ) -> Response<Body> {
        let ttl = stored.meta.policy.time_to_live(SystemTime::now());
        let status = CacheStatus::Hit { ttl, detail };
        Counters::add(&self.counters.hits);
        self.give(wanted, stored, head, &status).await
    }

    pub(super) async fn give(
        &self,
        wanted: &Wanted,
        stored: &Stored,
        head: response::Parts,
        status: &CacheStatus,
    ) -> Response<Body> {
        let Parts {
            method, headers, ..
        } = &wanted.parts;
        let name = &self.config.name;
        match answer::of_stored(method, headers, head, stored, status, name).await {
            Ok(response) => response,
            Err(error) => {
                // Somebody else has been at the files.
                self.store
                    .forget(self.store.object(&wanted.text, &wanted.plain));
                self.broken(&error)
            }
        }
    }

    fn collapsed(&self, arriving: &Arriving, why: &'static str) -> Response<Body> {
        Counters::add(&self.counters.collapsed);
        let status = CacheStatus::Forwarded {
            why,
            status: Some(arriving.head.0),
            stored: true,
            collapsed: true,
            detail: None,
        };
        answer::of_arriving(arriving, arriving.body(), &status, &self.config.name)
    }

    /// Asks the origin while the client has the stale answer already (RFC 5861).
    fn renew(
        self: &Arc<Self>,
        wanted: &Wanted,
        object: guid::Guid,
        stored: &Arc<Stored>,
        conditions: HeaderMap,
    ) {
        let Part::Lead(lead) = self.flights.join(object) else {
            return;
        };
        let wanted = wanted.clone();
        let (shared, stale) = (Arc::clone(self), Some((Arc::clone(stored), conditions)));
        tokio::spawn(async move {
            let response = shared.lead(&wanted, lead, stale, "stale").await;
            body::drain(response.into_body()).await;
        });
    }

    /// Asks the origin, for this client and all who wait.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        wanted: &Wanted,
        lead: Lead,
        stale: Option<(Arc<Stored>, HeaderMap)>,
        why: &'static str,
        owed: Owed,
    ) -> Response<Body> {
        let (stored, fields) = match stale {
            Some((stored, conditions)) => (Some(stored), conditions),
            None => (None, wanted.plain.clone()),
        };
        let conditions = fields.clone();
        let version = wanted.parts.version;
        let sent = self
            .origins
            .send(Method::GET, &wanted.url, version, fields, body::empty());
        let (stored, answer) = match (stored, sent.await) {
            (Some(stored), Ok(answer)) if answer.response.status() == StatusCode::NOT_MODIFIED => {
                let conditions = &conditions;
                return self
                    .still_right(wanted, lead, stored, conditions, answer, owed)
                    .await;
            }
            (stored, Ok(answer)) => (stored, answer),
            (stored, Err(failure)) => {
                lead.tell(Flight::Failed(Err(failure.clone())));
                let stored = stored.and_then(|stored| self.instead(wanted, stored));
                let Some((stored, head)) = stored else {
                    return self.failed(&wanted.text, &failure);
                };
                return self
                    .stale_instead(wanted, &stored, head, Err(&failure))
                    .await;
            }
        };
        let status = answer.response.status();
        if is_outage(status)
            && let Some((stored, head)) = stored.and_then(|stored| self.instead(wanted, stored))
        {
            lead.tell(Flight::Failed(Ok(status)));
            return self.stale_instead(wanted, &stored, head, Ok(status)).await;
        }
        Counters::add(&self.counters.misses);
        self.take(wanted, lead, answer, why, owed).await
    }

    /// The origin says that the stored answer is what it would send.
    async fn still_right(
        &self,
        wanted: &Wanted,
        lead: Lead,
        stored: Arc<Stored>,
        conditions: &HeaderMap,
        answer: Answer,
        owed: Owed,
    ) -> Response<Body> {
        let shared = wanted.is_for_peers() && self.keeper.is_public(answer.remote);
        let mut said = answer.response.map(|_| ());
        let keeper = &self.keeper;
        let renewed = keeper.renewed(wanted, &stored, conditions, &mut said, shared);
        let Some((meta, head)) = renewed else {
            // It speaks of something else: what is stored is of no use, and this no answer.
            self.store
                .forget(self.store.object(&wanted.text, &wanted.plain));
            lead.tell(Flight::Over { stored: false });
            let (url, parts) = (wanted.url.clone(), wanted.parts.clone());
            return self.pass(url, parts, body::empty(), "stale").await;
        };
        let outcome = Outcome::of_renewed(&meta);
        // First: who asks for it next is to find it as it is now.
        let kept = keeper.keep_renewed(meta, &stored).await;
        owed.pay(match kept {
            Ok(()) => outcome,
            Err(error) => {
                tracing::warn!(%error, "web cache: an answer's new age is not kept");
                Outcome::Failed
            }
        });
        lead.tell(Flight::Over { stored: true });
        Counters::add(&self.counters.validated);
        let status = CacheStatus::Forwarded {
            why: "stale",
            status: Some(StatusCode::NOT_MODIFIED),
            stored: true,
            collapsed: false,
            detail: None,
        };
        self.give(wanted, &stored, head, &status).await
    }

    /// The stored answer, if it may be given although the origin fails (RFC 5861).
    fn instead(
        &self,
        wanted: &Wanted,
        stored: Arc<Stored>,
    ) -> Option<(Arc<Stored>, response::Parts)> {
        let seconds = stored
            .meta
            .stale_if_error
            .max(wanted.directives.stale_if_error);
        let head = (seconds > 0)
            .then(|| stale_head(wanted, &stored, seconds))
            .flatten()?;
        Some((stored, head))
    }

    async fn stale_instead(
        &self,
        wanted: &Wanted,
        stored: &Stored,
        head: response::Parts,
        origin: Result<StatusCode, &Failure>,
    ) -> Response<Body> {
        Counters::add(&self.counters.hits);
        let status = CacheStatus::Forwarded {
            why: "stale",
            status: origin.ok(),
            stored: false,
            collapsed: false,
            detail: Some("stale-if-error"),
        };
        self.give(wanted, stored, head, &status).await
    }

    /// An answer with a body: kept while it is handed on, or only handed on.
    async fn take(
        self: &Arc<Self>,
        wanted: &Wanted,
        lead: Lead,
        answer: Answer,
        why: &'static str,
        owed: Owed,
    ) -> Response<Body> {
        let status = answer.response.status();
        let shared = self.keeper.is_public(answer.remote);
        let meta = self
            .keeper
            .meta(wanted, &answer.response, answer.framed, shared);
        let mut cache_status = CacheStatus::Forwarded {
            why,
            status: Some(status),
            stored: meta.is_ok(),
            collapsed: false,
            detail: None,
        };
        let (meta, promise) = match meta {
            Ok(kept) => kept,
            Err(not_kept) => {
                // Of the one that was kept before, nothing is right any more.
                if status.is_success() {
                    self.store.invalidate(&wanted.text, &wanted.plain);
                }
                owed.pay(Outcome::of_not_kept(not_kept));
                lead.tell(Flight::Over { stored: false });
                let stall = self.config.stall_timeout;
                let mut response = answer.response.map(|body| body::of_origin(body, stall));
                cache_status.add_to(response.headers_mut(), &self.config.name);
                return response;
            }
        };
        let (head, body) = answer.response.into_parts();
        let outcome = Outcome::of_new(&meta);
        let new = New {
            from: From::Origin,
            meta,
            promise,
            length: keeper::content_length(&head.headers),
            head: (head.status, head.headers.clone()),
            body: body::of_origin(body, self.config.stall_timeout),
            hurry: false,
        };
        match self.keeper.begin(new).await {
            Ok((reading, given)) => {
                owed.pay(outcome);
                self.give_arriving(&reading.arriving, given, lead, &cache_status)
            }
            Err((error, body)) => {
                // Without a disk there is still the answer.
                tracing::warn!(%error, "web cache: an answer is not kept");
                owed.pay(Outcome::Failed);
                lead.tell(Flight::Over { stored: false });
                cache_status = CacheStatus::forwarded(why);
                let mut response = Response::from_parts(head, body);
                cache_status.add_to(response.headers_mut(), &self.config.name);
                response
            }
        }
    }

    /// A body as it comes, to this client and all who wait.
    pub(super) fn give_arriving(
        &self,
        arriving: &Arc<Arriving>,
        given: Body,
        lead: Lead,
        status: &CacheStatus,
    ) -> Response<Body> {
        lead.tell(Flight::Arriving(Arc::clone(arriving)));
        // Until it is in the store, whoever wants it joins.
        let done = arriving.done.clone();
        tokio::spawn(async move {
            done.cancelled().await;
            drop(lead);
        });
        answer::of_arriving(arriving, given, status, &self.config.name)
    }
}

/// The head of a stored answer, if it may be given though it has been stale for up to `seconds`.
fn stale_head(wanted: &Wanted, stored: &Stored, seconds: u64) -> Option<response::Parts> {
    if stored.meta.strict {
        return None;
    }
    let mut request = wanted.against(stored);
    let max_stale = HeaderValue::from_str(&format!("max-stale={seconds}")).ok()?;
    request
        .headers_mut()
        .insert(header::CACHE_CONTROL, max_stale);
    match stored
        .meta
        .policy
        .before_request(&request, SystemTime::now())
    {
        BeforeRequest::Fresh(head) => Some(head),
        BeforeRequest::Stale { .. } => None,
    }
}

/// Failures of an origin that the stored answer may stand in for (RFC 5861, 4).
fn is_outage(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}
