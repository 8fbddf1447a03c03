use lab::Lab;

use crate::net::{Net, random_file, same};

const MIB: u64 = 1 << 20;

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
        random_file(&original, size, size);
        let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
        net.ok(1, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
        assert_eq!(std::fs::metadata(&copy).expect("it is there").len(), size);
        assert!(same(&original, &copy), "{size} bytes");
        std::fs::remove_file(&copy).expect("removable");
    }
}
