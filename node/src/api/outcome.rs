//! Outcomes of the replicas as answers.

use replicas::{GetError, PutError, PutReceipt, StoreError};

use super::{
    failure::ApiError,
    types::{NotStored, Stored},
};

pub(crate) fn stored(receipt: PutReceipt) -> Stored {
    let pending = receipt
        .pending
        .into_iter()
        .map(|peer| (peer, "no answer yet".to_owned()));
    let failed = receipt
        .failed
        .into_iter()
        .map(|(peer, error)| (peer, error.to_string()));
    Stored {
        stored_on: receipt.stored_on.iter().map(ToString::to_string).collect(),
        wanted: receipt.wanted,
        failed: failed
            .chain(pending)
            .map(|(peer, reason)| NotStored {
                peer_id: peer.to_string(),
                reason,
            })
            .collect(),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::full(error),
            StoreError::Closed => Self::unavailable("the node is stopping"),
            StoreError::Corrupt(_)
            | StoreError::Format { .. }
            | StoreError::Locked
            | StoreError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<PutError> for ApiError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Invalid(_) => Self::bad_request(error),
            PutError::Local(error) => error.into(),
            PutError::NoQuorum { ref receipt, .. } if receipt.is_for_want_of_room() => {
                Self::full(error)
            }
            PutError::Placement(_) | PutError::NoQuorum { .. } => {
                Self::unavailable(error).with_hint("try again when the network has settled")
            }
        }
    }
}

impl From<GetError> for ApiError {
    fn from(error: GetError) -> Self {
        let message = error.to_string();
        match error {
            GetError::Invalid => Self::bad_request(message),
            GetError::NotFound { asked } => Self::not_found(message).with_asked(asked),
            GetError::Damaged { asked } => Self::internal(message)
                .with_hint("put it again where the original is")
                .with_asked(asked),
            GetError::MayBeLost { asked } => Self::unavailable(message).with_asked(asked),
            GetError::Unavailable { asked, .. } => Self::unavailable(message).with_asked(asked),
            GetError::Timeout { asked } => Self::timeout(message).with_asked(asked),
            GetError::Placement(_) => Self::unavailable(message),
            GetError::Local(error) => error.into(),
        }
    }
}
