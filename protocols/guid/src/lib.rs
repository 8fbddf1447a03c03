//! 128-bit ring identifiers: digits, distances, ranges.
