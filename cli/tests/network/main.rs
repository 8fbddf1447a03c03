//! Real nodes in namespaces of their own, driven as a person drives them.

mod discovery;
mod sizes;
mod survival;
mod trace;
mod walk;

mod net;
