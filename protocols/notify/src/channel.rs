//! What a protocol that announces something says about it.

use bytes::Bytes;
use guid::Guid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

/// An error of whoever asks for what is newest.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Something genuine that was said of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it is about.
    pub subject: Guid,
    /// Which of two is the newer: the higher one.
    pub version: u64,
    /// The statement itself, with its signature.
    pub data: Bytes,
}

/// A node, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub peer: PeerId,
    /// Where; may be empty where others know.
    pub addrs: Vec<Multiaddr>,
}

/// A kind of statement.
#[async_trait::async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Its name in topics.
    fn name(&self) -> &'static str;

    /// The longest statement, in bytes.
    fn max_size(&self) -> usize;

    /// Reads a statement and checks its signature: what anybody may have sent.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    fn check(&self, data: Bytes) -> Result<Statement, String>;

    /// What two genuine statements of one subject say together. It is never older than one
    /// of them.
    fn join(&self, one: Statement, other: Statement) -> Statement;

    /// The newest statement, from those who keep it; none where there is none yet.
    async fn newest(&self, subject: Guid) -> Result<Option<Statement>, BoxError>;

    /// The nodes at a place of the ring, where all who look for that place meet (E4).
    async fn at(&self, place: Guid) -> Vec<Contact>;

    /// Whether this node is one of them, as far as it knows.
    fn is_at(&self, place: Guid) -> bool;
}
