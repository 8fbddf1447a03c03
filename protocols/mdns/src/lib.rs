//! Multicast DNS discovery on every interface, IPv4 and IPv6.
