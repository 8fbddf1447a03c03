//! One core among peers that say anything at any time, beside a small model of what it
//! must and must not do.
//!
//! The bytes are read as settings and a sequence of steps: a message from some peer, an
//! answer to something the core has asked, a command of an application, a discovery, a lost
//! connection, time. The shell's promises are kept (O2: contacts stand where their keys put
//! them, senders are who they say, messages are valid); everything else is hostile.

mod message;
mod model;

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use overlay_core::{
    AppId, Config, Contact, Input, LocationConfig, Message, MessageId, Output, Overlay, RequestId,
    State, Ticket, Time,
};

use crate::places::{ME, Peer, any_contact, any_object, any_other, any_place, contact};
use message::{any_crowd, any_message, any_payload, any_reply, honest_reply, named_sender, takers};
use model::Model;

/// Steps of a run, so that one input is a fraction of a second.
const MAX_STEPS: usize = 256;

/// Inputs of a run after which no step follows: each is checked, and some steps are many.
const MAX_INPUTS: usize = 2000;

/// Questions of the core that may still be answered.
const MAX_ASKED: usize = 64;

/// Most outputs of one input: every message that waits, goes on, and every request ends.
const MAX_OUTPUTS: usize = 16 * 1024;

/// Most times that timers are due in one step of at most a minute.
const MAX_DUE: usize = 20_000;

/// Applications that are asked about what passes, once they wish.
const INTERCEPTS: AppId = AppId(2);

/// Settings and steps.
///
/// # Panics
/// When the core breaks one of its invariants or does what the model forbids.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    // Bytes that end early are a run that ends early.
    let Ok(config) = any_config(&mut u) else {
        return;
    };
    let mut driver = Driver::new(config);
    for _ in 0..MAX_STEPS {
        if u.is_empty() || driver.inputs > MAX_INPUTS || driver.step(&mut u).is_err() {
            break;
        }
    }
    driver.end();
}

fn any_config(u: &mut Unstructured<'_>) -> Result<Config> {
    let kind = u.arbitrary::<u8>()?;
    let extra = u.arbitrary::<u8>()?;
    Ok(Config {
        digit_bits: [4, 4, 1, 8][usize::from(kind % 4)],
        leaf_set: [4, 8, 16, 16][usize::from(kind / 4 % 4)],
        neighbourhood: [4, 32][usize::from(kind / 16 % 2)],
        location: LocationConfig {
            roots: 1 + extra % 3,
            root_copies: extra / 3 % 3,
            backups: extra / 9 % 3,
            neighbours: extra / 27 % 3,
            spread_hops: extra / 81,
            // So small that a few messages reach them.
            max_publications: 4,
            max_pointers: 12,
            max_pointers_of_publisher: 4,
            max_pointers_of_object: 3,
            ..LocationConfig::default()
        },
        ..Config::default()
    })
}

/// A message that an application is to answer.
struct Delivered {
    id: MessageId,
    origin: Contact<Peer>,
    hops: u8,
}

struct Driver {
    core: Overlay<Peer>,
    config: Config,
    now: Time,
    model: Model,
    /// What the core has said last, and to whom.
    asked: VecDeque<(Peer, Message<Peer>)>,
    delivered: VecDeque<Delivered>,
    tickets: VecDeque<Ticket>,
    next_request: u64,
    inputs: usize,
}

impl Driver {
    fn new(config: Config) -> Driver {
        let core = Overlay::new(config.clone(), contact(ME, 120), 1, Time::ZERO);
        Driver {
            model: Model::new(&config),
            core,
            config,
            now: Time::ZERO,
            asked: VecDeque::new(),
            delivered: VecDeque::new(),
            tickets: VecDeque::new(),
            next_request: 0,
            inputs: 0,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=31u8)? {
            0..=5 => {
                let from = any_other(u)?;
                let message = any_message(u, from)?;
                self.receive(from, message);
            }
            6..=10 => self.answer(u)?,
            11..=12 => {
                let rounds = u.int_in_range(1..=4)?;
                for _ in 0..rounds {
                    self.answer_honestly();
                }
            }
            13 => {
                let message = any_message(u, 1)?;
                // Said by everyone, each in his own name where the message has one.
                if named_sender(&message).is_none() {
                    for from in any_crowd(u)? {
                        self.receive(from, message.clone());
                    }
                } else {
                    let nonce = u.arbitrary()?;
                    for from in any_crowd(u)? {
                        self.receive(from, Message::Ping { nonce });
                        let sender = contact(from, 0);
                        let rtt_micros = from;
                        self.receive(from, Message::Announce { sender, rtt_micros });
                    }
                }
            }
            14..=15 => {
                let found = any_contact(u)?;
                // Discovery names nodes as they are.
                if found.addrs.as_bytes().len() <= 512 {
                    self.input(Input::PeerFound(found));
                }
            }
            16 => {
                for peer in any_crowd(u)? {
                    self.input(Input::PeerFound(contact(peer, 0)));
                }
            }
            17 => {
                let gone = any_other(u)?;
                self.input(Input::PeerGone(gone));
            }
            18..=19 => self.wait(u)?,
            20 => {
                // The node slept: everything is late.
                let late = u64::from(u.arbitrary::<u32>()?) * u64::from(u.arbitrary::<u8>()?);
                self.now = self.now + Duration::from_micros(late);
                self.timeout();
            }
            21..=26 => self.command(u)?,
            27 => {
                if let Some(Delivered { id, origin, hops }) = self.delivered.pop_front() {
                    let answer = match u.arbitrary()? {
                        true => Ok(any_payload(u)?),
                        false => Err("é".repeat(u.int_in_range(0..=600)?)),
                    };
                    self.input(Input::Reply {
                        id,
                        origin,
                        hops,
                        answer,
                    });
                }
            }
            28 => {
                let ticket = match self.tickets.pop_front() {
                    Some(ticket) => ticket,
                    None => Ticket(u.arbitrary()?),
                };
                let payload = match u.arbitrary()? {
                    true => Some(any_payload(u)?),
                    false => None,
                };
                self.input(Input::Resume { ticket, payload });
            }
            29 => self.input(Input::Intercept(INTERCEPTS)),
            30 => {
                let addrs = contact(ME, u.int_in_range(0..=512)?).addrs;
                self.input(Input::AddrsChanged(addrs));
            }
            _ => {
                if u.ratio(1, 8)? {
                    self.input(Input::Leave);
                }
            }
        }
        Ok(())
    }

    /// Timers when they are due, for up to a minute.
    fn wait(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let amount = u64::from(u.arbitrary::<u8>()?);
        let unit = [100, 10_000, 100_000, 250_000][u.choose_index(4)?];
        self.pass(Duration::from_micros(amount * unit));
        Ok(())
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut due = 0;
        while let Some((at, _)) = self.core.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.timeout();
            due += 1;
            assert!(due < MAX_DUE, "timers come round and round");
        }
        self.now = end;
    }

    fn timeout(&mut self) {
        self.input(Input::Timeout);
        if let Some((due, why)) = self.core.poll_timeout() {
            assert!(due > self.now, "{why:?} was due at {due} and is still");
        }
        self.model.assert_none_overdue(self.now);
    }

    fn receive(&mut self, from: Peer, message: Message<Peer>) {
        // What the shell refuses the core never sees.
        if message.validate(&self.config).is_ok() {
            self.model.received(from, &message);
            self.input(Input::Received { from, message });
        }
    }

    fn answer(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        // The newest first: what a few bytes of zero choose.
        let back = u.choose_index(self.asked.len())?;
        let (to, question) = self.asked[self.asked.len() - 1 - back].clone();
        if let Some(reply) = any_reply(u, to, &question)? {
            self.receive(to, reply);
        }
        Ok(())
    }

    /// Everyone who was asked something answers as they should.
    fn answer_honestly(&mut self) {
        for (to, question) in std::mem::take(&mut self.asked) {
            if let Some(reply) = honest_reply(to, &question) {
                self.receive(to, reply);
            }
        }
        self.now = self.now + Duration::from_millis(2);
    }

    fn command(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        let input = match u.int_in_range(0..=7u8)? {
            0..=1 => {
                let key = any_place(u)?;
                let app = AppId(u16::from(u.arbitrary::<u8>()? % 3));
                let payload = any_payload(u)?;
                Input::Route {
                    request,
                    key,
                    k: takers(&payload),
                    app,
                    payload,
                    wants_reply: u.arbitrary()?,
                }
            }
            2 => Input::Locate {
                request,
                key: any_place(u)?,
                k: u.int_in_range(0..=9)?,
                trace: u.arbitrary()?,
            },
            3..=4 => Input::Publish {
                request,
                object: any_object(u)?,
            },
            5 => Input::Unpublish {
                request,
                object: any_object(u)?,
            },
            6 => Input::LocateObject {
                request,
                object: any_object(u)?,
                count: u.int_in_range(0..=17)?,
            },
            _ => Input::SendToObject {
                request,
                object: any_object(u)?,
                count: u.int_in_range(0..=17)?,
                app: AppId(1),
                payload: any_payload(u)?,
            },
        };
        self.model.commanded(self.now, request, &input);
        self.input(input);
        Ok(())
    }

    fn input(&mut self, input: Input<Peer>) {
        let was_due = self.core.poll_timeout().map(|(due, _)| due);
        let is_leave = matches!(input, Input::Leave);
        let is_reply = matches!(input, Input::Reply { .. });
        let had_left = self.core.state() == State::Left;
        self.inputs += 1;
        self.core.handle_input(self.now, input);
        if !cfg!(debug_assertions) {
            // Else it has checked itself.
            self.core.check_invariants();
        }
        let mut count = 0;
        while let Some(output) = self.core.poll_output() {
            count += 1;
            assert!(count <= MAX_OUTPUTS, "one input has no end of outputs");
            let said = matches!(output, Output::Send { .. });
            assert!(
                !(said && had_left) || is_reply,
                "a node that has left says {output:?}"
            );
            self.model.put_out(&self.core, &output);
            self.note(output);
        }
        self.model.assert_agrees(&self.core);
        if is_leave {
            self.model.assert_all_done();
        }
        match self.core.poll_timeout() {
            Some((due, why)) => {
                let late = was_due.is_some_and(|was| was <= self.now);
                assert!(due >= self.now || late, "{why:?} is set in the past");
                assert!(self.core.state() != State::Left, "{why:?} after leaving");
            }
            None => assert!(
                self.core.state() == State::Left,
                "the node waits for nothing"
            ),
        }
    }

    fn note(&mut self, output: Output<Peer>) {
        match output {
            Output::Send { to, message } => {
                if self.asked.len() == MAX_ASKED {
                    self.asked.pop_front();
                }
                self.asked.push_back((to.peer, message));
            }
            Output::Deliver {
                id,
                origin,
                hops,
                wants_reply: true,
                ..
            }
            | Output::DeliverObject {
                id, origin, hops, ..
            } => self.delivered.push_back(Delivered { id, origin, hops }),
            Output::Forward { ticket, app, .. } => {
                assert_eq!(app, INTERCEPTS, "nobody asked to see this");
                self.tickets.push_back(ticket);
            }
            Output::Deliver { .. }
            | Output::Done { .. }
            | Output::StateChanged(_)
            | Output::LeafSetChanged { .. } => {}
        }
    }

    /// Everyone falls silent: what is under way ends. Then the node leaves.
    fn end(&mut self) {
        self.pass(self.config.request_timeout * 2);
        self.model.assert_all_done();
        self.input(Input::Leave);
        self.input(Input::PeerGone(1));
        self.input(Input::PeerFound(contact(2, 0)));
        self.input(Input::Timeout);
    }
}
