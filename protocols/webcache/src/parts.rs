//! A body's file, read by those who wait for a disk and not by those who serve clients.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{
    file::BodyFile,
    memory::{Permit, Piece},
};

/// The bytes of a file between two places, one part after the other; where there is memory for
/// it the next is read while the one before is on its way.
#[derive(Debug)]
pub(crate) struct Parts {
    file: Arc<BodyFile>,
    at: u64,
    to: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `None` before the first.
    Idle(Option<File>),
    Reading(JoinHandle<io::Result<(File, Piece)>>),
}

impl Parts {
    pub(crate) fn new(file: Arc<BodyFile>, from: u64, to: u64) -> Parts {
        Parts {
            file,
            at: from,
            to,
            state: State::Idle(None),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.to
    }

    /// The next part; `None` behind the last.
    ///
    /// # Errors
    /// The disk's, and when the file is shorter than it was.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.is_done() {
            return Ok(None);
        }
        let reading = match std::mem::replace(&mut self.state, State::Idle(None)) {
            State::Reading(reading) => reading,
            State::Idle(open) => {
                let turn = self.file.memory().turn().await?;
                self.read(open, turn)
            }
        };
        let (open, piece) = reading.await.map_err(io::Error::other)??;
        self.at += piece.bytes.len() as u64;
        let ahead = piece.is_lent() && !self.is_done();
        let turn = ahead.then(|| self.file.memory().turn_now()).flatten();
        self.state = match turn {
            Some(turn) => State::Reading(self.read(Some(open), turn)),
            None => State::Idle(Some(open)),
        };
        Ok(Some(piece.into_bytes()))
    }

    fn read(&self, open: Option<File>, turn: Permit) -> JoinHandle<io::Result<(File, Piece)>> {
        let (file, at, left) = (Arc::clone(&self.file), self.at, self.to - self.at);
        turn.spend(move || {
            let mut open = match open {
                Some(open) => open,
                None => {
                    let mut open = File::open(file.path())?;
                    open.seek(SeekFrom::Start(at))?;
                    open
                }
            };
            let mut piece = file.memory().piece(left);
            let most = piece.size as u64;
            if (&mut open).take(most).read_to_end(&mut piece.bytes)? < piece.size {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a body of the web cache is shorter than it was",
                ));
            }
            Ok((open, piece))
        })
    }
}
