//! A peer that says what a test tells it, and hears what it is told.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};
use std::time::Duration;

use bitswap::{MAX_MESSAGE, Message};
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, Stream,
    StreamProtocol, Swarm, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p_swarm_test::SwarmExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::net::{Node, PATIENCE};

pub(crate) struct Raw {
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
    say: mpsc::UnboundedSender<Vec<u8>>,
    heard: mpsc::UnboundedReceiver<Message>,
    driver: JoinHandle<()>,
}

impl Raw {
    /// Starts one that speaks `protocol` and is connected to `node`.
    pub(crate) async fn start(node: &Node, protocol: StreamProtocol) -> Raw {
        let mut swarm = Swarm::new_ephemeral_tokio(|_| Probe {
            protocol,
            openings: VecDeque::new(),
            opening: HashMap::new(),
            next: 0,
            happened: VecDeque::new(),
        });
        let (addr, _) = swarm.listen().with_memory_addr_external().await;
        let peer = *swarm.local_peer_id();
        swarm.dial(node.addr.clone()).expect("it can be dialled");
        let (say, mut to_say) = mpsc::unbounded_channel::<Vec<u8>>();
        let (hear, heard) = mpsc::unbounded_channel();
        let to = node.peer;
        let driver = tokio::spawn(async move {
            let mut connected = false;
            loop {
                let event = tokio::select! {
                    event = swarm.select_next_some() => event,
                    Some(bytes) = to_say.recv(), if connected => {
                        // Each on a stream of its own, as kubo does it.
                        let opening = Opening { to, bytes };
                        swarm.behaviour_mut().openings.push_back(opening);
                        continue;
                    }
                };
                match event {
                    SwarmEvent::ConnectionEstablished { .. } => connected = true,
                    SwarmEvent::Behaviour(Happened::Inbound(stream)) => {
                        tokio::spawn(read(stream, hear.clone()));
                    }
                    SwarmEvent::Behaviour(Happened::Opened(mut stream, bytes)) => {
                        tokio::spawn(async move {
                            let written = stream.write_all(&bytes).await;
                            written.and(stream.close().await).ok();
                        });
                    }
                    _ => {}
                }
            }
        });
        Raw {
            peer,
            addr,
            say,
            heard,
            driver,
        }
    }

    pub(crate) fn place(&self) -> (PeerId, &Multiaddr) {
        (self.peer, &self.addr)
    }

    pub(crate) fn say(&self, message: &Message) {
        let body = message.encode();
        let mut frame = wire::frame_header(body.len()).to_vec();
        frame.extend_from_slice(&body);
        self.say_bytes(frame);
    }

    pub(crate) fn say_bytes(&self, bytes: Vec<u8>) {
        self.say.send(bytes).expect("it runs");
    }

    /// The next message that the node sends.
    pub(crate) async fn hears(&mut self) -> Message {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("in time").expect("it runs")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn read(mut stream: Stream, hear: mpsc::UnboundedSender<Message>) {
    while let Ok(frame) = wire::read_frame(&mut stream, MAX_MESSAGE).await {
        let message = Message::decode(frame).expect("what a node sends");
        let _ = hear.send(message);
    }
}

struct Opening {
    to: PeerId,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Happened {
    Inbound(Stream),
    Opened(Stream, Vec<u8>),
}

struct Probe {
    protocol: StreamProtocol,
    openings: VecDeque<Opening>,
    /// What is said on each stream that is being opened.
    opening: HashMap<u64, Vec<u8>>,
    next: u64,
    happened: VecDeque<Happened>,
}

impl Probe {
    fn handler(&self) -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: None,
            streams: Some(wire::StreamConfig {
                protocol: self.protocol.clone(),
                older: Vec::new(),
                max_inbound: 64,
            }),
            open_timeout: Duration::from_secs(5),
            keep_alive: true,
        })
    }
}

impl NetworkBehaviour for Probe {
    type ConnectionHandler = wire::Handler;
    type ToSwarm = Happened;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            wire::Event::Inbound(stream) => self.happened.push_back(Happened::Inbound(stream)),
            wire::Event::StreamOpened { id, stream, .. } => {
                let bytes = self.opening.remove(&id).expect("it was asked for");
                self.happened.push_back(Happened::Opened(stream, bytes));
            }
            other => panic!("{other:?}"),
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(happened) = self.happened.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(happened));
        }
        let Some(Opening { to, bytes }) = self.openings.pop_front() else {
            return Poll::Pending;
        };
        let id = self.next;
        self.next += 1;
        self.opening.insert(id, bytes);
        Poll::Ready(ToSwarm::NotifyHandler {
            peer_id: to,
            handler: NotifyHandler::Any,
            event: wire::Command::OpenStream { id },
        })
    }
}
