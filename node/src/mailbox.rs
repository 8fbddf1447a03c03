//! The objects this node publishes for the person who runs it, and messages sent to them.
//!
//! An object is published while somebody wants it so: a request that says so until another
//! takes it back, or whoever listens for its messages. The rules are A10 to A12 of
//! `docs/specs/control-api.md`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use guid::Guid;
use overlay::{
    AppConfig, AppId, Contact, Delivery, Handle, ObjectReply, Published, RouteError, Upcall,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The application number of these messages.
const APP: AppId = AppId(1);

/// Messages that wait for one listener. A reader that is slower than its senders for
/// longer is better told than its senders kept waiting.
const QUEUE: usize = 256;

/// Listeners at a time, each an open connection of the API.
const MAX_LISTENERS: usize = 128;

/// What became of a message, as the holder's node answers its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Receipt {
    /// Every listener, or one at least, has it.
    Taken,
    /// Nobody listens there.
    NobodyListens,
    /// Whoever listens there does not keep up.
    Full,
}

/// A message to an object of this node.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: Contact,
    pub(crate) hops: usize,
    pub(crate) payload: Bytes,
}

/// Why nobody can listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{MAX_LISTENERS} programs listen already")]
    TooMany,
    #[error(transparent)]
    Publish(#[from] RouteError),
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

struct Inner {
    overlay: Handle,
    objects: Mutex<BTreeMap<Guid, Object>>,
}

/// An object somebody wants to be published.
#[derive(Default)]
struct Object {
    /// By a request of its own.
    kept: bool,
    listeners: Vec<(u64, mpsc::Sender<Message>)>,
    next_listener: u64,
    /// Whether it is published; held while that is being changed.
    published: Arc<tokio::sync::Mutex<bool>>,
}

impl Object {
    fn is_wanted(&self) -> bool {
        self.kept || !self.listeners.is_empty()
    }
}

impl Mailbox {
    /// Takes messages from now on, until the node stops.
    pub(crate) fn new(overlay: Handle) -> Self {
        let mut upcalls = overlay.register(APP, AppConfig::default());
        let mailbox = Self(Arc::new(Inner {
            overlay,
            objects: Mutex::default(),
        }));
        // Not kept alive by its own task.
        let inner = Arc::downgrade(&mailbox.0);
        tokio::spawn(async move {
            while let Some(upcall) = upcalls.next().await {
                let (Some(inner), Upcall::DeliverObject(delivery)) = (inner.upgrade(), upcall)
                else {
                    continue;
                };
                Mailbox(inner).deliver(delivery).await;
            }
        });
        mailbox
    }

    /// Publishes an object until [`Mailbox::unpublish`].
    pub(crate) async fn publish(&self, object: Guid) -> Result<Published, RouteError> {
        self.objects().entry(object).or_default().kept = true;
        let published = self.publish_now(object).await;
        if published.is_err() {
            self.change(object, |known| known.kept = false);
            self.settle(object).await;
        }
        published
    }

    /// Publishes an object no more, and ends its listeners.
    pub(crate) async fn unpublish(&self, object: Guid) -> Result<(), RouteError> {
        if !self.objects().contains_key(&object) {
            return Err(RouteError::NotPublished);
        }
        self.change(object, |known| {
            known.kept = false;
            known.listeners.clear();
        });
        self.settle(object).await;
        Ok(())
    }

    /// Publishes an object for as long as the listener lives, and yields its messages.
    pub(crate) async fn listen(&self, object: Guid) -> Result<Listener, ListenError> {
        let (sender, messages) = mpsc::channel(QUEUE);
        let number = {
            let mut objects = self.objects();
            let listeners: usize = objects.values().map(|known| known.listeners.len()).sum();
            if listeners >= MAX_LISTENERS {
                return Err(ListenError::TooMany);
            }
            let known = objects.entry(object).or_default();
            let number = known.next_listener;
            known.next_listener += 1;
            known.listeners.push((number, sender));
            number
        };
        let listener = Listener {
            mailbox: self.clone(),
            object,
            number,
            messages,
        };
        // If it fails, the listener is dropped and takes all back.
        self.publish_now(object).await?;
        Ok(listener)
    }

    /// Sends a message to the listeners at the nearest nodes that publish an object.
    pub(crate) async fn send(
        &self,
        object: Guid,
        count: usize,
        payload: Bytes,
    ) -> Result<Vec<(ObjectReply, Result<(), String>)>, RouteError> {
        let overlay = &self.0.overlay;
        let replies = overlay.send_to_object(object, count, APP, payload).await?;
        let judged = replies.into_iter().map(|reply| {
            let outcome = match &reply.answer {
                Ok(receipt) => match wire::decode(receipt) {
                    Ok(Receipt::Taken) => Ok(()),
                    Ok(Receipt::NobodyListens) => Err("nobody listens there".to_owned()),
                    Ok(Receipt::Full) => Err("who listens there does not keep up".to_owned()),
                    Err(_) => Err("its answer is not understood".to_owned()),
                },
                Err(error) => Err(error.to_string()),
            };
            (reply, outcome)
        });
        Ok(judged.collect())
    }

    async fn deliver(&self, delivery: Delivery) {
        let message = Message {
            from: delivery.origin,
            hops: delivery.hops,
            payload: delivery.payload,
        };
        let receipt = self.hand_out(delivery.key, &message);
        let Some(responder) = delivery.responder else {
            return;
        };
        if let Err(error) = responder.reply(wire::encode(&receipt).into()).await {
            tracing::debug!(%error, "a message to an object stays unanswered");
        }
    }

    fn hand_out(&self, object: Guid, message: &Message) -> Receipt {
        let objects = self.objects();
        let listeners = objects
            .get(&object)
            .map_or(&[][..], |known| &known.listeners);
        if listeners.is_empty() {
            return Receipt::NobodyListens;
        }
        let taken = listeners
            .iter()
            .filter(|(_, listener)| listener.try_send(message.clone()).is_ok());
        if taken.count() > 0 {
            Receipt::Taken
        } else {
            Receipt::Full
        }
    }

    /// Publishes, though it may be published already: the outcome is wanted.
    async fn publish_now(&self, object: Guid) -> Result<Published, RouteError> {
        let turn = Arc::clone(&self.objects().entry(object).or_default().published);
        let mut is_published = turn.lock().await;
        // Already now: whoever waits for the outcome may go before it comes, and what was
        // begun is to be taken back all the same.
        *is_published = true;
        let published = self.0.overlay.publish(object).await;
        *is_published = published.is_ok();
        published
    }

    /// Makes true what is wanted, whatever changed in the meantime.
    async fn settle(&self, object: Guid) {
        let Some(turn) = self
            .objects()
            .get(&object)
            .map(|known| Arc::clone(&known.published))
        else {
            return;
        };
        let mut is_published = turn.lock().await;
        let wanted = self.objects().get(&object).is_some_and(Object::is_wanted);
        if wanted {
            return;
        }
        if *is_published {
            // The pointers of one that cannot be told expire.
            let _ = self.0.overlay.unpublish(object).await;
            *is_published = false;
        }
        let mut objects = self.objects();
        // Whoever came meanwhile waits for its turn, and publishes again.
        if objects.get(&object).is_some_and(|known| !known.is_wanted()) {
            objects.remove(&object);
        }
    }

    fn change(&self, object: Guid, change: impl FnOnce(&mut Object)) {
        if let Some(known) = self.objects().get_mut(&object) {
            change(known);
        }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Guid, Object>> {
        // No code that can panic runs while the lock is held.
        self.0.objects.lock().expect("the lock is never poisoned")
    }
}

/// Receives the messages to one object. Dropped, it listens no more.
pub(crate) struct Listener {
    mailbox: Mailbox,
    object: Guid,
    number: u64,
    messages: mpsc::Receiver<Message>,
}

impl Listener {
    /// The next message; `None` once the object was unpublished.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.mailbox.change(self.object, |known| {
            known.listeners.retain(|(number, _)| *number != self.number);
        });
        let (mailbox, object) = (self.mailbox.clone(), self.object);
        // Outside a runtime the node is being taken down, and all of this with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { mailbox.settle(object).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::Swarm;
    use libp2p_swarm_test::SwarmExt;

    use super::*;

    #[tokio::test]
    async fn what_a_listener_began_to_publish_is_taken_back_when_it_goes() {
        let swarm = Swarm::new_ephemeral_tokio(|key| {
            overlay::Behaviour::new(overlay::Config::default(), &key)
        });
        let overlay = swarm.behaviour().handle();
        let mailbox = Mailbox::new(overlay.clone());
        let object = Guid::hash(b"desk");
        // It goes while its object is being published: the node does nothing yet.
        let mut listening = Box::pin(mailbox.listen(object));
        assert!(futures::poll!(&mut listening).is_pending());
        drop(listening);

        let running = tokio::spawn(swarm.loop_on_next());
        mailbox.settle(object).await;
        assert!(mailbox.objects().is_empty());
        assert!(matches!(
            overlay.unpublish(object).await,
            Err(RouteError::NotPublished)
        ));
        running.abort();
    }
}
