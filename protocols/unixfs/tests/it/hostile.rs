//! Blocks that lie. The wire format is written by hand here, so nothing is checked on the way.

use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};
use unixfs::{ExportError, ExportOptions, Malformed, MemoryBlocks};

use crate::support::{export, read};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn field(field: u8, bytes: &[u8]) -> Vec<u8> {
    [
        vec![field << 3 | 2],
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

fn link(cid: &Cid, name: &str) -> Vec<u8> {
    field(
        2,
        &[
            field(1, &cid.to_bytes()),
            field(2, name.as_bytes()),
            number(3, 1),
        ]
        .concat(),
    )
}

/// A dag-pb node of links and a UnixFS message.
fn node(blocks: &MemoryBlocks, links: &[Vec<u8>], data: &[Vec<u8>]) -> Cid {
    let bytes = [links.concat(), field(1, &data.concat())].concat();
    block(blocks, 0x70, &bytes)
}

fn block(blocks: &MemoryBlocks, codec: u64, bytes: &[u8]) -> Cid {
    let cid = Cid::new_v1(codec, Code::Sha2_256.digest(bytes));
    blocks.insert(cid, Bytes::copy_from_slice(bytes));
    cid
}

fn raw(blocks: &MemoryBlocks, bytes: &[u8]) -> Cid {
    block(blocks, 0x55, bytes)
}

/// A file node that declares these sizes for its children.
pub(crate) fn file(blocks: &MemoryBlocks, children: &[(Cid, u64)], filesize: u64) -> Cid {
    let links: Vec<_> = children.iter().map(|(cid, _)| link(cid, "")).collect();
    let mut data = vec![number(1, 2), number(3, filesize)];
    data.extend(children.iter().map(|(_, size)| number(4, *size)));
    node(blocks, &links, &data)
}

fn directory(blocks: &MemoryBlocks, children: &[(&str, Cid)]) -> Cid {
    let links: Vec<_> = children.iter().map(|(name, cid)| link(cid, name)).collect();
    node(blocks, &links, &[number(1, 1)])
}

#[track_caller]
fn malformed<T>(result: Result<T, ExportError>) -> Malformed {
    match result {
        Err(ExportError::Malformed { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[tokio::test]
async fn wrong_bytes() {
    let blocks = MemoryBlocks::default();
    let leaf = raw(&blocks, b"leaf");
    blocks.insert(leaf, Bytes::from_static(b"lead"));
    assert_eq!(malformed(read(&leaf, &blocks).await), Malformed::Hash);

    let long = raw(&blocks, &vec![0; unixfs::MAX_BLOCK + 1]);
    assert_eq!(malformed(read(&long, &blocks).await), Malformed::TooLong);

    let cbor = block(&blocks, 0x71, b"\xa0");
    assert_eq!(
        malformed(read(&cbor, &blocks).await),
        Malformed::UnknownCodec(0x71)
    );

    for garbage in [
        &b"\xff\xff\xff\xff\xff\xff"[..],
        b"\x12\x7f",
        b"\x0a\x02\x08",
        b"\x12\x00",
    ] {
        let cid = block(&blocks, 0x70, garbage);
        let reason = malformed(read(&cid, &blocks).await);
        assert!(
            matches!(reason, Malformed::NotDagPb | Malformed::NotUnixFs),
            "{reason}"
        );
    }
    assert_eq!(
        malformed(read(&block(&blocks, 0x70, b""), &blocks).await),
        Malformed::NotUnixFs
    );
}

#[tokio::test]
async fn sizes_that_lie() {
    let blocks = MemoryBlocks::default();
    let leaf = raw(&blocks, b"leaf");
    for (children, filesize) in [
        (vec![(leaf, 5)], 5),
        (vec![(leaf, 3)], 3),
        (vec![(leaf, 4), (leaf, 4)], 9),
        (vec![(leaf, u64::MAX), (leaf, 1)], 0),
        (vec![(leaf, u64::MAX)], u64::MAX),
        (vec![(leaf, 4), (leaf, u64::MAX - 4)], u64::MAX),
    ] {
        let root = file(&blocks, &children, filesize);
        assert_eq!(
            malformed(read(&root, &blocks).await),
            Malformed::Size,
            "{children:?}"
        );
    }
    // More sizes than links.
    let root = node(
        &blocks,
        &[link(&leaf, "")],
        &[number(1, 2), number(4, 4), number(4, 4)],
    );
    assert_eq!(malformed(read(&root, &blocks).await), Malformed::Size);
}

#[tokio::test]
async fn trees_without_end() {
    let blocks = MemoryBlocks::default();
    // Deep.
    let mut cid = raw(&blocks, b"x");
    for _ in 0..unixfs::MAX_FILE_DEPTH {
        cid = file(&blocks, &[(cid, 1)], 1);
    }
    assert_eq!(malformed(read(&cid, &blocks).await), Malformed::TooDeep);

    // 2^14 leaves of no bytes, by 14 nodes.
    let mut cid = raw(&blocks, b"");
    for _ in 0..14 {
        cid = file(&blocks, &[(cid, 0), (cid, 0)], 0);
    }
    assert_eq!(malformed(read(&cid, &blocks).await), Malformed::Size);

    // Wide: a link takes 42 bytes, so only some 49,000 fit a block at all.
    let leaf = raw(&blocks, b"x");
    let wide = file(
        &blocks,
        &vec![(leaf, 1); unixfs::MAX_FILE_LINKS + 1],
        16_385,
    );
    assert_eq!(
        malformed(read(&wide, &blocks).await),
        Malformed::TooManyLinks
    );
}

#[tokio::test]
async fn directories_that_multiply() {
    let temp = tempfile::tempdir().unwrap();
    let blocks = MemoryBlocks::default();
    let mut cid = directory(&blocks, &[]);
    for _ in 0..40 {
        cid = directory(&blocks, &[("a", cid), ("b", cid)]);
    }
    let options = ExportOptions {
        max_entries: 200,
        ..Default::default()
    };
    let path = temp.path().join("out");
    let error = unixfs::export_to_path(&cid, &blocks, &path, &options, &|_| ()).await;
    assert!(matches!(
        error,
        Err(ExportError::TooLarge {
            unit: "entries",
            ..
        })
    ));
    assert!(!path.exists());

    let mut cid = directory(&blocks, &[]);
    for _ in 0..unixfs::MAX_DIRECTORY_DEPTH {
        cid = directory(&blocks, &[("d", cid)]);
    }
    assert_eq!(
        malformed(export(&cid, &blocks, &path).await),
        Malformed::TooDeep
    );
}

#[tokio::test]
async fn names_that_escape() {
    let temp = tempfile::tempdir().unwrap();
    let blocks = MemoryBlocks::default();
    let leaf = raw(&blocks, b"leaf");
    let path = temp.path().join("out");
    for name in [
        "..",
        ".",
        "",
        "a/b",
        "/etc/passwd",
        "../../x",
        "nul\0",
        &"n".repeat(256),
    ] {
        let cid = directory(&blocks, &[(name, leaf)]);
        assert_eq!(
            malformed(export(&cid, &blocks, &path).await),
            Malformed::Name,
            "{name:?}"
        );
        assert_eq!(
            malformed(unixfs::ls(&cid, &blocks, 1).await),
            Malformed::Name
        );
    }
    // A link out of the directory, then a file through it.
    let out = node(&blocks, &[], &[number(1, 4), field(2, b"/tmp")]);
    let cid = directory(&blocks, &[("x", out), ("x", leaf)]);
    assert_eq!(
        malformed(export(&cid, &blocks, &path).await),
        Malformed::DuplicateName
    );

    for target in [&b""[..], b"a\0b", b"\xff", &[b'x'; 4097]] {
        let cid = node(&blocks, &[], &[number(1, 4), field(2, target)]);
        assert_eq!(
            malformed(export(&cid, &blocks, &path).await),
            Malformed::Symlink
        );
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn shards_that_lie() {
    let blocks = MemoryBlocks::default();
    let leaf = raw(&blocks, b"leaf");
    let shard = |links: &[Vec<u8>], bitmap: &[u8], hash: u64, fanout: u64| {
        let data = [
            number(1, 5),
            field(2, bitmap),
            number(5, hash),
            number(6, fanout),
        ];
        node(&blocks, links, &data)
    };
    let entry = |name: &str| link(&leaf, name);
    let empty = shard(&[], &[], 0x22, 256);
    assert!(unixfs::ls(&empty, &blocks, 1).await.unwrap().is_empty());
    for bad in [
        shard(&[], &[], 0x12, 256),
        shard(&[], &[], 0x22, 0),
        shard(&[], &[], 0x22, 255),
        shard(&[], &[], 0x22, 1 << 40),
        // The bitmap and the links differ.
        shard(&[entry("00a")], &[3], 0x22, 256),
        // No prefix, no number, a prefix inside a letter, an entry where nobody would look.
        shard(&[entry("0")], &[1], 0x22, 256),
        shard(&[entry("XYa")], &[1], 0x22, 256),
        shard(&[entry("0é")], &[1], 0x22, 256),
        shard(&[entry("00a")], &[1], 0x22, 256),
        // Shards that lead to nothing, and to something else.
        shard(&[link(&empty, "00")], &[1], 0x22, 256),
        shard(&[link(&leaf, "00")], &[1], 0x22, 256),
    ] {
        assert_eq!(
            malformed(unixfs::ls(&bad, &blocks, 1).await),
            Malformed::Hamt
        );
    }
    let mut deep = empty;
    for _ in 0..10 {
        deep = shard(&[link(&deep, "00")], &[1], 0x22, 256);
    }
    assert_eq!(
        malformed(unixfs::ls(&deep, &blocks, 1).await),
        Malformed::TooDeep
    );
}

#[tokio::test]
async fn the_wrong_kind() {
    let blocks = MemoryBlocks::default();
    let leaf = raw(&blocks, b"leaf");
    let cid = directory(&blocks, &[("a", leaf)]);
    assert!(matches!(
        read(&cid, &blocks).await,
        Err(ExportError::WrongKind { .. })
    ));
    let error = unixfs::ls(&leaf, &blocks, 1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{leaf} is a file, not a directory")
    );
    // A directory inside a file.
    let root = file(&blocks, &[(cid, 4)], 4);
    assert!(matches!(
        read(&root, &blocks).await,
        Err(ExportError::WrongKind { .. })
    ));
    let missing = Cid::new_v1(0x55, Code::Sha2_256.digest(b"nowhere"));
    assert!(matches!(
        read(&missing, &blocks).await,
        Err(ExportError::Source { .. })
    ));
}
