//! The one configuration of the SDK, and the clients that are made from it.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use base64::Engine as _;

use crate::config::{ConfigError, Env};

/// The limit for a handshake. It takes a few ms of network and, on a function with little memory, up to 0.75 s of
/// CPU.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The limit for one attempt. A call takes milliseconds. A socket that died while the environment was frozen never
/// answers, and is given up soon enough for the two other attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// All attempts together end before a provider gives up a webhook (Twilio: 15 s).
const OPERATION_TIMEOUT: Duration = Duration::from_secs(13);
/// The limit for one attempt with an object. Objects may be 100 MB, and an attempt may take as long as that needs
/// at 5 MB/s. The stalled stream protection finds a dead socket.
const OBJECT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// The limit for two attempts with an object, within the time of the functions that handle them (60 s).
const OBJECT_OPERATION_TIMEOUT: Duration = Duration::from_secs(50);
/// A body that doesn't move for this long is given up. The SDK's own default is meant for slow uplinks, not for a
/// function beside its services.
const STALLED_STREAM_GRACE: Duration = Duration::from_secs(5);
/// The SDK's standard. Every command is idempotent.
const MAX_ATTEMPTS: u32 = 3;
/// The limit for making a schedule, which takes some 0.1 s. A timer can go another way (see `timers`), and the batch
/// of the stream that it came with should not wait for a scheduler that is down.
const SCHEDULE_TIMEOUT: Duration = Duration::from_secs(3);
/// Services close idle connections after some 20 s or more. A connection that is younger than this is alive, unless
/// the environment was frozen.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a call to AWS failed. The error carries the service's error code, never its message, which may quote the
/// request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request was not made.
    #[error("{service}: the request could not be made")]
    NotMade {
        /// The service.
        service: &'static str,
    },
    /// There is no answer, or an unreadable one. It is unknown whether the call took effect.
    #[error("{service}: no answer")]
    NoAnswer {
        /// The service.
        service: &'static str,
    },
    /// The service answered with an error.
    #[error("{service}: {code}")]
    Refused {
        /// The service.
        service: &'static str,
        /// Its error code, such as `ThrottlingException`.
        code: String,
    },
}

impl CallError {
    /// The error of a call to `service`.
    pub fn of<E: ProvideErrorMetadata>(service: &'static str, error: &SdkError<E>) -> Self {
        match error {
            SdkError::ConstructionFailure(_) => CallError::NotMade { service },
            SdkError::ServiceError(refusal) => {
                CallError::Refused { service, code: refusal.err().code().unwrap_or("without a code").to_owned() }
            }
            _ => CallError::NoAnswer { service },
        }
    }
}

/// The configuration that all clients share: region, credentials, one pool of connections, timeouts, retries.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    endpoint: Option<String>,
}

impl Aws {
    /// Reads `AWS_REGION` (or `AWS_DEFAULT_REGION`), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN` (optional) and `AWS_ENDPOINT_URL` (optional). Nothing else is asked: a Lambda has its
    /// credentials in the environment for as long as it lives, and a chain that looks for files and metadata costs
    /// time at every start.
    pub fn new(env: &Env) -> Result<Self, ConfigError> {
        let region = env.optional("AWS_REGION").or(env.optional("AWS_DEFAULT_REGION")).ok_or(ConfigError::Missing("AWS_REGION"))?;
        let credentials = Credentials::new(
            env.required("AWS_ACCESS_KEY_ID")?,
            env.required("AWS_SECRET_ACCESS_KEY")?,
            env.optional("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "environment",
        );
        let endpoint = env.optional("AWS_ENDPOINT_URL").map(str::to_owned);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client(endpoint.as_deref()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALLED_STREAM_GRACE).build());
        config.set_endpoint_url(endpoint.clone());
        Ok(Self { config: config.build(), endpoint })
    }

    /// The same, without second attempts.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn without_retries(self) -> Self {
        let config = self.config.into_builder().retry_config(RetryConfig::disabled()).build();
        Self { config, ..self }
    }

    /// The shared configuration, for a client that is not among those below.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// S3, with longer timeouts; by path when the endpoint is not AWS's own, as that has no host name per bucket.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(OBJECT_ATTEMPT_TIMEOUT)
            .operation_timeout(OBJECT_OPERATION_TIMEOUT)
            .build();
        let config = aws_sdk_s3::config::Builder::from(&self.config).timeout_config(timeouts).force_path_style(self.endpoint.is_some());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// EventBridge Scheduler, with a shorter timeout.
    pub fn scheduler(&self) -> aws_sdk_scheduler::Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(SCHEDULE_TIMEOUT).build();
        aws_sdk_scheduler::Client::from_conf(aws_sdk_scheduler::config::Builder::from(&self.config).timeout_config(timeouts).build())
    }

    /// Secrets Manager.
    pub fn secretsmanager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// The connections of a WebSocket API; `endpoint` is its https address with the stage.
    pub fn apigatewaymanagement(&self, endpoint: &str) -> aws_sdk_apigatewaymanagement::Client {
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(&self.config).endpoint_url(endpoint);
        aws_sdk_apigatewaymanagement::Client::from_conf(config.build())
    }
}

/// One pool for all clients, trusting the bundled roots: reading the system's costs some 45 ms at every start.
///
/// The SDK reads the roots again for every client that is made, so there are none when the endpoint is plain http,
/// as the local engine's is: it made up most of the time that the tests took.
fn http_client(endpoint: Option<&str>) -> aws_sdk_sqs::config::SharedHttpClient {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut roots = TrustStore::empty();
    for root in if plain { &[] } else { webpki_root_certs::TLS_SERVER_ROOT_CERTS } {
        let base64 = base64::engine::general_purpose::STANDARD.encode(root);
        roots.add_pem_certificate(format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"));
    }
    let builder =
        aws_smithy_http_client::Builder::new().pool_idle_timeout(POOL_IDLE_TIMEOUT).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn missing_credentials_are_named() {
        let env = Env::from_pairs([("AWS_REGION", "eu-south-1")]);
        assert_eq!(Aws::new(&env).unwrap_err(), ConfigError::Missing("AWS_ACCESS_KEY_ID"));
        assert_eq!(Aws::new(&Env::from_pairs([("A", "b")])).unwrap_err(), ConfigError::Missing("AWS_REGION"));
    }

    #[tokio::test]
    async fn every_client_can_be_made() {
        for url in ["http://127.0.0.1:1", "https://dynamodb.eu-south-1.amazonaws.com"] {
            let aws = testing::aws_at(url);
            let _ = (aws.dynamodb(), aws.sqs(), aws.s3(), aws.scheduler(), aws.secretsmanager());
            let _ = aws.apigatewaymanagement(url);
        }
    }

    #[tokio::test]
    async fn an_unreachable_service_is_no_answer() {
        let aws = testing::aws_at("http://127.0.0.1:1");
        let once = aws_sdk_sqs::config::Builder::from(aws.sdk_config()).retry_config(RetryConfig::disabled()).build();
        let error = aws_sdk_sqs::Client::from_conf(once).list_queues().send().await.unwrap_err();
        assert_eq!(CallError::of("sqs", &error), CallError::NoAnswer { service: "sqs" });
    }
}
