//! Faults of this instance's node, as the runner orders them, and what it tells of all others
//! (F6 to F9 of `docs/specs/faults.md`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use testground::faults::{DONE, Done, EVENTS, Event, Kind, OVER, Order, Phase, READY, order_topic};
use testground::history::now;
use tokio::sync::watch;

use crate::hedgerow::Node;
use crate::team::Team;

/// The file that fills a disk.
const BALLAST: &str = "ballast";

/// How much of it is written at once, bytes.
const CHUNK: usize = 64 * 1024;

/// Whether the node of this instance can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs.
    Up,
    /// It does not, or stands still.
    Down,
    /// It runs, and all faults have ended.
    Over,
}

/// A fault of the run, of any instance, and when it was: microseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) victims: Vec<usize>,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// The faults of a run, as they are done.
#[derive(Debug)]
pub(crate) struct Faults {
    state: watch::Sender<State>,
    /// Those that have begun, by their number in the run.
    seen: RefCell<BTreeMap<usize, Seen>>,
}

impl Faults {
    pub(crate) fn new() -> Faults {
        Faults {
            state: watch::Sender::new(State::Up),
            seen: RefCell::default(),
        }
    }

    /// Whether the node can be asked, from now on.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// All faults have ended.
    pub(crate) fn over(&self) {
        self.state.send_replace(State::Over);
    }

    /// What has begun so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().values().cloned().collect()
    }

    /// Whether an instance can find what another had acknowledged `at` that time. Once there was a
    /// partition, and until all has healed, it is only what its own side has put since: of the
    /// rest all copies may be on the other side.
    pub(crate) fn can_find(&self, instance: usize, by: usize, at: u64) -> bool {
        !self.seen.borrow().values().any(|fault| {
            let parted = fault.victims.contains(&instance) != fault.victims.contains(&by);
            fault.kind == Kind::Partition && (parted || at < fault.begin)
        })
    }

    /// Lets faults begin, does those of this instance's node, and returns when all have ended.
    ///
    /// # Errors
    /// If there are none, one cannot be done, or the node ends without having been told to.
    pub(crate) async fn take(&self, team: &Team, node: &mut Node) -> anyhow::Result<()> {
        let all = team.environment.faults;
        if all == 0 {
            bail!("this case needs faults, and who runs it makes none: they are in its manifest");
        }
        let topic = order_topic(team.number);
        let mut orders = team.sync.subscribe::<Order>(&topic).await?;
        let mut events = team.sync.subscribe::<Event>(EVENTS).await?;
        team.sync.signal_entry(READY).await?;
        let over = team.sync.barrier(OVER, 1);
        tokio::pin!(over);
        loop {
            tokio::select! {
                order = orders.next() => {
                    let order = order?;
                    let done = obey(team, node, &self.state, &order).await;
                    let error = match &done {
                        Ok(()) => String::new(),
                        Err(error) => format!("{error:#}"),
                    };
                    let Order { fault, phase, .. } = order;
                    let instance = team.number;
                    team.sync.publish(DONE, &Done { fault, instance, phase, error }).await?;
                    done?;
                }
                event = events.next() => self.note(event?),
                status = node.ended() => {
                    bail!("the node ended by itself, with {}; node.log may say why", status?);
                }
                over = &mut over => {
                    over?;
                    break;
                }
            }
        }
        // What was told before the end may not have been read yet.
        while self.ended() < all {
            self.note(events.next().await?);
        }
        self.over();
        Ok(())
    }

    fn ended(&self) -> usize {
        let seen = self.seen.borrow();
        seen.values().filter(|fault| fault.end != u64::MAX).count()
    }

    fn note(&self, event: Event) {
        let mut seen = self.seen.borrow_mut();
        match event.phase {
            Phase::Begin => {
                let fault = Seen {
                    kind: event.kind,
                    victims: event.victims,
                    begin: now(),
                    end: u64::MAX,
                };
                seen.insert(event.fault, fault);
            }
            Phase::End => {
                if let Some(fault) = seen.get_mut(&event.fault) {
                    fault.end = now();
                }
            }
        }
    }
}

async fn obey(
    team: &Team,
    node: &mut Node,
    state: &watch::Sender<State>,
    order: &Order,
) -> anyhow::Result<()> {
    let temp = Path::new(&team.environment.temp);
    let name = order.kind.name();
    match (order.kind, order.phase) {
        (Kind::Kill | Kind::Churn, Phase::Begin) => {
            state.send_replace(State::Down);
            node.kill().await?;
        }
        (Kind::Restart, Phase::Begin) => {
            state.send_replace(State::Down);
            node.stop().await?;
        }
        (Kind::Wipe, Phase::Begin) => {
            state.send_replace(State::Down);
            node.kill().await?;
            node.wipe()?;
        }
        (Kind::Kill | Kind::Churn | Kind::Restart | Kind::Wipe, Phase::End) => {
            node.start().await?;
            state.send_replace(State::Up);
        }
        (Kind::Stop, Phase::Begin) => {
            state.send_replace(State::Down);
            node.signal(Signal::SIGSTOP)?;
        }
        (Kind::Stop, Phase::End) => {
            node.signal(Signal::SIGCONT)?;
            state.send_replace(State::Up);
        }
        (Kind::Fill, Phase::Begin) => {
            let path = temp.join(BALLAST);
            // Other tasks wait meanwhile: a disk in memory is full in no time.
            let bytes = fill(&path).with_context(|| format!("filling {}", temp.display()))?;
            team.recorder
                .message(format!("{bytes} bytes fill the disk"));
        }
        (Kind::Fill, Phase::End) => {
            std::fs::remove_file(temp.join(BALLAST)).context("removing what fills the disk")?;
        }
        (Kind::Partition | Kind::Loss | Kind::Flap, _) => {
            bail!("a {name} is not a node's to do");
        }
    }
    let done = match order.phase {
        Phase::Begin => "begins",
        Phase::End => "ends",
    };
    team.recorder.message(format!("{name} {done}"));
    Ok(())
}

/// Writes until nothing more fits; how many bytes did.
fn fill(path: &PathBuf) -> std::io::Result<u64> {
    let mut file = File::create(path)?;
    let chunk = [0; CHUNK];
    let mut bytes = 0;
    // Ever less, so that nothing is left.
    let mut size = CHUNK;
    while size > 0 {
        match file.write(&chunk[..size]) {
            Ok(written) => bytes += written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
