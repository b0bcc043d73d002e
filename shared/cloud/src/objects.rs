//! The bucket: transcripts, logs and media.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use jiff::Timestamp;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};

/// How long a download link is valid. Clients follow it at once. It can't be revoked and needs no token. Five
/// minutes are long enough for a slow click and for clocks that differ, and far shorter than the lifetime of the
/// role's credentials.
pub const LINK_LIFETIME: Duration = Duration::from_secs(300);

/// An object's content.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// The whole content.
    pub bytes: Vec<u8>,
    /// Its media type, as it was stored.
    pub content_type: Option<String>,
}

/// Doesn't show the content, which is a customer's.
impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Object({} bytes)", self.bytes.len())
    }
}

/// An object's metadata, known without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub size: u64,
    /// Its media type, as it was stored.
    pub content_type: Option<String>,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written last.
    pub written_at: Timestamp,
}

/// The objects of one bucket. Every error is a [`CallError`]; an absent object is `None`.
#[derive(Debug, Clone)]
pub struct Objects {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

impl Objects {
    /// Reads `BUCKET`.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self::new(aws.s3(), env.required("BUCKET")?))
    }

    /// The objects of `bucket`.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// Writes an object, and replaces one with the same key.
    pub async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), CallError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type).body(ByteStream::from(bytes));
        request.send().await.map_err(|error| CallError::of("s3", &error))?;
        Ok(())
    }

    /// Reads an object.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, CallError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|refusal| refusal.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(CallError::of("s3", &error)),
        };
        let content_type = answer.content_type().map(str::to_owned);
        let bytes = answer.body.collect().await.map_err(|_| CallError::NoAnswer { service: "s3" })?;
        Ok(Some(Object { bytes: bytes.to_vec(), content_type }))
    }

    /// Reads an object's metadata only.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, CallError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => Ok(Some(Head {
                size: answer.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                content_type: answer.content_type().map(str::to_owned),
            })),
            Err(error) if error.as_service_error().is_some_and(|refusal| refusal.is_not_found()) => Ok(None),
            Err(error) => Err(CallError::of("s3", &error)),
        }
    }

    /// At most `limit` objects (S3 lists no more than 1,000) whose keys begin with `prefix` and come after `after`, in
    /// the order of their keys, and whether more follow.
    pub async fn list(&self, prefix: &str, after: Option<&str>, limit: i32) -> Result<(Vec<Entry>, bool), CallError> {
        let request =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(limit).set_start_after(after.map(str::to_owned));
        let answer = request.send().await.map_err(|error| CallError::of("s3", &error))?;
        let more = answer.is_truncated().unwrap_or_default();
        let entries = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let written_at = object.last_modified().and_then(|at| Timestamp::from_second(at.secs()).ok())?;
            let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            Some(Entry { key: object.key?, size, written_at })
        });
        Ok((entries.collect(), more))
    }

    /// A URL from which a browser saves the object as `filename`, valid for [`LINK_LIFETIME`]. Makes no call; the
    /// object need not exist.
    pub async fn link(&self, key: &str, filename: &str) -> Result<String, CallError> {
        self.link_during(key, filename, LINK_LIFETIME).await
    }

    /// An address under which a provider can fetch an object for up to `lifetime`, at most 7 days, and no longer
    /// than the role's session lasts. The answer has the object's own type.
    ///
    /// # Errors
    /// There are no credentials to sign it with, or `lifetime` is too long.
    pub async fn link_for(&self, key: &str, lifetime: Duration) -> Result<String, CallError> {
        let not_made = || CallError::NotMade { service: "s3" };
        let lifetime = PresigningConfig::expires_in(lifetime).map_err(|_| not_made())?;
        let signed = self.client.get_object().bucket(&self.bucket).key(key).presigned(lifetime).await.map_err(|_| not_made())?;
        Ok(signed.uri().to_owned())
    }

    /// A URL to which a browser may `PUT` one object of exactly this type and size, valid for [`LINK_LIFETIME`] (an
    /// upload that began in time may end later). The request's `Content-Type` must be `content_type`. Makes no
    /// call.
    ///
    /// # Errors
    /// There are no credentials to sign it with.
    pub async fn upload_link(&self, key: &str, content_type: &str, size: u64) -> Result<String, CallError> {
        let not_made = || CallError::NotMade { service: "s3" };
        let lifetime = PresigningConfig::expires_in(LINK_LIFETIME).map_err(|_| not_made())?;
        let size = i64::try_from(size).map_err(|_| not_made())?;
        let request = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type).content_length(size);
        // Otherwise the SDK would sign the checksum of an empty body.
        let plain = Builder::new().request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        let signed = request.customize().config_override(plain).presigned(lifetime).await.map_err(|_| not_made())?;
        Ok(signed.uri().to_owned())
    }

    /// Reads the first `most` bytes of an object; fewer if it is shorter.
    pub async fn start(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>, CallError> {
        self.part(key, 0..most).await
    }

    /// Reads these bytes of an object; fewer if it ends before. The range is not empty.
    pub async fn part(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, CallError> {
        let range = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).range(range).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|refusal| refusal.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(CallError::of("s3", &error)),
        };
        let bytes = answer.body.collect().await.map_err(|_| CallError::NoAnswer { service: "s3" })?;
        Ok(Some(bytes.to_vec()))
    }

    /// Copies an object within the bucket and gives the copy the media type `content_type`; `false` if it does not
    /// exist. Both keys consist of letters, digits, `/`, `_`, `-` and `.`.
    pub async fn copy(&self, from: &str, to: &str, content_type: &str) -> Result<bool, CallError> {
        let copy = self.client.copy_object().bucket(&self.bucket).copy_source(format!("{}/{from}", self.bucket)).key(to);
        match copy.metadata_directive(MetadataDirective::Replace).content_type(content_type).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchKey") => Ok(false),
            Err(error) => Err(CallError::of("s3", &error)),
        }
    }

    /// Deletes an object. An absent object is a success.
    pub async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.client.delete_object().bucket(&self.bucket).key(key).send().await.map_err(|error| CallError::of("s3", &error))?;
        Ok(())
    }
}

/// A `Content-Disposition` that makes a browser save the file and never show it: customers' files must not run
/// beside the console (RFC 6266).
pub(crate) fn attachment(filename: &str) -> String {
    let plain: String = filename.chars().map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' }).collect();
    let mut full = String::new();
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            full.push(char::from(byte));
        } else {
            full.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_break_out_of_the_header() {
        assert_eq!(attachment("a b.zip"), "attachment; filename=\"a b.zip\"; filename*=UTF-8''a%20b.zip");
        assert_eq!(attachment("è\"\r\n;.pdf"), "attachment; filename=\"_____.pdf\"; filename*=UTF-8''%C3%A8%22%0D%0A%3B.pdf");
    }

    #[tokio::test]
    async fn an_upload_has_the_requested_type_and_size_and_any_bytes() {
        let objects = Objects::new(crate::testing::aws_at("http://127.0.0.1:1").s3(), "b");
        let link = objects.upload_link("uploads/a", "image/png", 1234).await.unwrap();
        assert!(link.starts_with("http://127.0.0.1:1/b/uploads/a?") && link.contains("X-Amz-Expires=300"), "{link}");
        assert!(link.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost"), "{link}");
        assert!(!link.to_lowercase().contains("checksum"), "{link}");
    }

    #[tokio::test]
    async fn a_link_is_short_lived_and_an_attachment() {
        let objects = Objects::new(crate::testing::aws_at("http://127.0.0.1:1").s3(), "b");
        let link = objects.link("transcripts/a.zip", "a.zip").await.unwrap();
        assert!(link.starts_with("http://127.0.0.1:1/b/transcripts/a.zip?"));
        assert!(link.contains("X-Amz-Expires=300") && link.contains("response-content-disposition=attachment"));
    }
}
