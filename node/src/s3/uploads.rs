//! Uploads in parts that are under way: a file each, beside the stores (K10).

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cid::Cid;
use data_encoding::BASE32_NOPAD;
use parking_lot::Mutex;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::{body::Sums, properties::Properties};
use crate::home::{HomeError, write_atomically};

/// Uploads under way at most.
pub(super) const MAX_UPLOADS: usize = 1_000;

/// Parts of one upload, as in S3.
pub(super) const MAX_PARTS: i32 = 10_000;

/// Parts of all uploads together: some 300 bytes each in memory.
pub(super) const MAX_ALL_PARTS: usize = 100_000;

/// An upload to which nothing has come for so long is forgotten.
pub(super) const EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Longest file that is read: twice its parts, of 1 KiB at most.
const MAX_FILE: u64 = 64 << 20;

/// Lines beyond twice the parts after which a file is written anew.
const SPARE_LINES: usize = 64;

/// Random bytes in an upload's id.
const ID_BYTES: usize = 20;

/// A part that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: i32,
    /// CID of its content.
    cid: String,
    pub(super) size: u64,
    /// Its tag: MD5, hexadecimal.
    pub(super) etag: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sums: Sums,
    /// When it came, Unix milliseconds.
    pub(super) time: u64,
}

impl Part {
    pub(super) fn new(
        number: i32,
        cid: Cid,
        size: u64,
        etag: String,
        sums: Sums,
        time: u64,
    ) -> Part {
        let cid = cid.to_string();
        Part {
            number,
            cid,
            size,
            etag,
            sums,
            time,
        }
    }

    pub(super) fn cid(&self) -> S3Result<Cid> {
        self.cid.parse().map_err(|_| {
            s3_error!(
                InternalError,
                "the list of parts on this node's disk is damaged"
            )
        })
    }
}

/// What an upload is to become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) properties: Properties,
    /// The checksum that the client computes of each part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) algorithm: Option<String>,
    /// When it was begun, Unix milliseconds.
    pub(super) time: u64,
}

/// An upload under way.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) plan: Plan,
    file: PathBuf,
    parts: Mutex<BTreeMap<i32, Part>>,
    /// Held while the file is written, or the upload completed: lines in the file.
    writing: AsyncMutex<usize>,
}

impl Upload {
    pub(super) fn parts(&self) -> BTreeMap<i32, Part> {
        self.parts.lock().clone()
    }

    fn touched(&self) -> u64 {
        let parts = self.parts.lock();
        let newest = parts.values().map(|part| part.time).max();
        newest.unwrap_or(0).max(self.plan.time)
    }
}

/// All uploads under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Uploads(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    known: Mutex<BTreeMap<String, Arc<Upload>>>,
}

impl Uploads {
    /// Reads what was under way when the node last ran. A file that is damaged is an upload
    /// that has to be begun anew, and is left where it is.
    pub(super) fn load(directory: PathBuf) -> io::Result<Uploads> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(&directory)?.take(4 * MAX_UPLOADS) {
            let path = entry?.path();
            match read(&path) {
                Ok(Some(upload)) => {
                    known.insert(upload.id.clone(), Arc::new(upload));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "an upload is not readable");
                }
            }
        }
        let known = Mutex::new(known);
        Ok(Uploads(Arc::new(Inner { directory, known })))
    }

    /// Begins an upload; its id.
    pub(super) async fn begin(&self, plan: Plan, now: u64) -> S3Result<String> {
        self.expire(now).await;
        let id = BASE32_NOPAD
            .encode(&rand::random::<[u8; ID_BYTES]>())
            .to_ascii_lowercase();
        let file = self.0.directory.join(&id);
        let upload = Arc::new(Upload {
            id: id.clone(),
            plan,
            file: file.clone(),
            parts: Mutex::default(),
            writing: AsyncMutex::new(1),
        });
        if self.0.known.lock().len() >= MAX_UPLOADS {
            return Err(S3Error::with_message(
                S3ErrorCode::SlowDown,
                format!("{MAX_UPLOADS} uploads are under way: complete or abort some"),
            ));
        }
        let mut line = serde_json::to_vec(&upload.plan).expect("a plan is JSON");
        line.push(b'\n');
        on_disk(move || replace(&file, &line)).await?;
        self.0.known.lock().insert(id.clone(), upload);
        Ok(id)
    }

    /// An upload of this key.
    pub(super) async fn get(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        now: u64,
    ) -> S3Result<Arc<Upload>> {
        self.expire(now).await;
        let found = self.0.known.lock().get(id).cloned();
        found
            .filter(|upload| upload.plan.bucket == bucket && upload.plan.key == key)
            .ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// Waits until nobody else changes an upload, and looks again whether it is under way: it
    /// may have been completed or aborted meanwhile.
    pub(super) async fn turn<'a>(&self, upload: &'a Upload) -> S3Result<MutexGuard<'a, usize>> {
        let turn = upload.writing.lock().await;
        match self.0.known.lock().contains_key(&upload.id) {
            true => Ok(turn),
            false => Err(s3_error!(NoSuchUpload)),
        }
    }

    /// Adds a part, in place of one with its number. It is on disk when this returns. It is
    /// finished though the client goes away: until then the upload is nobody else's.
    pub(super) async fn add(&self, upload: &Arc<Upload>, part: Part) -> S3Result<()> {
        let (uploads, upload) = (self.clone(), Arc::clone(upload));
        let adding = tokio::spawn(async move { uploads.add_now(&upload, part).await });
        let added = adding.await;
        added.map_err(|_| s3_error!(ServiceUnavailable, "the node is stopping"))?
    }

    async fn add_now(&self, upload: &Upload, part: Part) -> S3Result<()> {
        let mut lines = self.turn(upload).await?;
        let all: usize = {
            let known = self.0.known.lock();
            known.values().map(|upload| upload.parts.lock().len()).sum()
        };
        let mut parts = upload.parts();
        if all >= MAX_ALL_PARTS && !parts.contains_key(&part.number) {
            return Err(S3Error::with_message(
                S3ErrorCode::SlowDown,
                format!("uploads under way have {MAX_ALL_PARTS} parts: complete or abort some"),
            ));
        }
        parts.insert(part.number, part.clone());
        let file = upload.file.clone();
        if *lines > 2 * parts.len() + SPARE_LINES {
            let mut text = line_of(&upload.plan);
            for part in parts.values() {
                text.extend(line_of(part));
            }
            on_disk(move || replace(&file, &text)).await?;
            *lines = parts.len() + 1;
        } else {
            let line = line_of(&part);
            on_disk(move || append(&file, &line)).await?;
            *lines += 1;
        }
        upload.parts.lock().insert(part.number, part);
        Ok(())
    }

    /// Forgets an upload whose turn the caller has: it is complete, or was aborted.
    pub(super) async fn forget(
        &self,
        upload: &Upload,
        turn: MutexGuard<'_, usize>,
    ) -> S3Result<()> {
        self.0.known.lock().remove(&upload.id);
        let file = upload.file.clone();
        let removed = on_disk(move || match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        let removed = removed.await;
        drop(turn);
        removed
    }

    /// The uploads of a bucket, by key and then by when they were begun.
    pub(super) async fn list(&self, bucket: &str, now: u64) -> Vec<Arc<Upload>> {
        self.expire(now).await;
        let known = self.0.known.lock();
        let within = known.values().filter(|upload| upload.plan.bucket == bucket);
        let mut found: Vec<_> = within.cloned().collect();
        found.sort_by(|a, b| {
            let key =
                |upload: &Upload| (upload.plan.key.clone(), upload.plan.time, upload.id.clone());
            key(a).cmp(&key(b))
        });
        found
    }

    pub(super) async fn forget_bucket(&self, bucket: &str) {
        for upload in self.those(|upload| upload.plan.bucket == bucket) {
            let turn = upload.writing.lock().await;
            self.clean(&upload, turn).await;
        }
    }

    async fn expire(&self, now: u64) {
        let limit = now.saturating_sub(EXPIRES.as_millis() as u64);
        let idle = |upload: &Upload| upload.touched() < limit;
        for upload in self.those(idle) {
            // One that is worked on is not forgotten by anyone.
            if let Ok(turn) = upload.writing.try_lock()
                && idle(&upload)
            {
                self.clean(&upload, turn).await;
            }
        }
    }

    fn those(&self, which: impl Fn(&Upload) -> bool) -> Vec<Arc<Upload>> {
        let known = self.0.known.lock();
        let those = known.values().filter(|upload| which(upload));
        those.cloned().collect()
    }

    async fn clean(&self, upload: &Upload, turn: MutexGuard<'_, usize>) {
        if let Err(error) = self.forget(upload, turn).await {
            tracing::warn!(file = %upload.file.display(), %error, "an upload that is over was not removed");
        }
    }
}

fn line_of(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("texts and numbers are JSON");
    line.push(b'\n');
    line
}

fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    write_atomically(file, text, 0o600).map_err(|error| match error {
        HomeError::Io { source, .. } => source,
        error => io::Error::other(error),
    })
}

fn append(file: &Path, line: &[u8]) -> io::Result<()> {
    // Not made anew: an upload that was forgotten stays forgotten.
    let mut file = OpenOptions::new().append(true).mode(0o600).open(file)?;
    let before = file.metadata()?.len();
    let written = file.write_all(line).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a line would spoil the next one.
        let _ = file.set_len(before);
    }
    written
}

/// An upload as it is on disk; none where the file is not one.
fn read(path: &Path) -> io::Result<Option<Upload>> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if name.len() != ID_BYTES * 8 / 5 || path.extension().is_some() {
        return Ok(None);
    }
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_FILE {
        return Err(io::Error::other("the file is too long"));
    }
    let text = io::read_to_string(file)?;
    let mut lines = text.lines();
    let plan = serde_json::from_str(lines.next().unwrap_or_default())?;
    let mut parts = BTreeMap::new();
    let mut count = 1;
    for line in lines {
        // The last one may be cut off by a crash; its part was not acknowledged.
        let Ok(part) = serde_json::from_str::<Part>(line) else {
            continue;
        };
        parts.insert(part.number, part);
        count += 1;
    }
    if !text.ends_with('\n') {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(b"\n")?;
    }
    Ok(Some(Upload {
        id: name.to_owned(),
        plan,
        file: path.to_owned(),
        parts: Mutex::new(parts),
        writing: AsyncMutex::new(count),
    }))
}

async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> S3Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::StorageFull => {
            let mut full = S3Error::with_message(
                S3ErrorCode::Custom("InsufficientStorage".into()),
                "the disk of this node is full",
            );
            full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
            Err(full)
        }
        Ok(Err(error)) => Err(S3Error::with_message(
            S3ErrorCode::InternalError,
            format!("the list of parts was not written: {error}"),
        )),
        Err(_) => Err(s3_error!(ServiceUnavailable, "the node is stopping")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;

    fn plan(key: &str) -> Plan {
        Plan {
            bucket: "photos".into(),
            key: key.into(),
            properties: Properties::default(),
            algorithm: None,
            time: HOUR,
        }
    }

    fn part(number: i32, size: u64) -> Part {
        let cid = Properties::default().encode().0;
        Part::new(number, cid, size, "tag".into(), Sums::new(), HOUR)
    }

    #[tokio::test]
    async fn parts_outlive_the_node_and_not_their_upload() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("uploads");
        let uploads = Uploads::load(directory.clone()).unwrap();
        let id = uploads.begin(plan("film"), HOUR).await.unwrap();
        let upload = uploads.get("photos", "film", &id, HOUR).await.unwrap();
        assert!(uploads.get("photos", "other", &id, HOUR).await.is_err());
        for size in 0..200 {
            uploads.add(&upload, part(2, size)).await.unwrap();
        }
        uploads.add(&upload, part(1, 7)).await.unwrap();
        // Written again and again, it does not grow with it.
        let length = fs::metadata(directory.join(&id)).unwrap().len();
        assert!(length < 20_000, "{length}");
        // A crash in the middle of a line.
        append(&directory.join(&id), b"{\"number\":3,").unwrap();

        let again = Uploads::load(directory.clone()).unwrap();
        let found = again.get("photos", "film", &id, HOUR).await.unwrap();
        let sizes: Vec<_> = found
            .parts()
            .values()
            .map(|part| (part.number, part.size))
            .collect();
        assert_eq!(sizes, [(1, 7), (2, 199)]);
        again.add(&found, part(3, 1)).await.unwrap();
        let again = Uploads::load(directory.clone()).unwrap();
        let found = again.get("photos", "film", &id, HOUR).await.unwrap();
        assert_eq!(found.parts().len(), 3);
        let turn = again.turn(&found).await.unwrap();
        again.forget(&found, turn).await.unwrap();
        let late = again.turn(&found).await.unwrap_err();
        assert_eq!(*late.code(), S3ErrorCode::NoSuchUpload);
        assert!(again.add(&found, part(4, 1)).await.is_err());
        let again = Uploads::load(directory).unwrap();
        assert!(again.get("photos", "film", &id, HOUR).await.is_err());
    }

    #[tokio::test]
    async fn who_comes_back_too_late_begins_anew() {
        let home = tempfile::tempdir().unwrap();
        let uploads = Uploads::load(home.path().join("uploads")).unwrap();
        let id = uploads.begin(plan("film"), HOUR).await.unwrap();
        let week = EXPIRES.as_millis() as u64;
        assert!(uploads.get("photos", "film", &id, week).await.is_ok());
        assert!(
            uploads
                .get("photos", "film", &id, week + HOUR + 1)
                .await
                .is_err()
        );
        assert_eq!(
            fs::read_dir(home.path().join("uploads")).unwrap().count(),
            0
        );
    }

    #[tokio::test]
    async fn what_is_being_completed_does_not_expire_and_is_completed_once() {
        let home = tempfile::tempdir().unwrap();
        let uploads = Uploads::load(home.path().join("uploads")).unwrap();
        let id = uploads.begin(plan("film"), HOUR).await.unwrap();
        let upload = uploads.get("photos", "film", &id, HOUR).await.unwrap();
        let turn = uploads.turn(&upload).await.unwrap();
        let late = EXPIRES.as_millis() as u64 + 2 * HOUR;
        assert!(uploads.get("photos", "film", &id, late).await.is_ok());
        // Those who wait for their turn find nothing when it comes.
        let (second, adding) = (uploads.turn(&upload), uploads.add(&upload, part(1, 1)));
        let (second, added, forgotten) =
            tokio::join!(second, adding, uploads.forget(&upload, turn));
        forgotten.unwrap();
        assert_eq!(*second.unwrap_err().code(), S3ErrorCode::NoSuchUpload);
        assert_eq!(*added.unwrap_err().code(), S3ErrorCode::NoSuchUpload);
    }

    #[tokio::test]
    async fn there_are_not_more_than_may_be() {
        let home = tempfile::tempdir().unwrap();
        let uploads = Uploads::load(home.path().join("uploads")).unwrap();
        for number in 0..MAX_UPLOADS {
            uploads
                .begin(plan(&number.to_string()), HOUR)
                .await
                .unwrap();
        }
        let more = uploads.begin(plan("more"), HOUR).await.unwrap_err();
        assert_eq!(*more.code(), S3ErrorCode::SlowDown);
    }
}
