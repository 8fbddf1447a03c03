//! One peer on one transport: what is done, and in which order.
//!
//! Each scenario makes a lab of its own. Kademlia is asked only for what the asking side cannot
//! know otherwise: the third peer is connected to the one in the middle alone.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use cid::Cid;
use lab::Lab;
use multihash_codetable::{Code, MultihashDigest};
use serde_json::{Map, Value};

use crate::{
    cell::{Check, Peer, Transport},
    files,
    foreign::Foreign,
    hedgerow::Hedgerow,
    line::Command,
    prepare::Program,
};

/// The results of a peer on a transport.
pub type Measured = BTreeMap<Check, Result<(), String>>;

/// Longer than any step takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait until a question is asked again.
const LOOK: Duration = Duration::from_millis(200);

/// The Hedgerow node, the foreign peer, and a third one of the same kind.
const HEDGEROW: usize = 0;
const PEER: usize = 1;
const THIRD: usize = 2;

/// Codec of a CID whose bytes are nothing but bytes.
const RAW: u64 = 0x55;

/// Where peers listen, and where the node does.
const PEER_PORT: u16 = 4001;
const NODE_PORT: u16 = 4747;

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The program `hedgerow`.
    pub hedgerow: &'a Path,
    /// How the peer is started.
    pub program: &'a Program,
    /// Which one it is.
    pub peer: Peer,
    /// What all are connected by.
    pub transport: Transport,
}

impl<'s> Setup<'s> {
    /// Measures everything. `versions` is what the peer says it is made of.
    pub fn measure(&self, versions: &mut Vec<String>) -> Measured {
        let mut measured = Measured::new();
        let scenarios: [(Scenario<'s>, &[Check]); 9] = [
            (Setup::hedgerow_asks, &ASKED_BY_HEDGEROW),
            (Setup::peer_asks, &ASKED_BY_PEER),
            (Setup::mdns, &BY_MDNS),
            (Setup::gossip, &BY_GOSSIP),
            (Setup::hedgerow_fetches, &BY_FETCHING),
            (Setup::peer_fetches, &BY_GIVING),
            (Setup::hedgerow_relays, &[Check::RelayIn]),
            (Setup::hedgerow_is_relayed, &[Check::RelayedIn]),
            (Setup::third_is_relayed, &[Check::RelayedOut]),
        ];
        for (scenario, checks) in scenarios {
            if !checks.iter().all(|check| self.peer.has(*check)) {
                continue;
            }
            if let Err(error) = scenario(self, &mut measured, versions) {
                // What was not reached failed for the same reason.
                for check in checks {
                    let reason = format!("not reached: {error:#}");
                    measured.entry(*check).or_insert(Err(reason));
                }
            }
        }
        measured
    }

    /// Hedgerow dials a peer that knows a third one, and asks it for everything.
    fn hedgerow_asks(
        &self,
        measured: &mut Measured,
        versions: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let node = self.node(&lab, false)?;
        let mut peer = self.foreign(&lab, PEER, false)?;
        versions.clone_from(&peer.ready().versions);
        let (kept, given) = (key("kept by the peer"), key("given by hedgerow"));

        let addr = peer.addr()?;
        let dialled = again(|| node.run(&["peers", "connect", &addr]));
        note(measured, Check::DialOut, dialled)?;
        let pinged = node.json(&["peers", "ping", &peer.id(), "--count", "1"]);
        note(measured, Check::PingOut, pinged.map(drop)).ok();
        let known = node.identified(&peer.id(), PATIENCE);
        note(measured, Check::IdentifyOut, known.and_then(names_itself)).ok();

        // The third one says that it provides a key, and is a stranger to Hedgerow.
        let mut third = self.foreign(&lab, THIRD, false)?;
        third
            .ask(Command::Dial { addr: peer.addr()? }, PATIENCE)
            .context("the third peer")?;
        third
            .ask(Command::KadWait { peer: peer.id() }, PATIENCE)
            .context("the third peer")?;
        peer.ask(Command::KadWait { peer: third.id() }, PATIENCE)?;
        let asked = ["kad", "find-peer", &third.id()];
        let found = node.until("third peer", PATIENCE, &asked, |found| {
            (!found["addresses"].as_array()?.is_empty()).then_some(())
        });
        note(measured, Check::FindPeerOut, found).ok();
        third
            .ask(provide("kept by the peer"), PATIENCE)
            .context("the third peer")?;
        let found = node.until(
            "provider",
            PATIENCE,
            &["kad", "providers", &kept],
            |found| {
                found["providers"]
                    .as_array()?
                    .contains(&Value::from(third.id()))
                    .then_some(())
            },
        );
        note(measured, Check::FindProvidersOut, found).ok();
        let provided = node
            .json(&["kad", "provide", &given])
            .and_then(|_| finds(&mut peer, &given, &node.id()));
        note(measured, Check::ProvideOut, provided).ok();
        Ok(())
    }

    /// A peer dials Hedgerow and asks it for everything; so does a third one.
    fn peer_asks(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let node = self.node(&lab, false)?;
        let mut peer = self.foreign(&lab, PEER, false)?;
        let given = key("given by the peer");

        let dialled = peer.ask(Command::Dial { addr: node.addr() }, PATIENCE);
        note(measured, Check::DialIn, dialled.map(drop))?;
        // js-libp2p pings a peer before it takes it into its table, and rust-libp2p answers one
        // stream of pings a connection: the newest. So first the table, then the ping.
        let in_table = peer.ask(Command::KadWait { peer: node.id() }, PATIENCE);
        let pinged = peer.ask(Command::Ping { peer: node.id() }, PATIENCE);
        note(measured, Check::PingIn, pinged.map(drop)).ok();
        let known = peer.ask(Command::Identify { peer: node.id() }, PATIENCE);
        note(
            measured,
            Check::IdentifyIn,
            known.and_then(|known| names_hedgerow(&known)),
        )
        .ok();

        in_table?;
        node.identified(&peer.id(), PATIENCE)?;
        peer.ask(provide("given by the peer"), PATIENCE)?;
        let found = node.until(
            "provider",
            PATIENCE,
            &["kad", "providers", &given],
            |found| {
                found["providers"]
                    .as_array()?
                    .contains(&Value::from(peer.id()))
                    .then_some(())
            },
        );
        note(measured, Check::ProvideIn, found).ok();

        let mut third = self.foreign(&lab, THIRD, false)?;
        third
            .ask(Command::Dial { addr: node.addr() }, PATIENCE)
            .context("the third peer")?;
        third
            .ask(Command::KadWait { peer: node.id() }, PATIENCE)
            .context("the third peer")?;
        node.identified(&third.id(), PATIENCE)?;
        let found = finds(&mut third, &given, &peer.id());
        note(measured, Check::FindProvidersIn, found).ok();
        let wanted = third.id();
        let found = again(|| {
            let command = Command::FindPeer {
                peer: wanted.clone(),
            };
            has_addrs(&peer.ask(command, PATIENCE)?)
        });
        note(measured, Check::FindPeerIn, found).ok();
        Ok(())
    }

    /// Nobody dials; both wait for multicast.
    fn mdns(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let mut peer = self.foreign(&lab, PEER, true)?;
        let node = self.node(&lab, true)?;
        let found = peer.ask(Command::MdnsWait { peer: node.id() }, PATIENCE);
        note(
            measured,
            Check::MdnsIn,
            found.and_then(|found| has_addrs(&found)),
        )
        .ok();
        // But for kubo no peer dials whom it finds, so a connection is Hedgerow's doing.
        let found = node.identified(&peer.id(), PATIENCE);
        note(measured, Check::MdnsOut, found.map(drop)).ok();
        Ok(())
    }

    /// Both listen to a topic, and each hears the other.
    fn gossip(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let node = self.node(&lab, false)?;
        let mut peer = self.foreign(&lab, PEER, false)?;
        let topic = "hedgerow-interop".to_owned();
        let addr = peer.addr()?;
        again(|| node.run(&["peers", "connect", &addr]))?;
        peer.ask(
            Command::Subscribe {
                topic: topic.clone(),
            },
            PATIENCE,
        )?;
        let listener = node.listen(&topic)?;

        let data = "said by hedgerow".to_owned();
        let heard = again(|| node.run(&["gossip", "publish", &topic, &data])).and_then(|()| {
            let (topic, data) = (topic.clone(), data.clone());
            let heard = peer.ask(Command::GossipWait { topic, data }, PATIENCE)?;
            match heard.get("from") == Some(&Value::from(node.id())) {
                true => Ok(()),
                false => bail!("it is said to be from another: {:?}", heard.get("from")),
            }
        });
        note(measured, Check::GossipOut, heard).ok();

        let data = "said by the peer".to_owned();
        let publish = Command::Publish {
            topic,
            data: data.clone(),
        };
        let heard = peer
            .ask(publish, PATIENCE)
            .and_then(|_| listener.hears(&data, &peer.id(), PATIENCE));
        note(measured, Check::GossipIn, heard).ok();
        Ok(())
    }

    /// A third peer has files that Hedgerow knows nothing but the CIDs of. The peer in the
    /// middle has the record of who has them, and nothing else.
    fn hedgerow_fetches(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let node = self.node(&lab, false)?;
        let (peer, mut third) = self.two_peers(&lab)?;
        let addr = peer.addr()?;
        again(|| node.run(&["peers", "connect", &addr]))?;
        node.identified(&peer.id(), PATIENCE)?;

        let folder = lab.logs().join("fetched-by-hedgerow");
        let mut cids = Vec::new();
        let fetched = files::make(&folder.join("from"), 1).and_then(|names| {
            for name in &names {
                let (from, to) = (folder.join("from").join(name), folder.join("to").join(name));
                let cid = add(&mut third, &from)?;
                let to_text = files::text(&to)?;
                again(|| node.run(&["object", "get", &cid, "--output", &to_text]))
                    .with_context(|| name.clone())?;
                files::compare(&from, &to)?;
                cids.push((from, cid));
            }
            Ok(())
        });
        note(measured, Check::FetchOut, fetched).ok();
        let same = cids.iter().try_for_each(|(from, cid)| {
            let put = node.json(&["object", "put", &files::text(from)?])?;
            match put["cid"] == **cid {
                true => Ok(()),
                false => bail!("{}: {} and {cid}", from.display(), put["cid"]),
            }
        });
        let same = match cids.is_empty() {
            true => Err(anyhow::anyhow!("nothing was fetched")),
            false => same,
        };
        note(measured, Check::SameCid, same).ok();
        Ok(())
    }

    /// Hedgerow has files, and a third peer knows nothing but their CIDs, and the peer in the
    /// middle.
    fn peer_fetches(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let node = self.node(&lab, false)?;
        let (mut peer, mut third) = self.two_peers(&lab)?;
        let addr = peer.addr()?;
        again(|| node.run(&["peers", "connect", &addr]))?;
        node.identified(&peer.id(), PATIENCE)?;
        peer.ask(Command::KadWait { peer: node.id() }, PATIENCE)?;

        let folder = lab.logs().join("fetched-by-the-peer");
        let fetched = files::make(&folder.join("from"), 2).and_then(|names| {
            for name in &names {
                let (from, to) = (folder.join("from").join(name), folder.join("to").join(name));
                let put = node.json(&["object", "put", &files::text(&from)?])?;
                let key = put["cid"].as_str().context("no CID")?.to_owned();
                let path = files::text(&to)?;
                third
                    .ask(Command::Fetch { key, path }, PATIENCE)
                    .with_context(|| name.clone())?;
                files::compare(&from, &to)?;
            }
            Ok(())
        });
        note(measured, Check::FetchIn, fetched).ok();
        Ok(())
    }

    /// Hedgerow relays: a third peer holds a reservation there, and the peer dials it over that.
    fn hedgerow_relays(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.public_lab()?;
        let node = self.public_node(&lab, &["--relay-serve", "true"])?;
        let mut third = self.public_foreign(&lab, THIRD, &[])?;
        let mut peer = self.public_foreign(&lab, PEER, &[])?;
        third
            .ask(Command::Reserve { addr: node.addr() }, PATIENCE)
            .context("the third peer's reservation")?;
        let addr = circuit(&node.addr(), &third.id());
        let reached = peer
            .ask(Command::Dial { addr }, PATIENCE)
            .and_then(|_| peer.ask(Command::Ping { peer: third.id() }, PATIENCE))
            .and_then(|_| {
                node.until("circuit", PATIENCE, &["node", "status"], |status| {
                    (status["relaying"]["circuits"].as_u64()? > 0).then_some(())
                })
            });
        note(measured, Check::RelayIn, reached)
    }

    /// The peer relays, and Hedgerow holds a reservation there.
    fn hedgerow_is_relayed(
        &self,
        measured: &mut Measured,
        _: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let lab = self.public_lab()?;
        let peer = self.public_foreign(&lab, PEER, &["--relay"])?;
        let relay = peer.addr()?;
        let node = self.public_node(&lab, &["--relay", &relay])?;
        let mut third = self.public_foreign(&lab, THIRD, &[])?;
        let mut relays = Value::Null;
        node.until("reservation", PATIENCE, &["node", "status"], |status| {
            relays = status["relays"].clone();
            let held = |relay: &Value| relay["state"] == "held";
            relays.as_array()?.iter().any(held).then_some(())
        })
        .with_context(|| format!("the node's relays: {relays}"))?;
        let addr = circuit(&relay, &node.id());
        let reached = third
            .ask(Command::Dial { addr }, PATIENCE)
            .and_then(|_| third.ask(Command::Ping { peer: node.id() }, PATIENCE))
            .and_then(|_| relayed(&node, &third.id()));
        note(measured, Check::RelayedIn, reached)
    }

    /// The peer relays, and a third one holds a reservation there.
    fn third_is_relayed(&self, measured: &mut Measured, _: &mut Vec<String>) -> anyhow::Result<()> {
        let lab = self.public_lab()?;
        let peer = self.public_foreign(&lab, PEER, &["--relay"])?;
        let relay = peer.addr()?;
        let node = self.public_node(&lab, &[])?;
        let mut third = self.public_foreign(&lab, THIRD, &[])?;
        let addr = relay.clone();
        third
            .ask(Command::Reserve { addr }, PATIENCE)
            .context("the third peer's reservation")?;
        let addr = circuit(&relay, &third.id());
        let reached = again(|| node.run(&["peers", "connect", &addr]))
            .and_then(|()| node.run(&["peers", "ping", &third.id(), "--count", "1"]))
            .and_then(|()| relayed(&node, &third.id()));
        note(measured, Check::RelayedOut, reached)
    }

    /// Two peers that know each other.
    fn two_peers(&self, lab: &Lab) -> anyhow::Result<(Foreign, Foreign)> {
        let mut peer = self.foreign(lab, PEER, false)?;
        let mut third = self.foreign(lab, THIRD, false)?;
        third.ask(Command::Dial { addr: peer.addr()? }, PATIENCE)?;
        third.ask(Command::KadWait { peer: peer.id() }, PATIENCE)?;
        peer.ask(Command::KadWait { peer: third.id() }, PATIENCE)?;
        Ok((peer, third))
    }

    fn lab(&self) -> anyhow::Result<Lab> {
        Ok(Lab::builder()
            .nodes(3)
            .ipv4_only()
            .binary(self.hedgerow)
            .build()?)
    }

    fn node<'a>(&self, lab: &'a Lab, mdns: bool) -> anyhow::Result<Hedgerow<'a>> {
        let listen = self.transport.address(lab.ipv4(HEDGEROW, 0), NODE_PORT);
        Hedgerow::start(lab, HEDGEROW, self.hedgerow, &listen, mdns, &[])
    }

    fn foreign(&self, lab: &Lab, node: usize, mdns: bool) -> anyhow::Result<Foreign> {
        let flags: &[&str] = if mdns { &["--mdns"] } else { &[] };
        self.foreign_at(lab, node, lab.ipv4(node, 0), flags)
    }

    /// A lab whose nodes have public addresses: go-libp2p's relay names no others.
    fn public_lab(&self) -> anyhow::Result<Lab> {
        let lab = self.lab()?;
        for node in [HEDGEROW, PEER, THIRD] {
            let addr = format!("{}/24", public(node));
            let add = ["address", "add", &addr, "dev", "eth0"];
            let output = lab.output(node, Path::new("ip"), add)?;
            if !output.status.success() {
                bail!(
                    "no public address: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        Ok(lab)
    }

    /// A node of a [`Setup::public_lab`], with more flags.
    fn public_node<'a>(&self, lab: &'a Lab, flags: &[&str]) -> anyhow::Result<Hedgerow<'a>> {
        let listen = self.transport.address(public(HEDGEROW), NODE_PORT);
        Hedgerow::start(lab, HEDGEROW, self.hedgerow, &listen, false, flags)
    }

    /// A peer of a [`Setup::public_lab`], with more flags.
    fn public_foreign(&self, lab: &Lab, node: usize, flags: &[&str]) -> anyhow::Result<Foreign> {
        self.foreign_at(lab, node, public(node), flags)
    }

    fn foreign_at(
        &self,
        lab: &Lab,
        node: usize,
        ip: Ipv4Addr,
        flags: &[&str],
    ) -> anyhow::Result<Foreign> {
        let mut args = vec!["--listen".to_owned(), self.transport.address(ip, PEER_PORT)];
        args.extend(flags.iter().map(ToString::to_string));
        let label = format!("{}-{node}", self.peer);
        Foreign::start(lab, node, &label, self.program, &args)
    }
}

type Scenario<'s> = fn(&Setup<'s>, &mut Measured, &mut Vec<String>) -> anyhow::Result<()>;

const ASKED_BY_HEDGEROW: [Check; 6] = [
    Check::DialOut,
    Check::PingOut,
    Check::IdentifyOut,
    Check::FindPeerOut,
    Check::FindProvidersOut,
    Check::ProvideOut,
];

const ASKED_BY_PEER: [Check; 6] = [
    Check::DialIn,
    Check::PingIn,
    Check::IdentifyIn,
    Check::ProvideIn,
    Check::FindProvidersIn,
    Check::FindPeerIn,
];

const BY_MDNS: [Check; 2] = [Check::MdnsIn, Check::MdnsOut];

const BY_GOSSIP: [Check; 2] = [Check::GossipOut, Check::GossipIn];

const BY_FETCHING: [Check; 2] = [Check::FetchOut, Check::SameCid];

const BY_GIVING: [Check; 1] = [Check::FetchIn];

/// Notes a result, and gives it back for those that others depend on.
fn note(measured: &mut Measured, check: Check, result: anyhow::Result<()>) -> anyhow::Result<()> {
    let noted = match &result {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{error:#}")),
    };
    measured.insert(check, noted);
    result.with_context(|| check.title())
}

/// Stores a file or directory at a peer; its CID.
fn add(peer: &mut Foreign, path: &Path) -> anyhow::Result<String> {
    let path = files::text(path)?;
    let added = peer.ask(Command::Add { path }, PATIENCE)?;
    let cid = added.get("cid").and_then(Value::as_str);
    Ok(cid.context("no CID")?.to_owned())
}

/// Provides a text that stands for some content.
fn provide(text: &str) -> Command {
    Command::Provide {
        key: key(text),
        content: text.to_owned(),
    }
}

/// The CID of a text that stands for some content.
fn key(text: &str) -> String {
    Cid::new_v1(RAW, Code::Sha2_256.digest(text.as_bytes())).to_string()
}

/// An address that no library takes for one of a LAN. It is in the namespaces of one lab alone.
fn public(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(44, 128, 0, 1 + u8::try_from(node).unwrap_or(u8::MAX - 1))
}

/// Where a peer is that has a reservation at a relay.
fn circuit(relay: &str, peer: &str) -> String {
    format!("{relay}/p2p-circuit/p2p/{peer}")
}

/// Whether the node is connected to a peer by a relay, and not otherwise.
fn relayed(node: &Hedgerow<'_>, peer: &str) -> anyhow::Result<()> {
    let known = node.identified(peer, PATIENCE)?;
    match known["path"] == "relayed" {
        true => Ok(()),
        false => bail!("connected otherwise: {}", known["path"]),
    }
}

fn names_itself(peer: Value) -> anyhow::Result<()> {
    let speaks = |protocol: &str| {
        peer["protocols"]
            .as_array()
            .is_some_and(|list| list.contains(&Value::from(protocol)))
    };
    if peer["agent"].as_str().is_none_or(str::is_empty) || !speaks("/ipfs/ping/1.0.0") {
        bail!("identified as {peer}");
    }
    Ok(())
}

fn names_hedgerow(known: &Map<String, Value>) -> anyhow::Result<()> {
    let agent = known
        .get("agent")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let protocols = known.get("protocols").and_then(Value::as_array);
    let speaks = protocols.is_some_and(|list| list.contains(&Value::from("/ipfs/ping/1.0.0")));
    if !agent.starts_with("hedgerow/") || !speaks {
        bail!("identified as {}", Value::from(known.clone()));
    }
    Ok(())
}

fn has_addrs(found: &Map<String, Value>) -> anyhow::Result<()> {
    let addrs = found.get("addrs").and_then(Value::as_array);
    if addrs.is_none_or(Vec::is_empty) {
        bail!("found without an address");
    }
    Ok(())
}

/// Whether a peer finds a provider.
fn finds(peer: &mut Foreign, key: &str, provider: &str) -> anyhow::Result<()> {
    again(|| {
        let command = Command::FindProviders {
            key: key.to_owned(),
        };
        let found = peer.ask(command, PATIENCE)?;
        let providers = found.get("providers").and_then(Value::as_array);
        if !providers.is_some_and(|providers| providers.contains(&Value::from(provider))) {
            bail!("the provider is not among those found");
        }
        Ok(())
    })
}

/// Asks until it succeeds: records travel unacknowledged, and a lookup may fail on its way.
fn again(mut ask: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let found = ask();
        if found.is_ok() || begin.elapsed() > PATIENCE {
            return found;
        }
        // There is no event for what has arrived at another process.
        std::thread::sleep(LOOK);
    }
}
