//! The part in the cache that all nodes share (Q30 to Q38): `webcache-core` decides, and this
//! module has the sockets, the clock and the origins for it.
//!
//! [`Peers`] is what the proxy asks; [`Behaviour`] carries the streams. A question is a stream of
//! its own, so an answer is from whom it was asked, and who wants it no more drops the stream. The
//! overlay says who an object's home is and carries nothing of the web cache itself.

mod ask;
mod behaviour;
mod body;
mod exchange;
mod fetches;
mod homes;
mod message;
mod node;
mod origin;
mod outputs;
mod owed;
mod serve;
mod state;
mod take;

use std::sync::Arc;

use http::header;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use webcache_core::{Scheme, Source};

pub use behaviour::{Behaviour, PROTOCOL};
pub(crate) use owed::{Outcome, Owed};

use crate::{
    Config, Networks, Store,
    headers::PeerStatus,
    keeper::{Copy, Keeper},
    store::Stored,
    wanted::Wanted,
};
use node::Node;
use state::Turn;

/// Which answers of peers are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// All of them: the nodes of the network are one's own.
    All,
    /// Those of whose bodies the digest is known: by the URL, or from an index page.
    #[default]
    Verified,
    /// None: the cache is for this machine alone.
    None,
}

/// Settings of the shared cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeersConfig {
    /// Where the bodies are. All nodes must agree.
    pub scheme: Scheme,
    /// Which answers of peers are believed. With [`Trust::None`] none is asked for.
    pub trust: Trust,
    /// Networks that count as public: what is there is fetched for peers, and given to them.
    pub networks: Networks,
    /// How much of bodies is given to peers, all together; `None` is as much as goes.
    pub serve_bytes_per_second: Option<u64>,
}

/// A node's part in the shared cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Node>);

/// What came of asking peers.
pub(crate) enum Found {
    /// It is here, or on its way, and a peer did this for it; nobody did where this node is the
    /// home itself.
    Copy(Copy, Option<PeerStatus>),
    /// The origin is to be asked, and the home told what came of it.
    Origin(Owed),
    /// Nothing: the client's request goes its own way.
    Nothing,
}

impl Peers {
    /// Takes part with what is in `store`. The seed must be one that nobody can guess.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        config: Config,
        settings: PeersConfig,
        store: Arc<Store>,
        overlay: overlay::Handle,
        seed: u64,
    ) -> (Peers, Behaviour) {
        let networks = Arc::new(settings.networks.clone());
        let keeper = Keeper::new(store, Arc::default(), networks, config.stall_timeout);
        let (open, opens) = mpsc::channel(behaviour::OPEN_QUEUE);
        let node = Arc::new(Node::new(
            config,
            settings,
            Arc::new(keeper),
            overlay,
            open,
            seed,
        ));
        (Peers(Arc::clone(&node)), Behaviour::new(node, opens))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn taken_over(&self) -> u64 {
        self.0.taken_over()
    }

    /// Whether all that they say is believed.
    pub(crate) fn are_believed(&self) -> bool {
        self.0.settings.trust == Trust::All
    }

    pub(crate) fn keeper(&self) -> Arc<Keeper> {
        Arc::clone(&self.0.keeper)
    }

    /// Whether a request is put to peers (Q31).
    pub(crate) fn may_ask(&self, wanted: &Wanted) -> bool {
        let settings = &self.0.settings;
        let believed = match settings.trust {
            Trust::All => true,
            Trust::Verified => wanted.known.is_some(),
            Trust::None => false,
        };
        believed
            && !wants_the_origin(wanted)
            && wanted.is_for_peers()
            && self.0.settings.networks.allows_url(&wanted.url)
            && self.0.has_company()
    }

    /// Puts a miss, or a copy that is stale, to the object's home.
    pub(crate) async fn ask(&self, wanted: &Wanted, stale: Option<Arc<Stored>>) -> Found {
        let me = self.0.me;
        let status = |peer, status| (peer != me).then_some(status);
        let Ok(turn) = Node::request(&self.0, Arc::new(wanted.clone()), stale).await else {
            return Found::Nothing;
        };
        let (source, copy) = match turn {
            Turn::Fetch(owed) => return Found::Origin(owed),
            Turn::Answer(source, copy) => (source, copy),
        };
        let peer = match source {
            Source::Local | Source::Origin => None,
            Source::Validated(peer) => status(peer, PeerStatus::Current),
            Source::Peer { from, hit: true } => status(from, PeerStatus::Hit),
            Source::Peer { from, hit: false } => status(from, PeerStatus::Fetched),
            Source::Failed | Source::Direct => return Found::Nothing,
        };
        match copy {
            Some(copy) => Found::Copy(copy, peer),
            None => Found::Nothing,
        }
    }
}

/// Whether the client wants to know what the origin says now. A URL that names the digest of its
/// body cannot mean anything else tomorrow.
fn wants_the_origin(wanted: &Wanted) -> bool {
    let values = wanted.plain.get_all(header::CACHE_CONTROL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut names = texts
        .flat_map(|text| text.split(','))
        .map(|directive| directive.split('=').next().unwrap_or_default().trim());
    wanted.plain.contains_key(header::PRAGMA)
        || names.any(|name| matches!(name, "no-cache" | "no-store" | "max-age" | "min-fresh"))
}
