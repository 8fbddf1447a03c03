use lab::Lab;

use crate::net::{Net, random_file, same};

/// How many of the running nodes keep at least one block of a file of `blocks` blocks
/// is not the question; that every block has three copies is.
fn until_three_copies(net: &Net, alive: &[usize], blocks: u64) {
    net.until("three copies of every block", || {
        let copies: u64 = alive
            .iter()
            .map(|node| {
                net.json(*node, &["node", "status"])["blocks"]
                    .as_u64()
                    .expect("a count")
            })
            .sum();
        copies >= 3 * blocks
    });
}

#[test]
fn a_file_outlives_the_node_it_was_put_at_and_two_more() {
    if !Lab::available_or_skip("a_file_outlives_the_node_it_was_put_at_and_two_more") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(8));
    let mut alive: Vec<usize> = (0..8).collect();
    net.until_settled(&alive);

    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 100 << 20, 1);
    let put = net.json(0, &["object", "put", original.to_str().unwrap()]);
    let cid = put["cid"].as_str().expect("a CID").to_owned();
    // 100 leaves and the root.
    assert_eq!(put["blocks"], 101);

    for (round, victim) in [0usize, 3, 5].into_iter().enumerate() {
        net.lab.kill(victim).expect("killed");
        alive.retain(|node| *node != victim);
        let reader = alive[round];
        let copy = net.lab.home(reader).with_extension(format!("copy-{round}"));
        net.ok(
            reader,
            &["object", "get", &cid, "-o", copy.to_str().unwrap()],
        );
        assert!(same(&original, &copy), "round {round}");
        std::fs::remove_file(&copy).expect("removable");
        net.until_settled(&alive);
        until_three_copies(&net, &alive, 101);
    }
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9_of_every_node() {
    if !Lab::available_or_skip("what_was_acknowledged_is_there_after_kill_9_of_every_node") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let original = net.lab.home(0).with_extension("original");
    random_file(&original, 5 << 20, 2);
    let cid = net.ok(1, &["object", "put", original.to_str().unwrap()]);
    net.ok(1, &["dht", "put", "motd", "tea at four"]);
    for node in 0..3 {
        net.lab.kill(node).expect("killed");
    }
    net.lab.start(2).expect("starts");
    net.lab
        .wait_ready(2, std::time::Duration::from_secs(60))
        .expect("ready");
    let copy = net.lab.home(2).with_extension("copy");
    net.ok(2, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    assert!(same(&original, &copy));
    assert_eq!(net.ok(2, &["dht", "get", "motd"]), "tea at four");
}
