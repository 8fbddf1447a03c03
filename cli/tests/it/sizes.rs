use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use lab::Lab;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::net::Net;

const MIB: u64 = 1 << 20;

/// So many leaves are different, which keeps what eight nodes have on their disks below 1 GiB.
const DIFFERENT: u64 = 256;

#[test]
fn files_of_every_awkward_size_round_trip() {
    if !Lab::available_or_skip("files_of_every_awkward_size_round_trip") {
        return;
    }
    // More nodes than keep a block, so that what is got comes over the network.
    let net = Net::start(Lab::builder().nodes(8));
    net.until_settled(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let original = net.lab.home(0).with_extension("original");
    let copy = net.lab.home(1).with_extension("copy");
    for size in [0, 1, MIB - 1, MIB, MIB + 1, 2048 * MIB + 1] {
        write(&original, size);
        let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
        std::fs::remove_file(&original).expect("removable");
        net.ok(1, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
        check(&copy, size);
        std::fs::remove_file(&copy).expect("removable");
    }
}

/// The content of a file of `size` bytes, MiB after MiB: leaves in an order that does not come
/// again, so that none is right in the place of another.
fn leaves(size: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..size.div_ceil(MIB)).map(move |index| {
        let (round, place) = (index / DIFFERENT, index % DIFFERENT);
        // An odd factor: a different order of the same leaves in each round.
        let leaf = place * (2 * round + 1) % DIFFERENT;
        let mut bytes = vec![0; MIB.min(size - index * MIB) as usize];
        ChaCha8Rng::seed_from_u64(leaf).fill_bytes(&mut bytes);
        bytes
    })
}

fn write(path: &Path, size: u64) {
    let mut file = File::create(path).expect("a file");
    for leaf in leaves(size) {
        file.write_all(&leaf).expect("space on the disk");
    }
}

fn check(path: &Path, size: u64) {
    let mut file = File::open(path).expect("it is there");
    assert_eq!(file.metadata().expect("readable").len(), size);
    for (index, leaf) in leaves(size).enumerate() {
        let mut got = vec![0; leaf.len()];
        file.read_exact(&mut got).expect("long enough");
        assert!(got == leaf, "MiB {index} of {size} bytes");
    }
}
