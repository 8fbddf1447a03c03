//! Exports to a path: complete or not at all, and resumed.

use std::fs;
use std::sync::atomic::Ordering;

use unixfs::{ExportError, ExportOptions, MemoryBlocks, Options, part_path};

use crate::support::{Counting, export, import, splitmix64};

const SMALL: Options = Options {
    chunking: unixfs::Chunking::Size(1000),
    max_links: 10,
    concurrency: 4,
};

async fn stored(content: &[u8]) -> (cid::Cid, Counting) {
    let source = Counting::default();
    let done = unixfs::import_reader(content, &source.blocks, &SMALL)
        .await
        .unwrap();
    (done.cid, source)
}

#[tokio::test]
async fn goes_on_where_it_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    let content = splitmix64(95_500);
    let (cid, mut source) = stored(&content).await;
    source.fail_after = Some(60);
    let error = export(&cid, &source, &path).await.unwrap_err();
    assert!(matches!(error, ExportError::Source { .. }), "{error}");
    assert!(!path.exists(), "nothing appears before it is complete");

    // A leaf that rotted meanwhile, and rubbish behind the end, must not survive.
    let part = part_path(&path, &cid);
    let mut bytes = fs::read(&part).unwrap();
    bytes[2500] ^= 1;
    let whole_leaves = bytes.len() as u64 / 1000;
    assert!(whole_leaves > 10);
    fs::write(&part, &bytes).unwrap();

    source.fail_after = None;
    source.asked.lock().unwrap().clear();
    let done = export(&cid, &source, &path).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(done.kept, (whole_leaves - 1) * 1000);
    // 96 leaves and 11 nodes there are; the nodes are asked for again, the kept leaves are not.
    let asked = source.asked.lock().unwrap().len() as u64;
    assert_eq!(asked, 96 + 11 - (whole_leaves - 1));
    assert!(!part.exists());
}

#[tokio::test]
async fn a_longer_part_is_cut() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    let content = splitmix64(3_500);
    let (cid, source) = stored(&content).await;
    let mut longer = content.clone();
    longer.extend([7; 9000]);
    fs::write(part_path(&path, &cid), longer).unwrap();
    assert_eq!(export(&cid, &source, &path).await.unwrap().kept, 3_500);
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[tokio::test]
async fn a_directory_goes_on_too() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("in");
    fs::create_dir_all(root.join("a/b")).unwrap();
    for i in 0..20 {
        fs::write(root.join(format!("a/{i}")), splitmix64(3000 + i)).unwrap();
    }
    std::os::unix::fs::symlink("a", root.join("link")).unwrap();
    let mut source = Counting::default();
    let cid = import(&root, &source.blocks).await.unwrap().cid;

    source.fail_after = Some(15);
    let out = temp.path().join("out");
    export(&cid, &source, &out).await.unwrap_err();
    assert!(!out.exists());
    source.fail_after = None;
    export(&cid, &source, &out).await.unwrap();
    assert_eq!(
        import(&out, &MemoryBlocks::default()).await.unwrap().cid,
        cid
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn nothing_is_overwritten_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    fs::write(&path, "mine").unwrap();
    let (cid, source) = stored(b"theirs").await;
    let error = export(&cid, &source, &path).await.unwrap_err();
    assert!(matches!(error, ExportError::Exists(_)));
    assert_eq!(fs::read(&path).unwrap(), b"mine");

    let options = ExportOptions {
        overwrite: true,
        ..Default::default()
    };
    unixfs::export_to_path(&cid, &source, &path, &options, &|_| ())
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_part_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let victim = temp.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let path = temp.path().join("file");
    let (cid, source) = stored(b"theirs").await;
    std::os::unix::fs::symlink(&victim, part_path(&path, &cid)).unwrap();
    let error = export(&cid, &source, &path).await.unwrap_err();
    assert!(matches!(error, ExportError::Exists(_)));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test(start_paused = true)]
async fn two_at_once_do_not_mix() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    let (cid, source) = stored(b"content").await;
    let part = fs::File::create(part_path(&path, &cid)).unwrap();
    part.try_lock().unwrap();
    let error = export(&cid, &source, &path).await.unwrap_err();
    assert!(matches!(error, ExportError::Busy(_)));
}

#[tokio::test]
async fn bounds_of_the_caller() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    let (cid, source) = stored(&[0; 5_000]).await;
    let options = ExportOptions {
        max_size: 4_999,
        ..Default::default()
    };
    let error = unixfs::export_to_path(&cid, &source, &path, &options, &|_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, ExportError::TooLarge { limit: 4_999, .. }));
}

#[tokio::test]
async fn never_more_asked_for_than_allowed() {
    let content = splitmix64(50_000);
    let (cid, source) = stored(&content).await;
    let mut out = Vec::new();
    unixfs::export_to_writer(&cid, &source, &mut out, 5)
        .await
        .unwrap();
    assert_eq!(out, content);
    assert!((4..=5).contains(&source.most_at_once.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn a_root_that_is_looked_at_first_is_got_once() {
    let content = splitmix64(9_000);
    let (cid, counting) = stored(&content).await;
    let source = unixfs::RootOnce::new(cid, &counting);
    let stat = unixfs::stat(&cid, &source).await.unwrap();
    assert_eq!(stat.size, 9_000);
    let mut out = Vec::new();
    unixfs::export_to_writer(&cid, &source, &mut out, 5)
        .await
        .unwrap();
    assert_eq!(out, content);
    assert_eq!(
        counting.gets.load(Ordering::SeqCst),
        10,
        "nine leaves and a root"
    );
}

#[tokio::test]
async fn small_files_are_not_got_twice() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("in");
    fs::create_dir(&root).unwrap();
    for i in 0..30 {
        fs::write(root.join(i.to_string()), splitmix64(100 * i)).unwrap();
    }
    let source = Counting::default();
    let done = import(&root, &source.blocks).await.unwrap();
    let out = temp.path().join("out");
    // As if it had stopped just before the end, with one file cut short.
    export(&done.cid, &source, &out).await.unwrap();
    fs::rename(&out, part_path(&out, &done.cid)).unwrap();
    fs::write(part_path(&out, &done.cid).join("9"), splitmix64(899)).unwrap();
    source.asked.lock().unwrap().clear();
    let exported = export(&done.cid, &source, &out).await.unwrap();
    assert_eq!(exported.size, done.size);
    assert_eq!(exported.kept, done.size - 900);
    // The directory and the file that was cut short.
    assert_eq!(source.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn many_large_files_share_the_blocks_in_flight() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("in");
    fs::create_dir(&root).unwrap();
    for i in 0..12 {
        fs::write(root.join(i.to_string()), splitmix64(20_000 + i)).unwrap();
    }
    let source = Counting::default();
    let done = unixfs::import_path(&root, &source.blocks, &SMALL, &|_| ())
        .await
        .unwrap();
    let options = ExportOptions {
        concurrency: 4,
        ..Default::default()
    };
    let out = temp.path().join("out");
    unixfs::export_to_path(&done.cid, &source, &out, &options, &|_| ())
        .await
        .unwrap();
    // The front block of each of four files, and three ahead.
    assert!((4..=7).contains(&source.most_at_once.load(Ordering::SeqCst)));
}
