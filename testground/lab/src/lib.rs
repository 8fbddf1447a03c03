//! Real nodes in network namespaces on one bridge.
