//! The swarm of a measured node, and the task that drives it.

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use anyhow::Context;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, identify,
    identity::Keypair,
    kad::{self, store::MemoryStore, store::RecordStore},
    swarm::{self, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
};
use tokio::sync::{mpsc, oneshot};

use super::control::Member;

/// Longer than any measurement, so that connections stay open for both protocols alike.
const IDLE_CONNECTION: Duration = Duration::from_secs(3600);

/// Lookups waiting for the swarm's task: more than are ever under way.
const QUEUE: usize = 1024;

/// What a node carries. The order gives nobody an advantage: each is polled until it has
/// nothing left to do.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviour {
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    frugal: kad::Behaviour<MemoryStore>,
    overlay: overlay::Behaviour,
}

/// One of the two Kademlia networks that the nodes are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// With libp2p's defaults: 20 results, 3 requests at a time.
    Usual,
    /// With the least it can be set to: 1 request at a time.
    Frugal,
}

/// A Kademlia query.
pub(crate) enum Query {
    Bootstrap,
    Closest {
        key: Vec<u8>,
        count: NonZeroUsize,
    },
    Get(kad::RecordKey),
    /// Stored by so many of the nodes closest to its key, or by as many as keep a copy.
    Put(kad::Record, NonZeroUsize),
}

/// What came of a query.
#[derive(Debug)]
pub(crate) enum Found {
    Done,
    Peers(Vec<PeerId>),
    Value(Vec<u8>),
}

/// A query's end: what was found, and the requests sent until then.
pub(crate) type Ended = Result<(Found, u64), String>;

enum Command {
    Connect(Vec<Member>, oneshot::Sender<()>),
    Join(Vec<Member>, oneshot::Sender<()>),
    Query(Network, Query, oneshot::Sender<Ended>),
    Holds(kad::RecordKey, oneshot::Sender<bool>),
}

/// Talks to the swarm's task. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle(mpsc::Sender<Command>);

impl Handle {
    /// Connects to all of these; done when the last connection stands.
    pub(crate) async fn connect(&self, members: Vec<Member>) -> anyhow::Result<()> {
        self.ask(|done| Command::Connect(members, done)).await
    }

    /// Tells the overlay and Kademlia of all of these.
    pub(crate) async fn join(&self, members: Vec<Member>) -> anyhow::Result<()> {
        self.ask(|done| Command::Join(members, done)).await
    }

    /// Asks Kademlia.
    pub(crate) async fn query(&self, network: Network, query: Query) -> Ended {
        self.ask(|ended| Command::Query(network, query, ended))
            .await
            .map_err(|error| error.to_string())?
    }

    /// Whether one of the Kademlia networks has stored the record at this node.
    pub(crate) async fn holds(&self, key: kad::RecordKey) -> anyhow::Result<bool> {
        self.ask(|answer| Command::Holds(key, answer)).await
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Command) -> anyhow::Result<T> {
        let (sender, answer) = oneshot::channel();
        self.0
            .send(make(sender))
            .await
            .ok()
            .context("the swarm's task has ended")?;
        answer.await.context("the swarm's task has ended")
    }
}

/// Starts a swarm that listens on `listen`. Kademlia with its defaults keeps `copies` of a
/// record.
pub(crate) fn start(
    keypair: &Keypair,
    overlay: overlay::Behaviour,
    listen: Multiaddr,
    copies: NonZeroUsize,
) -> anyhow::Result<Handle> {
    let peer = keypair.public().to_peer_id();
    let behaviour = Behaviour {
        identify: identify::Behaviour::new(identify::Config::new(
            "lookups/1.0.0".to_owned(),
            keypair.public(),
        )),
        kad: kademlia(peer, usual(copies)),
        frugal: kademlia(peer, frugal()),
        overlay,
    };
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_CONNECTION);
    let transport = node::network::build_transport(keypair, false)?;
    let mut swarm = Swarm::new(transport, behaviour, peer, config);
    swarm.listen_on(listen)?;
    let (sender, commands) = mpsc::channel(QUEUE);
    tokio::spawn(
        Driver {
            swarm,
            commands,
            queries: HashMap::new(),
            connecting: None,
        }
        .run(),
    );
    Ok(Handle(sender))
}

/// Server mode, and nothing from time to time that would disturb the measurement.
fn kademlia(peer: PeerId, mut config: kad::Config) -> kad::Behaviour<MemoryStore> {
    config
        .set_periodic_bootstrap_interval(None)
        .set_replication_interval(None)
        .set_publication_interval(None);
    let mut kad = kad::Behaviour::with_config(peer, MemoryStore::new(peer), config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

fn usual(copies: NonZeroUsize) -> kad::Config {
    let mut config = kad::Config::new(kad::PROTOCOL_NAME);
    config.set_replication_factor(copies);
    config
}

fn frugal() -> kad::Config {
    let mut config = kad::Config::new(StreamProtocol::new("/lookups/kad/1.0.0"));
    config
        .set_parallelism(NonZeroUsize::MIN)
        .set_replication_factor(NonZeroUsize::new(3).expect("3 is more than 0"));
    config
}

struct Driver {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    queries: HashMap<(Network, kad::QueryId), oneshot::Sender<Ended>>,
    /// Connections that are to stand before the order is done.
    connecting: Option<(Vec<PeerId>, oneshot::Sender<()>)>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        // Whoever asked may be gone; nothing is lost then.
        match command {
            Command::Connect(members, done) => {
                let peers = members.iter().map(|member| member.peer).collect();
                self.connecting = Some((peers, done));
                for member in members {
                    let dial = DialOpts::peer_id(member.peer).addresses(vec![member.address]);
                    if let Err(error) = self.swarm.dial(dial.build()) {
                        tracing::warn!(%error, "not dialled");
                    }
                }
                self.note_connected();
            }
            Command::Join(members, done) => {
                let behaviour = self.swarm.behaviour_mut();
                for Member { peer, address } in members {
                    behaviour.kad.add_address(&peer, address.clone());
                    behaviour.frugal.add_address(&peer, address.clone());
                    behaviour.overlay.add_peer(peer, vec![address]);
                }
                let _ = done.send(());
            }
            Command::Query(network, query, ended) => self.query(network, query, ended),
            Command::Holds(key, answer) => {
                let behaviour = self.swarm.behaviour_mut();
                let holds = behaviour.kad.store_mut().get(&key).is_some()
                    || behaviour.frugal.store_mut().get(&key).is_some();
                let _ = answer.send(holds);
            }
        }
    }

    fn query(&mut self, network: Network, query: Query, ended: oneshot::Sender<Ended>) {
        let kad = self.kad(network);
        let started = match query {
            Query::Bootstrap => kad.bootstrap().map_err(|error| error.to_string()),
            Query::Closest { key, count } => Ok(kad.get_n_closest_peers(key, count)),
            Query::Get(key) => Ok(kad.get_record(key)),
            Query::Put(record, count) => kad
                .put_record(record, kad::Quorum::N(count))
                .map_err(|error| error.to_string()),
        };
        match started {
            Ok(id) => drop(self.queries.insert((network, id), ended)),
            Err(error) => drop(ended.send(Err(error))),
        }
    }

    fn kad(&mut self, network: Network) -> &mut kad::Behaviour<MemoryStore> {
        match network {
            Network::Usual => &mut self.swarm.behaviour_mut().kad,
            Network::Frugal => &mut self.swarm.behaviour_mut().frugal,
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(Network::Usual, event),
            SwarmEvent::Behaviour(BehaviourEvent::Frugal(event)) => {
                self.on_kad(Network::Frugal, event);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Overlay(event)) => {
                tracing::info!(?event, "overlay");
            }
            SwarmEvent::ConnectionEstablished { .. } => self.note_connected(),
            SwarmEvent::OutgoingConnectionError { error, .. } => {
                tracing::warn!(%error, "not connected");
            }
            _ => {}
        }
    }

    fn note_connected(&mut self) {
        let swarm = &self.swarm;
        if let Some((_, done)) = self
            .connecting
            .take_if(|(peers, _)| peers.iter().all(|peer| swarm.is_connected(peer)))
        {
            let _ = done.send(());
        }
    }

    fn on_kad(&mut self, network: Network, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed {
            id,
            result,
            stats,
            step,
        } = event
        else {
            return;
        };
        let ended = match result {
            // The first copy is enough, as where the value is needed: the rest is called off.
            kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) => {
                if let Some(mut query) = self.kad(network).query_mut(&id) {
                    query.finish();
                }
                Ok(Found::Value(found.record.value))
            }
            _ if !step.last => return,
            kad::QueryResult::GetRecord(Ok(_)) => Err("no record was found".to_owned()),
            kad::QueryResult::GetRecord(Err(error)) => Err(error.to_string()),
            kad::QueryResult::GetClosestPeers(Ok(found)) => Ok(Found::Peers(
                found.peers.into_iter().map(|info| info.peer_id).collect(),
            )),
            kad::QueryResult::GetClosestPeers(Err(error)) => Err(error.to_string()),
            kad::QueryResult::PutRecord(Ok(_)) | kad::QueryResult::Bootstrap(Ok(_)) => {
                Ok(Found::Done)
            }
            kad::QueryResult::PutRecord(Err(error)) => Err(error.to_string()),
            kad::QueryResult::Bootstrap(Err(error)) => Err(error.to_string()),
            other => Err(format!("a query of another kind ended: {other:?}")),
        };
        // One that was answered before has nobody waiting.
        if let Some(waiting) = self.queries.remove(&(network, id)) {
            let requests = u64::from(stats.num_requests());
            let _ = waiting.send(ended.map(|found| (found, requests)));
        }
    }
}
