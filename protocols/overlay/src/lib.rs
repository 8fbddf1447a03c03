//! Pastry on libp2p: the network behaviour and the application interface.
