//! Lists of versions (K8, K11).

use s3s::{S3Result, dto};

use super::{
    buckets::Versioning,
    list::{Wanted, page, prefixes},
    shelf::{Newest, Shelf, Version},
    times::timestamp,
};

impl Shelf {
    pub(super) async fn list_versions(
        &self,
        input: dto::ListObjectVersionsInput,
    ) -> S3Result<dto::ListObjectVersionsOutput> {
        let versioning = self.bucket(&input.bucket).await?.versioning;
        let mut wanted = Wanted::new(
            input.prefix.clone(),
            input.delimiter.clone(),
            input.key_marker.clone().filter(|key| !key.is_empty()),
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let from = input.version_id_marker.clone().filter(|id| !id.is_empty());
        let all = self.all_keys(&input.bucket, &wanted.prefix).await?;
        let mut out = Listed::default();
        // The key that the last answer ended within goes on behind its last version.
        if let (Some(key), Some(from)) = (wanted.after.clone(), &from)
            && let Some((_, name)) = all.iter().find(|(known, _)| *known == key)
        {
            let versions = self.shown(name, versioning).await?;
            let behind = versions.iter().position(|version| version.id() == *from);
            let behind = behind.map_or(0, |at| at + 1);
            for (at, version) in versions.iter().enumerate().skip(behind) {
                if out.len() == wanted.max {
                    return Ok(out.answer(&input, &wanted, true));
                }
                out.add(&key, version, at == 0, &wanted);
            }
        }
        // One key after the other: of each may come many versions.
        let max = std::mem::replace(&mut wanted.max, usize::MAX);
        let page = page(&mut &all[..], &wanted);
        wanted.max = max;
        let mut common = page.common.iter().peekable();
        for (key, name) in &page.keys {
            while let Some(prefix) = common.next_if(|prefix| prefix.as_str() < key.as_str()) {
                if out.len() == wanted.max {
                    return Ok(out.answer(&input, &wanted, true));
                }
                out.prefix(prefix);
            }
            for (at, version) in self.shown(name, versioning).await?.iter().enumerate() {
                if out.len() == wanted.max {
                    return Ok(out.answer(&input, &wanted, true));
                }
                out.add(key, version, at == 0, &wanted);
            }
        }
        for prefix in common {
            if out.len() == wanted.max {
                return Ok(out.answer(&input, &wanted, true));
            }
            out.prefix(prefix);
        }
        Ok(out.answer(&input, &wanted, false))
    }

    /// The versions of a key that a bucket shows: where it never kept any, the newest.
    async fn shown(&self, name: &objects::Name, versioning: Versioning) -> S3Result<Vec<Version>> {
        let mut versions = match versioning {
            Versioning::Off => match self.newest_of(self.head_here(name).await?).await? {
                Newest::There(version) => vec![version],
                Newest::Marker(_) | Newest::Nothing => Vec::new(),
            },
            Versioning::Enabled | Versioning::Suspended => self.versions(name).await?.versions,
        };
        let mut files = Vec::with_capacity(versions.len());
        for version in versions.drain(..) {
            if version.is_marker() || self.is_file(&version).await? {
                files.push(version);
            }
        }
        if versioning == Versioning::Off {
            for version in &mut files {
                let mut properties = version.properties.as_ref().clone();
                properties.null = true;
                version.properties = properties.into();
            }
        }
        Ok(files)
    }
}

/// What is answered so far.
#[derive(Default)]
struct Listed {
    versions: Vec<dto::ObjectVersion>,
    markers: Vec<dto::DeleteMarkerEntry>,
    common: Vec<String>,
    /// The key and the version, or the prefix, that came last.
    last: Option<(String, Option<String>)>,
}

impl Listed {
    fn len(&self) -> usize {
        self.versions.len() + self.markers.len() + self.common.len()
    }

    fn prefix(&mut self, prefix: &str) {
        self.common.push(prefix.to_owned());
        self.last = Some((prefix.to_owned(), None));
    }

    fn add(&mut self, key: &str, version: &Version, newest: bool, wanted: &Wanted) {
        let said = Some(wanted.say(key));
        let id = version.id();
        self.last = Some((key.to_owned(), Some(id.clone())));
        let time = Some(timestamp(version.time()));
        if version.is_marker() {
            self.markers.push(dto::DeleteMarkerEntry {
                key: said,
                version_id: Some(id),
                is_latest: Some(newest),
                last_modified: time,
                ..dto::DeleteMarkerEntry::default()
            });
        } else {
            self.versions.push(dto::ObjectVersion {
                key: said,
                version_id: Some(id),
                is_latest: Some(newest),
                last_modified: time,
                e_tag: Some(dto::ETag::Strong(version.etag())),
                size: Some(version.size() as i64),
                storage_class: Some(dto::ObjectVersionStorageClass::from_static(
                    dto::ObjectVersionStorageClass::STANDARD,
                )),
                ..dto::ObjectVersion::default()
            });
        }
    }

    fn answer(
        self,
        input: &dto::ListObjectVersionsInput,
        wanted: &Wanted,
        more: bool,
    ) -> dto::ListObjectVersionsOutput {
        let more = more && wanted.max > 0;
        let (next_key, next_version) = match self.last.filter(|_| more) {
            Some((key, version)) => (Some(wanted.say(&key)), version),
            None => (None, None),
        };
        dto::ListObjectVersionsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(wanted.say(&wanted.prefix)),
            delimiter: wanted.delimiter.as_ref().map(|text| wanted.say(text)),
            key_marker: Some(wanted.say(input.key_marker.as_deref().unwrap_or_default())),
            version_id_marker: input.version_id_marker.clone(),
            max_keys: Some(wanted.max as i32),
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(more),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            common_prefixes: prefixes(&self.common, wanted),
            versions: (!self.versions.is_empty()).then_some(self.versions),
            delete_markers: (!self.markers.is_empty()).then_some(self.markers),
            ..dto::ListObjectVersionsOutput::default()
        }
    }
}
