//! The same CIDs as kubo, and kubo's other layouts read (see `tests/vectors/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use cid::Cid;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use unixfs::{Kind, MemoryBlocks, Options};

use crate::support::{Counting, Nowhere, export, import, read, splitmix64};

#[derive(Deserialize)]
struct Vectors {
    files: Vec<File>,
    trees: Vec<Tree>,
    archives: Vec<Archive>,
}

#[derive(Deserialize)]
struct File {
    content: String,
    size: u64,
    cid: String,
}

#[derive(Deserialize)]
struct Tree {
    name: String,
    entries: Vec<Entry>,
    count: usize,
    cid: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    kind: String,
    #[serde(default)]
    size: usize,
    #[serde(default)]
    target: String,
}

#[derive(Deserialize)]
struct Archive {
    name: String,
    size: usize,
    count: usize,
    cid: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vectors() -> Vectors {
    serde_json::from_slice(&fs::read(folder().join("vectors.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn files() {
    for file in vectors().files {
        let options = Options::default();
        let imported = if file.content == "zero" {
            let zeros = tokio::io::repeat(0).take(file.size);
            unixfs::import_reader(zeros, &Nowhere, &options).await
        } else {
            let content = splitmix64(file.size as usize);
            unixfs::import_reader(&content[..], &Nowhere, &options).await
        }
        .unwrap();
        assert_eq!(
            imported.cid.to_string(),
            file.cid,
            "{} {}",
            file.content,
            file.size
        );
        assert_eq!(imported.size, file.size);
    }
}

fn grow(root: &Path, tree: &Tree) {
    fs::create_dir(root).unwrap();
    for i in 0..tree.count {
        fs::write(root.join(format!("{i:08}")), "x").unwrap();
    }
    for entry in &tree.entries {
        let path = root.join(&entry.path);
        match entry.kind.as_str() {
            "directory" => fs::create_dir(path).unwrap(),
            "symlink" => std::os::unix::fs::symlink(&entry.target, path).unwrap(),
            _ => fs::write(path, splitmix64(entry.size)).unwrap(),
        }
    }
}

#[tokio::test]
async fn trees_there_and_back() {
    let temp = tempfile::tempdir().unwrap();
    for tree in vectors().trees {
        let root = temp.path().join(&tree.name);
        grow(&root, &tree);
        let blocks = MemoryBlocks::default();
        let imported = import(&root, &blocks).await.unwrap();
        assert_eq!(imported.cid.to_string(), tree.cid, "{}", tree.name);

        // What comes out has the same CID, and nothing is left beside it. Every file is synced, so
        // the trees of thousands are only listed; a smaller HAMT is exported below.
        if tree.count == 0 {
            let out = temp.path().join("out");
            export(&imported.cid, &blocks, &out).await.unwrap();
            let again = import(&out, &MemoryBlocks::default()).await.unwrap();
            assert_eq!(again, imported);
            fs::remove_dir_all(out).unwrap();
        }
        fs::remove_dir_all(root).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);

        let listed = unixfs::ls(&imported.cid, &blocks, 16).await.unwrap();
        let top = tree
            .entries
            .iter()
            .filter(|entry| !entry.path.contains('/'));
        assert_eq!(listed.len(), tree.count + top.clone().count());
        for entry in top {
            let found = listed
                .iter()
                .find(|found| found.name == entry.path)
                .unwrap();
            assert_eq!(found.kind.to_string(), entry.kind);
            if found.kind == Kind::File {
                assert_eq!(found.size, entry.size as u64);
            }
        }
    }
}

/// The blocks of a CAR file: a header, then lengths, CIDs and bytes.
fn load(name: &str) -> MemoryBlocks {
    let car = fs::read(folder().join(format!("{name}.car"))).unwrap();
    let varint = |bytes: &mut &[u8]| {
        let (value, rest) = unsigned_varint(bytes);
        *bytes = rest;
        value
    };
    let blocks = MemoryBlocks::default();
    let mut rest = &car[..];
    let header = varint(&mut rest);
    rest = &rest[header..];
    while !rest.is_empty() {
        let len = varint(&mut rest);
        let mut section = &rest[..len];
        let cid = Cid::read_bytes(&mut section).unwrap();
        blocks.insert(cid, section.to_vec().into());
        rest = &rest[len..];
    }
    blocks
}

fn unsigned_varint(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let value = bytes[..=end]
        .iter()
        .rev()
        .fold(0, |v, byte| v << 7 | usize::from(byte & 0x7f));
    (value, &bytes[end + 1..])
}

#[tokio::test]
async fn other_layouts_are_read() {
    let temp = tempfile::tempdir().unwrap();
    for archive in vectors().archives {
        let blocks = load(&archive.name);
        let cid: Cid = archive.cid.parse().unwrap();
        if archive.count == 0 {
            assert_eq!(read(&cid, &blocks).await.unwrap(), splitmix64(archive.size));
            assert_eq!(
                unixfs::stat(&cid, &blocks).await.unwrap().size,
                archive.size as u64
            );
            // A second export finds everything that dag-pb leaves stand for.
            let path = temp.path().join("file");
            fs::write(unixfs::part_path(&path, &cid), splitmix64(archive.size)).unwrap();
            let exported = export(&cid, &blocks, &path).await.unwrap();
            assert_eq!(exported.kept, archive.size as u64);
            fs::remove_file(path).unwrap();
            continue;
        }
        let listed = unixfs::ls(&cid, &blocks, 4).await.unwrap();
        assert_eq!(listed.len(), archive.count);
        for (i, entry) in listed.iter().enumerate() {
            assert_eq!(entry.name, format!("{i:08}"));
            assert_eq!((entry.size, entry.kind), (1, Kind::File));
        }
        let counting = Counting {
            blocks: load(&archive.name),
            ..Counting::default()
        };
        let children = unixfs::children(&cid, &counting, 4).await.unwrap();
        let names = |(child, entry): (&unixfs::Child, &unixfs::Entry)| {
            child.name == entry.name && child.cid == entry.cid
        };
        assert!(children.iter().zip(&listed).all(names) && children.len() == listed.len());
        // Names need no block of what they stand for.
        let asked = counting.asked.lock().unwrap().clone();
        assert!(children.iter().all(|child| !asked.contains(&child.cid)));
        let out = temp.path().join("directory");
        export(&cid, &blocks, &out).await.unwrap();
        assert_eq!(fs::read(out.join("00000299")).unwrap(), b"x");
    }
}
