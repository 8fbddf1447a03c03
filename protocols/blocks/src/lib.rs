//! Content-addressed blocks: what a block is, where it is kept, who else has it.
//!
//! A [`Block`] is at most [`MAX_BLOCK`] bytes whose CID has been checked. A [`Store`]
//! keeps blocks: [`FjallStore`] on disk, [`MemoryStore`] and [`FaultyStore`] for tests
//! and measurements. [`Behaviour`] puts a store into a Swarm: through its [`Handle`]
//! blocks are put on the nodes closest to them and got from there, with the placement,
//! exchange and repair of [`replicas`].
//!
//! A [`Cache`] has copies of blocks that other nodes keep.
//!
//! Rules B1 to B12 of `docs/specs/blocks.md` are cited where the code obeys them.

mod behaviour;
mod block;
mod cache;
mod collection;
mod faulty;
mod fjall;
mod handle;
mod links;
mod memory;
mod store;

pub use behaviour::Behaviour;
pub use block::{Block, BlockError, DAG_CBOR, DAG_PB, MAX_BLOCK, RAW, check_kind, guid_of, verify};
pub use cache::{Cache, LEAVES_FREE, MAX_CACHED, Written};
pub use collection::{Blocks, Needs};
pub use faulty::FaultyStore;
pub use fjall::{FORMAT, FjallOptions, FjallStore};
pub use handle::Handle;
pub use links::links;
pub use memory::MemoryStore;
pub use replicas::{GetError, PutError, PutReceipt};
pub use store::{Store, StoreError, Usage, Verified};
