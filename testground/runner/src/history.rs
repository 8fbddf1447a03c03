//! What the clients of a run did: a line of JSON for each operation, in `history.jsonl` in an
//! instance's outputs.
//!
//! Times are microseconds since 1970, of one clock for all instances: they run on one machine.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The file's name.
pub const FILE: &str = "history.jsonl";

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As asked. A put is acknowledged from then on.
    Ok,
    /// The answer was that it is not there.
    NotFound,
    /// Anything else: no answer in time, no node. A put may have happened or not.
    Failed,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Record {
    /// Bytes were put.
    Put {
        /// When it began.
        begin: u64,
        /// When it ended.
        end: u64,
        /// Hash of the bytes, hexadecimal.
        sha256: String,
        /// How many.
        size: u64,
        /// Their name, if it was answered.
        cid: Option<String>,
        /// How it ended.
        outcome: Outcome,
        /// What was said, unless it went well.
        #[serde(default)]
        error: String,
    },
    /// Bytes were asked for.
    Get {
        /// When it began.
        begin: u64,
        /// When it ended.
        end: u64,
        /// Their name.
        cid: String,
        /// Hash of the bytes that came, hexadecimal.
        sha256: Option<String>,
        /// How it ended.
        outcome: Outcome,
        /// What was said, unless it went well.
        #[serde(default)]
        error: String,
    },
    /// Faults have ended and the network has healed: from now on this instance reads all
    /// that was acknowledged.
    Final {
        /// When.
        at: u64,
    },
}

/// The history of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Which.
    pub instance: usize,
    /// What it did, in the order it ended.
    pub records: Vec<Record>,
}

/// A history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file.
    #[error("history {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of it.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file's path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Now, as the records have it.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Writes a history. Each record is whole or not there, whatever ends the instance.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Begins the history in an instance's outputs.
    pub fn create(outputs: &Path) -> Result<Writer, HistoryError> {
        let path = outputs.join(FILE);
        match File::create(&path) {
            Ok(file) => Ok(Writer { file, path }),
            Err(source) => Err(HistoryError::File { path, source }),
        }
    }

    /// Adds a record.
    pub fn add(&mut self, record: &Record) -> Result<(), HistoryError> {
        let mut line = serde_json::to_string(record).expect("a record has text as keys");
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| HistoryError::File {
                path: self.path.clone(),
                source,
            })
    }
}

/// Reads the history in an instance's outputs; `None` where there is none. A last line
/// without an end is one that a killed instance did not finish, and is left out.
pub fn read(outputs: &Path, instance: usize) -> Result<Option<History>, HistoryError> {
    let path = outputs.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(HistoryError::File { path, source }),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut records = Vec::new();
    for (index, line) in whole.lines().enumerate() {
        records.push(
            serde_json::from_str(line).map_err(|error| HistoryError::Line {
                path: path.clone(),
                line: index + 1,
                reason: error.to_string(),
            })?,
        );
    }
    Ok(Some(History { instance, records }))
}
