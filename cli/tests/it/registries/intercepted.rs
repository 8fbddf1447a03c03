//! Hosts that both nodes are told to read: `curl` has the proxy for a proxy and trusts the node's
//! own authority.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use serde_json::Value;

use super::{
    can_run,
    machines::{A, B, BARK, Machines, Registry},
    origin::AUTHORITY,
};
use crate::net::{same, text};

const GUIDE: &str = include_str!("../../../../docs/guide/webcache.md");

pub(crate) const LISTED: &str = "pypi.org, *.pythonhosted.org";

const PROXY: &str = "http://127.0.0.1:3128";

/// What `curl` says of a URL, with a file of who is trusted.
fn curl(machines: &Machines, node: usize, trusted: &Path, url: &str, to: &Path) -> Output {
    let mut curl = machines.client(node, "curl", to.parent().unwrap());
    curl.args([
        "-sS",
        "-D",
        "-",
        "--proxy",
        PROXY,
        "--suppress-connect-headers",
        "--cacert",
    ])
    .arg(trusted)
    .arg("-o")
    .args([to, Path::new(url)]);
    curl.output().unwrap()
}

/// The values of `Cache-Status` in an answer that has to be a good one.
fn statuses(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let head = String::from_utf8_lossy(&output.stdout);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("cache-status"));
    values.map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn a_listed_host_is_read_for_who_trusts_the_node_and_shared() {
    if !can_run(
        "a_listed_host_is_read_for_who_trusts_the_node_and_shared",
        &[],
    ) {
        return;
    }
    let machines = Machines::start(Registry::Pypi, &["--webcache-intercept", LISTED]);
    let net = machines.net();
    let page = format!("https://pypi.org/simple/{BARK}/");
    let bark = machines.package(BARK);
    assert_eq!(bark.home, A);
    let mut certificates = Vec::new();
    for node in [A, B] {
        let home = net.lab.home(node);
        let folder = fs::metadata(home.join("webcache-ca")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        let log = fs::read_to_string(net.lab.process(node).unwrap().stderr_log()).unwrap();
        assert!(
            log.contains("the web cache reads https to these hosts"),
            "{log}"
        );

        // As the guide has it, with a package that there is.
        let guide = GUIDE.replace("requests", BARK);
        net.walk(
            node,
            &guide,
            "sh intercept",
            &["<a href=\"https://files.pythonhosted.org/"],
        );
        let trusted = home.join("hedgerow-ca.pem");
        let pem = fs::read_to_string(&trusted).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
        assert_eq!(pem.lines().last(), Some("-----END CERTIFICATE-----"));
        certificates.push(pem);

        let got = machines.folder(&format!("got-{node}")).join("file");
        let said = statuses(&curl(&machines, node, &trusted, &bark.url, &got));
        assert!(same(&got, &bark.file), "{said:?}");
        let own = said.last().unwrap();
        assert!(
            own.contains("; fwd=uri-miss; fwd-status=200; stored"),
            "{said:?}"
        );
        match node {
            A => assert_eq!(said.len(), 1, "{said:?}"),
            // The page has named its digest, so the other node is believed.
            _ => assert!(said[0].starts_with("hedgerow-peer; hit; ttl="), "{said:?}"),
        }
        let again = statuses(&curl(&machines, node, &trusted, &bark.url, &got));
        assert!(
            again.len() == 1 && again[0].contains("; hit; ttl="),
            "{again:?}"
        );
    }
    assert_ne!(certificates[A], certificates[B]);
    let asked = machines.asked();
    assert_eq!(
        asked.iter().filter(|asked| bark.is(asked)).count(),
        1,
        "{asked:#?}"
    );

    // Who trusts others only, of a listed host, gets nothing; and others' hosts are not read.
    let others = machines.shared(AUTHORITY);
    let to = machines.folder("others").join("file");
    let refused = curl(&machines, B, &others, &page, &to);
    assert_eq!(refused.status.code(), Some(60), "{refused:?}");
    let tunnelled = curl(&machines, B, &others, "https://static.crates.io/x", &to);
    let head = String::from_utf8_lossy(&tunnelled.stdout).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 404"), "{tunnelled:?}");
    assert!(
        !head.contains("cache-status") && !head.contains("via"),
        "{head}"
    );

    let counted: Value = machines.stats(B)["intercepted"].clone();
    assert_eq!(
        counted["hosts"],
        serde_json::json!(["pypi.org", "*.pythonhosted.org"])
    );
    assert_eq!(
        (&counted["connections"], &counted["failed"]),
        (&3.into(), &1.into())
    );
    let stats = net.ok(B, &["cache", "stats"]);
    assert!(stats.contains("pypi.org *.pythonhosted.org"), "{stats}");
    let authority = net.json(B, &["cache", "ca"]);
    assert_eq!(text(&authority["certificate"]), certificates[B]);
    let advice = net.run(B, &["cache", "ca"]);
    let said = String::from_utf8_lossy(&advice.stderr);
    assert!(
        said.starts_with("WARNING: ") && said.contains("pypi.org"),
        "{said}"
    );
    assert!(said.contains(&text(&authority["sha256"])), "{said}");
}
