//! One page about a run: verdict, events in time, latencies, and the end of each log. It needs no
//! other file and no network.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::escape;
use crate::event::Event;
use crate::files::tail;
use crate::history::{self, Outcome, Record};
use crate::run::{Verdict, lines_of_instance};

/// Lines of each log, and bytes of it that are looked at.
const LOG_LINES: usize = 60;
const LOG_BYTES: u64 = 64 * 1024;

/// Events shown: a person reads no more. All are in the instances' outputs.
const MAX_EVENTS: usize = 2000;

/// Operations drawn, the slowest of them first where there are more.
const MAX_DOTS: usize = 20_000;

/// The drawing's size.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}code,pre{font:13px/1.45 ui-monospace,monospace}\
pre{background:#f5f5f2;padding:.8em;overflow:auto;max-height:26em}\
table{border-collapse:collapse}td,th{text-align:left;padding:.15em 1em .15em 0;vertical-align:top}\
td.n{text-align:right}td.fault{color:#8a5a00}.good{color:#16693b}.bad{color:#b3261e}summary{cursor:pointer}\
svg{background:#fafaf8;border:1px solid #ddd}";

pub(super) fn page(verdict: &Verdict) -> String {
    let (class, word) = match verdict.passed {
        true => ("good", "passed"),
        false => ("bad", "failed"),
    };
    let title = format!("{} / {}", verdict.plan, verdict.case);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}: {word}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}: <span class=\"{class}\">{word}</span></h1>\n\
         <p>{} instances, {:.1} s, begun {}, seed {}</p>\n<pre>{}</pre>\n",
        verdict.instances.len(),
        verdict.seconds,
        escape(&verdict.started),
        verdict.seed,
        escape(&verdict.command),
        title = escape(&title),
    );
    if !verdict.reasons.is_empty() {
        out.push_str("<h2>Why</h2>\n<ul>");
        for reason in &verdict.reasons {
            line(
                &mut out,
                format_args!("<li class=\"bad\">{}</li>", escape(reason)),
            );
        }
        out.push_str("</ul>\n");
    }
    let operations = operations(verdict);
    network(&mut out, verdict);
    oracle(&mut out, verdict);
    latencies(&mut out, &operations);
    events(&mut out, verdict);
    logs(&mut out, verdict);
    out.push_str("</body></html>\n");
    out
}

/// The network that the instances had, and what the switch did with their packets.
fn network(out: &mut String, verdict: &Verdict) {
    let said = match verdict.network.is_perfect() {
        true => "perfect".to_owned(),
        false => verdict.network.to_string(),
    };
    line(
        out,
        format_args!("<h2>Network</h2>\n<p>Between instances: {}.", escape(&said)),
    );
    if verdict.shaped > 0 {
        line(
            out,
            format_args!(
                "Instances asked for another network {} times.",
                verdict.shaped
            ),
        );
    }
    if let Some(stats) = &verdict.switch {
        line(
            out,
            format_args!(
                "The switch passed {} packets, lost {}, blocked {}, and dropped {} for want of room.",
                stats.delivered, stats.lost, stats.blocked, stats.queue_full
            ),
        );
        if stats.saturated() {
            out.push_str(
                "<span class=\"bad\">It could not keep up: times and rates are its own, not the program's.</span>",
            );
        }
    }
    out.push_str("</p>\n");
}

fn oracle(out: &mut String, verdict: &Verdict) {
    let Some(findings) = &verdict.oracle else {
        return;
    };
    line(
        out,
        format_args!(
            "<h2>Histories</h2>\n<p>{} of {} puts acknowledged, {} of {} gets read; {} instances read everything at \
             the end; {} gets of what was acknowledged had no answer; {} violations.</p>",
            findings.acknowledged,
            findings.puts,
            findings.read,
            findings.gets,
            findings.readers,
            findings.unanswered,
            findings.violations.len(),
        ),
    );
}

/// One put or get.
struct Operation {
    what: &'static str,
    begin: u64,
    micros: u64,
    ok: bool,
}

fn operations(verdict: &Verdict) -> Vec<Operation> {
    let mut operations = Vec::new();
    for instance in &verdict.instances {
        // What cannot be read was an error of the run already.
        let Ok(Some(history)) = history::read(&instance.outputs, instance.instance) else {
            continue;
        };
        operations.extend(history.records.iter().filter_map(|record| {
            let (what, begin, end, outcome) = match record {
                Record::Put {
                    begin,
                    end,
                    outcome,
                    ..
                } => ("put", *begin, *end, *outcome),
                Record::Get {
                    begin,
                    end,
                    outcome,
                    ..
                } => ("get", *begin, *end, *outcome),
                Record::Final { .. } => return None,
            };
            Some(Operation {
                what,
                begin,
                micros: end.saturating_sub(begin),
                ok: outcome == Outcome::Ok,
            })
        }));
    }
    operations
}

fn latencies(out: &mut String, operations: &[Operation]) {
    if operations.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Latencies</h2>\n<table><tr><th></th><th>how many</th><th>half within</th><th>90% within</th><th>all within</th></tr>\n",
    );
    for (what, ok) in [("put", true), ("put", false), ("get", true), ("get", false)] {
        let mut sorted: Vec<u64> = operations
            .iter()
            .filter(|operation| operation.what == what && operation.ok == ok)
            .map(|operation| operation.micros)
            .collect();
        sorted.sort_unstable();
        let Some(last) = sorted.len().checked_sub(1) else {
            continue;
        };
        let name = if ok {
            what.to_owned()
        } else {
            format!("{what}, failed")
        };
        line(
            out,
            format_args!(
                "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                sorted.len(),
                millis(sorted[last / 2]),
                millis(sorted[last * 9 / 10]),
                millis(sorted[last]),
            ),
        );
    }
    out.push_str("</table>\n");
    drawing(out, operations);
}

/// Each operation a dot: across, when it began; upwards, how long it took, in decades.
fn drawing(out: &mut String, operations: &[Operation]) {
    let first = operations.iter().map(|operation| operation.begin).min();
    let last = operations.iter().map(|operation| operation.begin).max();
    let (Some(first), Some(last)) = (first, last) else {
        return;
    };
    let span = ((last - first) as f64).max(1.0);
    let decades = |micros: u64| (micros.max(100) as f64 / 100.0).log10();
    let highest = operations
        .iter()
        .map(|operation| decades(operation.micros))
        .fold(1.0, f64::max)
        .ceil();
    let up = |value: f64| HEIGHT - 10.0 - value / highest * (HEIGHT - 20.0);
    line(
        out,
        format_args!(
            "<p>Each put (square) and get (dot): across {:.1} s, upwards how long it took; red ones failed.</p>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latencies in time\">",
            span / 1e6
        ),
    );
    let mut micros = 100u64;
    for decade in 0..=(highest as u32) {
        let y = up(f64::from(decade));
        line(
            out,
            format_args!(
                "<line x1=\"70\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"64\" y=\"{:.1}\" \
                 font-size=\"11\" text-anchor=\"end\">{}</text>",
                y + 4.0,
                millis(micros)
            ),
        );
        micros = micros.saturating_mul(10);
    }
    let mut drawn: Vec<&Operation> = operations.iter().collect();
    drawn.sort_by_key(|operation| std::cmp::Reverse(operation.micros));
    for operation in drawn.into_iter().take(MAX_DOTS) {
        let x = 75.0 + (operation.begin - first) as f64 / span * (WIDTH - 85.0);
        let y = up(decades(operation.micros));
        let colour = if operation.ok { "#2b6cb0" } else { "#b3261e" };
        match operation.what {
            "put" => line(
                out,
                format_args!(
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"5\" height=\"5\" fill=\"{colour}\" fill-opacity=\".7\"/>",
                    x - 2.5,
                    y - 2.5
                ),
            ),
            _ => line(
                out,
                format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"{colour}\" fill-opacity=\".5\"/>"
                ),
            ),
        }
    }
    out.push_str("</svg>\n");
}

/// A row of the table of events.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// Nanoseconds since 1970.
    time: i64,
    instances: String,
    class: &'static str,
    text: String,
}

fn events(out: &mut String, verdict: &Verdict) {
    let mut rows: Vec<Row> = faults(verdict);
    for instance in &verdict.instances {
        for line in lines_of_instance(&instance.outputs) {
            let (class, text) = match line.event {
                Event::Start { .. } => ("", "starts".to_owned()),
                Event::Message { message } => ("", message),
                Event::StageStart { name, .. } => ("", format!("begins: {name}")),
                Event::StageEnd { name, .. } => ("", format!("has done: {name}")),
                Event::Success { .. } => ("", "succeeded".to_owned()),
                Event::Failure { error, .. } => ("bad", format!("failed: {error}")),
                Event::Crash { error, .. } => ("bad", format!("crashed: {error}")),
            };
            rows.push(Row {
                time: line.ts,
                instances: instance.instance.to_string(),
                class,
                text,
            });
        }
    }
    rows.sort();
    let Some(first) = rows.first().map(|row| row.time) else {
        return;
    };
    out.push_str("<h2>Events</h2>\n<table><tr><th>second</th><th>instance</th><th></th></tr>\n");
    let left_out = rows.len().saturating_sub(MAX_EVENTS);
    for row in rows.into_iter().take(MAX_EVENTS) {
        line(
            out,
            format_args!(
                "<tr><td class=\"n\">{:.3}</td><td class=\"n\">{}</td><td class=\"{}\">{}</td></tr>",
                row.time.saturating_sub(first) as f64 / 1e9,
                row.instances,
                row.class,
                escape(&row.text)
            ),
        );
    }
    out.push_str("</table>\n");
    if left_out > 0 {
        line(out, format_args!("<p>and {left_out} more</p>"));
    }
}

/// Begin and end of each fault, and what went wrong with those that went wrong otherwise than
/// they should.
fn faults(verdict: &Verdict) -> Vec<Row> {
    let mut rows = Vec::new();
    for fault in &verdict.faults {
        let victims: Vec<String> = fault.fault.victims.iter().map(usize::to_string).collect();
        let mut row = |micros: Option<u64>, class, text| {
            if let Some(micros) = micros {
                rows.push(Row {
                    time: i64::try_from(micros)
                        .map_or(i64::MAX, |micros| micros.saturating_mul(1000)),
                    instances: victims.join(", "),
                    class,
                    text,
                });
            }
        };
        let what = fault.what();
        row(fault.began, "fault", format!("begins: {what}"));
        row(fault.ended, "fault", format!("ends: {what}"));
        if !fault.error.is_empty() {
            let last = fault.ended.or(fault.began);
            row(last, "bad", format!("{what}: {}", fault.error));
        }
    }
    rows
}

fn logs(out: &mut String, verdict: &Verdict) {
    out.push_str("<h2>Logs</h2>\n");
    for instance in &verdict.instances {
        let class = if instance.passed { "good" } else { "bad" };
        line(
            out,
            format_args!(
                "<details><summary class=\"{class}\">instance {} ({})</summary>",
                instance.instance,
                escape(&instance.group)
            ),
        );
        for path in log_files(&instance.outputs) {
            let text = tail(&path, LOG_LINES, LOG_BYTES);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !text.is_empty() {
                line(
                    out,
                    format_args!(
                        "<p><code>{}</code></p><pre>{}</pre>",
                        escape(&name),
                        escape(&text)
                    ),
                );
            }
        }
        out.push_str("</details>\n");
    }
}

fn log_files(outputs: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(outputs) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension().is_some_and(|extension| {
                ["log", "out", "err"]
                    .iter()
                    .any(|known| extension == *known)
            })
        })
        .collect();
    files.sort();
    files
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
