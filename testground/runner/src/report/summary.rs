//! All runs of a command as a page of Markdown, which can stand in documentation.

use std::fmt::Write;

use crate::run::Verdict;

pub(super) fn page(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed).count();
    let mut out = format!(
        "# Runs of plans\n\nWritten by the command that ran them; do not edit. {} cases, {failed} failed.\n\n\
         | plan | case | instances | | seconds | seed | puts acknowledged | gets read | faults |\n\
         |---|---|---:|---|---:|---:|---:|---:|---:|\n",
        verdicts.len()
    );
    for verdict in verdicts {
        let found = verdict.oracle.as_ref();
        let count =
            |count: Option<usize>| count.map_or_else(String::new, |count| count.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.1} | {} | {} | {} | {} |",
            cell(&verdict.plan),
            cell(&verdict.case),
            verdict.instances.len(),
            if verdict.passed {
                "passed"
            } else {
                "**failed**"
            },
            verdict.seconds,
            verdict.seed,
            count(found.map(|found| found.acknowledged)),
            count(found.map(|found| found.read)),
            count(Some(verdict.faults.len()).filter(|count| *count > 0)),
        );
    }
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed) {
        let _ = write!(
            out,
            "\n## {} {}\n\n```text\n{}\n```\n",
            cell(&verdict.plan),
            cell(&verdict.case),
            verdict.command
        );
        for reason in &verdict.reasons {
            let _ = writeln!(out, "- {}", cell(reason));
        }
    }
    out
}

/// Text that ends no cell, begins nothing of Markdown's own, and stays on its line.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '*' | '_' | '`' | '[' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
