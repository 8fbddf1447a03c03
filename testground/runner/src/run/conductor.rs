//! Does the faults of a run, each at its time: those of the network through the lab's switch,
//! those of nodes by orders to their instances (F6 to F9). And makes the networks that instances
//! ask for themselves (Y11 to Y13).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use lab::{Lab, LabError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::network::set_uplink;
use super::{Network, hostname};
use crate::faults::{self, Direction, Done, Event, Fault, Order, Phase, order_topic};
use crate::history;
use crate::shaping::{INITIALIZED, Request};
use crate::sync::{Client, Subscription, SyncError};

/// What became of a fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultVerdict {
    /// What was to happen.
    #[serde(flatten)]
    pub fault: Fault,
    /// When it had begun at all victims, microseconds since 1970.
    pub began: Option<u64>,
    /// When it had ended at all of them.
    pub ended: Option<u64>,
    /// Why it could not be done; empty if it could.
    pub error: String,
}

/// What became of a run's faults and requests.
#[derive(Debug, Default)]
pub(super) struct Conducted {
    pub(super) faults: Vec<FaultVerdict>,
    /// Requests for a network that were met.
    pub(super) shaped: usize,
    /// Why others were not, and reports that were none.
    pub(super) refused: Vec<String>,
}

/// What conducting needs.
pub(super) struct Stage<'a> {
    pub(super) lab: &'a Lab,
    pub(super) network: &'a Network,
    pub(super) instances: usize,
    pub(super) faults: &'a [Fault],
    /// Whether instances may ask for a network.
    pub(super) shapes: bool,
    /// The sync service's socket, and what comes before the run's names.
    pub(super) socket: &'a Path,
    pub(super) prefix: String,
}

/// A fault's begin or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Action {
    at: Duration,
    fault: usize,
    is_end: bool,
}

/// Does all faults, or as many as there is time for, and all that is asked for, until `stop`.
pub(super) fn conduct(stage: &Stage<'_>, stop: oneshot::Receiver<()>) -> Conducted {
    if stage.faults.is_empty() && !stage.shapes {
        return Conducted::default();
    }
    let mut conductor = Conductor {
        stage,
        done: Conducted {
            faults: stage.faults.iter().map(FaultVerdict::new).collect(),
            ..Conducted::default()
        },
        waiting: BTreeSet::new(),
        active: BTreeSet::new(),
        asked: BTreeMap::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::select! {
                // Whoever waits at the same time is to be told first.
                biased;
                done = conductor.run() => done.map_err(|error| error.to_string()),
                _ = stop => Ok(()),
            }
        }),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = done {
        // Nobody is left to end them at their time.
        conductor.active.clear();
        if let Err(error) = conductor.apply() {
            conductor.complain(error.to_string());
        }
        for verdict in &mut conductor.done.faults {
            verdict.fail(&error);
        }
        if stage.shapes {
            conductor.done.refused.push(error);
        }
    }
    conductor.done
}

struct Conductor<'a> {
    stage: &'a Stage<'a>,
    done: Conducted,
    /// What instances were ordered to do and have not said to be done: fault, whether its
    /// end, instance.
    waiting: BTreeSet<(usize, bool, usize)>,
    /// Faults of the network that last.
    active: BTreeSet<usize>,
    /// What instances have asked for last.
    asked: BTreeMap<usize, Request>,
}

impl Conductor<'_> {
    async fn run(&mut self) -> Result<(), SyncError> {
        let stage = self.stage;
        let client = Client::connect_socket(stage.socket, stage.prefix.clone()).await?;
        let mut requests = requests(&client, stage).await?;
        if stage.faults.is_empty() {
            while let Some((instance, payload)) = requests.recv().await {
                self.shape(&client, instance, &payload).await?;
            }
            return Ok(());
        }
        let mut done: Subscription<Done> = client.subscribe(faults::DONE).await?;
        let ready = client.barrier(faults::READY, stage.instances);
        tokio::pin!(ready);
        let mut begin: Option<Instant> = None;
        let mut actions = actions(stage.faults).into_iter().peekable();
        let mut is_over = false;
        loop {
            let next = actions.peek().map(|action| action.at);
            if next.is_none() && self.waiting.is_empty() && !is_over {
                is_over = true;
                client.signal_entry(faults::OVER).await?;
            }
            let due = begin.zip(next).map(|(begin, next)| begin + next);
            tokio::select! {
                is_ready = &mut ready, if begin.is_none() => {
                    is_ready?;
                    begin = Some(Instant::now());
                }
                report = done.next() => match report {
                    Ok(report) => self.note(&report),
                    // An instance's nonsense is not to leave the others without an end of
                    // their faults; what it was to report stays open.
                    Err(SyncError::Payload(error)) => {
                        self.complain(format!("an instance's report of a fault is none: {error}"));
                    }
                    Err(error) => return Err(error),
                },
                Some((instance, payload)) = requests.recv() => {
                    self.shape(&client, instance, &payload).await?;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(action) = actions.next() {
                        self.act(&client, action).await?;
                    }
                }
            }
        }
    }

    /// Makes the network that an instance asked for, and tells those who wait for it.
    async fn shape(
        &mut self,
        client: &Client,
        instance: usize,
        payload: &Value,
    ) -> Result<(), SyncError> {
        let request = match Request::parse(payload) {
            Ok(request) => request,
            Err(reason) => {
                self.refuse(instance, &reason);
                return Ok(());
            }
        };
        let uplink = request.uplink(self.stage.network.uplink);
        let state = request.callback_state.clone();
        self.asked.insert(instance, request);
        let made = self
            .apply()
            .and_then(|()| set_uplink(self.stage.lab, instance, uplink));
        if let Err(error) = made {
            self.refuse(instance, &error.to_string());
            return Ok(());
        }
        self.done.shaped += 1;
        if !state.is_empty() {
            match client.signal_entry(&state).await {
                Err(SyncError::Refused(reason)) => self.complain(format!(
                    "instance {instance} has its network, and asked for a signal that there cannot be: {reason}"
                )),
                signalled => signalled.map(drop)?,
            }
        }
        Ok(())
    }

    fn refuse(&mut self, instance: usize, reason: &str) {
        self.complain(format!(
            "instance {instance} asked for a network that it cannot have: {reason}"
        ));
    }

    /// As many complaints as anybody reads.
    fn complain(&mut self, text: String) {
        const MOST: usize = 100;
        if self.done.refused.len() < MOST {
            self.done.refused.push(text);
        }
    }

    /// Tells the switch how packets fare now.
    fn apply(&self) -> Result<(), LabError> {
        let instances = self.stage.instances;
        let mut base = self.stage.network.rules(instances);
        for (instance, request) in &self.asked {
            base.extend(request.switch_rules(*instance, instances));
        }
        let active: Vec<&Fault> = self
            .active
            .iter()
            .map(|fault| &self.stage.faults[*fault])
            .collect();
        self.stage
            .lab
            .shape(faults::rules(&base, instances, &active))
    }

    async fn act(&mut self, client: &Client, action: Action) -> Result<(), SyncError> {
        let Action { fault, is_end, .. } = action;
        let wanted = &self.stage.faults[fault];
        let phase = if is_end { Phase::End } else { Phase::Begin };
        let event = Event {
            fault,
            kind: wanted.kind,
            phase,
            victims: wanted.victims.clone(),
        };
        if is_end {
            // Who counts what happened meanwhile is not to count what came after.
            client.publish(faults::EVENTS, &event).await?;
        }
        self.perform(client, action, phase).await?;
        if !is_end {
            client.publish(faults::EVENTS, &event).await?;
        }
        Ok(())
    }

    async fn perform(
        &mut self,
        client: &Client,
        action: Action,
        phase: Phase,
    ) -> Result<(), SyncError> {
        let Action { fault, is_end, .. } = action;
        let wanted = &self.stage.faults[fault];
        if wanted.kind.is_of_network() {
            if is_end {
                self.active.remove(&fault);
            } else {
                self.active.insert(fault);
            }
            let applied = self.apply();
            let verdict = &mut self.done.faults[fault];
            match applied {
                Ok(()) => verdict.note(is_end),
                Err(error) => verdict.fail(&error.to_string()),
            }
            return Ok(());
        }
        let order = Order {
            fault,
            kind: wanted.kind,
            phase,
        };
        for victim in &wanted.victims {
            self.waiting.insert((fault, is_end, *victim));
            client.publish(&order_topic(*victim), &order).await?;
        }
        Ok(())
    }

    /// An instance has done what it was ordered to, or says why not.
    fn note(&mut self, done: &Done) {
        let is_end = done.phase == Phase::End;
        // Anything else was not asked for.
        if !self.waiting.remove(&(done.fault, is_end, done.instance)) {
            return;
        }
        let verdict = &mut self.done.faults[done.fault];
        if !done.error.is_empty() {
            verdict.fail(&format!("instance {}: {}", done.instance, done.error));
        }
        let of_it = (done.fault, is_end, 0)..=(done.fault, is_end, usize::MAX);
        if self.waiting.range(of_it).next().is_none() {
            verdict.note(is_end);
        }
    }
}

/// What instances ask for, by instance, from the first request on; each has been told that it may
/// ask. Nothing where none may.
async fn requests(
    client: &Client,
    stage: &Stage<'_>,
) -> Result<mpsc::Receiver<(usize, Value)>, SyncError> {
    /// More wait in the service.
    const WAITING: usize = 16;
    let (sender, requests) = mpsc::channel(WAITING);
    if !stage.shapes {
        return Ok(requests);
    }
    for instance in 0..stage.instances {
        let topic = format!("network:{}", hostname(instance));
        let mut asked: Subscription<Value> = client.subscribe(&topic).await?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Ok(payload) = asked.next().await {
                if sender.send((instance, payload)).await.is_err() {
                    return;
                }
            }
        });
    }
    for _ in 0..stage.instances {
        client.signal_entry(INITIALIZED).await?;
    }
    Ok(requests)
}

impl FaultVerdict {
    fn new(fault: &Fault) -> FaultVerdict {
        FaultVerdict {
            fault: fault.clone(),
            began: None,
            ended: None,
            error: String::new(),
        }
    }

    fn note(&mut self, is_end: bool) {
        let time = match is_end {
            true => &mut self.ended,
            false => &mut self.began,
        };
        *time = Some(history::now());
    }

    /// The first reason is the one that matters.
    fn fail(&mut self, error: &str) {
        if self.error.is_empty() {
            error.clone_into(&mut self.error);
        }
    }
}

/// Begins and ends in the order of their times; what ends at once has begun before.
fn actions(faults: &[Fault]) -> Vec<Action> {
    let mut actions: Vec<Action> = faults
        .iter()
        .enumerate()
        .flat_map(|(fault, wanted)| {
            [(wanted.begin, false), (wanted.end, true)].map(|(at, is_end)| Action {
                at,
                fault,
                is_end,
            })
        })
        .collect();
    actions.sort();
    actions
}

impl FaultVerdict {
    /// What happens, without to whom.
    pub fn what(&self) -> String {
        let Fault {
            kind,
            percent,
            direction,
            ..
        } = &self.fault;
        let name = kind.name();
        match (kind, direction) {
            (faults::Kind::Loss, _) => format!("{name} of {percent}%"),
            (_, Direction::Both) => name.to_owned(),
            (_, Direction::Out) => format!("{name} outwards"),
            (_, Direction::In) => format!("{name} inwards"),
        }
    }
}

/// What, to whom, and when it was to be.
impl fmt::Display for FaultVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More are counted.
        const NAMED: usize = 6;
        let Fault {
            victims,
            begin,
            end,
            ..
        } = &self.fault;
        f.write_str(&self.what())?;
        for (index, victim) in victims.iter().take(NAMED).enumerate() {
            let before = if index == 0 { " of " } else { ", " };
            write!(f, "{before}{victim}")?;
        }
        if victims.len() > NAMED {
            write!(f, " and {} more", victims.len() - NAMED)?;
        }
        let (begin, end) = (begin.as_secs_f64(), end.as_secs_f64());
        write!(f, ", {begin:.1} to {end:.1} s")
    }
}
