//! Runs the client's state machine: one task, which waits for nobody who waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::client::{Client, GetId, Input, Output};
use crate::error::GetError;
use crate::shared::{Event, Shared};

/// Runs until nobody is left who could say anything.
pub(crate) async fn run(shared: Arc<Shared>, mut events: mpsc::Receiver<Event>) {
    let mut client = Client::new(shared.config.clone());
    let mut replies: HashMap<GetId, oneshot::Sender<Result<Bytes, GetError>>> = HashMap::new();
    loop {
        let tick = client.tick();
        let waiting = client.wanting() > 0;
        let input = tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(Event::Input(input)) => input,
                Some(Event::Get(session, get, cid, reply)) => {
                    replies.insert(get, reply);
                    Input::Get(session, get, cid)
                }
                None => return,
            },
            () = sleep(tick), if waiting => Input::Tick,
        };
        if let Input::Cancel(get) = input {
            replies.remove(&get);
        }
        let outputs = client.handle(Instant::now(), input, &|peer| shared.heard(peer));
        shared.wanting.store(client.wanting(), Ordering::Relaxed);
        shared.counters.duplicates.set(client.duplicates);
        shared.counters.unwanted.set(client.unwanted);
        for output in outputs {
            match output {
                Output::Send(peer, entry) => shared.request(peer, entry),
                Output::Owes(peer, owes) => {
                    shared.peer(peer).set_owes(owes);
                    shared.forget_idle(peer);
                }
                Output::Done(get, outcome) => {
                    if let Some(reply) = replies.remove(&get) {
                        // Whoever asked may have stopped waiting.
                        let _ = reply.send(outcome);
                    }
                }
            }
        }
    }
}
