//! Versions that clients make: by a body, by a copy, by a removal (K5 to K7).

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, header};
use objects::{Action, Name, Predicate, Record};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, dto, dto::ETagCondition, s3_error};

use super::{
    body::{self, Said},
    buckets::Versioning,
    names::name_of,
    properties::{MAX_HEADERS, MAX_METADATA, Properties},
    read::{Conditions, is_tag},
    shelf::{Newest, Shelf, Version},
};

/// What a client says of content beside its bytes.
macro_rules! properties_of {
    ($input:expr) => {
        $crate::s3::put::said_of(
            $input.metadata.as_ref(),
            [
                ("content-type", $input.content_type.as_ref()),
                ("cache-control", $input.cache_control.as_ref()),
                ("content-disposition", $input.content_disposition.as_ref()),
                ("content-encoding", $input.content_encoding.as_ref()),
                ("content-language", $input.content_language.as_ref()),
            ],
            $input.expires.as_ref(),
        )
    };
}

/// Refuses what a client wants of new content that this door does not have.
macro_rules! refuse_what_is_missing {
    ($input:expr) => {
        $crate::s3::put::refuse(&[
            (
                "an access control list",
                $input.acl.as_ref().is_some_and(|acl| {
                    acl.as_str() != "private" && acl.as_str() != "bucket-owner-full-control"
                }) || $input.grant_full_control.is_some()
                    || $input.grant_read.is_some()
                    || $input.grant_read_acp.is_some()
                    || $input.grant_write_acp.is_some(),
            ),
            (
                "encryption by the server",
                $input.server_side_encryption.is_some()
                    || $input.sse_customer_algorithm.is_some()
                    || $input.sse_customer_key.is_some()
                    || $input.ssekms_key_id.is_some(),
            ),
            (
                "an object lock",
                $input.object_lock_mode.is_some()
                    || $input.object_lock_legal_hold_status.is_some()
                    || $input.object_lock_retain_until_date.is_some(),
            ),
            (
                "tags",
                $input.tagging.as_ref().is_some_and(|tags| !tags.is_empty()),
            ),
            ("a redirect", $input.website_redirect_location.is_some()),
            (
                "this storage class",
                $input
                    .storage_class
                    .as_ref()
                    .is_some_and(|class| class.as_str() != "STANDARD"),
            ),
        ])
    };
}

pub(super) use {properties_of, refuse_what_is_missing};

pub(super) fn refuse(missing: &[(&str, bool)]) -> S3Result<()> {
    match missing.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((what, _)) => Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            format!("{what} was asked for, which this door does not have"),
        )),
    }
}

pub(super) fn said_of(
    meta: Option<&dto::Metadata>,
    headers: [(&str, Option<&String>); 5],
    expires: Option<&dto::Timestamp>,
) -> S3Result<Properties> {
    let meta: BTreeMap<String, String> = meta
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let size: usize = meta
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > MAX_METADATA {
        return Err(s3_error!(MetadataTooLarge));
    }
    let mut said: BTreeMap<String, String> = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())))
        .collect();
    // What says how the body travelled says nothing of the content.
    if let Some(encoding) = said.get_mut("content-encoding") {
        let kept = encoding.split(',').map(str::trim);
        let kept: Vec<&str> = kept
            .filter(|word| *word != "aws-chunked" && !word.is_empty())
            .collect();
        *encoding = kept.join(",");
    }
    said.retain(|name, value| name != "content-encoding" || !value.is_empty());
    if let Some(expires) = expires {
        let mut text = Vec::new();
        if expires
            .format(dto::TimestampFormat::HttpDate, &mut text)
            .is_ok()
        {
            let text = String::from_utf8_lossy(&text).into_owned();
            said.insert("expires".to_owned(), text);
        }
    }
    let size: usize = said
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > MAX_HEADERS {
        return Err(s3_error!(
            MetadataTooLarge,
            "the headers of the object are too long"
        ));
    }
    Ok(Properties {
        meta,
        headers: said,
        ..Properties::default()
    })
}

/// A condition as a header says it.
fn condition(headers: &HeaderMap, name: &HeaderName) -> S3Result<Option<ETagCondition>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let read = ETagCondition::parse_http_header(value.as_bytes());
    read.map(Some).map_err(|_| {
        S3Error::with_message(S3ErrorCode::InvalidArgument, format!("{name} is no tag"))
    })
}

/// On which condition something is written.
pub(super) struct WriteConditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_matches: Option<ETagCondition>,
}

impl Shelf {
    /// The predicates that the conditions come to. The caller has the key's turn.
    async fn predicates(
        &self,
        name: &Name,
        conditions: &WriteConditions,
    ) -> S3Result<Vec<Predicate>> {
        let mut predicates = Vec::new();
        match &conditions.none_matches {
            None => {}
            Some(ETagCondition::Any) => predicates.push(Predicate::Version(0)),
            Some(ETagCondition::ETag(_)) => {
                return Err(s3_error!(
                    NotImplemented,
                    "If-None-Match of a write can only be *"
                ));
            }
        }
        if let Some(wanted) = &conditions.matches {
            let Newest::There(version) = self.newest(name).await? else {
                return Err(s3_error!(NoSuchKey));
            };
            if !is_tag(wanted, &version.etag()) {
                return Err(s3_error!(PreconditionFailed));
            }
            predicates.push(Predicate::Vguid(version.record.vguid()));
        }
        Ok(predicates)
    }

    /// Makes content that is stored the newest version of a key.
    pub(super) async fn publish(
        &self,
        bucket: &str,
        name: &Name,
        root: cid::Cid,
        mut properties: Properties,
        conditions: &WriteConditions,
    ) -> S3Result<(Version, Versioning)> {
        // Again, for a large body takes its time.
        let versioning = self.bucket(bucket).await?.versioning;
        properties.null = versioning != Versioning::Enabled;
        let describe = self.describe(&properties).await?;
        let _turn = self.turn(name).await?;
        let predicates = self.predicates(name, conditions).await?;
        let actions = vec![Action::Set(root), describe];
        let record: Record = self.write(name, predicates, actions).await?;
        Ok((self.version(record).await?, versioning))
    }

    pub(super) async fn put(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<dto::PutObjectOutput> {
        let S3Request {
            input,
            headers,
            trailing_headers,
            ..
        } = request;
        refuse_what_is_missing!(input)?;
        refuse(&[("a write at an offset", input.write_offset_bytes.is_some())])?;
        self.bucket(&input.bucket).await?;
        let name = name_of(&input.bucket, &input.key)?;
        let mut properties = properties_of!(input)?;
        let conditions = WriteConditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
        };
        // Before the body comes; it is asked once more behind it.
        if conditions.none_matches.is_some()
            && let Newest::There(_) = self.newest(&name).await?
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let said = Said::read(
            &headers,
            trailing_headers,
            input.content_length,
            input.content_md5,
        )?;
        let received = body::receive(&self.app.node_blocks, input.body, said).await?;
        properties.etag = Some(received.md5.clone());
        properties.sums = received.sums.clone();
        let published = self.publish(&input.bucket, &name, received.cid, properties, &conditions);
        let (version, versioning) = published.await?;
        let mut sums = received.sums;
        Ok(dto::PutObjectOutput {
            e_tag: Some(dto::ETag::Strong(received.md5)),
            version_id: shown_id(&version, versioning),
            checksum_type: (!sums.is_empty())
                .then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
            checksum_crc32: sums.remove("CRC32"),
            checksum_crc32c: sums.remove("CRC32C"),
            checksum_crc64nvme: sums.remove("CRC64NVME"),
            checksum_sha1: sums.remove("SHA1"),
            checksum_sha256: sums.remove("SHA256"),
            ..dto::PutObjectOutput::default()
        })
    }

    /// A copy shares all blocks: no byte moves.
    pub(super) async fn copy(
        &self,
        request: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<dto::CopyObjectOutput> {
        let S3Request { input, headers, .. } = request;
        refuse_what_is_missing!(input)?;
        self.bucket(&input.bucket).await?;
        let name = name_of(&input.bucket, &input.key)?;
        let (bucket, key, version_id) = source_of(&input.copy_source)?;
        let (source, from) = self.find(bucket, key, version_id).await?;
        let conditions = Conditions {
            matches: input.copy_source_if_match.clone(),
            none_matches: input.copy_source_if_none_match.clone(),
            modified: input.copy_source_if_modified_since.clone(),
            unmodified: input.copy_source_if_unmodified_since.clone(),
        };
        wanted_copy(&conditions, &source)?;
        let directive = input.metadata_directive.as_ref();
        let replace =
            directive.is_some_and(|word| word.as_str() == dto::MetadataDirective::REPLACE);
        if !replace && version_id.is_none() && bucket == input.bucket && key == input.key {
            return Err(s3_error!(
                InvalidRequest,
                "an object copied to itself changes nothing unless its metadata is replaced"
            ));
        }
        let mut properties = match replace {
            true => properties_of!(input)?,
            false => Properties {
                meta: source.properties.meta.clone(),
                headers: source.properties.headers.clone(),
                ..Properties::default()
            },
        };
        properties.etag = Some(source.etag());
        properties.sums = source.properties.sums.clone();
        let Some(root) = source.record.root() else {
            return Err(s3_error!(NoSuchKey));
        };
        // The library below does not read them for copies.
        let write = WriteConditions {
            matches: condition(&headers, &header::IF_MATCH)?,
            none_matches: condition(&headers, &header::IF_NONE_MATCH)?,
        };
        let published = self.publish(&input.bucket, &name, root, properties, &write);
        let (version, versioning) = published.await?;
        Ok(dto::CopyObjectOutput {
            copy_object_result: Some(dto::CopyObjectResult {
                e_tag: Some(dto::ETag::Strong(version.etag())),
                last_modified: Some(super::times::timestamp(version.time())),
                ..dto::CopyObjectResult::default()
            }),
            copy_source_version_id: shown_id(&source, from),
            version_id: shown_id(&version, versioning),
            ..dto::CopyObjectOutput::default()
        })
    }

    /// Removes a key, or has one of its versions shown no more: whether that was or is a
    /// delete marker, and its id.
    pub(super) async fn delete(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        condition: Option<ETagCondition>,
    ) -> S3Result<Deleted> {
        let versioning = self.bucket(bucket).await?.versioning;
        let name = name_of(bucket, key)?;
        match version_id {
            Some(id) if versioning != Versioning::Off || id != "null" => {
                if condition.is_some() {
                    return Err(s3_error!(NotImplemented, "a condition for one version"));
                }
                let hidden = self.hide(&name, id).await?;
                Ok(Deleted {
                    version_id: Some(id.to_owned()),
                    marker: hidden.filter(Version::is_marker).map(|_| id.to_owned()),
                })
            }
            _ => {
                let _turn = self.turn(&name).await?;
                let conditions = WriteConditions {
                    matches: condition,
                    none_matches: None,
                };
                let predicates = self.predicates(&name, &conditions).await?;
                let marker = self.remove(&name, versioning, predicates).await?;
                Ok(Deleted {
                    version_id: None,
                    marker: marker.map(|marker| marker.id()),
                })
            }
        }
    }
}

/// What a removal came to.
pub(super) struct Deleted {
    /// The version that was asked to go.
    pub(super) version_id: Option<String>,
    /// The delete marker that went or came.
    pub(super) marker: Option<String>,
}

/// The id of a version as a bucket tells it.
pub(super) fn shown_id(version: &Version, versioning: Versioning) -> Option<String> {
    (versioning != Versioning::Off).then(|| version.id())
}

/// What a copy is made of.
pub(super) fn source_of(source: &dto::CopySource) -> S3Result<(&str, &str, Option<&str>)> {
    match source {
        dto::CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => Ok((bucket, key, version_id.as_deref())),
        _ => Err(s3_error!(
            NotImplemented,
            "the source of a copy is a bucket and a key"
        )),
    }
}

/// Whether a source is as the client wants it; where it is not there is nothing to say but so.
pub(super) fn wanted_copy(conditions: &Conditions, source: &Version) -> S3Result<()> {
    let unwanted = |_| s3_error!(PreconditionFailed);
    conditions.check(source).map_err(unwanted)
}
