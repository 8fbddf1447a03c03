//! A file or directory goes to a path, and goes on where an earlier try stopped (rule U16).

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::fs;
use tokio::sync::Semaphore;

use crate::blocks::BlockSource;
use crate::dagpb::{Link, Node};
use crate::data::DataType;
use crate::error::{ExportError, Malformed};
use crate::fetch::{Fetched, RAW, fetch_node};
use crate::list::{entries, symlink_target};
use crate::part::{Part, blocking};
use crate::profile::MAX_DIRECTORY_DEPTH;
use crate::progress::{Progress, Report};
use crate::walk::{Content, Walk};

/// Bounds of an export and how much is in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Blocks asked for ahead, and files written, at a time.
    pub concurrency: usize,
    /// Bytes of content that may be written. A few blocks linked over and over can stand for
    /// more than any disk holds.
    pub max_size: u64,
    /// Files, directories and links that may be made, for the same reason.
    pub max_entries: u64,
    /// Replace a file that is at the path. A directory is never replaced.
    pub overwrite: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        ExportOptions {
            concurrency: 16,
            max_size: u64::MAX,
            // Ten times a large source tree.
            max_entries: 10_000_000,
            overwrite: false,
        }
    }
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Bytes of file content.
    pub size: u64,
    /// Of these, bytes that an earlier export had left and that were found to be right.
    pub kept: u64,
    /// Files, directories and links.
    pub entries: u64,
}

/// Where an export of `cid` to `path` is written until it is complete: beside `path`, hidden, named
/// after the CID, so that another try finds it and nothing of the user's is touched.
pub fn part_path(path: &Path, cid: &Cid) -> PathBuf {
    path.with_file_name(format!(".{cid}.part"))
}

/// Writes a file or directory to a path, which appears complete and durable or not at all.
///
/// If this fails or is dropped, what was written stays at [`part_path`]; the next export of the
/// same CID to the same folder checks it, leaf by leaf, and gets only what is missing.
pub async fn export_to_path<S: BlockSource + ?Sized>(
    cid: &Cid,
    source: &S,
    path: &Path,
    options: &ExportOptions,
    progress: &(dyn Fn(Progress<'_>) + Send + Sync),
) -> Result<Exported, ExportError> {
    let export = Export {
        root: *cid,
        source,
        options,
        report: progress,
        ahead: Arc::new(Semaphore::new(options.concurrency.saturating_sub(1))),
        done: Mutex::default(),
    };
    let part = part_path(path, cid);
    if let Ok(found) = fs::symlink_metadata(path).await
        && (found.is_dir() || !options.overwrite)
    {
        return Err(ExportError::Exists(path.to_owned()));
    }
    if let Some(directory) = export.entry(*cid, part.clone(), path.to_owned()).await? {
        export.directory(directory, 0).await?;
    }
    fs::rename(&part, path)
        .await
        .map_err(|source| write_error(path, source))?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new("."))).await?;
    Ok(export
        .done
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

struct Export<'a, S: ?Sized> {
    root: Cid,
    source: &'a S,
    options: &'a ExportOptions,
    report: Report<'a>,
    /// Blocks that all files together may fetch before their turn.
    ahead: Arc<Semaphore>,
    done: Mutex<Exported>,
}

/// A directory that is still to be made.
struct Directory {
    cid: Cid,
    node: Node,
    at: PathBuf,
    /// What the person calls it.
    shown: PathBuf,
}

type Exporting<'a> = Pin<Box<dyn Future<Output = Result<(), ExportError>> + Send + 'a>>;

impl<S: BlockSource + ?Sized> Export<'_, S> {
    /// Makes what `cid` names, unless it is a directory.
    async fn entry(
        &self,
        cid: Cid,
        at: PathBuf,
        shown: PathBuf,
    ) -> Result<Option<Directory>, ExportError> {
        let entries = self.count(|done| {
            done.entries += 1;
            done.entries
        });
        if entries > self.options.max_entries {
            return Err(self.too_large(self.options.max_entries, "entries"));
        }
        (self.report)(Progress::Entry(&shown));
        if cid.codec() == RAW {
            self.file(cid, &at).await?;
            return Ok(None);
        }
        let Fetched::Node(node) = fetch_node(self.source, &cid).await? else {
            unreachable!("only raw blocks are read as raw")
        };
        match node.data.data_type() {
            Some(DataType::File | DataType::Raw) => self.file(cid, &at).await?,
            Some(DataType::Directory | DataType::HamtShard) => {
                return Ok(Some(Directory {
                    cid,
                    node,
                    at,
                    shown,
                }));
            }
            Some(DataType::Symlink) => {
                let target = symlink_target(&node);
                let target = target.map_err(|reason| ExportError::malformed(&cid, reason))?;
                symlink(&target, &at).await?;
            }
            Some(DataType::Metadata) | None => {
                return Err(ExportError::malformed(&cid, Malformed::NotUnixFs));
            }
        }
        Ok(None)
    }

    async fn file(&self, cid: Cid, at: &Path) -> Result<(), ExportError> {
        let part = Part::open(at).await?;
        let mut walk = Walk::new(
            cid,
            self.source,
            Some(Arc::clone(&part)),
            Arc::clone(&self.ahead),
        );
        let mut len = 0;
        while let Some(piece) = walk.next().await? {
            let (size, bytes) = match piece.content {
                Content::Kept(size) => (size, None),
                Content::Bytes(bytes) => (bytes.len() as u64, Some(bytes)),
            };
            let total = self.count(|done| {
                done.size = done.size.saturating_add(size);
                if bytes.is_none() {
                    done.kept += size;
                }
                done.size
            });
            if total > self.options.max_size {
                return Err(self.too_large(self.options.max_size, "bytes"));
            }
            match bytes {
                Some(bytes) => {
                    part.write(piece.offset, bytes).await?;
                    (self.report)(Progress::Bytes(size));
                }
                None => (self.report)(Progress::Kept(size)),
            }
            len = piece.offset + size;
        }
        part.finish(len).await
    }

    fn directory(&self, directory: Directory, depth: usize) -> Exporting<'_> {
        Box::pin(async move {
            let Directory {
                cid,
                node,
                at,
                shown,
            } = directory;
            if depth >= MAX_DIRECTORY_DEPTH {
                return Err(ExportError::malformed(&cid, Malformed::TooDeep));
            }
            let links = entries(&cid, node, self.source, self.options.concurrency).await?;
            make_directory(&at).await?;

            // Entries run side by side, directories one after the other: what is open at a time
            // is `concurrency` files, however the tree branches. A directory's node is dropped
            // and read again at its turn, so many of them side by side cost no memory.
            let mut links = links.into_iter();
            let mut running = FuturesUnordered::new();
            let mut directories = Vec::new();
            loop {
                while running.len() < self.options.concurrency.max(1)
                    && let Some(Link { cid, name, .. }) = links.next()
                {
                    running.push(self.entry(cid, at.join(&name), shown.join(&name)));
                }
                let Some(made) = running.next().await else {
                    break;
                };
                directories.extend(made?.map(|found| (found.cid, found.at, found.shown)));
            }
            drop(running);
            for (cid, at, shown) in directories {
                let Fetched::Node(node) = fetch_node(self.source, &cid).await? else {
                    unreachable!("only raw blocks are read as raw")
                };
                let below = Directory {
                    cid,
                    node,
                    at,
                    shown,
                };
                self.directory(below, depth + 1).await?;
            }
            sync(&at).await
        })
    }

    /// Changes the counts, which are whole between any two calls.
    fn count(&self, change: impl FnOnce(&mut Exported) -> u64) -> u64 {
        change(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn too_large(&self, limit: u64, unit: &'static str) -> ExportError {
        ExportError::TooLarge {
            cid: self.root,
            limit,
            unit,
        }
    }
}

async fn make_directory(at: &Path) -> Result<(), ExportError> {
    match fs::create_dir(at).await {
        Ok(()) => Ok(()),
        // A directory of an earlier try; anything else is in the way, links included.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(at).await;
            if !found.map_err(|source| write_error(at, source))?.is_dir() {
                return Err(ExportError::Exists(at.to_owned()));
            }
            Ok(())
        }
        Err(source) => Err(write_error(at, source)),
    }
}

async fn symlink(target: &str, at: &Path) -> Result<(), ExportError> {
    match fs::symlink(target, at).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::read_link(at).await;
            if found.is_ok_and(|found| found == Path::new(target)) {
                return Ok(());
            }
            Err(ExportError::Exists(at.to_owned()))
        }
        Err(source) => Err(write_error(at, source)),
    }
}

/// Has a directory's entries on disk.
async fn sync(directory: &Path) -> Result<(), ExportError> {
    let path = directory.to_owned();
    let synced = blocking(move || std::fs::File::open(path)?.sync_all()).await;
    synced.map_err(|source| write_error(directory, source))
}

fn write_error(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}
