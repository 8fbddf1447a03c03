//! What is left of a run: `verdict.json` and `report.html` beside its outputs, and for all
//! runs of a command `verdicts.json`, `junit.xml` and `summary.md`.

mod html;
mod junit;
mod summary;

use std::io;
use std::path::{Path, PathBuf};

use crate::files::write_whole;
use crate::run::Verdict;

/// A report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct ReportError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Writes the reports of one run into its folder.
pub fn write(verdict: &Verdict) -> Result<(), ReportError> {
    let json = serde_json::to_vec_pretty(verdict).expect("a verdict has text as keys");
    put(&verdict.out.join("verdict.json"), &json)?;
    let page = html::page(verdict);
    put(&verdict.out.join("report.html"), page.as_bytes())
}

/// Writes the reports of all runs of a command into `folder`.
pub fn write_summary(folder: &Path, verdicts: &[Verdict]) -> Result<(), ReportError> {
    let json = serde_json::to_vec_pretty(verdicts).expect("a verdict has text as keys");
    put(&folder.join("verdicts.json"), &json)?;
    put(&folder.join("junit.xml"), junit::xml(verdicts).as_bytes())?;
    let page = summary::page(verdicts);
    put(&folder.join("summary.md"), page.as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    write_whole(path, bytes).map_err(|source| ReportError {
        path: path.to_owned(),
        source,
    })
}

/// Text for HTML and XML: the five characters escaped, and what XML cannot have replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lab::{Shape, SwitchStats, Uplink};

    use super::*;
    use crate::faults::{Direction, Fault, Kind};
    use crate::history::{self, Outcome, Record};
    use crate::oracle::Findings;
    use crate::run::{Ending, FaultVerdict, InstanceVerdict, Network};

    fn verdict(out: &Path, passed: bool) -> Verdict {
        let outputs = out.join("single").join("0");
        std::fs::create_dir_all(&outputs).unwrap();
        let reasons = match passed {
            true => vec![],
            false => vec!["instance 0: <b>\u{1b}[31m & \"worse\"".to_owned()],
        };
        Verdict {
            plan: "p".to_owned(),
            case: "c".to_owned(),
            run: "r".to_owned(),
            seed: 7,
            passed,
            reasons,
            ending: Ending::ByItself,
            started: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 1.5,
            command: "testground run p c --seed 7".to_owned(),
            instances: vec![InstanceVerdict {
                instance: 0,
                group: "single".to_owned(),
                passed,
                error: String::new(),
                outputs,
            }],
            oracle: Some(Findings::default()),
            faults: vec![fault()],
            network: Network {
                shape: Shape::latency(Duration::from_millis(20)).with_loss(0.015),
                uplink: Uplink::symmetric(20_000_000),
            },
            shaped: 2,
            switch: Some(SwitchStats {
                delivered: 4321,
                ..SwitchStats::default()
            }),
            out: out.to_owned(),
        }
    }

    /// A kill whose end was never seen.
    fn fault() -> FaultVerdict {
        FaultVerdict {
            fault: Fault {
                kind: Kind::Kill,
                line: 3,
                victims: vec![2],
                begin: Duration::from_secs(5),
                end: Duration::from_secs(6),
                percent: 0.0,
                direction: Direction::Both,
            },
            began: Some(1_250_000),
            ended: None,
            error: "instance 2: <gone>".to_owned(),
        }
    }

    #[test]
    fn junit_counts_and_escapes() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = [verdict(folder.path(), true), verdict(folder.path(), false)];
        write_summary(folder.path(), &verdicts).unwrap();
        let xml = std::fs::read_to_string(folder.path().join("junit.xml")).unwrap();
        assert!(xml.contains(r#"tests="2" failures="1""#), "{xml}");
        assert!(
            xml.contains("&lt;b&gt;\u{fffd}[31m &amp; &quot;worse&quot;"),
            "{xml}"
        );
        assert!(!xml.contains("<b>") && xml.trim_end().ends_with("</testsuites>"));
        let page = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
        assert!(page.contains("2 cases, 1 failed"), "{page}");
        assert!(
            page.contains("| p | c | 1 | **failed** | 1.5 | 7 | 0 | 0 | 1 |"),
            "{page}"
        );
        assert!(page.contains("\\<b>") && !page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn the_page_has_the_command_the_events_the_latencies_and_the_logs() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = verdict(folder.path(), false);
        let outputs = &verdict.instances[0].outputs;
        std::fs::write(
            outputs.join("run.out"),
            "noise\n{\"ts\":1000000000,\"event\":{\"message_event\":{\"message\":\"killed <3>\"}}}\n",
        )
        .unwrap();
        std::fs::write(outputs.join("node.log"), "the node's last words").unwrap();
        let mut writer = history::Writer::create(outputs).unwrap();
        for (end, outcome) in [(1_002_000, Outcome::Ok), (1_900_000, Outcome::Failed)] {
            writer
                .add(&Record::Get {
                    begin: 1_000_000,
                    end,
                    cid: "a".to_owned(),
                    sha256: None,
                    outcome,
                    error: String::new(),
                })
                .unwrap();
        }
        write(&verdict).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        for expected in [
            "testground run p c --seed 7",
            "killed &lt;3&gt;",
            "2.0 ms",
            "the node&#39;s last words",
            "<circle",
            "latency 20ms, 1.5% lost, 20 Mbit/s up, 20 Mbit/s down",
            "4321 packets",
            "asked for another network 2 times",
            "<td class=\"n\">0.250</td><td class=\"n\">2</td><td class=\"fault\">begins: kill</td>",
            "instance 2: &lt;gone&gt;",
        ] {
            assert!(page.contains(expected), "{expected} is not in {page}");
        }
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("verdict.json")).unwrap())
                .unwrap();
        assert_eq!(json["seed"], 7);
        // Nothing is left of writing.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
