//! Puts and gets, each written down with its times and outcome.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use testground::history::{Outcome, Record, Writer, now};

use crate::hedgerow::{Cli, said};
use crate::team::{Team, text};

/// Exit code of `hedgerow` for what is not there.
const NOT_FOUND: i32 = 4;

/// An object that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) cid: String,
    pub(crate) sha256: String,
    /// The nodes that should keep it, by PeerId.
    pub(crate) keepers: Vec<String>,
}

/// A history, in the file and at hand.
#[derive(Debug)]
struct Written {
    file: Writer,
    records: Vec<Record>,
}

/// Puts and gets at one node.
#[derive(Debug)]
pub(crate) struct Client {
    cli: Cli,
    folder: PathBuf,
    history: Mutex<Written>,
    count: AtomicU64,
}

impl Client {
    pub(crate) fn new(team: &Team, cli: &Cli) -> anyhow::Result<Client> {
        let outputs = Path::new(&team.environment.outputs);
        // Not beside the node's home, whose disk may be full.
        let folder = outputs.join("objects");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Client {
            cli: cli.clone(),
            folder,
            history: Mutex::new(Written {
                file: Writer::create(outputs)?,
                records: Vec::new(),
            }),
            count: AtomicU64::new(0),
        })
    }

    /// Puts bytes; the object, if it was acknowledged.
    ///
    /// # Errors
    /// If it could not be tried or not be written down. A put that fails is an outcome.
    pub(crate) async fn put(&self, bytes: &[u8]) -> anyhow::Result<Option<Object>> {
        let path = self.fresh("put");
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        let sha256 = hash(bytes);
        let begin = now();
        let name = path.to_string_lossy();
        let output = self.cli.run(&["object", "put", &name, "--json"]).await?;
        let end = now();
        let _ = std::fs::remove_file(&path);
        let (cid, outcome, error) = if output.status.success() {
            let answer: Value = serde_json::from_slice(&output.stdout).context("a put's answer")?;
            (Some(text(&answer["cid"])?), Outcome::Ok, String::new())
        } else {
            (None, Outcome::Failed, said(&output))
        };
        self.note(Record::Put {
            begin,
            end,
            sha256: sha256.clone(),
            size: bytes.len() as u64,
            cid: cid.clone(),
            outcome,
            error,
        })?;
        Ok(cid.map(|cid| Object {
            cid,
            sha256,
            keepers: Vec::new(),
        }))
    }

    /// Gets an object; how that ended.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub(crate) async fn get(&self, cid: &str) -> anyhow::Result<Outcome> {
        let path = self.fresh("got");
        let begin = now();
        let name = path.to_string_lossy();
        let output = self
            .cli
            .run(&["object", "get", cid, "-o", &name, "--json"])
            .await?;
        let end = now();
        let (sha256, outcome, error) = match output.status.code() {
            Some(0) => {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("{} was got and is not there", path.display()))?;
                let _ = std::fs::remove_file(&path);
                (Some(hash(&bytes)), Outcome::Ok, String::new())
            }
            Some(NOT_FOUND) => (None, Outcome::NotFound, said(&output)),
            _ => (None, Outcome::Failed, said(&output)),
        };
        self.note(Record::Get {
            begin,
            end,
            cid: cid.to_owned(),
            sha256,
            outcome,
            error,
        })?;
        Ok(outcome)
    }

    /// From here on everything that was acknowledged has to be read.
    pub(crate) fn finale(&self) -> anyhow::Result<()> {
        self.note(Record::Final { at: now() })
    }

    /// All that was put and got so far, in the order it ended.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.history().records.clone()
    }

    fn note(&self, record: Record) -> anyhow::Result<()> {
        let mut history = self.history();
        history.file.add(&record)?;
        history.records.push(record);
        Ok(())
    }

    fn history(&self) -> MutexGuard<'_, Written> {
        self.history.lock().expect("nobody panics while writing")
    }

    fn fresh(&self, what: &str) -> PathBuf {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{what}-{count}"))
    }
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
