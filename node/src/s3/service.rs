//! The requests of S3 that are answered; all others are 501 (K16).

use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result, dto, s3_error};

use super::{
    buckets::{Bucket, Versioning},
    list::{MAX_LISTED, Wanted, place, prefixes, token},
    put::{refuse, shown_id},
    read::{self, Conditions},
    shelf::Shelf,
    times::{now, timestamp},
};

/// Keys that one request removes at most, as in S3.
const MAX_DELETED: usize = 1_000;

/// Who owns everything here, as S3 names owners.
fn owner() -> dto::Owner {
    dto::Owner {
        display_name: Some("hedgerow".to_owned()),
        id: Some("hedgerow".to_owned()),
    }
}

fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for Shelf {
    async fn list_buckets(
        &self,
        request: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let buckets = self.buckets().await?.into_iter();
        let buckets = buckets.filter(|(name, _)| name.starts_with(&prefix));
        let buckets = buckets.map(|(name, bucket)| dto::Bucket {
            name: Some(name),
            creation_date: Some(timestamp(bucket.created)),
            ..dto::Bucket::default()
        });
        answer(dto::ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(owner()),
            ..dto::ListBucketsOutput::default()
        })
    }

    async fn create_bucket(
        &self,
        request: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        let input = request.input;
        let lock = input.object_lock_enabled_for_bucket.unwrap_or_default();
        let acl = input
            .acl
            .as_ref()
            .is_some_and(|acl| acl.as_str() != "private");
        refuse(&[("an object lock", lock), ("an access control list", acl)])?;
        if self.bucket_if_any(&input.bucket).await?.is_some() {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        let written = self
            .write_bucket(&input.bucket, &Bucket::new(now()), true)
            .await;
        written.map_err(|error| match error.code() {
            // Somebody else was quicker.
            S3ErrorCode::PreconditionFailed => s3_error!(BucketAlreadyOwnedByYou),
            _ => error,
        })?;
        answer(dto::CreateBucketOutput {
            location: Some(format!("/{}", input.bucket)),
        })
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        self.bucket(&request.input.bucket).await?;
        answer(dto::HeadBucketOutput::default())
    }

    async fn delete_bucket(
        &self,
        request: S3Request<dto::DeleteBucketInput>,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        self.remove_bucket(&request.input.bucket).await?;
        answer(dto::DeleteBucketOutput {})
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        self.bucket(&request.input.bucket).await?;
        answer(dto::GetBucketLocationOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<dto::GetBucketVersioningInput>,
    ) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
        let bucket = self.bucket(&request.input.bucket).await?;
        let status = match bucket.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(dto::BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(dto::BucketVersioningStatus::SUSPENDED),
        };
        answer(dto::GetBucketVersioningOutput {
            status: status.map(dto::BucketVersioningStatus::from_static),
            ..dto::GetBucketVersioningOutput::default()
        })
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<dto::PutBucketVersioningInput>,
    ) -> S3Result<S3Response<dto::PutBucketVersioningOutput>> {
        let input = request.input;
        let wanted = input.versioning_configuration;
        let deletes = wanted.mfa_delete.as_ref();
        let deletes = deletes.is_some_and(|status| status.as_str() != dto::MFADelete::DISABLED);
        refuse(&[("deletion by a second factor", deletes)])?;
        let versioning = match wanted
            .status
            .as_ref()
            .map(dto::BucketVersioningStatus::as_str)
        {
            Some(dto::BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(dto::BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => {
                let text = "the status is Enabled or Suspended";
                return Err(s3_error!(IllegalVersioningConfigurationException, "{text}"));
            }
        };
        let mut bucket = self.bucket(&input.bucket).await?;
        bucket.versioning = versioning;
        self.write_bucket(&input.bucket, &bucket, false).await?;
        answer(dto::PutBucketVersioningOutput::default())
    }

    async fn list_objects(
        &self,
        request: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        let input = request.input;
        let wanted = Wanted::new(
            input.prefix,
            input.delimiter,
            input.marker.clone().filter(|marker| !marker.is_empty()),
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let (page, contents) = self.list(&input.bucket, &wanted).await?;
        answer(dto::ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(wanted.say(&wanted.prefix)),
            delimiter: wanted.delimiter.as_ref().map(|text| wanted.say(text)),
            marker: Some(wanted.say(&input.marker.unwrap_or_default())),
            max_keys: Some(wanted.max as i32),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next.as_ref().map(|next| wanted.say(next)),
            common_prefixes: prefixes(&page.common, &wanted),
            contents: Some(contents),
            ..dto::ListObjectsOutput::default()
        })
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = request.input;
        let continued = input
            .continuation_token
            .clone()
            .filter(|token| !token.is_empty());
        let after = match &continued {
            Some(token) => Some(place(token)?),
            None => input.start_after.clone().filter(|after| !after.is_empty()),
        };
        let encoding = input.encoding_type.as_ref();
        let wanted = Wanted::new(
            input.prefix,
            input.delimiter,
            after,
            input.max_keys,
            encoding,
        )?;
        let (page, mut contents) = self.list(&input.bucket, &wanted).await?;
        if input.fetch_owner.unwrap_or_default() {
            for object in &mut contents {
                object.owner = Some(owner());
            }
        }
        answer(dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(wanted.say(&wanted.prefix)),
            delimiter: wanted.delimiter.as_ref().map(|text| wanted.say(text)),
            start_after: input.start_after.map(|after| wanted.say(&after)),
            continuation_token: input.continuation_token,
            max_keys: Some(wanted.max as i32),
            key_count: Some((contents.len() + page.common.len()) as i32),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_deref().map(token),
            common_prefixes: prefixes(&page.common, &wanted),
            contents: Some(contents),
            ..dto::ListObjectsV2Output::default()
        })
    }

    async fn list_object_versions(
        &self,
        request: S3Request<dto::ListObjectVersionsInput>,
    ) -> S3Result<S3Response<dto::ListObjectVersionsOutput>> {
        answer(self.list_versions(request.input).await?)
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = request.input;
        refuse(&[
            ("one part of an object", input.part_number.is_some()),
            (
                "encryption by the server",
                input.sse_customer_algorithm.is_some(),
            ),
        ])?;
        let conditions = Conditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
            modified: input.if_modified_since,
            unmodified: input.if_unmodified_since,
        };
        let (range, version_id) = (input.range.as_ref(), input.version_id.as_deref());
        let found = self
            .find_part(&input.bucket, &input.key, version_id, &conditions, range)
            .await?;
        let body = self.stream(&found).await?;
        answer(read::answer(&found, input.checksum_mode.as_ref(), body))
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let input = request.input;
        refuse(&[
            ("one part of an object", input.part_number.is_some()),
            (
                "encryption by the server",
                input.sse_customer_algorithm.is_some(),
            ),
        ])?;
        let conditions = Conditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
            modified: input.if_modified_since,
            unmodified: input.if_unmodified_since,
        };
        let (range, version_id) = (input.range.as_ref(), input.version_id.as_deref());
        let found = self
            .find_part(&input.bucket, &input.key, version_id, &conditions, range)
            .await?;
        let mut response = S3Response::new(read::head(&found, input.checksum_mode.as_ref()));
        response.status = read::status(&found);
        Ok(response)
    }

    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        answer(self.put(request).await?)
    }

    async fn copy_object(
        &self,
        request: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        answer(self.copy(request).await?)
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        let input = request.input;
        let other = input.if_match_size.is_some() || input.if_match_last_modified_time.is_some();
        refuse(&[("a condition on size or time", other)])?;
        let version_id = input.version_id.as_deref();
        let deleted = self
            .delete(&input.bucket, &input.key, version_id, input.if_match)
            .await?;
        answer(dto::DeleteObjectOutput {
            delete_marker: deleted.marker.is_some().then_some(true),
            version_id: deleted.version_id.or(deleted.marker),
            ..dto::DeleteObjectOutput::default()
        })
    }

    async fn delete_objects(
        &self,
        request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        let input = request.input;
        self.bucket(&input.bucket).await?;
        if input.delete.objects.len() > MAX_DELETED {
            return Err(s3_error!(
                MalformedXML,
                "1000 keys at most are removed at a time"
            ));
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let condition = object.e_tag.map(dto::ETagCondition::ETag);
            let version_id = object.version_id.as_deref();
            let gone = self
                .delete(&input.bucket, &object.key, version_id, condition)
                .await;
            match gone {
                Ok(gone) => deleted.push(dto::DeletedObject {
                    key: Some(object.key),
                    delete_marker: gone.marker.is_some().then_some(true),
                    delete_marker_version_id: gone.marker,
                    version_id: gone.version_id,
                }),
                Err(error) => errors.push(dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(object.key),
                    version_id: object.version_id,
                }),
            }
        }
        answer(dto::DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..dto::DeleteObjectsOutput::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        answer(self.begin(request.input).await?)
    }

    async fn upload_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        answer(self.put_part(request).await?)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<dto::UploadPartCopyInput>,
    ) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
        answer(self.copy_part(request.input).await?)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        let input = request.input;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        // Finished though the client goes away: putting together may take longer than it waits.
        let shelf = self.clone();
        let done = tokio::spawn(async move { shelf.complete(input).await }).await;
        let done = done.map_err(|_| s3_error!(ServiceUnavailable, "the node is stopping"))?;
        let (etag, version, versioning, mut sums) = done?;
        answer(dto::CompleteMultipartUploadOutput {
            location: Some(format!("/{bucket}/{key}")),
            bucket: Some(bucket),
            key: Some(key),
            e_tag: Some(dto::ETag::Strong(etag)),
            version_id: shown_id(&version, versioning),
            checksum_crc32: sums.remove("CRC32"),
            checksum_crc32c: sums.remove("CRC32C"),
            checksum_crc64nvme: sums.remove("CRC64NVME"),
            checksum_sha1: sums.remove("SHA1"),
            checksum_sha256: sums.remove("SHA256"),
            ..dto::CompleteMultipartUploadOutput::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        let input = request.input;
        let upload = self
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await?;
        let turn = self.uploads.turn(&upload).await?;
        self.uploads.forget(&upload, turn).await?;
        answer(dto::AbortMultipartUploadOutput::default())
    }

    async fn list_parts(
        &self,
        request: S3Request<dto::ListPartsInput>,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        let input = request.input;
        let upload = self
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await?;
        let max = usize::try_from(input.max_parts.unwrap_or(MAX_LISTED as i32));
        let max = max.map_err(|_| s3_error!(InvalidArgument, "a negative number of parts"))?;
        let max = max.min(MAX_LISTED);
        let after = input.part_number_marker.unwrap_or_default();
        let behind: Vec<_> = upload
            .parts()
            .into_values()
            .filter(|part| part.number > after)
            .collect();
        let more = behind.len() > max && max > 0;
        let parts: Vec<dto::Part> = behind
            .into_iter()
            .take(max)
            .map(|mut part| dto::Part {
                part_number: Some(part.number),
                size: Some(part.size as i64),
                e_tag: Some(dto::ETag::Strong(part.etag)),
                last_modified: Some(timestamp(part.time)),
                checksum_crc32: part.sums.remove("CRC32"),
                checksum_crc32c: part.sums.remove("CRC32C"),
                checksum_crc64nvme: part.sums.remove("CRC64NVME"),
                checksum_sha1: part.sums.remove("SHA1"),
                checksum_sha256: part.sums.remove("SHA256"),
            })
            .collect();
        answer(dto::ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(max as i32),
            part_number_marker: input.part_number_marker,
            is_truncated: Some(more),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            parts: Some(parts),
            owner: Some(owner()),
            ..dto::ListPartsOutput::default()
        })
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<dto::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        let input = request.input;
        self.bucket(&input.bucket).await?;
        let wanted = Wanted::new(
            input.prefix,
            input.delimiter,
            None,
            input.max_uploads,
            input.encoding_type.as_ref(),
        )?;
        let after = input.key_marker.clone().unwrap_or_default();
        let from = input.upload_id_marker.clone().filter(|id| !id.is_empty());
        let all = self.uploads.list(&input.bucket, now()).await;
        // Behind this upload of the key; where it is over meanwhile, behind the key.
        let from = from.and_then(|id| all.iter().position(|upload| upload.id == id));
        let behind = from.map_or(0, |at| at + 1);
        let mut uploads: Vec<dto::MultipartUpload> = Vec::new();
        let mut common: Vec<String> = Vec::new();
        let mut last = None;
        let mut more = false;
        for upload in all.iter().skip(behind) {
            let key = &upload.plan.key;
            if !key.starts_with(&wanted.prefix)
                || from.is_none() && !after.is_empty() && *key <= after
            {
                continue;
            }
            let prefix = wanted.common(key);
            let again = prefix.is_some() && prefix == common.last().map(String::as_str);
            if again || prefix.is_some_and(|prefix| prefix == after) {
                continue;
            }
            if uploads.len() + common.len() == wanted.max {
                more = wanted.max > 0;
                break;
            }
            if let Some(prefix) = prefix {
                last = Some((prefix.to_owned(), None));
                common.push(prefix.to_owned());
                continue;
            }
            last = Some((key.clone(), Some(upload.id.clone())));
            uploads.push(dto::MultipartUpload {
                key: Some(wanted.say(key)),
                upload_id: Some(upload.id.clone()),
                initiated: Some(timestamp(upload.plan.time)),
                owner: Some(owner()),
                ..dto::MultipartUpload::default()
            });
        }
        let (next_key, next_id) = last.filter(|_| more).unzip();
        answer(dto::ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(wanted.say(&wanted.prefix)),
            delimiter: wanted.delimiter.as_ref().map(|text| wanted.say(text)),
            key_marker: input.key_marker.map(|key| wanted.say(&key)),
            upload_id_marker: input.upload_id_marker,
            max_uploads: Some(wanted.max as i32),
            encoding_type: input.encoding_type,
            is_truncated: Some(more),
            next_key_marker: next_key.map(|key: String| wanted.say(&key)),
            next_upload_id_marker: next_id.flatten(),
            common_prefixes: prefixes(&common, &wanted),
            uploads: Some(uploads),
            ..dto::ListMultipartUploadsOutput::default()
        })
    }
}
