//! A body that comes from an origin or a peer, and is read by all who wait while it comes (Q21,
//! Q22).

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    body::{Body, BoxError},
    file::BodyFile,
    parts::Parts,
    store::{Meta, object_for},
    window::{Place, Window},
};

/// Bytes a second, after a while, of a body that a client waits for.
const HELD_RATE: u64 = 128 * 1024;
const HELD_GRACE: Duration = Duration::from_secs(10);

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) arrived: u64,
    pub(crate) end: Option<End>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Broken,
    /// It has another digest than it should have.
    Wrong,
}

/// A body on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// As it will be stored; its size is 0 until it is known.
    pub(crate) meta: Meta,
    /// Status and fields as the origin sent them.
    pub(crate) head: (StatusCode, HeaderMap),
    /// As the origin has announced it.
    pub(crate) length: Option<u64>,
    pub(crate) file: Arc<BodyFile>,
    /// What came last.
    pub(crate) window: Arc<Window>,
    pub(crate) progress: watch::Receiver<Progress>,
    /// Cancelled when it has ended; whoever waits for that is no reader.
    pub(crate) done: CancellationToken,
    /// Whether no client is given any of it before it has turned out to be right (Q35).
    pub(crate) held: bool,
}

/// Somebody who will read a body on its way, so that it does not come for nobody.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) arriving: Arc<Arriving>,
    _reader: watch::Receiver<Progress>,
}

impl Reading {
    pub(crate) fn new(arriving: Arc<Arriving>) -> Reading {
        Reading {
            _reader: arriving.progress.clone(),
            arriving,
        }
    }
}

impl Arriving {
    /// How long a client waits for it where it is held back.
    pub(crate) fn patience(&self) -> Duration {
        let length = self.length.unwrap_or(0);
        HELD_GRACE + Duration::from_secs(length / HELD_RATE)
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&self) -> Option<End> {
        self.progress.borrow().end
    }

    /// How it ends.
    pub(crate) async fn end(&self) -> End {
        let mut progress = self.progress.clone();
        let ended = progress.wait_for(|progress| progress.end.is_some()).await;
        ended.map_or(End::Broken, |progress| progress.end.unwrap_or(End::Broken))
    }

    /// Whether it is the answer to such a request too.
    pub(crate) fn answers(&self, url: &str, request: &HeaderMap) -> bool {
        let object = object_for(url, &self.meta.vary, request);
        self.meta.url == url && self.meta.object == object.to_string()
    }

    /// Whether it may be given to others than who asked for it.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        self.meta.policy.time_to_live(now) > Duration::ZERO
    }

    /// The body, as far as it has come and as it comes: from memory, or for who is behind from the
    /// file. An end that is not the whole is an error, which the client sees as a connection that
    /// breaks.
    pub(crate) fn body(&self) -> Body {
        let start = Follower {
            at: 0,
            length: self.length,
            progress: self.progress.clone(),
            window: Arc::clone(&self.window),
            file: Arc::clone(&self.file),
            behind: None,
        };
        let chunks = stream::try_unfold(start, async |mut follower| {
            let chunk = follower.next().await?;
            Ok::<_, BoxError>(chunk.map(|chunk| (Frame::data(chunk), follower)))
        });
        StreamBody::new(chunks).boxed_unsync()
    }
}

/// One who reads a body on its way.
#[derive(Debug)]
struct Follower {
    at: u64,
    length: Option<u64>,
    progress: watch::Receiver<Progress>,
    window: Arc<Window>,
    file: Arc<BodyFile>,
    /// What it reads of the file, while it is behind.
    behind: Option<Parts>,
}

impl Follower {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Progress { mut arrived, end } = *self.progress.borrow_and_update();
            // The last byte says that all is well, so it waits until that is known.
            if end.is_none() && self.length == Some(arrived) {
                arrived = arrived.saturating_sub(1);
            }
            if self.at < arrived {
                let chunk = self.chunk(arrived).await?;
                self.at += chunk.len() as u64;
                return Ok(Some(chunk));
            }
            match end {
                Some(End::Whole) => return Ok(None),
                Some(End::Broken | End::Wrong) => return Err(broken()),
                None => self.progress.changed().await.map_err(|_| broken())?,
            }
        }
    }

    /// The next bytes before `arrived`.
    async fn chunk(&mut self, arrived: u64) -> io::Result<Bytes> {
        loop {
            if let Some(parts) = &mut self.behind {
                if let Some(chunk) = parts.next().await? {
                    return Ok(chunk);
                }
                self.behind = None;
            }
            match self.window.find(self.at) {
                Place::Memory(mut chunk) => {
                    let most = usize::try_from(arrived - self.at).unwrap_or(usize::MAX);
                    chunk.truncate(most);
                    return Ok(chunk);
                }
                Place::File(to) => {
                    let to = to.min(arrived);
                    self.behind = Some(Parts::new(Arc::clone(&self.file), self.at, to));
                }
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the origin's answer ended before its end",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn who_is_behind_reads_the_file_and_who_is_not_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.body");
        let closing = Arc::new(AtomicBool::new(false));
        let file = Arc::new(BodyFile::new(path.clone(), closing, Memory::new()));
        // So that it shows which of the two was read.
        std::fs::write(&path, "FILE").unwrap();
        let window = Arc::new(Window::default());
        for chunk in ["file", "mem", "ory"] {
            window.push(Bytes::from_static(chunk.as_bytes()));
        }
        let (sender, progress) = watch::channel(Progress {
            arrived: 10,
            end: None,
        });
        let mut follower = Follower {
            at: 0,
            length: Some(10),
            progress,
            window: Arc::clone(&window),
            file,
            behind: None,
        };
        let mut next = async || {
            let chunk = follower.next().await.unwrap();
            chunk.map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
        };
        // It is in the file, and in memory no more.
        window.shrink(4, 6, 10);
        assert_eq!(next().await.as_deref(), Some("FILE"));
        assert_eq!(next().await.as_deref(), Some("mem"));
        // All but the last byte, until all is well.
        assert_eq!(next().await.as_deref(), Some("or"));
        sender.send_modify(|progress| progress.end = Some(End::Whole));
        assert_eq!(next().await.as_deref(), Some("y"));
        assert_eq!(next().await, None);
    }
}
