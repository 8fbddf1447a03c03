//! The task of a channel: who follows what, what is known of it, and when it is asked for.
//!
//! All that a channel decides is decided here, away from the task that drives the Swarm.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use guid::Guid;
use libp2p_gossipsub::MessageAcceptance;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::channel::{BoxError, Channel, Statement};
use crate::command::{Command, Inbound};
use crate::due::Due;
use crate::error::FollowError;
use crate::following::Slot;
use crate::handle::{Ask, MAX_FOLLOWED, MAX_WATCHERS};
use crate::seen::Seen;
use crate::stats::Counters;
use crate::topic::{SHARDS, place_of, shard_of, topic};

/// How often what is followed is asked for, if nothing is heard of it.
const EVERY: Duration = Duration::from_secs(60);

/// After a question that failed the next one comes this much later, each time twice as long,
/// up to [`EVERY`].
const RETRY: Duration = Duration::from_secs(2);

/// Questions of a node in a second at most, and under way at a time.
const ASKS_PER_SECOND: u32 = 20;
const ASKING: usize = 8;

/// When all is asked for after somebody was met: at once nearly, and when two parts of a
/// network have become one.
const AFTER_MEETING: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(20)];

/// What was asked for so lately is not asked for again because somebody was met: peers that come
/// and go would keep a node asking.
const LATELY: Duration = Duration::from_secs(15);

/// How often it is looked who the meeting points are.
const MEET: Duration = Duration::from_secs(10);

pub(crate) struct Worker {
    channel: Arc<dyn Channel>,
    commands: mpsc::Sender<Command>,
    counters: Arc<Counters>,
    followed: HashMap<Guid, Followed>,
    watchers: HashMap<u64, Watcher>,
    seen: Seen,
    due: Due,
    /// No question before this.
    next_ask: Instant,
    asking: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// When all is asked for anew.
    again: [Option<Instant>; 2],
    subscribed: HashSet<u8>,
    meeting: [Option<JoinHandle<()>>; SHARDS as usize],
}

type Answer = (Guid, Result<Option<Statement>, BoxError>);

#[derive(Default)]
struct Followed {
    watchers: HashSet<u64>,
    newest: Option<Statement>,
    /// Questions in a row that failed.
    failed: u32,
    asking: bool,
    /// When it was asked for last.
    asked: Option<Instant>,
}

struct Watcher {
    slot: Arc<Slot>,
    /// The version of each subject that it was told of.
    told: HashMap<Guid, Option<u64>>,
}

impl Worker {
    pub(crate) fn new(
        channel: Arc<dyn Channel>,
        commands: mpsc::Sender<Command>,
        counters: Arc<Counters>,
    ) -> Worker {
        Worker {
            channel,
            commands,
            counters,
            followed: HashMap::new(),
            watchers: HashMap::new(),
            seen: Seen::default(),
            due: Due::default(),
            next_ask: Instant::now(),
            asking: FuturesUnordered::new(),
            again: [None; 2],
            subscribed: HashSet::new(),
            meeting: std::array::from_fn(|_| None),
        }
    }

    /// Runs until the behaviour or all handles are gone.
    pub(crate) async fn run(
        mut self,
        mut inbound: mpsc::Receiver<Inbound>,
        mut asks: mpsc::Receiver<Ask>,
    ) {
        let mut meet = interval(MEET);
        meet.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.wake();
            let sleep = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = inbound.recv() => match message {
                    Some(message) => self.on_inbound(message).await,
                    None => break,
                },
                ask = asks.recv() => match ask {
                    Some(ask) => self.on_ask(ask).await,
                    None => break,
                },
                Some(answer) = self.asking.next() => self.on_answer(answer),
                _ = meet.tick() => self.on_meet().await,
                () = sleep => self.on_wake(Instant::now()),
            }
        }
        for watcher in self.watchers.values() {
            watcher.slot.close();
        }
    }

    async fn on_inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Met => {
                let now = Instant::now();
                for (again, after) in self.again.iter_mut().zip(AFTER_MEETING) {
                    again.get_or_insert(now + after);
                }
            }
            Inbound::Message {
                id,
                source,
                shard,
                data,
            } => {
                let acceptance = match self.verdict(shard, data) {
                    Ok(Some(statement)) => {
                        self.counters.accepted.one();
                        self.learn(statement);
                        MessageAcceptance::Accept
                    }
                    Ok(None) => {
                        self.counters.ignored.one();
                        MessageAcceptance::Ignore
                    }
                    Err(reason) => {
                        self.counters.rejected.one();
                        tracing::debug!(%source, %reason, "a statement was rejected");
                        MessageAcceptance::Reject
                    }
                };
                send(
                    &self.commands,
                    Command::Verdict {
                        id,
                        source,
                        acceptance,
                    },
                )
                .await;
            }
        }
    }

    /// What somebody announced, if it is good and not behind what is known (E5).
    fn verdict(&self, shard: u8, data: Bytes) -> Result<Option<Statement>, String> {
        let statement = self.channel.check(data)?;
        if shard_of(statement.subject) != shard {
            return Err("it belongs to another shard".to_owned());
        }
        let known = match self.followed.get(&statement.subject) {
            Some(followed) => followed.newest.as_ref().map(|newest| newest.version),
            None => self.seen.version(statement.subject),
        };
        let behind = known.is_some_and(|known| known > statement.version);
        Ok((!behind).then_some(statement))
    }

    /// Tells those who follow the subject, if it is new to them.
    fn learn(&mut self, statement: Statement) {
        let subject = statement.subject;
        let Some(followed) = self.followed.get_mut(&subject) else {
            self.seen.note(subject, statement.version);
            return;
        };
        let newest = match followed.newest.take() {
            Some(known) => self.channel.join(known, statement),
            None => statement,
        };
        for watcher in &followed.watchers {
            if let Some(watcher) = self.watchers.get_mut(watcher) {
                watcher.tell(&newest);
            }
        }
        followed.newest = Some(newest);
    }

    async fn on_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Announce(data) => {
                // Our own, which nothing wrong is expected of.
                match self.channel.check(data.clone()) {
                    Ok(statement) => {
                        let shard = shard_of(statement.subject);
                        self.learn(statement);
                        self.meet(shard);
                        let topic = topic(self.channel.name(), shard);
                        self.counters.announced.one();
                        send(&self.commands, Command::Publish(topic, data)).await;
                    }
                    Err(reason) => tracing::warn!(%reason, "a statement was not announced"),
                }
            }
            Ask::Follow {
                id,
                subjects,
                slot,
                reply,
            } => {
                self.clean();
                let result = self.follow(id, subjects, slot).await;
                // Who asked may be gone; the next cleaning shows it.
                let _ = reply.send(result);
            }
        }
    }

    async fn follow(
        &mut self,
        id: u64,
        subjects: Vec<(Guid, Option<u64>)>,
        slot: Arc<Slot>,
    ) -> Result<(), FollowError> {
        if self.watchers.len() >= MAX_WATCHERS {
            return Err(FollowError::Watchers);
        }
        let new = subjects.iter().map(|(subject, _)| subject);
        let new = new.filter(|subject| !self.followed.contains_key(*subject));
        if self.followed.len() + new.collect::<HashSet<_>>().len() > MAX_FOLLOWED {
            return Err(FollowError::Followed);
        }
        let told = subjects.iter().copied().collect();
        let mut watcher = Watcher { slot, told };
        let mut shards = HashSet::new();
        for (subject, _) in subjects {
            let followed = self.followed.entry(subject).or_default();
            followed.watchers.insert(id);
            match &followed.newest {
                Some(newest) => watcher.tell(newest),
                None if !followed.asking => self.due.set(subject, Instant::now()),
                None => {}
            }
            shards.insert(shard_of(subject));
        }
        self.watchers.insert(id, watcher);
        self.counters.followed.set(self.followed.len());
        for shard in shards {
            if self.subscribed.insert(shard) {
                let topic = topic(self.channel.name(), shard);
                send(&self.commands, Command::Subscribe(topic)).await;
            }
            self.meet(shard);
        }
        Ok(())
    }

    /// Forgets followers that are gone, and what nobody follows any more.
    fn clean(&mut self) {
        // The other reference is the follower's.
        self.watchers
            .retain(|_, watcher| Arc::strong_count(&watcher.slot) > 1);
        let (watchers, due, seen) = (&self.watchers, &mut self.due, &mut self.seen);
        self.followed.retain(|subject, followed| {
            followed.watchers.retain(|id| watchers.contains_key(id));
            let stays = !followed.watchers.is_empty();
            if !stays {
                due.remove(*subject);
                if let Some(newest) = &followed.newest {
                    seen.note(*subject, newest.version);
                }
            }
            stays
        });
        self.counters.followed.set(self.followed.len());
    }

    /// Subscribes to the shards of what is followed and to those that this node brings
    /// together (E4), and to no others.
    async fn on_meet(&mut self) {
        self.clean();
        let mut wanted: HashSet<u8> = self
            .followed
            .keys()
            .map(|subject| shard_of(*subject))
            .collect();
        for shard in &wanted.clone() {
            self.meet(*shard);
        }
        let name = self.channel.name();
        let here = |shard: &u8| self.channel.is_at(place_of(name, *shard));
        wanted.extend((0..SHARDS).filter(here));
        for shard in 0..SHARDS {
            let command = match (wanted.contains(&shard), self.subscribed.contains(&shard)) {
                (true, false) => Command::Subscribe(topic(name, shard)),
                (false, true) => Command::Unsubscribe(topic(name, shard)),
                _ => continue,
            };
            send(&self.commands, command).await;
        }
        self.subscribed = wanted;
    }

    /// Sees to it that those are connected who bring a shard together.
    fn meet(&mut self, shard: u8) {
        let meeting = &mut self.meeting[usize::from(shard)];
        if meeting
            .as_ref()
            .is_some_and(|meeting| !meeting.is_finished())
        {
            return;
        }
        let (channel, commands) = (Arc::clone(&self.channel), self.commands.clone());
        *meeting = Some(tokio::spawn(async move {
            let contacts = channel.at(place_of(channel.name(), shard)).await;
            // The behaviour may be gone.
            let _ = commands.send(Command::Meet(contacts)).await;
        }));
    }

    /// When there is something to do without being told.
    fn wake(&self) -> Option<Instant> {
        let ask = match self.asking.len() < ASKING {
            true => self.due.first().map(|due| due.max(self.next_ask)),
            false => None,
        };
        let again = self.again.iter().flatten().copied();
        again.chain(ask).min()
    }

    fn on_wake(&mut self, now: Instant) {
        for again in &mut self.again {
            if again.is_some_and(|at| at <= now) {
                *again = None;
                for (subject, followed) in &mut self.followed {
                    let lately = followed.asked.is_some_and(|asked| now < asked + LATELY);
                    if !followed.asking && !lately {
                        self.due.not_after(*subject, now);
                    }
                }
            }
        }
        if now < self.next_ask || self.asking.len() >= ASKING {
            return;
        }
        let Some(subject) = self.due.take(now) else {
            return;
        };
        let Some(followed) = self.followed.get_mut(&subject) else {
            return;
        };
        followed.asking = true;
        followed.asked = Some(now);
        self.next_ask = now + Duration::from_secs(1) / ASKS_PER_SECOND;
        self.counters.asked.one();
        let channel = Arc::clone(&self.channel);
        let asking = async move { (subject, channel.newest(subject).await) };
        self.asking.push(asking.boxed());
    }

    fn on_answer(&mut self, (subject, answer): Answer) {
        let Some(followed) = self.followed.get_mut(&subject) else {
            return;
        };
        followed.asking = false;
        let wait = match &answer {
            Ok(_) => {
                followed.failed = 0;
                EVERY
            }
            Err(error) => {
                tracing::debug!(%subject, %error, "what is newest was not told");
                self.counters.ask_failed.one();
                followed.failed += 1;
                EVERY.min(RETRY * 2u32.saturating_pow(followed.failed - 1))
            }
        };
        self.due.set(subject, Instant::now() + wait);
        if let Ok(Some(statement)) = answer
            && statement.subject == subject
        {
            self.learn(statement);
        }
    }
}

async fn send(commands: &mpsc::Sender<Command>, command: Command) {
    // The behaviour is gone when the node stops; then this task ends as well.
    let _ = commands.send(command).await;
}

impl Watcher {
    /// Hands a statement over, if it is newer than what was told before.
    fn tell(&mut self, statement: &Statement) {
        let Some(told) = self.told.get_mut(&statement.subject) else {
            return;
        };
        if told.is_none_or(|told| told < statement.version) {
            *told = Some(statement.version);
            self.slot.push(statement.clone());
        }
    }
}
