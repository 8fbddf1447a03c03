//! The sync service: how the instances of a run wait for each other and exchange what they
//! know. Testground's protocol, JSON over WebSocket; its rules are in
//! `docs/specs/sync-service.md`, and carry the labels used here.

mod client;
mod limits;
mod message;
mod server;
mod store;

pub use client::{Client, Subscription, SyncError, prefix};
pub use limits::Limits;
pub use message::{
    BarrierRequest, DecodeError, PublishRequest, Request, Response, Sequence, SignalEntryRequest,
    SubscribeRequest, What,
};
pub use server::{Server, ServerError};
