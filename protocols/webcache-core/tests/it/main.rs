//! The core through its public interface, in virtual time.

mod asking;
mod bounds;
mod directory;
mod handing_over;
mod home_store;
mod names;
mod net;
mod random;
