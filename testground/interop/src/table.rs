//! The matrix as a page for people.

use std::fmt::Write;

use crate::{
    cell::{Check, Peer, Transport},
    matrix::{Cell, Matrix, Verdict},
};

/// The commands that make the page.
const COMMAND: &str = "cargo build -p cli --bin hedgerow\n\
                       cargo run -p interop -- matrix --write docs/interop.md";

/// The page, in Markdown.
pub fn page(matrix: &Matrix) -> String {
    let mut page = String::from("# Interop\n\n");
    page += "Foreign libp2p peers beside a Hedgerow node, each in a network namespace of its own on one bridge. ";
    page += "Written by the run that measured it; do not edit:\n\n";
    let _ = write!(page, "```\n{COMMAND}\n```\n\n");
    page += "What each line measures, and how: [interop peers](specs/interop-peer.md). ";
    page += "Known gaps: `testground/interop/known-gaps.toml`.\n\n";
    page += "| peer | made of |\n|---|---|\n";
    let _ = writeln!(page, "| Hedgerow | {} |", matrix.hedgerow);
    for (peer, versions) in &matrix.versions {
        let _ = writeln!(page, "| {peer} | {} |", versions.join(", "));
    }
    let _ = writeln!(page, "\n{}", tally(matrix));
    for transport in Transport::ALL {
        page += &section(matrix, transport);
    }
    page
}

fn tally(matrix: &Matrix) -> String {
    let count = |wanted: fn(&Verdict) -> bool| {
        let cells = matrix.cells.iter();
        cells.filter(|cell| wanted(&cell.verdict)).count()
    };
    let pass = count(|verdict| matches!(verdict, Verdict::Pass { .. }));
    let gaps = count(|verdict| matches!(verdict, Verdict::KnownGap { .. }));
    let fail = count(|verdict| matches!(verdict, Verdict::Fail { .. }));
    format!("{pass} cells pass, {gaps} are known gaps, {fail} fail.\n")
}

fn section(matrix: &Matrix, transport: Transport) -> String {
    let cells: Vec<&Cell> = matrix
        .cells
        .iter()
        .filter(|cell| cell.transport == transport)
        .collect();
    let Some(first) = cells.first() else {
        return String::new();
    };
    let mut text = format!("## {}\n", transport.title());
    // A transport that is missing as a whole is one sentence, not a table of it.
    if let Verdict::KnownGap { reason, .. } = &first.verdict
        && cells.iter().all(|cell| cell.verdict.gap() == Some(reason))
    {
        let _ = writeln!(text, "Known gap: {reason}\n");
        return text;
    }
    let peers: Vec<Peer> = matrix.versions.keys().copied().collect();
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let _ = writeln!(text, "| | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(peers.len()));
    let mut notes: Vec<String> = Vec::new();
    let possible = |check: &Check| peers.iter().any(|peer| peer.has(*check));
    for check in Check::ALL.into_iter().filter(possible) {
        let marks: Vec<String> = peers
            .iter()
            .map(|peer| {
                let cell = cells
                    .iter()
                    .find(|cell| cell.peer == *peer && cell.check == check);
                cell.map_or_else(|| "-".to_owned(), |cell| mark(cell, &mut notes))
            })
            .collect();
        let _ = writeln!(text, "| {check} | {} |", marks.join(" | "));
    }
    text.push('\n');
    for (index, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", index + 1);
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    text
}

fn mark(cell: &Cell, notes: &mut Vec<String>) -> String {
    let (word, note) = match &cell.verdict {
        Verdict::Pass { known: None } => return "pass".to_owned(),
        Verdict::Pass { known: Some(known) } => {
            ("pass", format!("Works, though listed as a gap: {known}"))
        }
        Verdict::KnownGap { reason, .. } => ("gap", format!("Known gap: {reason}")),
        Verdict::Fail { found } => ("**fail**", format!("Fails: {}", one_line(found))),
    };
    let number = match notes.iter().position(|known| *known == note) {
        Some(at) => at + 1,
        None => {
            notes.push(note);
            notes.len()
        }
    };
    format!("{word} ({number})")
}

/// A table and a list have no room for more.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.replace('|', "\\|")
}
