//! A deployment's tables, queues and secrets on the local engine, with the functions called in-process. Each test has
//! its own engine account.

pub mod fault;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use cloud::aws::Aws;
use cloud::config::Env;
use cloud::queues::{Queue, SendOptions};
use cloud::secrets::SecretStore;
use domain::account::{Account, Credentials, List, Provider};
use domain::agent::{Agent, Capacity, PresenceState, Role};
use domain::ids::{AccountId, AgentId, ListId, QueueId};
use domain::inbound::InboundEvent;
use domain::plan::{ActionPlan, Step};
use domain::queue::{Queue as AgentQueue, Strategy, Weight};
use domain::values::{AccountKey, Seconds, Secret};
use engine::Engine;
use engine::ports::{Idempotency, System};
use fault::FaultProxy;
use lambda_http::http::Request as HttpRequest;
use lambda_http::{Body, RequestExt};
use receive::{Ingest, Receive};
use serde::Serialize;
use store::{Configuration, Documents, Extra, Form, Interactions, Write};

pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const PREVIOUS_TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub const PUBLIC_URL: &str = "https://connector.example";

/// A deployment without Lambdas.
pub struct Deployment {
    pub env: Env,
    pairs: Vec<(String, String)>,
    pub aws: Aws,
    pub store: Interactions,
    pub configuration: Configuration,
    pub engine: Engine<Interactions, Configuration, System>,
    pub queues: BTreeMap<&'static str, Queue>,
    pub sqs: aws_sdk_sqs::Client,
    pub proxy: FaultProxy,
    warm: std::sync::OnceLock<Receive>,
}

/// The names of the queues' variables.
const QUEUES: [&str; 8] = [
    "INBOUND_QUEUE_URL",
    "ASSIGN_QUEUE_URL",
    "OUTBOUND_QUEUE_URL",
    "PUSH_QUEUE_URL",
    "TIMERS_QUEUE_URL",
    "MEDIA_QUEUE_URL",
    "ARCHIVE_QUEUE_URL",
    "JOBS_QUEUE_URL",
];

/// Engine accounts of this process. The engine separates them by a 12-digit access key.
static NEXT: AtomicU64 = AtomicU64::new(200_000_000_001);

impl Deployment {
    /// A new deployment on its own engine account. It is reached through a proxy that can count calls and make them
    /// fail.
    pub async fn new() -> Self {
        let engine = local::engine::Engine::shared().await.unwrap();
        let proxy = FaultProxy::start(&engine.endpoint).await;
        let account = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let bucket = format!("bucket-{account}");
        let mut pairs: Vec<(String, String)> = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", account.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", proxy.url.as_str()),
            ("CONFIG_TABLE", "config"),
            ("INTERACTIONS_TABLE", "interactions"),
            ("DERIVED_TABLE", "derived"),
            ("PUBLIC_URL", PUBLIC_URL),
            ("SECRET_PREFIX", "test/accounts/"),
            ("TRANSLATION_KEY_PREFIX", "test/translation/"),
            ("VIDEO_KEY_PREFIX", "test/video/"),
            ("AI_KEY_PREFIX", "test/ai/"),
            // All accounts share the bucket names, here as on AWS.
            ("BUCKET", bucket.as_str()),
            ("SCHEDULE_GROUP", "timers"),
            ("WEBSOCKET_URL", "wss://socket.example"),
            ("WEBSOCKET_ENDPOINT", proxy.url.as_str()),
            ("JWT_ISSUER", "https://issuer.example"),
            ("JWT_AUDIENCE", "app"),
            // Tests of other subjects give their callers any role through the token.
            ("ROLE_SOURCE", "claim"),
            ("COMPACT_ITEMS", "true"),
            ("SCHEDULER_ROLE_ARN", "arn:aws:iam::000000000000:role/scheduler"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let aws = Aws::new(&Env::from_pairs(pairs.clone())).unwrap();
        let sqs = aws.sqs();
        for name in QUEUES {
            let url = make_queue(&sqs, name).await;
            pairs.push((name.to_owned(), url));
        }
        pairs.push(("TIMERS_QUEUE_ARN".to_owned(), format!("arn:aws:sqs:us-east-1:{account}:TIMERS_QUEUE_URL")));
        let env = Env::from_pairs(pairs.clone());
        let dynamodb = aws.dynamodb();
        local::template::make_tables(engine, &account).await.unwrap();
        aws.s3().create_bucket().bucket(bucket).send().await.unwrap();
        let store = Interactions::new(dynamodb.clone(), "interactions", "config").writing(Form::Compact);
        let store = store.with_documents(Documents::new(dynamodb.clone(), "derived"));
        let configuration = Configuration::new(dynamodb, "config", "interactions");
        let engine = Engine { store: store.clone(), directory: configuration.clone(), world: System };
        let queues = QUEUES.map(|name| (name, Queue::from_env(&aws, &env, name).unwrap())).into();
        Self { env, pairs, aws, store, configuration, engine, queues, sqs, proxy, warm: std::sync::OnceLock::new() }
    }

    /// The environment with additional variables.
    pub fn env_with(&self, more: &[(&str, &str)]) -> Env {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Env::from_pairs(self.pairs.iter().cloned().chain(more))
    }

    /// Twilio's receiver with empty caches.
    pub fn receive(&self) -> Receive {
        self.receive_of("twilio")
    }

    /// Twilio's receiver, always the same one, for tests whose subject comes after it.
    pub fn warm_receiver(&self) -> &Receive {
        self.warm.get_or_init(|| self.receive())
    }

    /// A provider's receiver with empty caches.
    pub fn receive_of(&self, name: &'static str) -> Receive {
        Receive::from_env(&self.env, name).unwrap()
    }

    /// A ready agent.
    /// What `receive` and `reconcile` store and enqueue with.
    pub fn ingest(&self) -> Ingest {
        Ingest::from_env(&self.aws, &self.env).unwrap()
    }

    pub async fn ready_agent(&self, name: &str, capacity: i64) -> AgentId {
        let id = AgentId::from_ulid(cloud::ids::ulid());
        let capacity = Capacity::new(capacity).unwrap();
        let agent = Agent { id: id.clone(), name: name.to_owned(), subject: name.to_owned(), role: Role::Agent, whatsapp: true, capacity };
        self.configuration.put(&agent, Write::New, Vec::new()).await.unwrap();
        self.engine.set_capacity(&id, capacity).await.unwrap();
        self.engine.set_presence(&id, PresenceState::Ready, Idempotency::Guarded).await.unwrap();
        id
    }

    pub async fn queue(&self, strategy: Strategy, members: &[AgentId]) -> QueueId {
        let id = QueueId::from_ulid(cloud::ids::ulid());
        let queue = AgentQueue {
            id: id.clone(),
            name: "Support".to_owned(),
            strategy,
            agent_timeout: AgentQueue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            service_level: domain::report::ServiceLevel::default(),
            members: members.to_vec(),
        };
        self.configuration.put(&queue, Write::New, Vec::new()).await.unwrap();
        id
    }

    /// A Twilio account with one Queue step and two versions of its secret.
    pub async fn account(&self, key: &str, agents: &[AgentId], queue: &QueueId) -> Account {
        let credentials = [PREVIOUS_TOKEN, AUTH_TOKEN].map(|token| Credentials::default().with("auth_token", token));
        self.connect(key, domain::fixtures::account().provider, &credentials, agents, queue).await
    }

    /// An account of any provider with one Queue step. Its secret fields have as many versions as are given, and the
    /// last one is current.
    pub async fn connect(
        &self,
        key: &str,
        provider: Provider,
        credentials: &[Credentials],
        agents: &[AgentId],
        queue: &QueueId,
    ) -> Account {
        let id = AccountId::from_ulid(cloud::ids::ulid());
        let secrets = SecretStore::from_env(&self.aws, &self.env).unwrap();
        let (first, later) = credentials.split_first().unwrap();
        secrets.create(&id, first, providers::adapter(&provider.kind).unwrap().receive_name()).await.unwrap();
        for version in later {
            secrets.put(&id, version).await.unwrap();
        }
        let list = List { id: ListId::from_ulid(cloud::ids::ulid()), name: "Customers".to_owned() };
        self.configuration.put(&list, Write::New, Vec::new()).await.unwrap();
        let token = format!("token-of-{key}");
        let name = providers::adapter(&provider.kind).unwrap().receive_name();
        let steps = vec![Step::Queue { queue: queue.clone(), timeout: Seconds::new(600).unwrap() }];
        let account = Account {
            id: id.clone(),
            name: key.to_owned(),
            key: AccountKey::parse(key).unwrap(),
            list: list.id,
            provider,
            receive_path: format!("/receive/{name}/{token}").into(),
            agents: agents.to_vec(),
            plan: ActionPlan { version: 1, steps: steps.into_iter().map(Into::into).collect() },
            ..domain::fixtures::account()
        };
        let hash = cloud::digest::sha256_hex(&token);
        self.configuration.put(&account, Write::New, vec![Extra::ReceiveToken { hash, account: id }]).await.unwrap();
        account
    }

    /// Receives and deletes all messages of a queue, as a consumer would.
    pub async fn drain<T: serde::de::DeserializeOwned>(&self, queue: &'static str) -> Vec<T> {
        let mut jobs = Vec::new();
        loop {
            let request = self.sqs.receive_message().queue_url(self.env.required(queue).unwrap()).max_number_of_messages(10);
            let messages = request.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return jobs;
            }
            for message in messages {
                jobs.push(cloud::envelope::Envelope::parse(&message.body.unwrap()).unwrap());
                let handle = message.receipt_handle.unwrap();
                self.sqs.delete_message().queue_url(self.env.required(queue).unwrap()).receipt_handle(handle).send().await.unwrap();
            }
        }
    }

    /// Stores a webhook's events as the receiver would, and routes them at once.
    pub async fn route_inbound(&self) -> usize {
        let events = self.drain::<InboundEvent>("INBOUND_QUEUE_URL").await;
        for event in &events {
            self.engine.route(event).await.unwrap();
        }
        events.len()
    }

    pub async fn send_raw(&self, queue: &'static str, body: &impl Serialize, options: SendOptions) {
        self.queues[queue].send(body, options).await.unwrap();
    }
}

/// A webhook in the form that API Gateway gives it.
pub fn webhook(path: &str, query: &str, parameters: &[(&str, &str)], signed_with: Option<&str>) -> lambda_http::Request {
    let url = format!("{PUBLIC_URL}{path}{query}");
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    let mut request = HttpRequest::post(format!("https://inside.example{path}{query}"))
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    if let Some(token) = signed_with {
        let signature = providers::twilio::sign(&url, parameters.iter().copied(), &Secret::new(token));
        request = request.header(providers::twilio::SIGNATURE_HEADER, signature);
    }
    let request = request.body(Body::from(form.finish())).unwrap();
    let queries: std::collections::HashMap<String, Vec<String>> = form_urlencoded::parse(query.trim_start_matches('?').as_bytes())
        .map(|(name, value)| (name.into_owned(), vec![value.into_owned()]))
        .collect();
    request.with_raw_http_path(path).with_query_string_parameters(queries)
}

/// A webhook that the stand-in made for [`PUBLIC_URL`], in the form that API Gateway gives it.
pub fn delivered(webhook: &local::standin::Webhook) -> lambda_http::Request {
    let (path, query) = webhook.url.strip_prefix(PUBLIC_URL).unwrap().split_once('?').unwrap_or((&webhook.url[PUBLIC_URL.len()..], ""));
    let mut request = HttpRequest::post(format!("https://inside.example{path}{}{query}", if query.is_empty() { "" } else { "?" }));
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    request.body(Body::from(webhook.body.clone())).unwrap().with_raw_http_path(path)
}

/// The parameters of a text message.
pub fn text<'a>(sid: &'a str, from: &'a str, body: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("MessageSid", sid),
        ("AccountSid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("From", from),
        ("To", "whatsapp:+390612345678"),
        ("ProfileName", "Zoë Rossi"),
        ("Body", body),
        ("NumMedia", "0"),
        ("MessageType", "text"),
    ]
}

/// A sid in Twilio's format that ends in `number`.
pub fn sid(number: usize) -> String {
    format!("SM{number:032x}")
}

async fn make_queue(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    use aws_sdk_sqs::types::QueueAttributeName::FifoQueue;
    let fifo = ["INBOUND", "ASSIGN", "OUTBOUND", "PUSH"].iter().any(|kind| name.starts_with(kind));
    let create = if fifo {
        sqs.create_queue().queue_name(format!("{name}.fifo")).attributes(FifoQueue, "true")
    } else {
        sqs.create_queue().queue_name(name)
    };
    create.send().await.unwrap().queue_url.unwrap()
}
