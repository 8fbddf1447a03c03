//! What the histories of a run have to show: nothing acknowledged is lost, nothing that was
//! not acknowledged is assumed, and bytes are what was put.
//!
//! The rules carry the numbers of `docs/testground.md`. A get that fails for want of an answer is no
//! loss while faults last; "not found" is one at any time, for it claims to know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::history::{History, Outcome, Record};

/// What the oracle found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Puts in all.
    pub puts: usize,
    /// Those acknowledged.
    pub acknowledged: usize,
    /// Gets in all.
    pub gets: usize,
    /// Those that got the bytes.
    pub read: usize,
    /// Gets of what was acknowledged that ended without an answer.
    pub unanswered: usize,
    /// Instances that read everything at the end.
    pub readers: usize,
    /// What must not be; empty if all is well.
    pub violations: Vec<Violation>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Violation {
    /// H1: other bytes than those put.
    WrongBytes {
        /// Who got them.
        instance: usize,
        /// Their name.
        cid: String,
    },
    /// H2: bytes under a name that nobody put.
    NeverPut {
        /// Who got them.
        instance: usize,
        /// Their name.
        cid: String,
    },
    /// H3: not found though acknowledged before it was asked for.
    NotFound {
        /// Who asked.
        instance: usize,
        /// For what.
        cid: String,
    },
    /// H4: acknowledged, and not read after all had healed.
    Unread {
        /// By whom.
        instance: usize,
        /// What.
        cid: String,
    },
    /// H5: two contents under one name.
    TwoContents {
        /// The name.
        cid: String,
    },
    /// H6: a record that contradicts itself.
    Malformed {
        /// Whose.
        instance: usize,
        /// How.
        reason: String,
    },
    /// H7: a history that shows nothing.
    Empty {
        /// What is missing.
        reason: String,
    },
}

/// An acknowledged object.
struct Known<'a> {
    sha256: &'a str,
    since: u64,
}

/// Checks the histories of all instances of a run.
pub fn check(histories: &[History]) -> Findings {
    let mut findings = Findings::default();
    let mut violations = BTreeSet::new();
    let mut put: BTreeMap<&str, &str> = BTreeMap::new();
    let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for (history, record) in all(histories) {
        if let Some(reason) = contradiction(record) {
            let instance = history.instance;
            violations.insert(Violation::Malformed { instance, reason });
        }
        let Record::Put {
            end,
            sha256,
            cid,
            outcome,
            ..
        } = record
        else {
            continue;
        };
        findings.puts += 1;
        let Some(cid) = cid else { continue };
        if *put.entry(cid).or_insert(sha256) != sha256 {
            violations.insert(Violation::TwoContents { cid: cid.clone() });
        }
        if *outcome == Outcome::Ok {
            findings.acknowledged += 1;
            let since = known
                .get(cid.as_str())
                .map_or(*end, |one| one.since.min(*end));
            known.insert(cid, Known { sha256, since });
        }
    }
    for (history, record) in all(histories) {
        let Record::Get {
            begin,
            cid,
            sha256,
            outcome,
            ..
        } = record
        else {
            continue;
        };
        findings.gets += 1;
        let (instance, name) = (history.instance, cid.clone());
        match outcome {
            Outcome::Ok => {
                findings.read += 1;
                match put.get(cid.as_str()) {
                    None => {
                        violations.insert(Violation::NeverPut {
                            instance,
                            cid: name,
                        });
                    }
                    Some(expected) if sha256.as_deref() != Some(expected) => {
                        violations.insert(Violation::WrongBytes {
                            instance,
                            cid: name,
                        });
                    }
                    Some(_) => {}
                }
            }
            Outcome::NotFound => {
                if known
                    .get(cid.as_str())
                    .is_some_and(|one| one.since < *begin)
                {
                    violations.insert(Violation::NotFound {
                        instance,
                        cid: name,
                    });
                }
            }
            Outcome::Failed => {
                findings.unanswered += usize::from(known.contains_key(cid.as_str()));
            }
        }
    }
    for history in histories {
        if let Some(unread) = unread(history, &known) {
            findings.readers += 1;
            violations.extend(unread);
        }
    }
    for (count, what) in [
        (findings.acknowledged, "nothing was acknowledged"),
        (findings.readers, "nobody read everything at the end"),
    ] {
        if count == 0 {
            let reason = what.to_owned();
            violations.insert(Violation::Empty { reason });
        }
    }
    findings.violations = violations.into_iter().collect();
    findings
}

/// What an instance that came to the end did not read there (H4); `None` for others.
fn unread<'a>(
    history: &'a History,
    known: &'a BTreeMap<&str, Known<'_>>,
) -> Option<impl Iterator<Item = Violation> + 'a> {
    let healed = history.records.iter().find_map(|record| match record {
        Record::Final { at } => Some(*at),
        _ => None,
    })?;
    let read: BTreeSet<(&str, &str)> = history
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Get {
                begin,
                cid,
                sha256: Some(sha256),
                outcome: Outcome::Ok,
                ..
            } if *begin >= healed => Some((cid.as_str(), sha256.as_str())),
            _ => None,
        })
        .collect();
    Some(
        known
            .iter()
            .filter(move |(cid, one)| !read.contains(&(**cid, one.sha256)))
            .map(|(cid, _)| Violation::Unread {
                instance: history.instance,
                cid: (*cid).to_owned(),
            }),
    )
}

fn contradiction(record: &Record) -> Option<String> {
    match record {
        Record::Put { begin, end, .. } | Record::Get { begin, end, .. } if end < begin => {
            Some(format!("it ended at {end}, before it began at {begin}"))
        }
        Record::Put {
            cid: None,
            outcome: Outcome::Ok,
            ..
        } => Some("a put was acknowledged without a name".to_owned()),
        Record::Put {
            outcome: Outcome::NotFound,
            ..
        } => Some("a put was not found".to_owned()),
        _ => None,
    }
}

fn all(histories: &[History]) -> impl Iterator<Item = (&History, &Record)> {
    histories
        .iter()
        .flat_map(|history| history.records.iter().map(move |record| (history, record)))
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::WrongBytes { instance, cid } => {
                write!(
                    f,
                    "H1: instance {instance} got other bytes than those put as {cid}"
                )
            }
            Violation::NeverPut { instance, cid } => {
                write!(f, "H2: instance {instance} got {cid}, which nobody put")
            }
            Violation::NotFound { instance, cid } => write!(
                f,
                "H3: instance {instance} was told that {cid} is not there after it was acknowledged"
            ),
            Violation::Unread { instance, cid } => write!(
                f,
                "H4: instance {instance} could not read {cid}, acknowledged, when all had healed"
            ),
            Violation::TwoContents { cid } => write!(f, "H5: {cid} names two contents"),
            Violation::Malformed { instance, reason } => {
                write!(f, "H6: history of instance {instance}: {reason}")
            }
            Violation::Empty { reason } => write!(f, "H7: the histories show nothing: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cid: &str, content: &str, end: u64, outcome: Outcome) -> Record {
        Record::Put {
            begin: end - 1,
            end,
            sha256: content.to_owned(),
            size: 1,
            cid: Some(cid.to_owned()),
            outcome,
            error: String::new(),
        }
    }

    fn get(cid: &str, content: Option<&str>, begin: u64, outcome: Outcome) -> Record {
        Record::Get {
            begin,
            end: begin + 1,
            cid: cid.to_owned(),
            sha256: content.map(str::to_owned),
            outcome,
            error: String::new(),
        }
    }

    /// Instance 0 puts a and b and reads them at the end; instance 1 puts c, which is not
    /// acknowledged, and reads only what others have. `more` is what instance 1 did besides.
    fn findings(more: Vec<Record>) -> Findings {
        let mut records = vec![put("c", "C", 12, Outcome::Failed)];
        records.extend(more);
        check(&[
            History {
                instance: 0,
                records: vec![
                    put("a", "A", 10, Outcome::Ok),
                    put("b", "B", 20, Outcome::Ok),
                    Record::Final { at: 100 },
                    get("a", Some("A"), 101, Outcome::Ok),
                    get("b", Some("B"), 102, Outcome::Ok),
                ],
            },
            History {
                instance: 1,
                records,
            },
        ])
    }

    fn violations(more: Vec<Record>) -> Vec<String> {
        findings(more)
            .violations
            .iter()
            .map(|violation| violation.to_string()[..2].to_owned())
            .collect()
    }

    #[test]
    fn a_good_history_is_good() {
        let findings = findings(vec![
            // Before it was acknowledged, and without an answer: both say nothing.
            get("b", None, 15, Outcome::NotFound),
            get("a", None, 50, Outcome::Failed),
            // Not acknowledged: there or not, with the right bytes.
            get("c", None, 60, Outcome::NotFound),
            get("c", Some("C"), 61, Outcome::Ok),
            Record::Final { at: 100 },
            get("a", None, 101, Outcome::Failed),
            get("a", Some("A"), 102, Outcome::Ok),
            get("b", Some("B"), 103, Outcome::Ok),
        ]);
        assert_eq!(findings.violations, []);
        assert_eq!((findings.puts, findings.acknowledged), (3, 2));
        assert_eq!((findings.gets, findings.read), (9, 5));
        assert_eq!((findings.unanswered, findings.readers), (2, 2));
    }

    #[test]
    fn each_rule_can_be_broken() {
        for (rule, more) in [
            ("H1", vec![get("a", Some("X"), 50, Outcome::Ok)]),
            ("H1", vec![get("a", None, 50, Outcome::Ok)]),
            ("H1", vec![get("c", Some("X"), 50, Outcome::Ok)]),
            ("H2", vec![get("d", Some("D"), 50, Outcome::Ok)]),
            ("H3", vec![get("a", None, 11, Outcome::NotFound)]),
            (
                "H4",
                vec![
                    get("b", Some("B"), 99, Outcome::Ok),
                    Record::Final { at: 100 },
                    get("a", Some("A"), 101, Outcome::Ok),
                    get("b", None, 102, Outcome::Failed),
                ],
            ),
            ("H5", vec![put("a", "X", 50, Outcome::Failed)]),
            ("H6", vec![put("d", "D", 50, Outcome::NotFound)]),
            (
                "H6",
                vec![Record::Get {
                    begin: 9,
                    end: 8,
                    cid: "a".to_owned(),
                    sha256: None,
                    outcome: Outcome::Failed,
                    error: String::new(),
                }],
            ),
        ] {
            assert_eq!(violations(more.clone()), [rule], "{more:?}");
        }
    }

    #[test]
    fn a_history_that_shows_nothing_is_no_proof() {
        let shown = |records: Vec<Record>| {
            let history = History {
                instance: 0,
                records,
            };
            check(&[history]).violations.len()
        };
        assert_eq!(shown(vec![]), 2);
        assert_eq!(shown(vec![put("a", "A", 10, Outcome::Ok)]), 1);
        assert_eq!(shown(vec![Record::Final { at: 5 }]), 1);
    }

    #[test]
    fn what_is_written_is_read_and_an_unfinished_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(crate::history::read(folder.path(), 3).unwrap(), None);
        let records = vec![
            put("a", "A", 10, Outcome::Ok),
            get("a", None, 11, Outcome::NotFound),
            Record::Final { at: 100 },
        ];
        let mut writer = crate::history::Writer::create(folder.path()).unwrap();
        for record in &records {
            writer.add(record).unwrap();
        }
        let path = folder.path().join(crate::history::FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"op\":\"get\",\"beg");
        std::fs::write(&path, &text).unwrap();
        let history = crate::history::read(folder.path(), 3).unwrap().unwrap();
        assert_eq!(
            history,
            History {
                instance: 3,
                records
            }
        );
        std::fs::write(&path, "{}\n").unwrap();
        let error = crate::history::read(folder.path(), 3)
            .unwrap_err()
            .to_string();
        assert!(error.contains("history.jsonl:1:"), "{error}");
    }
}
