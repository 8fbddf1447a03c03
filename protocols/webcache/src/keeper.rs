//! What becomes of an answer with a body, wherever it comes from: kept while it is handed on
//! (Q22 to Q25), and there for peers meanwhile (Q32).

use std::{
    collections::HashMap,
    fs::File,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use guid::Guid;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy};
use parking_lot::Mutex;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use webcache_core::object_id;

use crate::{
    Store,
    addresses::Networks,
    arriving::{Arriving, End, Progress, Reading},
    body::Body,
    digest::{self, Check, Known},
    file::BodyFile,
    headers::directives,
    receiving::{self, Broken, Limits, Writer},
    rules,
    stats::Counters,
    store::{self, Meta, Promise, Stored},
    wanted::{self, Wanted},
};

/// The longest body that is held back until it has turned out to be right (Q35).
const MAX_HELD: u64 = 16 * 1024 * 1024;

/// Keeps answers.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) store: Arc<Store>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) networks: Arc<Networks>,
    stall: Duration,
    /// Bodies on their way that peers may have, by the `objectId` of their URLs.
    arriving: Mutex<HashMap<Guid, Vec<Arc<Arriving>>>>,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Origin,
    Peer,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// It must not be, or need not: nobody else may have it.
    Private,
    /// There is no room for it here.
    NoRoom,
}

/// An answer that is to be kept.
pub(crate) struct New {
    pub(crate) from: From,
    pub(crate) meta: Meta,
    pub(crate) promise: Promise,
    pub(crate) head: (StatusCode, HeaderMap),
    pub(crate) length: Option<u64>,
    pub(crate) body: Body,
    /// Whether it has to keep to a least rate: others say where it comes from.
    pub(crate) hurry: bool,
}

/// What there is of an object.
#[derive(Clone, Debug)]
pub(crate) enum Copy {
    Stored(Arc<Stored>),
    Arriving(Reading),
}

impl Copy {
    pub(crate) fn meta(&self) -> &Meta {
        match self {
            Copy::Stored(stored) => &stored.meta,
            Copy::Arriving(reading) => &reading.arriving.meta,
        }
    }
}

impl Keeper {
    pub(crate) fn new(
        store: Arc<Store>,
        counters: Arc<Counters>,
        networks: Arc<Networks>,
        stall: Duration,
    ) -> Keeper {
        Keeper {
            store,
            counters,
            networks,
            stall,
            arriving: Mutex::default(),
        }
    }

    /// Whether what came from an address may be given to peers.
    pub(crate) fn is_public(&self, remote: Option<SocketAddr>) -> bool {
        remote.is_some_and(|at| self.networks.allows_at(at.ip(), at.port()))
    }

    /// What would be known of an answer in the store, if it may, and need, be there (Q25). `shared` says whether peers may have it, as far as who was asked says.
    pub(crate) fn meta<B>(
        &self,
        wanted: &Wanted,
        answer: &Response<B>,
        framed: bool,
        shared: bool,
    ) -> Result<(Meta, Promise), NotKept> {
        let length = content_length(answer.headers());
        let response = rules::answer(answer);
        let fields = response.headers();
        let vary = store::vary(fields).ok_or(NotKept::Private)?;
        let plain = wanted.with(rules::kept_of_request(&wanted.plain, &vary));
        let policy = CachePolicy::new(&plain, &response);
        let is_useful = fields.contains_key(header::ETAG)
            || fields.contains_key(header::LAST_MODIFIED)
            || policy.time_to_live(SystemTime::now()) > Duration::ZERO;
        let may_be = policy.is_storable()
            && is_useful
            && framed
            && response.status() != StatusCode::PARTIAL_CONTENT
            && !fields.contains_key(header::SET_COOKIE);
        if !may_be {
            return Err(NotKept::Private);
        }
        if length.is_some_and(|length| length > self.store.largest()) {
            return Err(NotKept::NoRoom);
        }
        let promise = self.store.promise(length).ok_or(NotKept::NoRoom)?;
        let said = directives(fields);
        let object = store::object_for(&wanted.text, &vary, &wanted.plain);
        let shared = shared
            && wanted.is_for_peers()
            && self.networks.allows_url(&wanted.url)
            && vary.iter().all(|name| wanted::is_carried(name));
        // It is only kept if it holds.
        let can_be = response.status() == StatusCode::OK && digest::is_plain(fields);
        let checked = wanted.known.clone().filter(|_| can_be);
        let meta = Meta {
            url: wanted.text.clone(),
            status: response.status().as_u16(),
            size: 0,
            object: object.to_string(),
            vary,
            stale_if_error: said.stale_if_error,
            stale_while_revalidate: said.stale_while_revalidate,
            strict: said.strict,
            shared,
            checked,
            from_peer: false,
            version: version(object, fields),
            policy,
        };
        Ok((meta, promise))
    }

    /// Starts to write a body, which ends in the store or nowhere, and gives it as it comes. It is
    /// opened before anything comes, so that its reader has the head before it can break off.
    ///
    /// # Errors
    /// The disk's, with the body, of which nothing has been read.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        new: New,
    ) -> Result<(Reading, Body), (io::Error, Body)> {
        let New {
            from,
            meta,
            mut promise,
            head,
            length,
            body,
            hurry,
        } = new;
        let meta = Meta {
            from_peer: from == From::Peer,
            ..meta
        };
        let (checks, held) = checks(from, &meta, &head, length);
        let (sender, progress) = watch::channel(Progress {
            arrived: 0,
            end: None,
        });
        let arriving = Arc::new(Arriving {
            meta,
            head,
            length,
            file: Arc::new(self.store.new_file()),
            window: Arc::default(),
            progress,
            done: CancellationToken::new(),
            held,
        });
        let file = Arc::clone(&arriving.file);
        let opening = spawn_blocking(move || File::create_new(file.path()));
        let opened = opening.await.map_err(io::Error::other);
        let open = match opened.flatten() {
            Ok(open) => open,
            Err(error) => return Err((error, body)),
        };
        let given = arriving.body();
        // Before any byte comes, so that the first is not for nobody.
        let reading = Reading::new(Arc::clone(&arriving));
        let plain = object_id(&arriving.meta.url, []);
        if arriving.meta.shared {
            let mut all = self.arriving.lock();
            all.entry(plain).or_default().push(Arc::clone(&arriving));
        }
        let keeper = Arc::clone(self);
        let done = arriving.done.clone().drop_guard();
        tokio::spawn(async move {
            let limits = Limits {
                length,
                most: keeper.store.largest(),
                stall: keeper.stall,
                least: hurry.then_some(receiving::LEAST_RATE),
                loan: keeper.store.memory().lend(window_of(length)),
            };
            let window = &arriving.window;
            let writer = Writer::new(open, checks, Arc::clone(keeper.store.memory()));
            let received =
                receiving::receive(body, writer, limits, &mut promise, window, &sender).await;
            drop(promise);
            let end = match received {
                Ok(size) => keeper.whole(&arriving, size).await,
                Err(error) => keeper.broken(from, &arriving.meta, &error),
            };
            sender.send_modify(|progress| progress.end = Some(end));
            keeper.forget_arriving(plain, &arriving);
            drop(done);
        });
        Ok((reading, given))
    }

    async fn whole(&self, arriving: &Arriving, size: u64) -> End {
        let meta = Meta {
            size,
            ..arriving.meta.clone()
        };
        match self.keep(meta, Arc::clone(&arriving.file)).await {
            Ok(()) => Counters::add(&self.counters.stored),
            // Those who read it have it all the same.
            Err(error) => tracing::warn!(%error, "web cache: an answer is not kept"),
        }
        End::Whole
    }

    fn broken(&self, from: From, meta: &Meta, error: &Broken) -> End {
        let is_digest = matches!(error, Broken::Digest);
        if is_digest {
            Counters::add(&self.counters.wrong_digests);
            tracing::warn!(
                url = meta.url,
                ?from,
                "web cache: a body has another digest than it should have"
            );
        } else {
            tracing::debug!(%error, "web cache: a body that is not whole");
        }
        match from {
            // All of it has come, as the origin has it: that is for the client to judge.
            From::Origin if is_digest => End::Whole,
            From::Peer if is_digest => End::Wrong,
            From::Origin | From::Peer => End::Broken,
        }
    }

    fn forget_arriving(&self, plain: Guid, arriving: &Arc<Arriving>) {
        let mut all = self.arriving.lock();
        if let Some(of_url) = all.get_mut(&plain) {
            of_url.retain(|other| !Arc::ptr_eq(other, arriving));
            if of_url.is_empty() {
                all.remove(&plain);
            }
        }
    }

    /// Writes beside the tasks that serve clients.
    pub(crate) async fn keep(&self, meta: Meta, file: Arc<BodyFile>) -> io::Result<()> {
        let store = Arc::clone(&self.store);
        let keeping = tokio::task::spawn_blocking(move || store.keep(&meta, file));
        keeping
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// The stored answer with what a 304 says of it, if that speaks of the same. `shared` says
    /// whether peers may have it still, as far as who was asked, and for whom, says.
    pub(crate) fn renewed(
        &self,
        wanted: &Wanted,
        stored: &Stored,
        conditions: &HeaderMap,
        answer: &mut Response<()>,
        shared: bool,
    ) -> Option<(Meta, response::Parts)> {
        // Many do not repeat what they were asked about; nothing else was asked about.
        let fields = answer.headers_mut();
        // One that does not say how old it is, is new: what was said of the old one is over.
        fields
            .entry(header::AGE)
            .or_insert(HeaderValue::from_static("0"));
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
        let said = rules::answer(answer);
        let now_varies = store::vary(said.headers()).unwrap_or_default();
        let vary = stored.meta.vary.iter().chain(&now_varies);
        let plain = wanted.with(rules::kept_of_request(&wanted.plain, vary));
        let now = SystemTime::now();
        let AfterResponse::NotModified(_, head) =
            stored.meta.policy.after_response(&plain, &said, now)
        else {
            return None;
        };
        // Of the fields that decide how long it is fresh, and for whom, the library takes only
        // those that the old head had as well.
        let mut head = head;
        for name in [
            header::AGE,
            header::CACHE_CONTROL,
            header::DATE,
            header::EXPIRES,
        ] {
            if let Some(value) = said.headers().get(&name) {
                head.headers.insert(name, value.clone());
            }
        }
        let renewed = Response::from_parts(head, ());
        let policy = CachePolicy::new(&plain, &renewed);
        let meta = Meta {
            shared: stored.meta.shared && shared && policy.is_storable(),
            policy,
            ..stored.meta.clone()
        };
        Some((meta, renewed.into_parts().0))
    }

    /// Keeps what a 304 has renewed, unless it says that it must not be.
    pub(crate) async fn keep_renewed(&self, meta: Meta, stored: &Stored) -> io::Result<()> {
        if meta.policy.is_storable() {
            return self.keep(meta, Arc::clone(&stored.file)).await;
        }
        if let Ok(object) = meta.object.parse() {
            self.store.forget(object);
        }
        Ok(())
    }

    /// What there is of the answer to such a request: what is fresh and on its way, before what is
    /// stored. `plain` is the `objectId` of its URL.
    pub(crate) fn find(&self, plain: Guid, wanted: &Wanted, shared: bool) -> Option<Copy> {
        // First: what is not on its way any more is in the store by now.
        if let Some(arriving) = self.find_arriving(plain, wanted) {
            return Some(Copy::Arriving(Reading::new(arriving)));
        }
        let object = self.store.object(&wanted.text, &wanted.plain);
        let stored = self.store.find(object);
        let stored =
            stored.filter(|stored| (stored.meta.shared || !shared) && is_of(&stored.meta, wanted));
        stored.map(Copy::Stored)
    }

    fn find_arriving(&self, plain: Guid, wanted: &Wanted) -> Option<Arc<Arriving>> {
        let now = SystemTime::now();
        let all = self.arriving.lock();
        let mut of_url = all.get(&plain).into_iter().flatten();
        let found = of_url.find(|arriving| {
            arriving.answers(&wanted.text, &wanted.plain) && arriving.is_fresh(now)
        });
        found.cloned()
    }

    /// What peers may have of the answer to a URL that varies with nothing, whoever asks.
    pub(crate) fn find_plain(&self, plain: Guid) -> Option<Copy> {
        let stored = self.store.find(plain)?;
        let fit = stored.meta.shared && stored.meta.vary.is_empty();
        fit.then_some(Copy::Stored(stored))
    }
}

/// Against which digests a body is held, and whether it is held back meanwhile.
fn checks(
    from: From,
    meta: &Meta,
    (status, fields): &(StatusCode, HeaderMap),
    length: Option<u64>,
) -> (Vec<Check>, bool) {
    if *status != StatusCode::OK {
        return (Vec::new(), false);
    }
    let known = meta.checked.clone();
    let held =
        from == From::Peer && known.is_some() && length.is_some_and(|length| length <= MAX_HELD);
    let said = Known::of_answer(fields).into_iter();
    (said.chain(known).map(Check::from).collect(), held)
}

/// Memory that the last bytes of such a body have use for.
fn window_of(length: Option<u64>) -> usize {
    let length = length.and_then(|length| usize::try_from(length).ok());
    length.map_or(receiving::WINDOW, |length| length.min(receiving::WINDOW))
}

/// Whether a stored answer is the one to such a request.
fn is_of(meta: &Meta, wanted: &Wanted) -> bool {
    let object = store::object_for(&wanted.text, &meta.vary, &wanted.plain);
    meta.url == wanted.text && meta.object == object.to_string()
}

/// The head of a stored answer, if it may be given as it is.
pub(crate) fn fresh_head(stored: &Stored, wanted: &Wanted) -> Option<response::Parts> {
    let request = wanted.against(stored);
    match stored
        .meta
        .policy
        .before_request(&request, SystemTime::now())
    {
        BeforeRequest::Fresh(head) => Some(head),
        BeforeRequest::Stale { .. } => None,
    }
}

/// A number that is the same for the same representation (Q2).
fn version(object: Guid, fields: &HeaderMap) -> u64 {
    let said = |name: HeaderName| {
        let value = fields.get(name.clone());
        value.map_or(&b""[..], |value| value.as_bytes()).to_vec()
    };
    let names = match fields.contains_key(header::ETAG) {
        true => [header::ETAG, header::CONTENT_TYPE],
        false => [header::LAST_MODIFIED, header::CONTENT_LENGTH],
    };
    let values = names.map(|name| (name.to_string(), said(name)));
    let values = values
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    let hashed = object_id(&object.to_string(), values);
    (hashed.as_u128() >> 64) as u64
}

pub(crate) fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
