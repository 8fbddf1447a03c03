//! What the overlay tells the applications on it (O8, O9).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use guid::Guid;
use libp2p_identity::PeerId;
use overlay_core::Ticket;
use tokio::sync::mpsc;

use crate::{Contact, RouteError, command::Command};

/// How an application is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppConfig {
    /// How many upcalls may wait for the application; further ones are refused.
    pub queue: usize,
    /// Whether the application sees its messages on their way through this node, and
    /// may change or stop them.
    pub intercept: bool,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            queue: 256,
            intercept: false,
        }
    }
}

/// Something for an application to do.
#[derive(Debug)]
pub enum Upcall {
    /// A message whose key this node is the root of.
    Deliver(Delivery),
    /// A message to an object that this node publishes.
    DeliverObject(Delivery),
    /// A message passing through; only for applications that intercept.
    Forward(Forward),
    /// Nodes entered or left the leaf set, so ranges of keys have moved.
    Update {
        /// Entered.
        joined: Vec<Contact>,
        /// Left.
        left: Vec<Contact>,
    },
}

/// The upcalls of one application, in order. Dropping it unregisters the application.
#[derive(Debug)]
pub struct Upcalls(pub(crate) mpsc::Receiver<Upcall>);

impl Upcalls {
    /// The next upcall; `None` once another registration took this one's place or the
    /// node has stopped.
    pub async fn next(&mut self) -> Option<Upcall> {
        self.0.recv().await
    }
}

impl Stream for Upcalls {
    type Item = Upcall;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Upcall>> {
        self.0.poll_recv(cx)
    }
}

/// A message that has arrived: at the root of its key, or at a holder of its object.
#[derive(Debug)]
pub struct Delivery {
    /// The key it was routed to, or the object.
    pub key: Guid,
    /// What it carries.
    pub payload: Bytes,
    /// Who sent it.
    pub origin: Contact,
    /// How many hops it took.
    pub hops: usize,
    /// To answer with, if the sender waits for an answer.
    pub responder: Option<Responder>,
}

/// Whom an answer goes to.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) id: overlay_core::MessageId,
    pub(crate) origin: overlay_core::Contact<PeerId>,
    pub(crate) hops: u8,
}

/// Answers one request. Dropped without an answer, it tells the asker so.
#[derive(Debug)]
pub struct Responder {
    /// Taken by the answer.
    asker: Option<Asker>,
    commands: mpsc::Sender<Command>,
}

impl Responder {
    pub(crate) fn new(asker: Asker, commands: mpsc::Sender<Command>) -> Self {
        Self {
            asker: Some(asker),
            commands,
        }
    }

    /// Somebody else answers.
    pub(crate) fn disarm(&mut self) {
        self.asker = None;
    }

    /// Sends the answer.
    ///
    /// # Errors
    ///
    /// [`RouteError::Stopped`] if the node has stopped.
    pub async fn reply(mut self, payload: Bytes) -> Result<(), RouteError> {
        let Some(asker) = self.asker.take() else {
            return Ok(());
        };
        let command = Command::Respond {
            asker,
            payload: Some(payload),
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| RouteError::Stopped)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            // If even this finds no room, the asker learns it from its timeout.
            let _ = self.commands.try_send(Command::Respond {
                asker,
                payload: None,
            });
        }
    }
}

/// A message on its way through this node. Dropped undecided, it is stopped.
#[derive(Debug)]
pub struct Forward {
    /// The key it is routed to.
    pub key: Guid,
    /// What it carries.
    pub payload: Bytes,
    /// Who sent it.
    pub origin: Contact,
    /// Who is to have it next.
    pub next: Contact,
    /// To let it go on, or stop it.
    pub gate: Gate,
}

/// Decides about one message passing through.
#[derive(Debug)]
pub struct Gate {
    /// Taken by the decision.
    ticket: Option<Ticket>,
    commands: mpsc::Sender<Command>,
}

impl Gate {
    pub(crate) fn new(ticket: Ticket, commands: mpsc::Sender<Command>) -> Self {
        Self {
            ticket: Some(ticket),
            commands,
        }
    }

    /// Somebody else decides.
    pub(crate) fn disarm(&mut self) {
        self.ticket = None;
    }

    /// Lets the message go on, with this payload.
    ///
    /// # Errors
    ///
    /// [`RouteError::Stopped`] if the node has stopped.
    pub async fn pass(mut self, payload: Bytes) -> Result<(), RouteError> {
        let Some(ticket) = self.ticket.take() else {
            return Ok(());
        };
        let command = Command::Resume {
            ticket,
            payload: Some(payload),
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| RouteError::Stopped)
    }

    /// Stops the message.
    pub fn stop(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let _ = self.commands.try_send(Command::Resume {
                ticket,
                payload: None,
            });
        }
    }
}
