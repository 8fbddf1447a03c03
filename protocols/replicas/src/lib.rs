//! Placement on the k closest nodes, quorum writes and digest reconciliation.
