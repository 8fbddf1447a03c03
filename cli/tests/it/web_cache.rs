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

/// What a command says that fails.
fn fails(net: &Net, args: &[&str]) -> String {
    let output = net.run(0, args);
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
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

#[test]
fn what_is_kept_is_listed_asked_for_and_forgotten() {
    if !Lab::available_or_skip("what_is_kept_is_listed_asked_for_and_forgotten") {
        return;
    }
    let net = Net::start_with(Lab::builder().nodes(1), &["--webcache-port", "3128"]);
    let content = tempfile::tempdir().unwrap();
    let url = |name: &str| {
        let file = content.path().join(name);
        fs::write(&file, name).unwrap();
        let said = net.json(0, &["object", "put", file.to_str().unwrap()]);
        let cid = said["cid"].as_str().unwrap().to_owned();
        format!("http://127.0.0.1:4748/ipfs/{cid}")
    };
    let (first, second) = (url("first"), url("second"));
    // The host in capitals is the same host, and the port that goes without saying none.
    let spelt = first.replace("http", "HTTP");
    let warmed = net.ok(0, &["cache", "warm", &spelt, &second]);
    let lines: Vec<&str> = warmed.lines().collect();
    assert_eq!(lines.len(), 2, "{warmed}");
    assert!(
        lines[0].starts_with("200") && lines[0].contains("stored"),
        "{warmed}"
    );
    assert!(get(&net.lab, &first).contains("; hit; ttl="));

    let kept = net.json(0, &["cache", "ls"]);
    let urls: Vec<&str> = kept["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| kept["url"].as_str().unwrap())
        .collect();
    let mut expected = vec![first.as_str(), second.as_str()];
    expected.sort_unstable();
    assert_eq!(urls, expected);
    assert_eq!(kept["more"], false);
    let some = net.json(0, &["cache", "ls", &first]);
    assert_eq!(some["objects"].as_array().unwrap().len(), 1);
    let stats = net.json(0, &["cache", "stats"]);
    assert_eq!(stats["proxy"], "http://127.0.0.1:3128");
    assert_eq!(
        (&stats["objects"], &stats["hits"]),
        (&2.into(), &1.into()),
        "{stats}"
    );

    let removed = net.json(0, &["cache", "purge", &spelt]);
    assert_eq!(removed["removed"], 1);
    let purged = net.json(0, &["cache", "ls"]);
    assert_eq!(purged["objects"][0]["url"], second.as_str());
    net.ok(0, &["cache", "purge", "--all"]);
    assert_eq!(net.json(0, &["cache", "stats"])["objects"], 0);

    // What cannot be: an origin without it, one that speaks no TLS, another scheme, no URL.
    let absent = fails(&net, &["cache", "warm", "http://127.0.0.1:4748/no"]);
    assert!(absent.contains("1 of 1 were not got"), "{absent}");
    let https = fails(&net, &["cache", "warm", "https://127.0.0.1:4748/no"]);
    assert!(https.contains("1 of 1 were not got"), "{https}");
    let ftp = fails(&net, &["cache", "warm", "ftp://127.0.0.1/"]);
    assert!(ftp.contains("begins with http:// or https://"), "{ftp}");
    let none = fails(&net, &["cache", "purge", "no url"]);
    assert!(none.contains("no url"), "{none}");
    let nobody = fails(&net, &["cache", "ca"]);
    assert!(nobody.contains("no host is intercepted"), "{nobody}");
    assert!(nobody.contains("webcache.intercept"), "{nobody}");
}

#[test]
fn a_node_without_a_web_cache_says_how_to_have_one() {
    if !Lab::available_or_skip("a_node_without_a_web_cache_says_how_to_have_one") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    for args in [
        &["cache", "stats"][..],
        &["cache", "warm", "http://127.0.0.1/"],
        &["cache", "ca"],
    ] {
        let said = fails(&net, args);
        assert!(said.contains("this node has no web cache"), "{said}");
        assert!(said.contains("--webcache-port 3128"), "{said}");
    }
}
