//! `GET`: the store, what is on its way, the origin (Q20 to Q28).

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts, response};
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy};
use hyper::{Request, Response, body::Incoming};
use tokio::{fs::File, sync::watch};

use super::{Shared, is_partial};
use crate::{
    answer,
    arriving::{self, Arriving, End, Progress},
    body::{self, Body},
    file::BodyFile,
    flights::{Flight, Lead, Part},
    forward::{Answer, Failure},
    headers::{self, CacheStatus, Directives, directives},
    rules,
    stats::Counters,
    store::{self, Meta, Promise, Stored},
};

/// How often a request waits for what others fetch before it goes by itself.
const MAX_TURNS: usize = 4;

/// Longer than anything is stale.
const ANY_AGE: u64 = 1 << 40;

/// What was asked for.
#[derive(Clone)]
struct Wanted {
    url: Uri,
    text: String,
    /// Without what is for the client's hop alone.
    parts: Parts,
    directives: Directives,
    /// Fields as the rules of caching look at them: without the client's own conditions, which
    /// are held against what the store has.
    plain: HeaderMap,
}

impl Wanted {
    fn new(url: Uri, mut parts: Parts) -> Wanted {
        headers::strip(&mut parts.headers);
        let mut plain = parts.headers.clone();
        for name in [
            // It is in the URL already, in one spelling.
            header::HOST,
            header::CONTENT_LENGTH,
            header::RANGE,
            header::IF_RANGE,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
        ] {
            plain.remove(name);
        }
        rules::join(&mut plain);
        rules::directives(&mut plain);
        Wanted {
            text: url.to_string(),
            url,
            directives: directives(&parts.headers),
            parts,
            plain,
        }
    }

    /// A request with these fields.
    fn with(&self, fields: HeaderMap) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = fields;
        request
    }

    /// As it is held against a stored answer.
    fn against(&self, stored: &Stored) -> Request<()> {
        let mut fields = self.plain.clone();
        if stored.meta.strict {
            rules::without_directive(&mut fields, "max-stale");
        }
        self.with(fields)
    }
}

impl Shared {
    /// `GET` and `HEAD`.
    pub(super) async fn look_up(self: Arc<Self>, url: Uri, parts: Parts) -> Response<Body> {
        // Q25: what is asked for with a name and a password is for who asks.
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return self.pass(url, parts, body::empty(), "bypass").await;
        }
        let wanted = Wanted::new(url, parts);
        for _ in 0..MAX_TURNS {
            let object = self.store.object(&wanted.text, &wanted.plain);
            let mut why = "uri-miss";
            let mut stale = None;
            if let Some(stored) = self.store.find(object) {
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
                Part::Lead(lead) => return self.fetch(&wanted, lead, stale, why).await,
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
                    return self.collapsed(&arriving, why).await;
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

    async fn hit(
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

    async fn give(
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

    async fn collapsed(&self, arriving: &Arriving, why: &'static str) -> Response<Body> {
        Counters::add(&self.counters.collapsed);
        let status = CacheStatus::Forwarded {
            why,
            status: Some(arriving.head.0),
            stored: true,
            collapsed: true,
            detail: None,
        };
        match arriving.body().await {
            Ok(body) => answer::of_arriving(arriving, body, &status, &self.config.name),
            Err(error) => self.broken(&error),
        }
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
            let response = shared.fetch(&wanted, lead, stale, "stale").await;
            body::drain(response.into_body()).await;
        });
    }

    /// Asks the origin, for this client and all who wait.
    async fn fetch(
        self: &Arc<Self>,
        wanted: &Wanted,
        lead: Lead,
        stale: Option<(Arc<Stored>, HeaderMap)>,
        why: &'static str,
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
                    .still_right(wanted, lead, stored, conditions, answer)
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
        self.take(wanted, lead, answer, why).await
    }

    /// The origin says that the stored answer is what it would send.
    async fn still_right(
        &self,
        wanted: &Wanted,
        lead: Lead,
        stored: Arc<Stored>,
        conditions: &HeaderMap,
        mut answer: Answer,
    ) -> Response<Body> {
        // Many do not repeat what they were asked about; nothing else was asked about.
        let fields = answer.response.headers_mut();
        for (asked, said) in [
            (header::IF_NONE_MATCH, header::ETAG),
            (header::IF_MODIFIED_SINCE, header::LAST_MODIFIED),
        ] {
            if !fields.contains_key(&said)
                && let Some(value) = conditions.get(asked)
            {
                fields.insert(said, value.clone());
            }
        }
        let said = rules::answer(&answer.response);
        let now_varies = store::vary(said.headers()).unwrap_or_default();
        let vary = stored.meta.vary.iter().chain(&now_varies);
        let plain = wanted.with(rules::kept_of_request(&wanted.plain, vary));
        let now = SystemTime::now();
        let after = stored.meta.policy.after_response(&plain, &said, now);
        let AfterResponse::NotModified(policy, head) = after else {
            // It speaks of something else: what is stored is of no use, and this no answer.
            self.store
                .forget(self.store.object(&wanted.text, &wanted.plain));
            lead.tell(Flight::Over { stored: false });
            let (url, parts) = (wanted.url.clone(), wanted.parts.clone());
            return self.pass(url, parts, body::empty(), "stale").await;
        };
        let renewed = Meta {
            policy,
            ..stored.meta.clone()
        };
        let file = Arc::clone(&stored.file);
        if let Err(error) = keep(Arc::clone(&self.store), renewed, file).await {
            tracing::warn!(%error, "web cache: an answer's new age is not kept");
        }
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
    ) -> Response<Body> {
        let status = answer.response.status();
        let mut cache_status = CacheStatus::forwarded(why);
        let length = content_length(answer.response.headers());
        let meta = self.meta(wanted, &answer, length);
        let stored = meta.is_some();
        if let CacheStatus::Forwarded {
            status: seen,
            stored: kept,
            ..
        } = &mut cache_status
        {
            (*seen, *kept) = (Some(status), stored);
        }
        let Some((meta, promise)) = meta else {
            // Of the one that was kept before, nothing is right any more.
            if status.is_success() {
                self.store.invalidate(&wanted.text, &wanted.plain);
            }
            lead.tell(Flight::Over { stored: false });
            let stall = self.config.stall_timeout;
            let mut response = answer.response.map(|body| body::of_origin(body, stall));
            cache_status.add_to(response.headers_mut(), &self.config.name);
            return response;
        };
        let (head, body) = answer.response.into_parts();
        match self.begin(meta, promise, &head, length, lead, body).await {
            Ok((arriving, body)) => {
                answer::of_arriving(&arriving, body, &cache_status, &self.config.name)
            }
            Err((error, body)) => {
                // Without a disk there is still the answer.
                tracing::warn!(%error, "web cache: an answer is not kept");
                let stall = self.config.stall_timeout;
                Response::from_parts(head, body::of_origin(body, stall))
            }
        }
    }

    /// What would be known of an answer in the store; `None` if it must not, or need not, be
    /// there (Q25).
    fn meta(
        &self,
        wanted: &Wanted,
        answer: &Answer,
        length: Option<u64>,
    ) -> Option<(Meta, Promise)> {
        let response = rules::answer(&answer.response);
        let fields = response.headers();
        let vary = store::vary(fields)?;
        let plain = wanted.with(rules::kept_of_request(&wanted.plain, &vary));
        let policy = CachePolicy::new(&plain, &response);
        let is_useful = fields.contains_key(header::ETAG)
            || fields.contains_key(header::LAST_MODIFIED)
            || policy.time_to_live(SystemTime::now()) > Duration::ZERO;
        let may_be = policy.is_storable()
            && is_useful
            && answer.framed
            && response.status() != StatusCode::PARTIAL_CONTENT
            && !fields.contains_key(header::SET_COOKIE)
            && length.is_none_or(|length| length <= self.store.largest());
        if !may_be {
            return None;
        }
        let promise = self.store.promise(length)?;
        let said = directives(fields);
        let object = store::object_for(&wanted.text, &vary, &wanted.plain);
        let meta = Meta {
            url: wanted.text.clone(),
            status: response.status().as_u16(),
            size: 0,
            object: object.to_string(),
            vary,
            stale_if_error: said.stale_if_error,
            stale_while_revalidate: said.stale_while_revalidate,
            strict: said.strict,
            policy,
        };
        Some((meta, promise))
    }

    /// Starts to write a body, which ends in the store or nowhere, and gives it as it comes.
    async fn begin(
        self: &Arc<Self>,
        meta: Meta,
        mut promise: Promise,
        head: &response::Parts,
        length: Option<u64>,
        lead: Lead,
        body: Incoming,
    ) -> Result<(Arc<Arriving>, Body), (io::Error, Incoming)> {
        let (sender, progress) = watch::channel(Progress {
            written: 0,
            end: None,
        });
        let arriving = Arc::new(Arriving {
            meta,
            head: (head.status, head.headers.clone()),
            length,
            file: Arc::new(self.store.new_file()),
            progress,
        });
        // The client's body before any byte comes, so that the first is not for nobody.
        let opened = match File::create_new(arriving.file.path()).await {
            Ok(open) => arriving.body().await.map(|given| (open, given)),
            Err(error) => Err(error),
        };
        let (open, given) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                lead.tell(Flight::Over { stored: false });
                return Err((error, body));
            }
        };
        lead.tell(Flight::Arriving(Arc::clone(&arriving)));
        let (shared, coming) = (Arc::clone(self), Arc::clone(&arriving));
        tokio::spawn(async move {
            let (most, stall) = (shared.store.largest(), shared.config.stall_timeout);
            let received =
                arriving::receive(body, open, length, most, stall, &mut promise, &sender).await;
            drop(promise);
            let end = match received {
                Ok(size) => shared.whole(&coming, size).await,
                Err(error) => {
                    tracing::debug!(%error, "web cache: a body that is not whole");
                    End::Broken
                }
            };
            sender.send_modify(|progress| progress.end = Some(end));
            drop(lead);
        });
        Ok((arriving, given))
    }

    async fn whole(&self, arriving: &Arriving, size: u64) -> End {
        let meta = Meta {
            size,
            ..arriving.meta.clone()
        };
        let file = Arc::clone(&arriving.file);
        match keep(Arc::clone(&self.store), meta, file).await {
            Ok(()) => Counters::add(&self.counters.stored),
            // Those who read it have it all the same.
            Err(error) => tracing::warn!(%error, "web cache: an answer is not kept"),
        }
        End::Whole
    }
}

/// Writes beside the tasks that serve clients.
async fn keep(store: Arc<crate::Store>, meta: Meta, file: Arc<BodyFile>) -> io::Result<()> {
    let keeping = tokio::task::spawn_blocking(move || store.keep(&meta, file));
    keeping
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
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

fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
