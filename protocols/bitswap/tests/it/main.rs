//! Two and more swarms on the memory transport, and the message codec by itself.

mod codec;
mod exchange;
mod hostile;
mod net;
mod raw;
