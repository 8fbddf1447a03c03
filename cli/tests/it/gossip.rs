//! Messages under topics that others share.

use std::time::Duration;

use lab::Lab;

use crate::{net::Net, support::stderr};

#[test]
fn who_listens_hears_what_another_node_publishes() {
    if !Lab::available_or_skip("who_listens_hears_what_another_node_publishes") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(2));
    net.until_settled(&[0, 1]);
    let nobody = net.run(0, &["gossip", "publish", "tea", "cold"]);
    assert_eq!(nobody.status.code(), Some(5), "{}", stderr(&nobody));
    assert!(stderr(&nobody).contains("no peer listens"));

    let listener = net.spawn(1, "listener", &["gossip", "listen", "tea"]);
    net.until("a message that is taken", || {
        let published = net.run(0, &["gossip", "publish", "tea", "hot"]);
        published.status.success()
    });
    listener
        .wait_line("the message", Duration::from_secs(30), |line| line == "hot")
        .unwrap();

    // Who reads no more is no listener.
    listener.kill().unwrap();
    net.until("a topic that nobody listens to", || {
        let again = net.run(0, &["gossip", "publish", "tea", "once more"]);
        stderr(&again).contains("no peer listens")
    });
    let nameless = net.run(0, &["gossip", "publish", "--", &"x".repeat(257), "y"]);
    assert_eq!(nameless.status.code(), Some(2), "{}", stderr(&nameless));
}
