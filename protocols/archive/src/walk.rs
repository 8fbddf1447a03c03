//! The blocks of a version, in the order in which they are archived (H1).

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use blocks::{DAG_PB, links};
use bytes::Bytes;
use cid::Cid;
use objects::Record;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use unixfs::BoxError;

use crate::manifest::MAX_BLOCKS;

/// Blocks got ahead of the one that is wanted next.
const AHEAD: usize = 8;

/// Links of a properties block that belong to the version.
const MAX_PROPERTY_LINKS: usize = 64;

/// The multihash that carries the bytes instead of their hash.
const IDENTITY: u64 = 0;

/// Why the blocks of a version are not all there.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A block could not be got.
    #[error("block {cid}: {source}")]
    Block {
        /// Which.
        cid: Cid,
        /// Why.
        source: BoxError,
    },
    /// A block has links that cannot be read.
    #[error("block {0} is malformed")]
    Malformed(Cid),
    /// More blocks than are archived.
    #[error("it has more than {MAX_BLOCKS} blocks")]
    TooMany,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// A block that is wanted, and how much it matters.
struct Wanted {
    cid: Cid,
    /// Whether its links are followed.
    follow: bool,
    /// Whether the version is whole without it.
    optional: bool,
    got: Option<AbortOnDropHandle<Result<Bytes, BoxError>>>,
}

/// Goes through the blocks of a version.
pub(crate) struct Walk {
    source: Arc<dyn objects::Blocks>,
    wanted: VecDeque<Wanted>,
    seen: HashSet<Cid>,
    properties: Option<Cid>,
    /// What the properties link to: wanted when the DAG, which needs all of its own, is through.
    named: Vec<Cid>,
    record: Option<(Cid, Bytes)>,
}

impl Walk {
    pub(crate) fn new(
        source: Arc<dyn objects::Blocks>,
        record: &Record,
    ) -> Result<Walk, WalkError> {
        let mut walk = Walk {
            source,
            wanted: VecDeque::new(),
            seen: HashSet::from([record.vguid()]),
            properties: record.properties(),
            named: Vec::new(),
            record: Some((record.vguid(), record.encoded().clone())),
        };
        for cid in record.properties().into_iter().chain(record.root()) {
            let follow = Some(cid) != record.properties();
            let mut new = Vec::new();
            walk.want(cid, follow, false, &mut new)?;
            walk.wanted.extend(new);
        }
        Ok(walk)
    }

    /// Adds the block to `new` if it was not wanted before. Of a CID that is its own block the
    /// links are wanted instead: it has 64 bytes at most, and what is nested in it fewer.
    fn want(
        &mut self,
        cid: Cid,
        follow: bool,
        optional: bool,
        new: &mut Vec<Wanted>,
    ) -> Result<(), WalkError> {
        if cid.hash().code() == IDENTITY {
            let links = match follow {
                true => links(&cid, cid.hash().digest()).ok_or(WalkError::Malformed(cid))?,
                false => Vec::new(),
            };
            for link in links {
                self.want(link, follow, optional, new)?;
            }
            return Ok(());
        }
        // An old name of a block is read as its new one.
        let cid = match cid.version() {
            cid::Version::V0 => Cid::new_v1(DAG_PB, *cid.hash()),
            cid::Version::V1 => cid,
        };
        if self.seen.insert(cid) {
            new.push(Wanted {
                cid,
                follow,
                optional,
                got: None,
            });
        }
        Ok(())
    }

    /// The next block, verified; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<(Cid, Bytes)>, WalkError> {
        if let Some(record) = self.record.take() {
            return Ok(Some(record));
        }
        loop {
            for wanted in self.wanted.iter_mut().take(AHEAD) {
                let source = &self.source;
                let (cid, got) = (wanted.cid, &mut wanted.got);
                got.get_or_insert_with(|| AbortOnDropHandle::new(get(Arc::clone(source), cid)));
            }
            let Some(mut wanted) = self.wanted.pop_front() else {
                let mut new = Vec::new();
                for cid in mem::take(&mut self.named) {
                    self.want(cid, false, true, &mut new)?;
                }
                if new.is_empty() {
                    return Ok(None);
                }
                self.wanted.extend(new);
                continue;
            };
            let cid = wanted.cid;
            let got = match &mut wanted.got {
                Some(got) => got.await.map_err(|_| WalkError::Stopped)?,
                None => continue,
            };
            let bytes = match got {
                Ok(bytes) => bytes,
                Err(source) if wanted.optional => {
                    tracing::debug!(%cid, %source, "archived without what its properties name");
                    continue;
                }
                Err(source) => return Err(WalkError::Block { cid, source }),
            };
            self.want_links(&wanted, &bytes)?;
            if self.seen.len() as u64 > MAX_BLOCKS {
                return Err(WalkError::TooMany);
            }
            return Ok(Some((cid, bytes)));
        }
    }

    fn want_links(&mut self, of: &Wanted, bytes: &[u8]) -> Result<(), WalkError> {
        let properties = self.properties == Some(of.cid);
        if !of.follow && !properties {
            return Ok(());
        }
        let links = links(&of.cid, bytes).ok_or(WalkError::Malformed(of.cid))?;
        if properties {
            self.named = links.into_iter().take(MAX_PROPERTY_LINKS).collect();
            return Ok(());
        }
        let mut new = Vec::new();
        for cid in links {
            self.want(cid, true, false, &mut new)?;
        }
        for wanted in new.into_iter().rev() {
            self.wanted.push_front(wanted);
        }
        Ok(())
    }
}

fn get(source: Arc<dyn objects::Blocks>, cid: Cid) -> JoinHandle<Result<Bytes, BoxError>> {
    tokio::spawn(async move {
        let bytes = source.get(&cid).await?;
        let block = bytes.clone();
        replicas::hashing::run(move || blocks::verify(&cid, &block))
            .await
            .ok_or("the node is stopping")??;
        Ok(bytes)
    })
}
