//! Who says that it holds a copy: the overlay's location layer as this crate sees it.

use guid::Guid;
use overlay::{Contact, RouteError};

/// Where copies are published and looked for (`location.md`).
#[async_trait::async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Says that this node holds `object`, until it is unpublished.
    async fn publish(&self, object: Guid) -> Result<(), RouteError>;

    /// Says that this node holds `object` no more.
    async fn unpublish(&self, object: Guid) -> Result<(), RouteError>;

    /// At most `count` nodes that say they hold `object`, in the order in which they
    /// answered; [`RouteError::NotFound`] when it is certain that nobody does.
    async fn locate(&self, object: Guid, count: usize) -> Result<Vec<Contact>, RouteError>;
}

#[async_trait::async_trait]
impl Directory for overlay::Handle {
    async fn publish(&self, object: Guid) -> Result<(), RouteError> {
        overlay::Handle::publish(self, object).await.map(|_| ())
    }

    async fn unpublish(&self, object: Guid) -> Result<(), RouteError> {
        overlay::Handle::unpublish(self, object).await
    }

    async fn locate(&self, object: Guid, count: usize) -> Result<Vec<Contact>, RouteError> {
        let found = overlay::Handle::locate(self, object, count).await?;
        Ok(found.into_iter().map(|holder| holder.contact).collect())
    }
}
