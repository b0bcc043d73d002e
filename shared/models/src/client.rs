//! Carries out the calls: each once, within a time, with an answer that is not too long to read.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::egress::{Egress, EgressError, fixed_client};
use cloud::queues::{Queue, SendOptions};
use cloud::secrets::{AccountSecrets, SecretError};
use cloud::telemetry::{self, Metric};
use domain::ai_agent::{AiAgent, KnowledgeBase, ModelProvider};
use domain::ids::AccountId;
use domain::insights::{Sentiment, Summary};
use domain::language::Language;
use domain::message::Message;
use domain::report::AiCall;
use domain::values::Secret;
use engine::jobs::ReportJob;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answer::{self, Unusable};
use crate::prompt::{Line, Prompt, Task, conversation, prompt};
use crate::{ModelError, Passage, Reply, bedrock, openai};

/// The longest answer that is read. A reply of the most tokens has some 40 KB, and 20 passages some 100 KB.
const LONGEST: u64 = 1_000_000;

/// The language models and knowledge bases.
pub struct Models {
    aws: Aws,
    region: String,
    http: reqwest::Client,
    /// Stands in for Bedrock's own addresses in local runs.
    bedrock_url: Option<String>,
    egress: Egress,
    /// Takes the calls that reports count.
    reports: Option<Queue>,
    keys: AccountSecrets<Secret>,
}

/// Why there are no insights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoInsights {
    /// The customer has written nothing that a model could read.
    #[error("the customer has written nothing")]
    NothingSaid,
    /// The model gave no reply.
    #[error(transparent)]
    NoReply(#[from] ModelError),
    /// The reply is of no use.
    #[error("the reply is of no use: {}", .0.label())]
    Unusable(Unusable),
}

impl From<Unusable> for NoInsights {
    fn from(why: Unusable) -> Self {
        Self::Unusable(why)
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Models(…)")
    }
}

impl Models {
    /// Reads `AI_KEY_PREFIX`, `BEDROCK_URL` and `EGRESS_ALLOWED_ORIGINS`, and `REPORT_QUEUE_URL` if there is one.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let expected = "a URL that can be called";
        Ok(Self {
            aws: aws.clone(),
            region: aws.sdk_config().region().map(ToString::to_string).unwrap_or_default(),
            http: fixed_client().map_err(|_| ConfigError::Invalid { name: "BEDROCK_URL", expected })?,
            bedrock_url: env.optional("BEDROCK_URL").map(|_| env.base_url("BEDROCK_URL")).transpose()?,
            egress: Egress::from_env(env)?,
            reports: env.optional("REPORT_QUEUE_URL").map(|_| Queue::from_env(aws, env, "REPORT_QUEUE_URL")).transpose()?,
            keys: AccountSecrets::of_kind(aws, env, "AI_KEY_PREFIX")?,
        })
    }

    /// Asks an AI agent's model, once. `version` is that of the AI agent.
    ///
    /// # Errors
    /// There is no reply, and why.
    pub async fn ask(&self, agent: &AiAgent, version: u64, prompt: &Prompt, until: Instant) -> Result<Reply, ModelError> {
        let began = Instant::now();
        let asked = async {
            match agent.provider {
                ModelProvider::Bedrock => self.converse(agent, prompt, until).await,
                ModelProvider::OpenaiCompatible => self.complete(agent, version, prompt, until).await,
            }
        };
        let outcome = timeout_at(until, asked).await.unwrap_or(Err(ModelError::Late));
        let milliseconds = began.elapsed().as_millis();
        let usage = outcome.as_ref().map(|reply| reply.usage).unwrap_or_default();
        let label = outcome.as_ref().map_or_else(|error| error.label(), |_| "replied");
        telemetry::count(Metric::ModelCalls, label, 1);
        let counted = [
            (Metric::ModelMilliseconds, milliseconds),
            (Metric::ModelInputTokens, usage.input.into()),
            (Metric::ModelOutputTokens, usage.output.into()),
        ];
        for (metric, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
            telemetry::count(metric, &agent.model, usize::try_from(count).unwrap_or(usize::MAX));
        }
        tracing::info!(
            event = "model.asked",
            ai_agent = agent.id.as_str(),
            model = agent.model,
            outcome = label,
            milliseconds,
            input_tokens = usage.input,
            output_tokens = usage.output
        );
        if let Some((queue, account)) = self.reports.as_ref().zip(prompt.account.clone()) {
            let call = AiCall {
                ai_agent: agent.id.clone(),
                at: cloud::time::now(),
                replied: outcome.is_ok(),
                input: usage.input,
                output: usage.output,
                milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX),
                cost: agent.price.map(|price| (price.of(usage.input, usage.output), price.currency)),
            };
            let job = ReportJob::Ai { account, id: cloud::ids::ulid().to_string(), call };
            // A customer's answer does not depend on what is counted.
            if let Err(error) = queue.send(&job, SendOptions::default()).await {
                tracing::warn!(event = "model.not_counted", ai_agent = agent.id.as_str(), %error);
            }
        }
        outcome
    }

    /// Has an AI agent tell the customer's mood and sum up a thread, whose newest message comes first. The summary is
    /// in the AI agent's own language, else in `language`.
    ///
    /// # Errors
    /// There are no insights, and why.
    pub async fn insights(
        &self,
        agent: &AiAgent,
        version: u64,
        account: &AccountId,
        newest_first: &[Message],
        language: Option<&Language>,
        until: Instant,
    ) -> Result<(Sentiment, Summary), NoInsights> {
        let said = conversation(newest_first);
        if !said.iter().any(Line::is_customers) {
            return Err(NoInsights::NothingSaid);
        }
        let reply = self.ask(agent, version, &prompt(agent, Task::Insights, &[], &said, language).on(account), until).await?;
        Ok(answer::insights(&reply)?)
    }

    /// The passages of an AI agent's knowledge base about a question; none if it has no base.
    ///
    /// # Errors
    /// The knowledge base gave no answer, and why.
    pub async fn retrieve(&self, agent: &AiAgent, question: &str, until: Instant) -> Result<Vec<Passage>, ModelError> {
        let Some(base) = &agent.knowledge.base else { return Ok(Vec::new()) };
        let outcome = timeout_at(until, self.search(agent, base, question, until)).await.unwrap_or(Err(ModelError::Late));
        if let Err(error) = &outcome {
            tracing::info!(event = "model.not_retrieved", ai_agent = agent.id.as_str(), error = error.label());
        }
        outcome
    }

    async fn search(&self, agent: &AiAgent, base: &KnowledgeBase, question: &str, until: Instant) -> Result<Vec<Passage>, ModelError> {
        let body = bedrock::retrieve_body(base, question);
        let bytes = self.bedrock(agent, "bedrock-agent-runtime", &bedrock::retrieve_path(base), &body, until).await?;
        bedrock::passages(&bytes)
    }

    async fn converse(&self, agent: &AiAgent, prompt: &Prompt, until: Instant) -> Result<Reply, ModelError> {
        let body = bedrock::body(agent, prompt);
        let bytes = self.bedrock(agent, "bedrock-runtime", &bedrock::path(&agent.model), &body, until).await?;
        bedrock::reply(&bytes)
    }

    /// A signed request to one of Bedrock's services.
    async fn bedrock(&self, agent: &AiAgent, host: &str, path: &str, body: &Value, until: Instant) -> Result<Vec<u8>, ModelError> {
        let region = agent.region.as_deref().unwrap_or(&self.region);
        let url = match &self.bedrock_url {
            Some(url) => format!("{url}{path}"),
            None => format!("https://{host}.{region}.amazonaws.com{path}"),
        };
        let provider = self.aws.sdk_config().credentials_provider().ok_or(ModelError::Failed)?;
        let credentials = provider.provide_credentials().await.map_err(|_| ModelError::Failed)?;
        let body = body.to_string().into_bytes();
        let headers = bedrock::signed(&url, &body, region, credentials, SystemTime::now())?;
        let mut answer =
            self.http.post(url).headers(headers).timeout(patience(until)).body(body).send().await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let kind = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if (bytes.len() + chunk.len()) as u64 > LONGEST {
                return Err(ModelError::Failed);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK { Ok(bytes) } else { Err(bedrock::failure(status, &kind, &bytes)) }
    }

    /// A key that was refused may have been replaced a moment ago.
    async fn complete(&self, agent: &AiAgent, version: u64, prompt: &Prompt, until: Instant) -> Result<Reply, ModelError> {
        if agent.key_set_at.is_none() {
            // A server of one's own may want none.
            let outcome = self.complete_with(agent, None, prompt, until).await;
            return outcome.map_err(|error| if error == ModelError::Refused { ModelError::NoKey } else { error });
        }
        let key = self.keys.get(&agent.id, version).await.map_err(unread)?;
        match self.complete_with(agent, Some(&key.value), prompt, until).await {
            Err(ModelError::Refused) => match self.keys.refetch(&agent.id, version).await.map_err(unread)? {
                Some(newer) if newer.value.reveal() != key.value.reveal() => {
                    self.complete_with(agent, Some(&newer.value), prompt, until).await
                }
                _ => Err(ModelError::Refused),
            },
            outcome => outcome,
        }
    }

    async fn complete_with(&self, agent: &AiAgent, key: Option<&Secret>, prompt: &Prompt, until: Instant) -> Result<Reply, ModelError> {
        let url = format!("{}/chat/completions", agent.base_url.as_deref().ok_or(ModelError::Address)?);
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).map_err(|_| ModelError::Refused)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let body = openai::body(agent, prompt).to_string().into_bytes();
        let answer = self.egress.post_json(&url, headers, body, patience(until), LONGEST).await.map_err(|error| match error {
            EgressError::Refused(_) => ModelError::Address,
            _ => ModelError::Failed,
        })?;
        if answer.status == StatusCode::OK { openai::reply(&answer.bytes) } else { Err(openai::failure(answer.status, &answer.bytes)) }
    }
}

/// How long a client waits: a little longer than `until`, so that the end of the time is told from an error.
fn patience(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()) + Duration::from_secs(1)
}

fn failed(error: &reqwest::Error) -> ModelError {
    if error.is_timeout() { ModelError::Late } else { ModelError::Failed }
}

fn unread(error: SecretError) -> ModelError {
    match error {
        SecretError::Missing => ModelError::NoKey,
        error => {
            tracing::error!(event = "model.key_unread", %error);
            ModelError::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::fixtures::ai_agent;
    use tokio::net::TcpListener;

    use super::*;

    fn models(url: &str) -> Models {
        let env = Env::from_pairs([
            ("AWS_REGION", "eu-south-1"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AI_KEY_PREFIX", "x/ai/"),
            ("BEDROCK_URL", url),
            ("EGRESS_ALLOWED_ORIGINS", url),
        ]);
        Models::from_env(&Aws::new(&env).unwrap(), &env).unwrap()
    }

    fn prompt() -> Prompt {
        Prompt { system: "rules".into(), user: "{}".into(), may_escalate: false, account: None }
    }

    /// The same AI agent with both providers, at this address, without a key.
    fn agents(url: &str) -> [AiAgent; 2] {
        let base = Some(KnowledgeBase { id: "KB12345678".into(), results: 1 });
        let knowledge = domain::ai_agent::Knowledge { base, texts: Vec::new() };
        let openai = AiAgent { base_url: Some(url.to_owned()), key_set_at: None, knowledge, ..ai_agent() };
        [AiAgent { provider: ModelProvider::Bedrock, base_url: None, ..openai.clone() }, openai]
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_late() {
        // Connections are taken by the system, and nobody reads them.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let models = models(&url);
        for agent in agents(&url) {
            let until = || Instant::now() + Duration::from_millis(50);
            assert_eq!(models.ask(&agent, 1, &prompt(), until()).await, Err(ModelError::Late), "{agent:?}");
            assert_eq!(models.retrieve(&agent, "When?", until()).await, Err(ModelError::Late), "{agent:?}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_fails_and_an_address_that_is_not_public_is_refused() {
        let models = models("http://127.0.0.1:1");
        let until = || Instant::now() + Duration::from_secs(5);
        for agent in agents("http://127.0.0.1:1") {
            assert_eq!(models.ask(&agent, 1, &prompt(), until()).await, Err(ModelError::Failed), "{agent:?}");
        }
        for private in ["https://127.0.0.1:9", "http://127.0.0.1:2", "https://[::1]", "not a URL"] {
            let [_, agent] = agents(private);
            assert_eq!(models.ask(&agent, 1, &prompt(), until()).await, Err(ModelError::Address), "{private}");
        }
    }
}
