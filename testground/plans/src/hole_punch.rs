//! Plan `hole-punch`: nodes behind NATs reach each other.

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::time::Instant;

use crate::client::Client;
use crate::hedgerow::{Cli, Node};
use crate::objects::{Objects, read_all};
use crate::team::{LOOK, Member, Team, text};

/// Where nodes listen.
const PORT: u16 = 4747;

/// The instance on the public LAN.
const RELAY: usize = 0;

/// The nodes behind NATs enter by the public one, are connected as their NATs allow, and read
/// what was put in either home.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let case = team.environment.case.clone();
    let mut node = start(&team).await?;
    let members = team.members(node.cli(), "nodes").await?;

    team.recorder.stage_start("one ring");
    team.settle(node.cli(), &members, within).await?;
    team.meet("there is one ring").await?;
    team.recorder.stage_end("one ring");

    team.recorder.stage_start("paths");
    let expected = Expected::new(&team, &members, &case)?;
    expected.wait(&team, node.cli()).await?;
    team.meet("all are connected").await?;
    team.recorder.stage_end("paths");

    team.recorder.stage_start("objects");
    let client = Client::new(&team, node.cli())?;
    let objects = Objects::listen(&team).await?;
    let mut chance = team.own_chance();
    let size: usize = team.environment.param("size")?;
    for _ in 0..team.environment.param("objects")? {
        objects
            .put(&team, &client, &mut chance, size)
            .await?
            .context("a put failed")?;
    }
    let known = objects.finish(&team).await?;
    read_all(&client, &known).await?;
    team.meet("all is read").await?;
    team.recorder.stage_end("objects");

    let paths = paths(node.cli(), &members).await?;
    team.recorder.message(format!("in the end: {paths:?}"));
    expected.wait(&team, node.cli()).await?;
    team.meet("done").await?;
    node.stop().await
}

/// Starts the public node, then those that are told where it is.
async fn start(team: &Team) -> anyhow::Result<Node> {
    let transport: String = team.environment.param("transport")?;
    let (listen, protocol) = match transport.as_str() {
        "tcp" => (Some(format!("/ip4/0.0.0.0/tcp/{PORT}")), "tcp"),
        "quic" => (Some(format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1")), "quic"),
        "both" => (None, "tcp"),
        other => bail!("`transport` is tcp, quic or both, not {other}"),
    };
    let mut flags: Vec<String> = Vec::new();
    flags.extend(
        listen
            .into_iter()
            .flat_map(|at| ["--listen".to_owned(), at]),
    );
    if team.number == RELAY {
        flags.extend(["--relay-serve".to_owned(), "true".to_owned()]);
        let mut node = node(team, &flags);
        node.start().await?;
        let id = node.cli().json(&["node", "id"]).await?;
        let peer = text(&id["peer_id"])?;
        let at = team.addresses[RELAY];
        let address = match protocol {
            "tcp" => format!("/ip4/{at}/tcp/{PORT}/p2p/{peer}"),
            _ => format!("/ip4/{at}/udp/{PORT}/quic-v1/p2p/{peer}"),
        };
        team.sync.publish("relay", &address).await?;
        return Ok(node);
    }
    let mut told = team.sync.subscribe::<String>("relay").await?;
    let relay = told.next().await?;
    flags.extend(["--bootstrap".to_owned(), relay.clone()]);
    if team.environment.param::<bool>("named")? {
        flags.extend(["--relay".to_owned(), relay]);
    } else {
        flags.extend(["--relay-auto".to_owned(), "true".to_owned()]);
    }
    let mut node = node(team, &flags);
    node.start().await?;
    Ok(node)
}

fn node(team: &Team, flags: &[String]) -> Node {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Node::new(&team.environment, &flags)
}

/// How this instance's node should be connected to each of the others.
struct Expected(Vec<(Member, &'static [&'static str])>);

impl Expected {
    fn new(team: &Team, members: &[Member], case: &str) -> anyhow::Result<Expected> {
        let between_homes: &[&str] = match case {
            // Made again, a punched one is direct like any other.
            "cone" => &["upgraded", "direct"],
            "symmetric" => &["relayed"],
            other => bail!("there is no case {other}"),
        };
        let others = members.iter().filter(|other| other.number != team.number);
        let path = |other: &Member| match team.number == RELAY || other.number == RELAY {
            true => &["direct"][..],
            false => between_homes,
        };
        Ok(Expected(
            others.map(|other| (other.clone(), path(other))).collect(),
        ))
    }

    fn check(&self, paths: &[(usize, String)]) -> anyhow::Result<()> {
        for (other, expected) in &self.0 {
            let found = paths.iter().find(|(number, _)| *number == other.number);
            let path = found.map_or("none", |(_, path)| path.as_str());
            if !expected.contains(&path) {
                let number = other.number;
                bail!(
                    "the path to instance {number} is {path}, not {}",
                    expected.join(" or ")
                );
            }
        }
        Ok(())
    }

    /// Waits until it is so.
    async fn wait(&self, team: &Team, cli: &Cli) -> anyhow::Result<()> {
        let members: Vec<Member> = self.0.iter().map(|(other, _)| other.clone()).collect();
        let within = team.duration("within")?;
        let deadline = Instant::now() + within;
        let mut before = Vec::new();
        loop {
            let paths = paths(cli, &members).await?;
            if paths != before {
                team.recorder.message(format!("peers ls: {paths:?}"));
                before.clone_from(&paths);
            }
            match self.check(&paths) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let status = cli.json(&["node", "status"]).await?;
                    return Err(error.context(format!("after {within:?}; node status: {status}")));
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// How the node is connected to each of these, by instance, as `peers ls` tells it.
async fn paths(cli: &Cli, members: &[Member]) -> anyhow::Result<Vec<(usize, String)>> {
    let peers = cli.json(&["peers", "ls"]).await?;
    let peers: &Vec<Value> = peers.as_array().context("peers are a list")?;
    let mut paths = Vec::new();
    for member in members {
        if let Some(peer) = peers.iter().find(|peer| peer["peer_id"] == member.peer_id) {
            paths.push((member.number, text(&peer["path"])?));
        }
    }
    Ok(paths)
}
