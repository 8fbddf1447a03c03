//! Signed, expiring records on the k closest nodes: put, get, remove.
