//! Framing with limits and the one connection handler of all Hedgerow protocols.
