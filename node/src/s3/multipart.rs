//! Uploads in parts (K10): parts become blocks as they come, and one file without being read.

use std::sync::Arc;

use cid::Cid;
use data_encoding::{BASE64, HEXLOWER};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    checksum::ChecksumHasher,
    crypto::{Checksum, Md5},
    dto, s3_error,
};
use tokio::io::AsyncWrite;

use super::{
    body::{self, Said, Sums},
    buckets::Versioning,
    failures,
    names::name_of,
    properties::Properties,
    put::{
        WriteConditions, properties_of, refuse, refuse_what_is_missing, shown_id, source_of,
        wanted_copy,
    },
    read::Conditions,
    shelf::{Shelf, Version},
    times::now,
    uploads::{MAX_PARTS, Part, Plan, Upload},
};

/// Least bytes of each part but the last, as in S3.
pub(super) const MIN_PART: u64 = 5 << 20;

/// Blocks of a source on their way to be hashed.
const IN_FLIGHT: usize = 8;

impl Shelf {
    pub(super) async fn begin(
        &self,
        input: dto::CreateMultipartUploadInput,
    ) -> S3Result<dto::CreateMultipartUploadOutput> {
        refuse_what_is_missing!(input)?;
        self.bucket(&input.bucket).await?;
        name_of(&input.bucket, &input.key)?;
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(|name| name.as_str().to_owned());
        if algorithm
            .as_ref()
            .is_some_and(|name| !body::SUMS.iter().any(|(known, _)| known == name))
        {
            return Err(s3_error!(
                InvalidRequest,
                "this checksum algorithm is not known"
            ));
        }
        let time = now();
        let plan = Plan {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            properties: properties_of!(input)?,
            algorithm,
            time,
        };
        let id = self.uploads.begin(plan, time).await?;
        Ok(dto::CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..dto::CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Arc<Upload>> {
        self.uploads.get(bucket, key, id, now()).await
    }

    pub(super) async fn put_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<dto::UploadPartOutput> {
        let S3Request {
            input,
            headers,
            trailing_headers,
            ..
        } = request;
        refuse(&[(
            "encryption by the server",
            input.sse_customer_algorithm.is_some(),
        )])?;
        let upload = self
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await?;
        let number = number_of(input.part_number)?;
        let said = Said::read(
            &headers,
            trailing_headers,
            input.content_length,
            input.content_md5,
        )?;
        let received = body::receive(&self.app.node_blocks, input.body, said).await?;
        let part = Part::new(
            number,
            received.cid,
            received.size,
            received.md5.clone(),
            received.sums.clone(),
            now(),
        );
        self.uploads.add(&upload, part).await?;
        let mut sums = received.sums;
        Ok(dto::UploadPartOutput {
            e_tag: Some(dto::ETag::Strong(received.md5)),
            checksum_crc32: sums.remove("CRC32"),
            checksum_crc32c: sums.remove("CRC32C"),
            checksum_crc64nvme: sums.remove("CRC64NVME"),
            checksum_sha1: sums.remove("SHA1"),
            checksum_sha256: sums.remove("SHA256"),
            ..dto::UploadPartOutput::default()
        })
    }

    /// A part of bytes that are here: they are read for its tag, and shared.
    pub(super) async fn copy_part(
        &self,
        input: dto::UploadPartCopyInput,
    ) -> S3Result<dto::UploadPartCopyOutput> {
        let upload = self
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await?;
        let number = number_of(input.part_number)?;
        let (bucket, key, version_id) = source_of(&input.copy_source)?;
        let (source, from) = self.find(bucket, key, version_id).await?;
        let conditions = Conditions {
            matches: input.copy_source_if_match.clone(),
            none_matches: input.copy_source_if_none_match.clone(),
            modified: input.copy_source_if_modified_since.clone(),
            unmodified: input.copy_source_if_unmodified_since.clone(),
        };
        wanted_copy(&conditions, &source)?;
        let range = copied(input.copy_source_range.as_deref(), source.size())?;
        let Some(root) = source.record.root() else {
            return Err(s3_error!(NoSuchKey));
        };
        let blocks = &self.app.node_blocks;
        let cut = async |root: Cid, range| {
            let made = unixfs::splice(&root, range, unixfs::Insert::Nothing, blocks).await;
            made.map(|made| made.cid).map_err(failures::splice)
        };
        let head = cut(root, range.end..source.size()).await?;
        let part = cut(head, 0..range.start).await?;
        let (md5, _) = self.hash(&part, ChecksumHasher::default()).await?;
        let time = now();
        let part = Part::new(
            number,
            part,
            range.end - range.start,
            md5.clone(),
            Sums::new(),
            time,
        );
        self.uploads.add(&upload, part).await?;
        Ok(dto::UploadPartCopyOutput {
            copy_part_result: Some(dto::CopyPartResult {
                e_tag: Some(dto::ETag::Strong(md5)),
                last_modified: Some(super::times::timestamp(time)),
                ..dto::CopyPartResult::default()
            }),
            copy_source_version_id: shown_id(&source, from),
            ..dto::UploadPartCopyOutput::default()
        })
    }

    /// Reads a file for its MD5, hexadecimal, and other sums.
    async fn hash(&self, root: &Cid, sums: ChecksumHasher) -> S3Result<(String, Sums)> {
        let mut hashing = Hashing {
            md5: Md5::new(),
            sums,
        };
        let blocks = &self.app.node_blocks;
        let read = unixfs::export_to_writer(root, blocks, &mut hashing, IN_FLIGHT).await;
        read.map_err(failures::export)?;
        let md5 = HEXLOWER.encode(&hashing.md5.finalize());
        Ok((md5, body::sums_of(hashing.sums.finalize())))
    }

    pub(super) async fn complete(
        &self,
        input: dto::CompleteMultipartUploadInput,
    ) -> S3Result<(String, Version, Versioning, Sums)> {
        let upload = self
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await?;
        let name = name_of(&input.bucket, &input.key)?;
        // No part comes while the others are put together, and nobody completes it twice.
        let turn = self.uploads.turn(&upload).await?;
        let listed = input.multipart_upload.as_ref();
        let listed = listed
            .and_then(|listed| listed.parts.as_deref())
            .unwrap_or_default();
        let parts = chosen(&upload, listed)?;
        let size: u64 = parts.iter().map(|part| part.size).sum();
        if input
            .mpu_object_size
            .is_some_and(|said| said as u64 != size)
        {
            return Err(s3_error!(
                InvalidRequest,
                "the parts have another size than was said"
            ));
        }
        let cids = parts
            .iter()
            .map(Part::cid)
            .collect::<S3Result<Vec<Cid>>>()?;
        let made = unixfs::concat(&cids, &self.app.node_blocks).await;
        let made = made.map_err(failures::splice)?;
        let said = [
            ("CRC32", &input.checksum_crc32),
            ("CRC32C", &input.checksum_crc32c),
            ("CRC64NVME", &input.checksum_crc64nvme),
            ("SHA1", &input.checksum_sha1),
            ("SHA256", &input.checksum_sha256),
        ];
        let mut sums = Sums::new();
        for (algorithm, value) in said {
            let Some(value) = value else { continue };
            let holds = match value.contains('-') {
                true => composite(algorithm, &parts).as_deref() == Some(value),
                false => {
                    let mut hasher = ChecksumHasher::default();
                    body::add(&mut hasher, algorithm);
                    self.hash(&made.cid, hasher).await?.1.get(algorithm) == Some(value)
                }
            };
            if !holds {
                return Err(S3Error::with_message(
                    S3ErrorCode::BadDigest,
                    format!("the whole has another {algorithm} than the checksum says"),
                ));
            }
            sums.insert(algorithm.to_owned(), value.clone());
        }
        if let Some(algorithm) = &upload.plan.algorithm
            && sums.is_empty()
            && let Some(sum) = composite(algorithm, &parts)
        {
            sums.insert(algorithm.clone(), sum);
        }
        let etag = tag_of(&parts);
        let properties = Properties {
            etag: Some(etag.clone()),
            sums: sums.clone(),
            ..upload.plan.properties.clone()
        };
        let conditions = WriteConditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
        };
        let published = self.publish(&input.bucket, &name, made.cid, properties, &conditions);
        let (version, versioning) = published.await?;
        if let Err(error) = self.uploads.forget(&upload, turn).await {
            // The object is there; what is left of the upload expires.
            tracing::warn!(
                upload = upload.id,
                ?error,
                "an upload that is complete was not removed"
            );
        }
        Ok((etag, version, versioning, sums))
    }
}

/// The parts that are to become the object, in order.
fn chosen(upload: &Upload, listed: &[dto::CompletedPart]) -> S3Result<Vec<Part>> {
    let known = upload.parts();
    let mut chosen: Vec<Part> = Vec::with_capacity(listed.len());
    if listed.is_empty() || listed.len() > MAX_PARTS as usize {
        return Err(s3_error!(MalformedXML, "no parts are listed, or too many"));
    }
    for part in listed {
        let number = part.part_number.unwrap_or_default();
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let wrong = |what: &str| {
            S3Error::with_message(S3ErrorCode::InvalidPart, format!("part {number} {what}"))
        };
        let found = known.get(&number).ok_or_else(|| wrong("was not sent"))?;
        match part.e_tag.as_ref().map(dto::ETag::value) {
            Some(tag) if tag == found.etag => {}
            Some(_) => return Err(wrong("has another ETag")),
            None => return Err(wrong("is listed without its ETag")),
        }
        let said = [
            ("CRC32", &part.checksum_crc32),
            ("CRC32C", &part.checksum_crc32c),
            ("CRC64NVME", &part.checksum_crc64nvme),
            ("SHA1", &part.checksum_sha1),
            ("SHA256", &part.checksum_sha256),
        ];
        for (algorithm, value) in said {
            let Some(value) = value else { continue };
            if found.sums.get(algorithm) != Some(value) {
                return Err(wrong("has another checksum"));
            }
        }
        chosen.push(found.clone());
    }
    let (_, all_but_last) = chosen.split_last().expect("there is one at least");
    if let Some(small) = all_but_last.iter().find(|part| part.size < MIN_PART) {
        return Err(S3Error::with_message(
            S3ErrorCode::EntityTooSmall,
            format!(
                "part {} has less than {MIN_PART} bytes and is not the last",
                small.number
            ),
        ));
    }
    Ok(chosen)
}

/// The tag of an object in parts: the MD5 of their MD5s, and how many there are.
fn tag_of(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&HEXLOWER.decode(part.etag.as_bytes()).unwrap_or_default());
    }
    format!("{}-{}", HEXLOWER.encode(&md5.finalize()), parts.len())
}

/// The checksum over the checksums of the parts; none where one of them has none.
fn composite(algorithm: &str, parts: &[Part]) -> Option<String> {
    let mut hasher = ChecksumHasher::default();
    body::add(&mut hasher, algorithm);
    for part in parts {
        let sum = part.sums.get(algorithm)?;
        hasher.update(&BASE64.decode(sum.as_bytes()).ok()?);
    }
    let sum = body::sums_of(hasher.finalize()).remove(algorithm)?;
    Some(format!("{sum}-{}", parts.len()))
}

fn number_of(number: i32) -> S3Result<i32> {
    match (1..=MAX_PARTS).contains(&number) {
        true => Ok(number),
        false => Err(s3_error!(
            InvalidArgument,
            "parts are numbered from 1 to 10000"
        )),
    }
}

/// Which bytes of a source are copied.
fn copied(range: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(range) = range else {
        return Ok(0..size);
    };
    let whole = || {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < size).then_some(first..last + 1)
    };
    whole().ok_or_else(|| s3_error!(InvalidRange, "the range is not within the source"))
}

/// A writer that keeps nothing but what the bytes hash to.
struct Hashing {
    md5: Md5,
    sums: ChecksumHasher,
}

impl AsyncWrite for Hashing {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.md5.update(bytes);
        self.sums.update(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
