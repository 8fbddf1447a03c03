//! Imports that fail, and how much they hold.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use tokio::io::AsyncReadExt;
use unixfs::{BlockSink, BoxError, ImportError, MemoryBlocks, Options, Progress};

use crate::support::{export, import, splitmix64};

/// Appends to a file when the first block of it arrives.
struct Appending(std::path::PathBuf);

#[async_trait]
impl BlockSink for Appending {
    async fn put(&self, _: Cid, _: Bytes) -> Result<(), BoxError> {
        fs::OpenOptions::new()
            .append(true)
            .open(&self.0)?
            .write_all(b"more")?;
        Ok(())
    }
}

#[tokio::test]
async fn a_file_that_grows_meanwhile() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    for size in [10, 3 << 20] {
        fs::write(&path, splitmix64(size)).unwrap();
        let sink = Appending(path.clone());
        let error = unixfs::import_path(&path, &sink, &Options::default(), &|_| ()).await;
        assert!(matches!(error, Err(ImportError::Changed(changed)) if changed == path));
    }
}

/// Says of what size the buffers are that a sink is given to keep.
#[derive(Default)]
struct Buffers(AtomicUsize);

#[async_trait]
impl BlockSink for Buffers {
    async fn put(&self, _: Cid, bytes: Bytes) -> Result<(), BoxError> {
        let buffer = bytes.try_into_mut().map_err(|_| "somebody else has it")?;
        self.0.fetch_add(buffer.capacity(), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn a_small_file_is_not_kept_in_a_large_buffer() {
    for chunker in ["size-1048576", "fastcdc"] {
        let sink = Buffers::default();
        let options = Options {
            chunking: chunker.parse().unwrap(),
            ..Options::default()
        };
        unixfs::import_reader(&b"content"[..], &sink, &options)
            .await
            .unwrap();
        assert!((7..100).contains(&sink.0.into_inner()), "{chunker}");
    }
}

#[tokio::test]
async fn a_directory_that_grows_meanwhile() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a"), "a").unwrap();
    // Far from now: the clock of the file system may be too coarse to tell the two writes apart.
    let directory = fs::File::open(temp.path()).unwrap();
    directory.set_modified(std::time::UNIX_EPOCH).unwrap();
    let new = temp.path().join("b");
    let report = |_: Progress<'_>| fs::write(&new, "b").unwrap();
    let blocks = MemoryBlocks::default();
    let error = unixfs::import_path(temp.path(), &blocks, &Options::default(), &report).await;
    assert!(matches!(error, Err(ImportError::Changed(_))), "{error:?}");
}

#[tokio::test]
async fn what_is_no_file() {
    let temp = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
    let error = import(temp.path(), &MemoryBlocks::default()).await;
    assert!(matches!(error, Err(ImportError::NotAFile(path)) if path.ends_with("socket")));

    let error = import(&temp.path().join("none"), &MemoryBlocks::default()).await;
    assert!(matches!(error, Err(ImportError::Read { .. })));
}

#[tokio::test]
async fn options_out_of_range() {
    let good = Options::default();
    for bad in [
        Options {
            chunking: unixfs::Chunking::Size(0),
            ..good
        },
        Options {
            chunking: unixfs::Chunking::Size(unixfs::MAX_BLOCK + 1),
            ..good
        },
        Options {
            max_links: 1,
            ..good
        },
        Options {
            concurrency: 0,
            ..good
        },
    ] {
        let error = unixfs::import_reader(&b""[..], &MemoryBlocks::default(), &bad).await;
        assert!(matches!(error, Err(ImportError::Options(_))));
    }
}

/// Refuses everything after a while.
struct Full(AtomicUsize);

#[async_trait]
impl BlockSink for Full {
    async fn put(&self, _: Cid, _: Bytes) -> Result<(), BoxError> {
        if self.0.fetch_add(1, Ordering::SeqCst) < 5 {
            Ok(())
        } else {
            Err("disk full".into())
        }
    }
}

#[tokio::test]
async fn a_sink_that_fails() {
    let options = Options {
        chunking: unixfs::Chunking::Size(10),
        max_links: 2,
        concurrency: 4,
    };
    let sink = Full(AtomicUsize::new(0));
    let error = unixfs::import_reader(&[1; 1000][..], &sink, &options)
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::Sink { .. }));
}

/// Counts how many chunks it is given at once.
#[derive(Default)]
struct Slow {
    at_once: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl BlockSink for Slow {
    async fn put(&self, _: Cid, _: Bytes) -> Result<(), BoxError> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn never_more_in_flight_than_allowed() {
    let options = Options {
        chunking: unixfs::Chunking::Size(100),
        max_links: 10,
        concurrency: 7,
    };
    let sink = Slow::default();
    unixfs::import_reader(tokio::io::repeat(1).take(100_000), &sink, &options)
        .await
        .unwrap();
    // One more: a node is stored while its leaves' permits are with the leaves behind it.
    assert!((2..=8).contains(&sink.most.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn runs_as_a_task() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_owned();
    fs::create_dir(root.join("sub")).unwrap();
    let task = tokio::spawn(async move {
        let blocks = MemoryBlocks::default();
        let done = import(&root, &blocks).await.unwrap();
        unixfs::ls(&done.cid, &blocks, 4).await.unwrap().len()
    });
    assert_eq!(task.await.unwrap(), 1);
}

#[tokio::test]
async fn as_deep_as_allowed() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("in");
    let mut deepest = root.clone();
    deepest.extend(vec!["d"; unixfs::MAX_DIRECTORY_DEPTH - 1]);
    fs::create_dir_all(&deepest).unwrap();
    let blocks = MemoryBlocks::default();
    let done = import(&root, &blocks).await.unwrap();
    let out = temp.path().join("out");
    export(&done.cid, &blocks, &out).await.unwrap();
    assert_eq!(import(&out, &blocks).await.unwrap().cid, done.cid);

    fs::create_dir(deepest.join("d")).unwrap();
    let error = import(&root, &blocks).await;
    assert!(matches!(error, Err(ImportError::TooLarge(_))), "{error:?}");
}
