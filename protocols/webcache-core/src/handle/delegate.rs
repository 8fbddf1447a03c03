//! Whoever has a body that another was sent for (Q11, Q12).

use guid::Guid;
use overlay_core::{Peer, Time};

use crate::cache::Waiting;
use crate::{Message, Meta, Webcache};

impl<P: Peer> Webcache<P> {
    pub(crate) fn handle_fetch(
        &mut self,
        now: Time,
        asker: Waiting<P>,
        object: Guid,
        have: Option<Meta>,
    ) {
        match have.filter(|meta| meta.is_fresh(now)) {
            Some(meta) => self.give(now, asker, object, meta, true),
            None => {
                let ask = asker.ask;
                self.send(asker.peer, Message::Gone { ask, object });
            }
        }
    }
}
