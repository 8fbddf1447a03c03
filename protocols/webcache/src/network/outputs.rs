//! What the core wants to be done.

use std::{collections::VecDeque, sync::Arc};

use libp2p_identity::PeerId;
use webcache_core::{Duty, Input, Message, Output, Purpose};

use super::{
    ask, exchange,
    node::Node,
    origin,
    state::{Reply, State, Turn},
};
use crate::stats::Counters;

impl Node {
    pub(super) fn run(self: &Arc<Self>, state: &mut State, input: Input<PeerId>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            state.core.handle_input(self.now(), input);
            while let Some(output) = state.core.poll_output() {
                self.output(state, output, &mut inputs);
            }
        }
    }

    fn output(
        self: &Arc<Self>,
        state: &mut State,
        output: Output<PeerId>,
        inputs: &mut VecDeque<Input<PeerId>>,
    ) {
        match output {
            Output::ToHome { object, message } => {
                if let Message::Get {
                    ask,
                    version,
                    without,
                    ..
                } = message
                    && let Some(wanted) = state.wanted(object)
                {
                    let home = ask::Get {
                        ask,
                        object,
                        wanted,
                        version,
                        without,
                    };
                    tokio::spawn(ask::home(Arc::clone(self), home));
                }
            }
            Output::Send { to, message } => self.send(state, to, message, inputs),
            Output::Origin {
                object,
                purpose: Purpose::Own,
                ..
            } => {
                if !state.send_to_origin(object, self) {
                    // Whoever wanted it has gone.
                    inputs.push_back(Input::Fetched {
                        object,
                        purpose: Purpose::Own,
                        outcome: webcache_core::Outcome::Failed,
                    });
                }
            }
            Output::Origin {
                object,
                purpose: Purpose::Group,
                ..
            } => match state.wanted_by_others(object) {
                Some((asker, wanted)) => {
                    tokio::spawn(origin::fetch(Arc::clone(self), object, wanted, asker));
                }
                None => inputs.push_back(Input::Fetched {
                    object,
                    purpose: Purpose::Group,
                    outcome: webcache_core::Outcome::Failed,
                }),
            },
            // It was done when the answer came.
            Output::Refresh { .. } => {}
            Output::Answer {
                ticket,
                object,
                source,
            } => {
                if let Some(client) = state.clients.remove(&ticket)
                    && let Some(turn) = client.turn
                {
                    let copy = self.keeper.find(object, &client.wanted, false);
                    let _ = turn.send(Turn::Answer(source, copy));
                }
            }
        }
    }

    fn send(
        self: &Arc<Self>,
        state: &mut State,
        to: PeerId,
        message: Message<PeerId>,
        inputs: &mut VecDeque<Input<PeerId>>,
    ) {
        let answers = match &message {
            Message::Wait { ask, .. } => Some((*ask, false)),
            Message::Current { ask, .. }
            | Message::Object { ask, .. }
            | Message::Redirect { ask, .. }
            | Message::Origin { ask, .. }
            | Message::Gone { ask, .. } => Some((*ask, true)),
            Message::Fetch { .. }
            | Message::Told { .. }
            | Message::Offer { .. }
            | Message::Get { .. } => None,
        };
        if to == self.me {
            if let Some((ask, true)) = answers {
                state.questions.remove(&(to, ask));
            }
            return inputs.push_back(Input::Received {
                from: to,
                message,
                have: None,
            });
        }
        match answers {
            Some((ask, _)) => self.reply(state, to, ask, message),
            None => {
                let wanted = match message {
                    Message::Fetch { object, .. } => state.wanted(object),
                    _ => None,
                };
                let offered = state.with_addresses(&message);
                tokio::spawn(exchange::say(
                    Arc::clone(self),
                    to,
                    message,
                    wanted,
                    offered,
                ));
            }
        }
    }

    /// Hands an answer to the task that has the stream.
    fn reply(&self, state: &mut State, to: PeerId, ask: u64, message: Message<PeerId>) {
        let Some(asked) = state.questions.get(&(to, ask)) else {
            return;
        };
        let Some(replies) = asked.replies.clone() else {
            return;
        };
        let copy = || self.copy(asked.object, asked.wanted.as_deref());
        let reply = match message {
            Message::Wait { .. } => Reply::Wait,
            Message::Current { copy: copied, .. } => Reply::Current(copied, copy()),
            Message::Object {
                copy: copied, hit, ..
            } => match copy() {
                Some(copy) => {
                    Counters::add(&self.keeper.counters.served);
                    Reply::Object { copied, hit, copy }
                }
                // It is there, but not as this one wants it.
                None => Reply::Origin { tell: false },
            },
            Message::Redirect { delegate, .. } => Reply::Redirect(state.node(delegate)),
            Message::Origin { duty, .. } => Reply::Origin {
                tell: duty == Duty::Tell,
            },
            Message::Gone { .. } => Reply::Gone,
            _ => return,
        };
        // It has room for all answers that a question can have.
        let _ = replies.try_send(reply);
    }
}
