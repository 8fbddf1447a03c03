//! A path becomes a file or a directory (rules U6, U8 and U9).

use std::future::Future;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use std::fs::Metadata;
use tokio::fs;
use tokio::sync::Semaphore;

use crate::balanced::Subtree;
use crate::blocks::BlockSink;
use crate::dagpb::{Link, Node};
use crate::data::{Data, DataType};
use crate::directory;
use crate::error::ImportError;
use crate::import::{Context, Imported, Stored};
use crate::profile::{MAX_DIRECTORY_DEPTH, MAX_DIRECTORY_ENTRIES, MAX_NAME, MAX_SYMLINK, Options};
use crate::progress::Progress;

/// Imports a file, or a directory with all that is in it.
///
/// The path itself may be a symbolic link and is followed; links inside a directory are kept as
/// links. Hidden files are kept. A file that is written to while it is read ends the import with
/// [`ImportError::Changed`]. Holds `concurrency` chunks and files, and the lists of entries of the
/// directories on one path from the root, in memory.
pub async fn import_path<S: BlockSink + ?Sized>(
    path: &Path,
    sink: &S,
    options: &Options,
    progress: &(dyn Fn(Progress<'_>) + Send + Sync),
) -> Result<Imported, ImportError> {
    options.validate()?;
    let memory = Arc::new(Semaphore::new(options.concurrency));
    let context = Context {
        sink,
        options,
        memory,
        report: progress,
    };
    let metadata = fs::metadata(path)
        .await
        .map_err(|source| read_error(path, source))?;
    let stored = if metadata.is_dir() {
        import_directory(&context, path.to_owned(), metadata, 0).await?
    } else {
        import_file(&context, path.to_owned(), metadata).await?
    };
    Ok(Imported {
        cid: stored.root.cid,
        size: stored.root.size,
        blocks: stored.blocks,
    })
}

/// What tells whether a file was written to: any write moves `mtime` or `ctime`, any replacement
/// changes the inode.
#[derive(PartialEq, Eq)]
struct Version {
    inode: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Version {
    fn from(metadata: &Metadata) -> Self {
        Version {
            inode: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

async fn import_file<S: BlockSink + ?Sized>(
    context: &Context<'_, S>,
    path: PathBuf,
    metadata: Metadata,
) -> Result<Stored, ImportError> {
    if !metadata.is_file() {
        return Err(ImportError::NotAFile(path));
    }
    (context.report)(Progress::Entry(&path));
    let file = fs::File::open(&path)
        .await
        .map_err(|source| read_error(&path, source))?;
    let mut chunker = context.chunker(file);
    let stored = context.file(&mut chunker, &path).await?;

    // U9: the handle shows writes to what was read, the path shows that it was replaced.
    let before = Version::from(&metadata);
    let handle = chunker.get_ref().metadata().await;
    let handle = handle.map_err(|source| read_error(&path, source))?;
    let unchanged = before == Version::from(&handle)
        && stored.root.size == before.len
        && fs::metadata(&path)
            .await
            .is_ok_and(|now| before == Version::from(&now));
    if unchanged {
        Ok(stored)
    } else {
        Err(ImportError::Changed(path))
    }
}

async fn import_symlink<S: BlockSink + ?Sized>(
    context: &Context<'_, S>,
    path: &Path,
) -> Result<Stored, ImportError> {
    (context.report)(Progress::Entry(path));
    let target = fs::read_link(path)
        .await
        .map_err(|source| read_error(path, source))?;
    let Some(target) = target.to_str().filter(|target| target.len() <= MAX_SYMLINK) else {
        return Err(ImportError::Name(path.to_owned()));
    };
    let data = Data {
        data: Some(bytes::Bytes::copy_from_slice(target.as_bytes())),
        ..Data::new(DataType::Symlink)
    };
    let block = Node {
        links: Vec::new(),
        data,
    }
    .to_block();
    let root = Subtree {
        cid: block.cid,
        size: 0,
        tsize: block.tsize,
    };
    context.put(block.cid, block.bytes).await?;
    Ok(Stored { root, blocks: 1 })
}

/// An entry of a directory, before it is imported.
struct Found {
    name: String,
    path: PathBuf,
    metadata: Metadata,
}

type Importing<'a> = Pin<Box<dyn Future<Output = Result<Stored, ImportError>> + Send + 'a>>;

fn import_directory<'a, S: BlockSink + ?Sized>(
    context: &'a Context<'_, S>,
    path: PathBuf,
    metadata: Metadata,
    depth: usize,
) -> Importing<'a> {
    Box::pin(async move {
        if depth >= MAX_DIRECTORY_DEPTH {
            return Err(ImportError::TooLarge(path));
        }
        (context.report)(Progress::Entry(&path));
        let (directories, others): (Vec<_>, Vec<_>) = read_directory(&path)
            .await?
            .into_iter()
            .partition(|found| found.metadata.is_dir());

        let (mut size, mut blocks) = (0u64, 0u64);
        let mut links = Vec::with_capacity(directories.len() + others.len());
        let mut add = |name: String, stored: Stored| {
            size += stored.root.size;
            blocks += stored.blocks;
            links.push(Link {
                cid: stored.root.cid,
                name,
                tsize: stored.root.tsize,
            });
        };

        // Files run side by side, directories one after the other: what is open at a time is
        // `concurrency` files, however the tree branches.
        let mut others = others.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < context.options.concurrency
                && let Some(found) = others.next()
            {
                running.push(import_other(context, found));
            }
            let Some(done) = running.next().await else {
                break;
            };
            let (name, stored) = done?;
            add(name, stored);
        }
        drop(running);
        for Found {
            name,
            path,
            metadata,
        } in directories
        {
            add(
                name,
                import_directory(context, path, metadata, depth + 1).await?,
            );
        }

        let unchanged = fs::metadata(&path)
            .await
            .is_ok_and(|now| Version::from(&metadata) == Version::from(&now));
        if !unchanged {
            return Err(ImportError::Changed(path));
        }
        let Some((root, own_blocks)) = directory::store(context, links).await? else {
            return Err(ImportError::TooLarge(path));
        };
        Ok(Stored {
            root: Subtree { size, ..root },
            blocks: blocks + own_blocks,
        })
    })
}

async fn import_other<S: BlockSink + ?Sized>(
    context: &Context<'_, S>,
    found: Found,
) -> Result<(String, Stored), ImportError> {
    let stored = if found.metadata.is_symlink() {
        import_symlink(context, &found.path).await?
    } else {
        import_file(context, found.path, found.metadata).await?
    };
    Ok((found.name, stored))
}

async fn read_directory(path: &Path) -> Result<Vec<Found>, ImportError> {
    let mut entries = fs::read_dir(path)
        .await
        .map_err(|source| read_error(path, source))?;
    let mut all = Vec::new();
    while let Some(entry) = entries
        .next_entry()
        .await
        .map_err(|e| read_error(path, e))?
    {
        let path = entry.path();
        if all.len() == MAX_DIRECTORY_ENTRIES {
            return Err(ImportError::TooLarge(path));
        }
        let metadata = match entry.metadata().await {
            Ok(metadata) => metadata,
            // It was there when the directory was opened.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImportError::Changed(path));
            }
            Err(source) => return Err(read_error(&path, source)),
        };
        let Some(name) = entry
            .file_name()
            .into_string()
            .ok()
            .filter(|n| n.len() <= MAX_NAME)
        else {
            return Err(ImportError::Name(path));
        };
        all.push(Found {
            name,
            path,
            metadata,
        });
    }
    Ok(all)
}

fn read_error(path: &Path, source: io::Error) -> ImportError {
    ImportError::Read {
        path: path.to_owned(),
        source,
    }
}
