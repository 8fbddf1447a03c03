//! The program `hedgerow`.
fn main() {}
