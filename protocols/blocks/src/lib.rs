//! Content-addressed blocks: stores, exchange, replicas.
