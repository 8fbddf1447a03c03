//! A miss is put to the object's home before the origin is asked (Q30, Q31).

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, StatusCode};
use hyper::Response;
use tokio::time::timeout;

use super::Shared;
use crate::{
    arriving::End,
    body::Body,
    flights::{Flight, Lead},
    headers::{CacheStatus, PeerStatus},
    keeper::{self, Copy},
    network::{Found, Owed},
    stats::Counters,
    store::Stored,
    wanted::Wanted,
};

impl Shared {
    /// Asks the home and then, where that leads nowhere, the origin, for this client and all who
    /// wait.
    pub(super) async fn lead(
        self: &Arc<Self>,
        wanted: &Wanted,
        lead: Lead,
        stale: Option<(Arc<Stored>, HeaderMap)>,
        why: &'static str,
    ) -> Response<Body> {
        let Some(peers) = self.peers.as_ref().filter(|peers| peers.may_ask(wanted)) else {
            let owed = Owed::nothing();
            return self.fetch(wanted, lead, stale, why, owed).await;
        };
        let stored = stale.as_ref().map(|(stored, _)| Arc::clone(stored));
        let found = peers.ask(wanted, stored).await;
        let (copy, peer) = match found {
            Found::Origin(owed) => return self.fetch(wanted, lead, stale, why, owed).await,
            Found::Nothing => {
                let owed = Owed::nothing();
                return self.fetch(wanted, lead, stale, why, owed).await;
            }
            Found::Copy(copy, peer) => (copy, peer),
        };
        let mut status = CacheStatus::Forwarded {
            why,
            status: None,
            stored: true,
            collapsed: false,
            detail: None,
        };
        match copy {
            Copy::Arriving(reading) => {
                let arriving = Arc::clone(&reading.arriving);
                // Q35: no client is to have what turns out to be something else.
                let patience = arriving.patience();
                if arriving.held && timeout(patience, arriving.end()).await != Ok(End::Whole) {
                    // It comes for nobody now.
                    drop(reading);
                    let owed = Owed::nothing();
                    return self.fetch(wanted, lead, stale, why, owed).await;
                }
                self.count(peer);
                set_status(&mut status, arriving.head.0);
                let ttl = arriving.meta.policy.time_to_live(SystemTime::now());
                let given = arriving.body();
                let mut response = self.give_arriving(&arriving, given, lead, &status);
                add_peer(&mut response, peer, ttl, &status, &self.config.name);
                response
            }
            Copy::Stored(stored) => {
                let Some(head) = keeper::fresh_head(&stored, wanted) else {
                    let owed = Owed::nothing();
                    return self.fetch(wanted, lead, stale, why, owed).await;
                };
                self.count(peer);
                lead.tell(Flight::Over { stored: true });
                let seen = match peer {
                    Some(PeerStatus::Current) => StatusCode::NOT_MODIFIED,
                    _ => head.status,
                };
                set_status(&mut status, seen);
                let ttl = stored.meta.policy.time_to_live(SystemTime::now());
                let mut response = self.give(wanted, &stored, head, &status).await;
                add_peer(&mut response, peer, ttl, &status, &self.config.name);
                response
            }
        }
    }

    fn count(&self, peer: Option<PeerStatus>) {
        Counters::add(match peer {
            // This node is the home.
            None => &self.counters.misses,
            Some(PeerStatus::Hit) => &self.counters.peer_hits,
            Some(PeerStatus::Fetched) => &self.counters.peer_misses,
            Some(PeerStatus::Current) => &self.counters.peer_validated,
        });
    }
}

fn set_status(status: &mut CacheStatus, seen: StatusCode) {
    if let CacheStatus::Forwarded { status, .. } = status {
        *status = Some(seen);
    }
}

/// Puts the peer's part before this node's, which is the last: caches stand in `Cache-Status` in
/// the order in which they are met on the way from the origin (RFC 9211, 2).
fn add_peer(
    response: &mut Response<Body>,
    peer: Option<PeerStatus>,
    ttl: std::time::Duration,
    own: &CacheStatus,
    name: &str,
) {
    if let Some(peer) = peer {
        CacheStatus::put_before(response.headers_mut(), peer, ttl, own, name);
    }
}
