//! What a client sends becomes blocks, and is compared with what was said of it (K5).

use std::{collections::BTreeMap, io, sync::Arc};

use cid::Cid;
use data_encoding::{BASE64, HEXLOWER};
use futures::TryStreamExt;
use http::HeaderMap;
use parking_lot::Mutex;
use s3s::{
    S3Error, S3ErrorCode, S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto,
    dto::StreamingBlob,
    s3_error,
};
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;
use unixfs::{ImportError, Options};

use super::{failures, gate::STALLED_TEXT};
use crate::node_blocks::NodeBlocks;

/// Largest body, as in S3; more comes in parts.
pub(super) const MAX_BODY: u64 = 5 << 30;

/// Chunks of one body in memory.
const IN_FLIGHT: usize = 8;

/// The checksums there are, and the header of each.
pub(super) const SUMS: [(&str, &str); 5] = [
    ("CRC32", "x-amz-checksum-crc32"),
    ("CRC32C", "x-amz-checksum-crc32c"),
    ("CRC64NVME", "x-amz-checksum-crc64nvme"),
    ("SHA1", "x-amz-checksum-sha1"),
    ("SHA256", "x-amz-checksum-sha256"),
];

/// Checksums by their algorithm, base64.
pub(super) type Sums = BTreeMap<String, String>;

/// What a client says of a body.
pub(super) struct Said {
    /// Bytes of it.
    pub(super) length: Option<i64>,
    /// MD5, base64.
    pub(super) md5: Option<String>,
    /// Other sums.
    pub(super) sums: Sums,
    /// Algorithms whose sum follows the body.
    trailing: Vec<&'static str>,
    trailers: Option<TrailingHeaders>,
}

/// A body that is stored.
pub(super) struct Received {
    pub(super) cid: Cid,
    pub(super) size: u64,
    /// Hexadecimal.
    pub(super) md5: String,
    /// Those that the client has asked for by saying them.
    pub(super) sums: Sums,
}

impl Said {
    /// Reads what the headers of a request say.
    pub(super) fn read(
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
        length: Option<i64>,
        md5: Option<String>,
    ) -> S3Result<Said> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut sums = Sums::new();
        let mut trailing = Vec::new();
        let announced = text("x-amz-trailer")
            .unwrap_or_default()
            .to_ascii_lowercase();
        for (algorithm, header) in SUMS {
            if let Some(value) = text(header) {
                sums.insert(algorithm.to_owned(), value.to_owned());
            }
            if announced.split(',').any(|name| name.trim() == header) {
                trailing.push(algorithm);
            }
        }
        let asked = text("x-amz-sdk-checksum-algorithm").unwrap_or_default();
        if !asked.is_empty() && !SUMS.iter().any(|(name, _)| *name == asked) {
            return Err(s3_error!(
                InvalidRequest,
                "this checksum algorithm is not known"
            ));
        }
        Ok(Said {
            length,
            md5,
            sums,
            trailing,
            trailers,
        })
    }

    fn hasher(&self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        let named = self.sums.keys().map(String::as_str);
        for algorithm in named.chain(self.trailing.iter().copied()) {
            add(&mut hasher, algorithm);
        }
        hasher
    }

    /// Compares; the sums that hold.
    fn check(&self, size: u64, md5: &[u8; 16], made: &Sums) -> S3Result<Sums> {
        if self.length.is_some_and(|length| length as u64 != size) {
            return Err(s3_error!(IncompleteBody));
        }
        if let Some(said) = &self.md5 {
            let said = BASE64.decode(said.as_bytes()).unwrap_or_default();
            if said.len() != md5.len() {
                return Err(s3_error!(
                    InvalidDigest,
                    "Content-MD5 is not an MD5 in base64"
                ));
            }
            if said != md5 {
                return Err(s3_error!(
                    BadDigest,
                    "the body has another MD5 than Content-MD5 says"
                ));
            }
        }
        let mut said = self.sums.clone();
        for algorithm in &self.trailing {
            let header = SUMS.iter().find(|(name, _)| name == algorithm);
            let (_, header) = header.expect("trailing sums are of the list");
            let value = self.trailers.as_ref().and_then(|trailers| {
                trailers.read(|headers| {
                    let value = headers.get(*header)?;
                    Some(value.to_str().ok()?.to_owned())
                })?
            });
            let Some(value) = value else {
                return Err(s3_error!(
                    InvalidRequest,
                    "the trailing checksum is missing"
                ));
            };
            said.insert((*algorithm).to_owned(), value);
        }
        for (algorithm, value) in &said {
            if made.get(algorithm) != Some(value) {
                return Err(S3Error::with_message(
                    S3ErrorCode::BadDigest,
                    format!("the body has another {algorithm} than the checksum says"),
                ));
            }
        }
        Ok(said)
    }
}

/// Has a hasher compute one more sum.
pub(super) fn add(hasher: &mut ChecksumHasher, algorithm: &str) {
    match algorithm {
        "CRC32" => hasher.crc32 = Some(Crc32::new()),
        "CRC32C" => hasher.crc32c = Some(Crc32c::new()),
        "CRC64NVME" => hasher.crc64nvme = Some(Crc64Nvme::new()),
        "SHA1" => hasher.sha1 = Some(Sha1::new()),
        "SHA256" => hasher.sha256 = Some(Sha256::new()),
        _ => {}
    }
}

/// The sums of a hasher.
pub(super) fn sums_of(made: dto::Checksum) -> Sums {
    let all = [
        ("CRC32", made.checksum_crc32),
        ("CRC32C", made.checksum_crc32c),
        ("CRC64NVME", made.checksum_crc64nvme),
        ("SHA1", made.checksum_sha1),
        ("SHA256", made.checksum_sha256),
    ];
    let some = all.into_iter();
    some.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Stores a body as a file whose blocks are on their replicas when this returns, if it is
/// what the client has said.
pub(super) async fn receive(
    blocks: &NodeBlocks,
    body: Option<StreamingBlob>,
    said: Said,
) -> S3Result<Received> {
    let length = match said.length {
        None => return Err(s3_error!(MissingContentLength)),
        Some(length) if length as u64 > MAX_BODY => return Err(s3_error!(EntityTooLarge)),
        Some(length) => length as u64,
    };
    let digests = Arc::new(Mutex::new((Md5::new(), said.hasher())));
    let hashing = Arc::clone(&digests);
    let body = body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let body = body
        .inspect_ok(move |piece| {
            let mut digests = hashing.lock();
            digests.0.update(piece);
            digests.1.update(piece);
        })
        .map_err(io::Error::other);
    // In aws-chunked framing more may come than was said; one byte of it says so.
    let reader = StreamReader::new(body).take(length + 1);
    let options = Options {
        concurrency: IN_FLIGHT,
        ..Options::default()
    };
    let imported = unixfs::import_reader(std::pin::pin!(reader), blocks, &options).await;
    let imported = imported.map_err(not_received)?;
    let (md5, hasher) = std::mem::replace(
        &mut *digests.lock(),
        (Md5::new(), ChecksumHasher::default()),
    );
    let md5 = md5.finalize();
    let sums = said.check(imported.size, &md5, &sums_of(hasher.finalize()))?;
    Ok(Received {
        cid: imported.cid,
        size: imported.size,
        md5: HEXLOWER.encode(&md5),
        sums,
    })
}

/// Why a body ended. The library below tells its reasons as text alone.
fn not_received(error: ImportError) -> S3Error {
    let ImportError::Read { source, .. } = error else {
        return failures::import(error);
    };
    let text = source.to_string();
    let is = |word: &str| text.contains(word);
    if is("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let text = "the body has another SHA-256 than x-amz-content-sha256 says";
        let mut failed = S3Error::with_message(code, text);
        failed.set_status_code(http::StatusCode::BAD_REQUEST);
        failed
    } else if is("SignatureMismatch") {
        s3_error!(
            SignatureDoesNotMatch,
            "a chunk of the body is not signed by its key"
        )
    } else if is("signed chunk") || is("FormatError") || is("aws-chunked") || is("TooLarge") {
        S3Error::with_message(S3ErrorCode::InvalidRequest, text)
    } else if is(STALLED_TEXT) {
        S3Error::with_message(S3ErrorCode::RequestTimeout, STALLED_TEXT)
    } else {
        s3_error!(IncompleteBody, "the body broke off")
    }
}
