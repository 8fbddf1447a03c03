//! Asking who of its replica set has an item.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use libp2p_identity::PeerId;
use tokio::time::timeout;

use crate::collection::{Collection, ItemId};
use crate::fetch::GetError;
use crate::message::{Request, Response};
use crate::pool::RequestError;
use crate::shared::Shared;

/// How long a keeper may take to say whether it has an item: people wait for this answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A node whose duty it is to keep an item.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The node.
    pub peer: PeerId,
    /// Whether that is this node.
    pub is_this_node: bool,
    /// Whether it has the item, as it says itself; or why it did not say.
    pub has: Result<bool, RequestError>,
}

/// The replica set of an item, the closest first, and what each of it says. A copy beyond
/// duty (R17) does not count.
pub(crate) async fn keepers<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Vec<Keeper>, GetError> {
    let key = shared.collection.key_of(id).ok_or(GetError::Invalid)?;
    let set = shared.replica_set(key, shared.config.replicas).await?;
    let me = shared.placement.me().peer;
    let asked = set.iter().map(|contact| async move {
        let has = if contact.peer == me {
            Ok(shared.collection.version(id).await?.is_some())
        } else {
            let request = Request::Has { id: id.clone() };
            let asked = shared.pool.ask(contact, request, Bytes::new());
            let reply = timeout(PATIENCE, asked).await;
            reply
                .unwrap_or(Err(RequestError::Timeout))
                .and_then(|reply| match reply.response {
                    Response::Held { version } => Ok(version.is_some()),
                    _ => Err(RequestError::Nonsense),
                })
        };
        Ok(Keeper {
            peer: contact.peer,
            is_this_node: contact.peer == me,
            has,
        })
    });
    join_all(asked).await.into_iter().collect()
}
