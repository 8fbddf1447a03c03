//! What clients can make grow, and how far.

/// The service's bounds (Y8).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Clients at once. An instance has one, and a lab has 250 nodes at most.
    pub connections: usize,
    /// Bytes of one message. Payloads are addresses and names.
    pub message_bytes: usize,
    /// Bytes of a request's id.
    pub id_bytes: usize,
    /// Bytes of a topic's or state's name.
    pub name_bytes: usize,
    /// Topics and states in all.
    pub names: usize,
    /// Bytes of all payloads kept for those who subscribe later.
    pub payload_bytes: usize,
    /// Payloads kept.
    pub payloads: usize,
    /// Barriers and subscriptions of one client at once.
    pub waiting: usize,
    /// Answers that wait for one client to read them. Its subscriptions wait with them.
    pub answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1024,
            message_bytes: 1 << 20,
            id_bytes: 128,
            name_bytes: 1024,
            names: 65_536,
            payload_bytes: 256 << 20,
            payloads: 1 << 20,
            waiting: 1024,
            answers: 256,
        }
    }
}
