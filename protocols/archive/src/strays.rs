//! Fragments that lie where they do not belong (H28).

use futures::stream::{self, StreamExt};
use guid::Span;
use replicas::{GetError, StoreError};

use crate::handle::Handle;
use crate::store::Usage;

/// Fragments looked at at a time.
const PAGE: usize = 256;

/// Of these, fragments asked about at a time.
const AT_A_TIME: usize = 16;

impl Handle {
    /// Lets go of fragments that belong to another node, where that says that it keeps them; how
    /// many of how many bytes that were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn let_go_of_strays(&self) -> Result<Usage, StoreError> {
        let store = self.inner.fragments.collection().store();
        let before = store.usage();
        let mut gone = 0;
        let mut after = None;
        loop {
            let page = store.list(Span::full(), after, PAGE).await?;
            let mut looked = stream::iter(page.clone())
                .map(|(place, id, _)| async move {
                    let keepers = self.inner.fragments.keepers(&id).await;
                    (place, id, keepers)
                })
                .buffer_unordered(AT_A_TIME);
            while let Some((place, id, keepers)) = looked.next().await {
                let keepers = match keepers {
                    Ok(keepers) => keepers,
                    Err(GetError::Local(error)) => return Err(error),
                    // Nobody knows whose it is now.
                    Err(_) => continue,
                };
                let elsewhere = |keeper: &replicas::Keeper| {
                    !keeper.is_this_node && matches!(keeper.has, Ok(true))
                };
                if !keepers.is_empty() && keepers.iter().all(elsewhere) {
                    store.remove(place, &id).await?;
                    gone += 1;
                }
            }
            after = page.last().map(|(place, id, _)| (*place, id.clone()));
            if page.len() < PAGE {
                break;
            }
        }
        Ok(Usage {
            items: gone,
            bytes: before.bytes.saturating_sub(store.usage().bytes),
        })
    }
}
