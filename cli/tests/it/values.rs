//! Small values under a name, and the way to a key.

use lab::Lab;

use crate::{net::Net, support::stderr};

#[test]
fn a_value_is_put_got_elsewhere_and_removed() {
    if !Lab::available_or_skip("a_value_is_put_got_elsewhere_and_removed") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let put = net.json(0, &["dht", "put", "greeting", "hello"]);
    assert_eq!(put["wanted"], 3);
    assert_eq!(net.ok(2, &["dht", "get", "greeting"]), "hello");
    net.ok(0, &["dht", "remove", "greeting"]);
    let output = net.run(2, &["dht", "get", "greeting"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));

    // 64 KiB and not a byte more.
    let file = net.lab.home(0).with_extension("value");
    let put = |size: usize| {
        std::fs::write(&file, vec![b'x'; size]).unwrap();
        let command = format!(
            "{} --home {} dht put large - < {}",
            crate::support::HEDGEROW,
            net.lab.home(0).display(),
            file.display()
        );
        net.lab.output(0, "sh", ["-c", &command]).unwrap()
    };
    assert!(put(64 << 10).status.success());
    let refused = put((64 << 10) + 1);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    assert_eq!(net.ok(1, &["dht", "get", "large"]).len(), 64 << 10);

    // The way to a key ends at the node closest to it.
    let route = net.json(0, &["overlay", "route", "greeting"]);
    let trace = net.json(0, &["overlay", "trace", "greeting"]);
    let last = trace["hops"].as_array().unwrap().last().unwrap();
    assert_eq!(last["contact"]["guid"], route["closest"][0]["guid"]);
}
