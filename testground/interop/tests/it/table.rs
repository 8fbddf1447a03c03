//! Verdicts and the page.

use std::collections::BTreeMap;

use interop::{
    cell::{Check, Peer, Transport},
    known::Known,
    matrix::{Matrix, Verdict},
    measure::Measured,
    table,
};

fn all_pass() -> Measured {
    Check::ALL
        .into_iter()
        .map(|check| (check, Ok(())))
        .collect()
}

fn matrix(known: &Known) -> Matrix {
    let mut matrix = Matrix::new("hedgerow 1".to_owned());
    matrix.versions = BTreeMap::from([
        (Peer::Go, vec!["go-libp2p v1".to_owned()]),
        (Peer::Py, vec!["libp2p 2".to_owned()]),
    ]);
    matrix.add(known, Peer::Go, Transport::Tcp, &all_pass());
    let mut some = all_pass();
    some.insert(Check::PingIn, Err("it | hangs\nfor long".to_owned()));
    some.insert(Check::MdnsIn, Err("deaf".to_owned()));
    some.remove(&Check::GossipOut);
    matrix.add(known, Peer::Py, Transport::Tcp, &some);
    for peer in [Peer::Go, Peer::Py] {
        matrix.add(known, peer, Transport::Ws, &Measured::new());
    }
    matrix
}

fn known() -> Known {
    Known::parse(
        r#"
        [[gap]]
        transport = "ws"
        reason = "No such transport."
        [[gap]]
        peer = "py"
        checks = ["mdns-in", "dial-in"]
        reason = "It does not listen."
        "#,
    )
    .unwrap()
}

#[test]
fn only_what_is_not_known_fails() {
    let matrix = matrix(&known());
    let failed: Vec<Check> = matrix.failed().map(|cell| cell.check).collect();
    // What was never measured does not pass.
    assert_eq!(failed, [Check::PingIn, Check::GossipOut]);
    let closed: Vec<Check> = matrix.closed().map(|cell| cell.check).collect();
    assert_eq!(closed, [Check::DialIn]);
}

#[test]
fn verdicts() {
    let bad = || Err("bad".to_owned());
    assert_eq!(Verdict::of(Ok(()), None), Verdict::Pass { known: None });
    assert!(matches!(Verdict::of(bad(), None), Verdict::Fail { .. }));
    assert_eq!(
        Verdict::of(bad(), Some("why")).gap().map(String::as_str),
        Some("why")
    );
}

#[test]
fn the_page_says_what_was_measured() {
    let page = table::page(&matrix(&known()));
    for line in [
        "| Hedgerow | hedgerow 1 |",
        "| py | libp2p 2 |",
        "35 cells pass, 39 are known gaps, 2 fail.",
        "| | go | py |",
        "| ping by the peer | pass | **fail** (2) |",
        "2. Fails: it \\| hangs",
        "| the peer dials Hedgerow | pass | pass (1) |",
        "1. Works, though listed as a gap: It does not listen.",
        "| mDNS: the peer finds Hedgerow | pass | gap (3) |",
        "3. Known gap: It does not listen.",
        "| gossipsub: the peer gets Hedgerow's message | pass | **fail** (4) |",
    ] {
        assert!(page.lines().any(|is| is == line), "{line}\n---\n{page}");
    }
    // A transport that is missing as a whole is a sentence.
    let ws = page.split("## ws").nth(1).unwrap();
    assert!(ws.contains("Known gap: No such transport.") && !ws.contains('|'));
}

#[test]
fn a_row_for_each_check_and_all_of_the_page_is_deterministic() {
    let page = table::page(&matrix(&known()));
    for check in Check::ALL {
        // Neither of the two has blocks.
        let rows = usize::from(Peer::Go.has(check));
        assert_eq!(page.matches(&format!("\n| {check} |")).count(), rows);
    }
    assert_eq!(page, table::page(&matrix(&known())));
}

#[test]
fn json_says_the_same() {
    let value = serde_json::to_value(matrix(&known())).unwrap();
    assert_eq!(value["versions"]["go"][0], "go-libp2p v1");
    let cell = &value["cells"][0];
    assert_eq!(
        (&cell["peer"], &cell["transport"], &cell["check"]),
        (&"go".into(), &"tcp".into(), &"dial-out".into())
    );
    assert_eq!(cell["verdict"], "pass");
}

#[test]
fn a_peer_without_blocks_has_no_cells_of_them() {
    let mut matrix = Matrix::new("hedgerow 1".to_owned());
    for peer in Peer::ALL {
        matrix.add(&known(), peer, Transport::Tcp, &all_pass());
    }
    let fetches = |peer| {
        let of = |cell: &&interop::matrix::Cell| cell.peer == peer && cell.check == Check::FetchIn;
        matrix.cells.iter().filter(of).count()
    };
    assert_eq!(fetches(Peer::Kubo), 1);
    assert_eq!(fetches(Peer::Helia), 1);
    assert_eq!(fetches(Peer::Js), 0);
    assert_eq!(fetches(Peer::Go), 0);
}
