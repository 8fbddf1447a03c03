//! Proxies that share what they keep, in a network of real overlays in one process.

mod going;
mod intercepts;
mod member;
mod packages;
mod safety;
mod sharing;
