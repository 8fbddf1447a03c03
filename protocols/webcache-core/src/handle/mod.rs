//! One file for each side of a conversation.

pub(crate) mod ask;
pub(crate) mod delegate;
pub(crate) mod hand_over;
pub(crate) mod home;
