//! The program `hedgerow` as a person runs it.

mod bad_input;
mod network;
mod support;
