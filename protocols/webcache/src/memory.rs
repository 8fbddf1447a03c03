//! Memory for bodies on their way, large pieces for a few, small ones for each of many; and turns
//! of the threads that read and write them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, spawn_blocking},
};

/// Bytes of all that is on loan together.
const ROOM: usize = 16 * 1024 * 1024;

/// A piece of a file where there is room for it: each takes one turn of a thread that waits for
/// the disk.
const PIECE: usize = 256 * 1024;

/// A piece that is not reckoned with.
const LEAST: usize = 32 * 1024;

/// Files that are read and written at a time. More threads would not make a disk faster, and each
/// has memory of its own.
const TURNS: usize = 16;

/// What bodies on their way may take beside the little that each has.
#[derive(Debug)]
pub(crate) struct Memory {
    left: AtomicUsize,
    turns: Arc<Semaphore>,
}

/// The right to have a file read or written.
#[derive(Debug)]
pub(crate) struct Permit(OwnedSemaphorePermit);

impl Permit {
    /// Does it, on a thread that may wait.
    pub(crate) fn spend<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        spawn_blocking(move || {
            let _permit = self.0;
            work()
        })
    }
}

impl Memory {
    pub(crate) fn new() -> Arc<Memory> {
        Arc::new(Memory {
            left: AtomicUsize::new(ROOM),
            turns: Arc::new(Semaphore::new(TURNS)),
        })
    }

    /// A turn, if there is one now.
    pub(crate) fn turn_now(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.turns).try_acquire_owned();
        permit.ok().map(Permit)
    }

    /// A turn, after those who wait already.
    pub(crate) async fn turn(&self) -> io::Result<Permit> {
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        permit.map(Permit).map_err(io::Error::other)
    }

    /// So many bytes, if there are as many left.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Option<Loan> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.is_ok().then(|| Loan {
            bytes,
            memory: Arc::clone(self),
        })
    }

    /// Room for the next bytes of a file that has `left` more.
    pub(crate) fn piece(self: &Arc<Self>, left: u64) -> Piece {
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let loan = (wanted > LEAST).then(|| self.lend(wanted)).flatten();
        let size = loan.as_ref().map_or(wanted.min(LEAST), |loan| loan.bytes);
        Piece {
            size,
            bytes: Vec::with_capacity(size),
            loan,
        }
    }
}

/// Memory that is taken. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Loan {
    bytes: usize,
    memory: Arc<Memory>,
}

impl Loan {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.memory.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of a file. What it takes of the memory is given back when the last who has some of it
/// drops it.
#[derive(Debug)]
pub(crate) struct Piece {
    /// How many bytes it is to have.
    pub(crate) size: usize,
    pub(crate) bytes: Vec<u8>,
    loan: Option<Loan>,
}

impl Piece {
    /// Whether it is a large one: then there is memory for the next as well, most likely.
    pub(crate) fn is_lent(&self) -> bool {
        self.loan.is_some()
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_readers_have_little_each() {
        let memory = Memory::new();
        let (large, small) = (u64::MAX, LEAST as u64 / 2);
        assert_eq!(memory.piece(small).size, LEAST / 2);
        let mut pieces: Vec<Bytes> = (0..ROOM / PIECE)
            .map(|_| {
                let piece = memory.piece(large);
                assert!(piece.is_lent() && piece.size == PIECE);
                piece.into_bytes()
            })
            .collect();
        let next = memory.piece(large);
        assert!(!next.is_lent() && next.size == LEAST);
        // A part of one takes as much as the whole.
        let part = pieces.pop().unwrap().slice(0..0);
        drop(part);
        assert!(memory.piece(large).is_lent());
        drop(pieces);
        assert_eq!(memory.left.load(Ordering::Relaxed), ROOM);
    }
}
