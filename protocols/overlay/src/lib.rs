//! Pastry on libp2p: the network behaviour and the application interface.

mod contact;

pub use contact::Contact;
