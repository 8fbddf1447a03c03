//! New versions of objects, announced and followed (E1 to E12 of `docs/specs/notify.md`).

use bytes::Bytes;
use guid::Guid;
use notify::{BoxError, Channel, Contact, Handle, Statement};
use objects::{Heads, MAX_HEADS_BYTES, ReadError};
use tokio::sync::broadcast;

/// Nodes that bring the followers of a shard together: as many as keep an item.
const MEETING_POINTS: usize = 3;

/// The newest versions of objects as statements: what replicas keep of them as well.
pub(crate) struct ObjectVersions {
    objects: objects::Handle,
    overlay: overlay::Handle,
}

impl ObjectVersions {
    pub(crate) fn new(objects: objects::Handle, overlay: overlay::Handle) -> ObjectVersions {
        ObjectVersions { objects, overlay }
    }
}

fn statement(heads: &Heads, data: Bytes) -> Statement {
    Statement {
        subject: heads.aguid(),
        version: heads.version(),
        data,
    }
}

#[async_trait::async_trait]
impl Channel for ObjectVersions {
    fn name(&self) -> &'static str {
        "objects"
    }

    fn max_size(&self) -> usize {
        MAX_HEADS_BYTES
    }

    fn check(&self, data: Bytes) -> Result<Statement, String> {
        let heads = Heads::of_any(&data).map_err(|error| error.to_string())?;
        Ok(statement(&heads, data))
    }

    fn join(&self, one: Statement, other: Statement) -> Statement {
        match (Heads::of_any(&one.data), Heads::of_any(&other.data)) {
            (Ok(left), Ok(right)) => {
                let joined = left.join(right);
                let data = joined.encode();
                statement(&joined, data)
            }
            // Both were checked before; what is not good says nothing.
            (Ok(_), Err(_)) => one,
            (Err(_), _) => other,
        }
    }

    async fn newest(&self, subject: Guid) -> Result<Option<Statement>, BoxError> {
        match self.objects.newest(subject).await {
            Ok(heads) => {
                let data = heads.encode();
                Ok(Some(statement(&heads, data)))
            }
            // A name that nobody has given yet is waited for.
            Err(ReadError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn at(&self, place: Guid) -> Vec<Contact> {
        let me = self.overlay.me().peer;
        let set = self.overlay.replica_set(place, MEETING_POINTS).await;
        let contacts = set.unwrap_or_default().into_iter();
        let others = contacts.filter(|contact| contact.peer != me);
        others
            .map(|contact| Contact {
                peer: contact.peer,
                addrs: contact.addrs,
            })
            .collect()
    }

    fn is_at(&self, place: Guid) -> bool {
        let me = self.overlay.me().peer;
        let set = self.overlay.local_replica_set(place, MEETING_POINTS);
        set.is_some_and(|set| set.iter().any(|contact| contact.peer == me))
    }
}

/// Announces what this node writes, until the objects are gone.
pub(crate) async fn announce(mut writes: broadcast::Receiver<Heads>, handle: Handle) {
    loop {
        match writes.recv().await {
            Ok(heads) => handle.announce(heads.encode()).await,
            // Who follows what was passed over asks for it.
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "versions were not announced");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
