//! What is provided in the Kademlia table that is shared with others.

use lab::Lab;

use crate::{
    net::{Net, text},
    rendezvous::{HEDGEROWS, two_beside_a_foreign_peer},
    support::stderr,
};

#[test]
fn keys_and_peers_are_found_through_a_foreign_peer() {
    if !Lab::available_or_skip("keys_and_peers_are_found_through_a_foreign_peer") {
        return;
    }
    let net = two_beside_a_foreign_peer();
    let [one, other] = HEDGEROWS;
    net.until_settled(&HEDGEROWS);
    let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    let id = net.peer_id(one);

    // Nobody provides it yet.
    let nobody = net.run(other, &["kad", "providers", cid]);
    assert_eq!(nobody.status.code(), Some(4), "{}", stderr(&nobody));

    assert_eq!(net.ok(one, &["kad", "provide", cid]), cid);
    net.until("a provider record that has arrived", || {
        let found = net.run(other, &["kad", "providers", cid]);
        String::from_utf8_lossy(&found.stdout).trim() == id
    });
    // A name is a key as well, and another one.
    let named = net.json(one, &["kad", "provide", "a name"]);
    assert!(text(&named["key"]).starts_with("bafkrei"), "{named}");
    net.ok(one, &["kad", "unprovide", "a name"]);

    let found = net.json(other, &["kad", "find-peer", &id]);
    assert_eq!(text(&found["peer_id"]), id);
    let address = format!("/ip4/{}/", net.lab.ipv4(one, 0));
    let addresses = found["addresses"].as_array().unwrap();
    let tells = |listed: &serde_json::Value| text(listed).starts_with(&address);
    assert!(addresses.iter().any(tells), "{found}");

    let malformed = net.run(other, &["kad", "find-peer", "nobody"]);
    assert_eq!(malformed.status.code(), Some(2), "{}", stderr(&malformed));
}

#[test]
fn without_kademlia_or_peers_it_says_so() {
    if !Lab::available_or_skip("without_kademlia_or_peers_it_says_so") {
        return;
    }
    for (flags, says) in [
        (
            ["--mdns", "false", "--kademlia", "true"],
            "no Kademlia peer",
        ),
        (["--mdns", "false", "--kademlia", "false"], "switched off"),
    ] {
        let net = Net::start_with(Lab::builder().nodes(1), &flags);
        for verb in ["provide", "providers"] {
            let refused = net.run(0, &["kad", verb, "x", "--timeout", "30s"]);
            assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
            assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
        }
    }
}
