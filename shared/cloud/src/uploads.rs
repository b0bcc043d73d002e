//! Objects that are written in parts, so that a long one never lies in memory as a whole, and lists of objects.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::aws::CallError;
use crate::objects::{Objects, attachment};

/// The least size of a part that is not the last one, in bytes: S3 refuses a smaller one.
pub const LEAST_PART: usize = 5 << 20;

/// Whether the bucket no longer knows the upload: it was completed or aborted.
fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchUpload")
}

impl Objects {
    /// The keys that begin with `prefix`.
    pub async fn all_under(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        let (mut keys, mut from) = (Vec::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).set_continuation_token(from);
            let answer = request.send().await.map_err(|error| CallError::of("s3", &error))?;
            keys.extend(answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
            from = answer.next_continuation_token;
            if from.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Begins an upload, and returns its id.
    pub async fn begin_upload(&self, key: &str, content_type: &str) -> Result<String, CallError> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(key).content_type(content_type);
        let answer = request.send().await.map_err(|error| CallError::of("s3", &error))?;
        answer.upload_id.ok_or(CallError::NoAnswer { service: "s3" })
    }

    /// Uploads a part, counted from 1, and replaces one with the same number. Returns its tag; `None` if the upload is
    /// gone.
    pub async fn upload_part(&self, key: &str, upload: &str, number: i32, bytes: Vec<u8>) -> Result<Option<String>, CallError> {
        let request = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload).part_number(number);
        match request.body(ByteStream::from(bytes)).send().await {
            Ok(answer) => answer.e_tag.map(Some).ok_or(CallError::NoAnswer { service: "s3" }),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(CallError::of("s3", &error)),
        }
    }

    /// Makes the object of its parts. False if the upload is gone.
    pub async fn complete_upload(&self, key: &str, upload: &str, tags: &[String]) -> Result<bool, CallError> {
        let parts = (1..).zip(tags).map(|(number, tag)| CompletedPart::builder().part_number(number).e_tag(tag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload).multipart_upload(parts);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(CallError::of("s3", &error)),
        }
    }

    /// Gives up an upload. One that is gone is a success.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), CallError> {
        match self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(CallError::of("s3", &error)),
        }
    }

    /// A URL from which a browser saves the object as `filename`, valid for `lifetime` and no longer than the role's
    /// session. Makes no call; the object need not exist.
    pub async fn link_during(&self, key: &str, filename: &str, lifetime: Duration) -> Result<String, CallError> {
        let not_made = || CallError::NotMade { service: "s3" };
        let lifetime = PresigningConfig::expires_in(lifetime).map_err(|_| not_made())?;
        let request = self.client.get_object().bucket(&self.bucket).key(key).response_content_disposition(attachment(filename));
        let signed = request.presigned(lifetime).await.map_err(|_| not_made())?;
        Ok(signed.uri().to_owned())
    }
}
