//! Ctrl-C and SIGTERM, and what else a run is woken by.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// What a run waits for.
#[derive(Debug)]
pub(crate) enum Note {
    /// An instance has ended; how, if it is known.
    Ended(usize, Option<ExitStatus>),
    /// The run shall end.
    Interrupted,
}

/// Whether runs shall end. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    set: AtomicBool,
    run: Mutex<Option<Sender<Note>>>,
}

impl Interrupt {
    /// Set by SIGINT or SIGTERM to this process from now on.
    pub fn by_signals() -> std::io::Result<Interrupt> {
        use tokio::signal::unix::{SignalKind, signal};

        let interrupt = Interrupt::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (mut int, mut term) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            )
        };
        let shared = interrupt.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        tokio::select! {
                            _ = int.recv() => {}
                            _ = term.recv() => {}
                        }
                        shared.set();
                    }
                });
            })?;
        Ok(interrupt)
    }

    /// Ends the run that goes on, and lets none begin.
    pub fn set(&self) {
        self.shared.set.store(true, Ordering::SeqCst);
        self.note(Note::Interrupted);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.shared.set.load(Ordering::SeqCst)
    }

    /// The notes of one run, which replace those of the one before.
    pub(crate) fn listen(&self) -> Receiver<Note> {
        let (sender, receiver) = channel();
        *self.run() = Some(sender);
        if self.is_set() {
            self.note(Note::Interrupted);
        }
        receiver
    }

    pub(crate) fn note(&self, note: Note) {
        if let Some(run) = self.run().as_ref() {
            // A run that is over needs no note.
            let _ = run.send(note);
        }
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Option<Sender<Note>>> {
        self.shared
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
