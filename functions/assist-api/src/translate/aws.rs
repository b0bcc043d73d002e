//! Amazon Translate.

use std::time::Duration;

use aws_sdk_translate::Client;
use aws_sdk_translate::config::retry::RetryConfig;
use aws_sdk_translate::config::timeout::TimeoutConfig;
use aws_sdk_translate::config::{Builder, Region};
use aws_sdk_translate::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_translate::operation::translate_text::TranslateTextError;
use cloud::aws::{Aws, CallError};
use cloud::config::{ConfigError, Env};
use domain::language::Language;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::codes::of_amazon;
use super::{Lines, Untranslated};

/// A line takes well under a second. The HTTP API ends after 30 s, and a message has many lines.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(11);
/// A second attempt may be charged twice, which is a fraction of a cent.
const ATTEMPTS: u32 = 2;
/// Lines that are under way at once. The quota is a rate that AWS does not publish.
const AT_ONCE: usize = 4;

/// Amazon Translate's client.
pub(super) struct Amazon(Client);

impl Amazon {
    pub(super) fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(OPERATION_TIMEOUT).build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let mut config = Builder::from(aws.sdk_config()).timeout_config(timeouts).retry_config(retries);
        // Not every region has the service.
        if let Some(region) = env.optional("TRANSLATE_REGION") {
            config = config.region(Region::new(region.to_owned()));
        }
        if env.optional("TRANSLATE_URL").is_some() {
            config = config.endpoint_url(env.base_url("TRANSLATE_URL")?);
        }
        Ok(Self(Client::from_conf(config.build())))
    }

    /// Translates the lines. Without `from`, the first one tells the language of all.
    pub(super) async fn translate(&self, lines: &[&str], from: Option<&Language>, to: &Language) -> Result<Lines, Untranslated> {
        let target = of_amazon(to);
        let Some((first, rest)) = lines.split_first() else { return Err(Untranslated::Nothing) };
        let (first, from) = self.line(first, from, to, &target).await?;
        // Owned: a future that borrows from an iterator's item is not general enough for a handler.
        let rest: Vec<String> = rest.iter().map(|line| (*line).to_owned()).collect();
        let (source, target) = (&from, &target);
        let rest: Vec<String> = stream::iter(rest)
            .map(|line| async move { self.line(&line, Some(source), to, target).await.map(|(text, _)| text) })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok((std::iter::once(first).chain(rest).collect(), from))
    }

    async fn line(&self, line: &str, from: Option<&Language>, to: &Language, target: &str) -> Result<(String, Language), Untranslated> {
        let source = from.map_or_else(|| "auto".to_owned(), of_amazon);
        let request = self.0.translate_text().text(line).source_language_code(source).target_language_code(target);
        let answer = request.send().await.map_err(|error| {
            tracing::info!(event = "assist.untranslated", by = "aws", error = %CallError::of("translate", &error));
            untranslated(&error, from, to)
        })?;
        let resolved = Language::parse(answer.source_language_code()).map_err(|_| Untranslated::Failed)?;
        Ok((answer.translated_text().to_owned(), from.cloned().unwrap_or(resolved)))
    }
}

fn untranslated<R>(error: &SdkError<TranslateTextError, R>, from: Option<&Language>, to: &Language) -> Untranslated {
    use TranslateTextError as Refusal;
    let Some(refusal) = error.as_service_error() else { return Untranslated::Failed };
    match refusal {
        Refusal::TextSizeLimitExceededException(_) => Untranslated::TooLong,
        Refusal::UnsupportedLanguagePairException(_) => Untranslated::Unsupported { from: from.cloned(), to: to.clone() },
        Refusal::DetectedLanguageLowConfidenceException(unclear) => {
            Untranslated::Unclear { detected: unclear.detected_language_code().and_then(|code| Language::parse(code).ok()) }
        }
        Refusal::TooManyRequestsException(_) => Untranslated::Busy,
        refusal => match refusal.code() {
            Some("ThrottlingException" | "Throttling") => Untranslated::Busy,
            Some("AccessDeniedException" | "UnrecognizedClientException" | "SubscriptionRequiredException") => Untranslated::Refused,
            _ => Untranslated::Failed,
        },
    }
}
