//! Reading a key: all of it, a part, or what it is (K12).

use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::{
    S3Error, S3ErrorCode, S3Result, dto,
    dto::{ETagCondition, Range, StreamingBlob, Timestamp},
    s3_error,
};
use tokio::io::AsyncWriteExt;

use super::{
    body::Sums,
    buckets::Versioning,
    failures,
    names::name_of,
    shelf::{Newest, Shelf, Version},
    times::{in_seconds, timestamp},
};

/// Blocks of one answer on their way.
const IN_FLIGHT: usize = 8;

/// What a reader knows already.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_matches: Option<ETagCondition>,
    pub(super) modified: Option<Timestamp>,
    pub(super) unmodified: Option<Timestamp>,
}

impl Conditions {
    /// Whether a version is wanted, in the order that HTTP asks in.
    pub(super) fn check(&self, version: &Version) -> S3Result<()> {
        let etag = version.etag();
        let time = in_seconds(version.time());
        let holds = match (&self.matches, &self.unmodified) {
            (Some(wanted), _) => is_tag(wanted, &etag),
            (None, Some(since)) => time <= *since,
            (None, None) => true,
        };
        if !holds {
            return Err(s3_error!(PreconditionFailed));
        }
        let known = match (&self.none_matches, &self.modified) {
            (Some(known), _) => is_tag(known, &etag),
            (None, Some(since)) => time <= *since,
            (None, None) => false,
        };
        match known {
            false => Ok(()),
            true => {
                let mut known = S3Error::new(S3ErrorCode::NotModified);
                let mut headers = HeaderMap::new();
                if let Ok(tag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
                    headers.insert(http::header::ETAG, tag);
                }
                known.set_headers(headers);
                Err(known)
            }
        }
    }
}

/// Whether a tag is the one that is meant.
pub(super) fn is_tag(wanted: &ETagCondition, etag: &str) -> bool {
    match wanted.as_etag() {
        None => true,
        Some(wanted) => wanted.value() == etag,
    }
}

/// A version that is answered, and which part of it.
pub(super) struct Found {
    pub(super) version: Version,
    versioning: Versioning,
    /// First byte and the one behind the last.
    pub(super) part: std::ops::Range<u64>,
    is_part: bool,
}

impl Shelf {
    /// The version that a request means.
    pub(super) async fn find(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Version, Versioning)> {
        let versioning = self.bucket(bucket).await?.versioning;
        let name = name_of(bucket, key)?;
        let version = match version_id {
            Some(id) if versioning != Versioning::Off || id != "null" => {
                self.version_called(&name, id).await?
            }
            _ => match self.newest(&name).await? {
                Newest::There(version) => version,
                Newest::Marker(marker) if versioning != Versioning::Off => {
                    return Err(removed(S3ErrorCode::NoSuchKey, &marker));
                }
                Newest::Marker(_) | Newest::Nothing => return Err(s3_error!(NoSuchKey)),
            },
        };
        if version.is_marker() {
            return Err(removed(S3ErrorCode::MethodNotAllowed, &version));
        }
        match self.is_file(&version).await? {
            true => Ok((version, versioning)),
            false => Err(s3_error!(
                NoSuchKey,
                "the name is a directory's: see `hedgerow object get`"
            )),
        }
    }

    /// The same, if the reader wants it, and which part.
    pub(super) async fn find_part(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        conditions: &Conditions,
        range: Option<&Range>,
    ) -> S3Result<Found> {
        let (version, versioning) = self.find(bucket, key, version_id).await?;
        conditions.check(&version)?;
        let size = version.size();
        let part = match range {
            None => 0..size,
            // Of what is empty there is no part, not even a last one.
            Some(range) => range.check(size).ok().filter(|_| size > 0).ok_or_else(|| {
                let mut failed = s3_error!(InvalidRange);
                let mut headers = HeaderMap::new();
                if let Ok(all) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(http::header::CONTENT_RANGE, all);
                }
                failed.set_headers(headers);
                failed
            })?,
        };
        Ok(Found {
            version,
            versioning,
            part,
            is_part: range.is_some(),
        })
    }

    /// The bytes of what was found, streaming; what breaks off ends before its length.
    pub(super) async fn stream(&self, found: &Found) -> S3Result<StreamingBlob> {
        let Some(root) = found.version.record.root() else {
            return Err(s3_error!(NoSuchKey));
        };
        let piped = self.app.s3_stream();
        let (body, mut out, permit) = piped.map_err(|error| {
            let mut failed: S3Error = failures::Failed::from(error).into();
            failed.set_code(S3ErrorCode::SlowDown);
            failed
        })?;
        // A block that cannot be got is an answer, not a body that breaks off, where it is the
        // first one.
        let source = unixfs::RootOnce::new(root, self.app.node_blocks.clone());
        unixfs::stat(&root, &source)
            .await
            .map_err(failures::export)?;
        let part = found.part.clone();
        tokio::spawn(async move {
            let _permit = permit;
            match unixfs::export_range(&root, &source, &mut out, part, IN_FLIGHT).await {
                Err(error) => tracing::debug!(%root, %error, "an answer broke off"),
                Ok(_) => {
                    let _ = out.shutdown().await;
                }
            }
        });
        Ok(StreamingBlob::wrap(body.map_err(std::io::Error::other)))
    }
}

/// That a key was removed, and by which version.
fn removed(code: S3ErrorCode, marker: &Version) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&marker.id()) {
        headers.insert("x-amz-version-id", id);
    }
    if code == S3ErrorCode::MethodNotAllowed {
        headers.insert(http::header::ALLOW, HeaderValue::from_static("DELETE"));
    }
    let mut failed = S3Error::new(code);
    failed.set_headers(headers);
    failed
}

/// The sums of a version, where they were asked for and are those of what is answered.
fn sums(found: &Found, mode: Option<&dto::ChecksumMode>) -> Sums {
    let asked = mode.is_some_and(|mode| mode.as_str() == dto::ChecksumMode::ENABLED);
    match asked && !found.is_part {
        true => found.version.properties.sums.clone(),
        false => Sums::new(),
    }
}

/// What an answer says of what was found: the same for its content and without.
macro_rules! describe {
    ($output:ident, $found:expr, $mode:expr) => {{
        let found: &Found = $found;
        let version = &found.version;
        let mut sums = sums(found, $mode);
        let composite = sums.values().any(|sum| sum.contains('-'));
        let header = |name: &str| version.properties.headers.get(name).cloned();
        let size = version.size();
        let status = (found.is_part)
            .then(|| format!("bytes {}-{}/{size}", found.part.start, found.part.end - 1));
        dto::$output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some((found.part.end - found.part.start) as i64),
            content_range: status,
            e_tag: Some(dto::ETag::Strong(version.etag())),
            last_modified: Some(timestamp(version.time())),
            content_type: Some(
                header("content-type").unwrap_or_else(|| "binary/octet-stream".to_owned()),
            ),
            cache_control: header("cache-control"),
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            expires: header("expires")
                .and_then(|text| dto::Timestamp::parse(dto::TimestampFormat::HttpDate, &text).ok()),
            metadata: Some(version.properties.meta.clone().into_iter().collect()),
            version_id: (found.versioning != Versioning::Off).then(|| version.id()),
            checksum_type: (!sums.is_empty()).then(|| {
                dto::ChecksumType::from_static(match composite {
                    true => dto::ChecksumType::COMPOSITE,
                    false => dto::ChecksumType::FULL_OBJECT,
                })
            }),
            checksum_crc32: sums.remove("CRC32"),
            checksum_crc32c: sums.remove("CRC32C"),
            checksum_crc64nvme: sums.remove("CRC64NVME"),
            checksum_sha1: sums.remove("SHA1"),
            checksum_sha256: sums.remove("SHA256"),
            ..dto::$output::default()
        }
    }};
}

/// The answer to a reader.
pub(super) fn answer(
    found: &Found,
    mode: Option<&dto::ChecksumMode>,
    body: StreamingBlob,
) -> dto::GetObjectOutput {
    dto::GetObjectOutput {
        body: Some(body),
        ..describe!(GetObjectOutput, found, mode)
    }
}

/// The answer to who wants to know what a key is.
pub(super) fn head(found: &Found, mode: Option<&dto::ChecksumMode>) -> dto::HeadObjectOutput {
    describe!(HeadObjectOutput, found, mode)
}

/// The status of an answer: of what has no body the library does not know that it is a part.
pub(super) fn status(found: &Found) -> Option<StatusCode> {
    found.is_part.then_some(StatusCode::PARTIAL_CONTENT)
}
