//! What applications hold: claim, release, and whether a block is needed.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::future::join_all;
use replicas::{GetError, MAX_LIST, PutError, PutReceipt, StoreError};

use crate::collection::id_of;
use crate::{Claim, Claims, Item, Secret, State, Store, Tag};

/// Releases that are asked for at a time.
const FETCHES: usize = 8;

/// Claims and releases blocks, and says which are needed. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    replicas: replicas::Handle<Claims>,
}

impl Handle {
    /// Acts through the claims' replicas.
    pub fn new(replicas: replicas::Handle<Claims>) -> Handle {
        Handle { replicas }
    }

    /// Says to a block's replica set that it is needed (CL1), until whoever has `secret` says
    /// otherwise. Answers when a majority have it durably and all have answered or failed (R24);
    /// who is not among [`PutReceipt::stored_on`] is told by the others (R12). To be tried again
    /// after an error: some may have it.
    pub async fn claim(&self, block: &Cid, secret: &Secret) -> Result<PutReceipt, PutError> {
        self.put(Item::claim(Claim::of(*block, secret))).await
    }

    /// Says that the claim made with `secret` is over (CL3), for good: to claim the block anew
    /// takes another secret. Answers as [`Handle::claim`] does.
    pub async fn release(&self, block: &Cid, secret: &Secret) -> Result<PutReceipt, PutError> {
        self.put(Item::release(*block, secret, self.store().now()))
            .await
    }

    async fn put(&self, item: Item) -> Result<PutReceipt, PutError> {
        let block = &item.name().block;
        blocks::check_kind(block).map_err(|error| PutError::Invalid(error.to_string()))?;
        self.replicas
            .hand_over(&id_of(item.name()), item.encode())
            .await
    }

    /// Whether the block is needed, as far as is known here (CL6).
    pub async fn state(&self, block: &Cid) -> Result<State, StoreError> {
        self.store().state(block).await
    }

    /// Whether the block is needed, as far as this node and a majority of the block's replica set
    /// know (CL9): claimed where anybody lists a claim. A release that is listed and is not kept
    /// here counts only when it was got and checked. Where [`MAX_LIST`] names or more are listed,
    /// some may be left out, and the block counts as claimed.
    ///
    /// # Errors
    /// Where fewer than a majority answer, and nobody knows of a claim.
    pub async fn agreed(&self, block: &Cid) -> Result<State, GetError> {
        blocks::check_kind(block).map_err(|_| GetError::Invalid)?;
        let listed = self.replicas.find(blocks::guid_of(block)).await?;
        if listed.len() >= MAX_LIST {
            return Ok(State::Claimed);
        }
        let mut releases = Vec::new();
        for entry in listed {
            match Claim::from_bytes(&entry.id).filter(|name| name.block == *block) {
                None => {}
                Some(name) if Item::is_release_version(entry.version) => releases.push(name),
                Some(_) => return Ok(State::Claimed),
            }
        }
        let Some(first) = releases.first() else {
            return Ok(self.state(block).await?);
        };
        self.majority_answers(first).await?;
        // Some at a time: one that lists what does not exist has no more asked for.
        for some in releases.chunks(FETCHES) {
            let released = join_all(some.iter().map(|name| self.is_released(*name))).await;
            for released in released {
                if !released? {
                    return Ok(State::Claimed);
                }
            }
        }
        match self.state(block).await? {
            // The releases came to light just now.
            State::Unclaimed => Ok(State::Free {
                since: self.store().now(),
            }),
            state => Ok(state),
        }
    }

    /// A search finds what is here also where nobody else answers: that is no majority.
    async fn majority_answers(&self, name: &Claim) -> Result<(), GetError> {
        let keepers = self.replicas.keepers(&id_of(name)).await?;
        let (mut asked, mut failed) = (Vec::new(), Vec::new());
        let quorum = keepers.len() / 2 + 1;
        for keeper in keepers {
            asked.push(keeper.peer);
            failed.extend(keeper.has.err().map(|error| (keeper.peer, error)));
        }
        match asked.len() - failed.len() >= quorum {
            true => Ok(()),
            false => Err(GetError::Unavailable { asked, failed }),
        }
    }

    /// Whether there is a release of the claim, here or checked.
    async fn is_released(&self, name: Claim) -> Result<bool, GetError> {
        let here = self.store().version(name).await?;
        if here.is_some_and(Item::is_release_version) {
            return Ok(true);
        }
        match self.replicas.get_newest(&id_of(&name)).await {
            Ok(content) => {
                let item = Item::decode(name, &content);
                Ok(item.is_ok_and(|item| item.as_release().is_some()))
            }
            // Listed, and nobody has it.
            Err(GetError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the block has been free for as long as `grace`, by this node's clock and as far
    /// as it knows (CL7). Never where it may not know of a claim for want of room (CL5), or its
    /// store fails.
    pub async fn unwanted(&self, block: &Cid, grace: Duration) -> bool {
        if self.store().is_full() {
            return false;
        }
        match self.state(block).await {
            Ok(State::Free { since }) => {
                let free = self.store().now().saturating_sub(since);
                Duration::from_secs(free) >= grace
            }
            Ok(State::Unclaimed | State::Claimed) => false,
            Err(error) => {
                tracing::warn!(%block, %error, "the claims of a block could not be read");
                false
            }
        }
    }

    /// Whether this node knows that it belongs to the block's replica set.
    pub fn is_duty(&self, block: &Cid) -> bool {
        let any = Claim {
            block: *block,
            tag: Tag::from_bytes([0; Tag::LEN]),
        };
        self.replicas.is_duty(&id_of(&any))
    }

    /// Whether what this node keeps of claims was compared with all who share it (R23).
    pub fn is_settled(&self) -> bool {
        self.replicas.is_settled()
    }

    /// The store of this node's copies.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.replicas.collection().store()
    }

    /// What the exchange with the replicas did since the start.
    pub fn stats(&self) -> replicas::Stats {
        self.replicas.stats()
    }
}
