//! The web cache's proxy of a real node, with the node's own gateway as the origin.

use std::fs;

use lab::Lab;

use crate::net::Net;

/// What the proxy answers to `GET` of a URL, as it comes.
fn get(lab: &Lab, url: &str) -> String {
    let fields = "Host: 127.0.0.1:4748\\r\\nConnection: close\\r\\n";
    let request = format!("GET {url} HTTP/1.1\\r\\n{fields}").replace('%', "%%");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/3128; printf '{request}\\r\\n' >&3; cat <&3");
    let output = lab.output(0, "bash", ["-c", &script]).unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_was_asked_for_once_is_a_hit() {
    if !Lab::available_or_skip("what_was_asked_for_once_is_a_hit") {
        return;
    }
    let net = Net::start_with(Lab::builder().nodes(1), &["--webcache-port", "3128"]);
    let content = tempfile::tempdir().unwrap();
    let file = content.path().join("page.txt");
    fs::write(&file, "hello from the hedge").unwrap();
    let said = net.json(0, &["object", "put", file.to_str().unwrap()]);
    let cid = said["cid"].as_str().unwrap();
    let url = format!("http://127.0.0.1:4748/ipfs/{cid}");

    let first = get(&net.lab, &url);
    assert!(first.starts_with("HTTP/1.1 200 OK"), "{first}");
    assert!(
        first.contains("fwd=uri-miss; fwd-status=200; stored"),
        "{first}"
    );
    assert!(first.ends_with("hello from the hedge"), "{first}");
    let second = get(&net.lab, &url);
    assert!(second.contains("; hit; ttl="), "{second}");
    assert!(second.ends_with("hello from the hedge"), "{second}");
    // What the node does not know, and a request that is for no proxy.
    let absent = get(&net.lab, "http://127.0.0.1:4748/no");
    assert!(!absent.contains("hit"), "{absent}");
    let origin_form = get(&net.lab, "/ipfs/");
    assert!(origin_form.starts_with("HTTP/1.1 400"), "{origin_form}");
    assert!(net.lab.home(0).join("webcache").is_dir());
}
