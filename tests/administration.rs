//! Account administration through the providers' APIs, with a stand-in for each provider: checks, webhooks, lists and
//! missed messages.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::routing::get;
use client::Client;
use domain::account::{Account, Credentials, Provider};
use domain::inbound::InboundKind;
use domain::queue::Strategy;
use domain::template::ListedTemplate;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::Request as HttpRequest;
use lambda_http::{Body, RequestExt};
use local::standin::{self, StandIn};
use providers::{Adapter, Finding, Problem, Registration, Webhook};

use crate::support::{Deployment, PUBLIC_URL};

const NUMBER: &str = "+390612345678";

/// An account of a provider type, both here and at the stand-in.
struct Side {
    deployment: Deployment,
    standin: StandIn,
    adapter: &'static dyn Adapter,
    account: Account,
    known: standin::Account,
    client: Client,
}

const KINDS: [&str; 5] = ["TWILIO", "META", "SINCH_V2", "SINCH", "KALEYRA"];

impl Side {
    async fn open(kind: &str) -> Self {
        let deployment = Deployment::new().await;
        let standin = StandIn::start().await.unwrap();
        let adapter = providers::adapter(kind).unwrap();
        let base_url = match kind {
            "SINCH_V2" => format!("{}/sinch", standin.url),
            "SINCH" => format!("{}/sinch-legacy", standin.url),
            _ => format!("{}/kaleyra", standin.url),
        };
        let value = |name: &str| match (kind, name) {
            ("TWILIO", "account_sid") => "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
            ("META", "account_sid" | "app_id" | "phone_number_id") => format!("10654035224{}", name.len()),
            (_, "base_url") => base_url.clone(),
            (_, name) => name.replace('_', "-"),
        };
        // Guards have their own tests.
        let fields = adapter.fields().iter().filter(|field| !field.name.starts_with("callback"));
        let (secret, public): (Vec<_>, Vec<_>) =
            fields.map(|field| (field.secret, field.name, value(field.name))).partition(|field| field.0);
        let credentials = secret.iter().fold(Credentials::default(), |all, (_, name, value)| all.with(name, value.as_str()));
        let fields = public.iter().map(|(_, name, value)| ((*name).to_owned(), value.clone())).collect();
        let queue = deployment.queue(Strategy::Beepall, &[]).await;
        let provider = Provider { kind: kind.to_owned(), fields };
        let account = deployment.connect("ADMIN", provider, &[credentials], &[], &queue).await;
        let all: Vec<_> = secret.iter().chain(&public).map(|(_, name, value)| (*name, value.as_str())).collect();
        let known = standin::Account::new(kind, NUMBER, &all);
        standin.add_account(&known);
        let meta = format!("{}/meta/v26.0", standin.url);
        let auth = format!("{}/sinch-auth", standin.url);
        let env = deployment.env_with(&[
            ("TWILIO_API_URL", &standin.url),
            ("TWILIO_CONTENT_URL", &standin.url),
            ("TWILIO_MESSAGING_URL", &standin.url),
            ("META_API_URL", &meta),
            ("SINCH_AUTH_URL", &auth),
        ]);
        let client = Client::from_env(&deployment.aws, &env).unwrap();
        Self { deployment, standin, adapter, account, known, client }
    }

    fn receive_url(&self) -> String {
        format!("{PUBLIC_URL}{}{}", self.account.receive_path.reveal(), self.adapter.receive_url_suffix())
    }

    async fn check(&self, receive_url: &str) -> Vec<Finding> {
        let asked = self.client.converse(&self.account, |adapter, connection, answers| adapter.check(connection, receive_url, answers));
        match asked.await {
            Ok(findings) => findings,
            Err(error) => vec![Finding { subject: "credentials", result: Err(error.problem().unwrap()) }],
        }
    }
}

fn of<'a>(findings: &'a [Finding], subject: &str) -> &'a Result<Option<String>, Problem> {
    &findings.iter().find(|finding| finding.subject == subject).unwrap_or_else(|| panic!("{findings:?}")).result
}

#[tokio::test]
async fn a_check_tells_what_is_right_and_what_is_wrong_with_an_account() {
    for kind in KINDS {
        let side = Side::open(kind).await;
        let url = side.receive_url();
        let findings = side.check(&url).await;
        assert!(of(&findings, "credentials").as_ref().is_ok_and(|note| note.as_deref() == Some("")), "{kind} {findings:?}");
        let lists_webhooks = matches!(kind, "TWILIO" | "SINCH_V2");
        if lists_webhooks {
            assert_eq!(of(&findings, "webhook"), &Err(Problem::WebhookNotSet), "{kind}");
        } else {
            assert_eq!(of(&findings, "webhook"), &Ok(None), "{kind}");
        }
        side.standin.point(&side.known, &url);
        let findings = side.check(&url).await;
        let fine = if lists_webhooks || kind == "META" { Some(String::new()) } else { None };
        assert_eq!(of(&findings, "webhook"), &Ok(fine), "{kind}");

        // A different number. Providers whose API does not return the number can't detect this.
        side.standin.point(&standin::Account { phone: "+390600000000".to_owned(), ..side.known.clone() }, &url);
        let findings = side.check(&url).await;
        match kind {
            "TWILIO" | "META" => assert_eq!(of(&findings, "number"), &Err(Problem::NumberNotFound), "{kind}"),
            "SINCH_V2" => assert!(
                of(&findings, "number").as_ref().is_ok_and(|note| note.as_deref().is_some_and(|note| note.contains("does not tell")))
            ),
            _ => assert_eq!(of(&findings, "number"), &Ok(None), "{kind}"),
        }

        // Credentials that are no longer valid.
        let secret = match kind {
            "TWILIO" | "META" => "auth_token",
            "SINCH_V2" => "key_secret",
            "SINCH" => "authorization_token",
            _ => "api_key",
        };
        let mut changed = side.known.clone();
        changed.fields.insert(secret.to_owned(), "another".to_owned());
        side.standin.point(&changed, &url);
        side.standin.revoke_tokens();
        let findings = side.check(&url).await;
        assert_eq!(of(&findings, "credentials"), &Err(Problem::CredentialsRefused), "{kind}");
    }
}

/// The public Receive URL, for Meta's handshake.
async fn public(side: &Side) -> String {
    let receive = Arc::new(side.deployment.receive_of("meta"));
    let app = Router::new().route(
        "/{*path}",
        get(async move |Path(path): Path<String>, RawQuery(query): RawQuery| {
            let path = format!("/{path}");
            let request = HttpRequest::get(format!("https://inside.example{path}?{}", query.unwrap_or_default()));
            let answer = receive.handle(&request.body(Body::Empty).unwrap().with_raw_http_path(&path)).await;
            let Body::Text(text) = answer.body() else { panic!("no text") };
            (StatusCode::from_u16(answer.status().as_u16()).unwrap(), text.clone())
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{}", listener.local_addr().unwrap(), side.account.receive_path.reveal());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn webhooks_are_set_up_through_the_api_where_it_can_and_by_hand_elsewhere() {
    for kind in KINDS {
        let side = Side::open(kind).await;
        let url = if kind == "META" { public(&side).await } else { side.receive_url() };
        let register = || side.client.converse(&side.account, |adapter, connection, answers| adapter.register(connection, &url, answers));
        let by_api = matches!(kind, "META" | "SINCH_V2");
        // Repeating it changes nothing.
        for _ in 0..2 {
            assert_eq!(register().await.unwrap(), if by_api { Registration::Done } else { Registration::ByHand }, "{kind}");
        }
        assert!(side.adapter.instructions(&side.account, &url).contains(&url), "{kind}");
        if by_api {
            assert_eq!(of(&side.check(&url).await, "webhook"), &Ok(Some(String::new())), "{kind}");
            assert_eq!(side.standin.account(kind, side.known.id()).unwrap().receive_url, url, "{kind}");
        }
    }
}

#[tokio::test]
async fn numbers_and_templates_are_listed_where_the_api_has_them() {
    for kind in KINDS {
        let side = Side::open(kind).await;
        let numbers =
            side.client.converse(&side.account, |adapter, connection, answers| adapter.numbers(connection, answers)).await.unwrap();
        match numbers {
            Ok(numbers) => assert_eq!(numbers.iter().map(|number| number.phone.as_str()).collect::<Vec<_>>(), [NUMBER], "{kind}"),
            Err(problem) => assert!(problem == Problem::NotOffered && !matches!(kind, "TWILIO" | "META"), "{kind} {problem}"),
        }
        let templates =
            side.client.converse(&side.account, |adapter, connection, answers| adapter.templates(connection, answers)).await.unwrap();
        match templates {
            Ok(templates) => {
                assert_eq!(templates.iter().map(ListedTemplate::is_approved).collect::<Vec<_>>(), [true, false], "{kind}");
                assert!(templates[0].parts.text.contains("{{1}}") && templates[0].title == "recontact_1", "{kind}");
                assert_eq!(templates[0].parts.parameters, ["1"], "{kind}");
            }
            Err(problem) => assert!(problem == Problem::NotOffered && matches!(kind, "SINCH_V2" | "SINCH"), "{kind} {problem}"),
        }
    }
}

#[tokio::test]
async fn what_was_missed_is_found_under_the_ids_that_its_webhooks_would_have_had() {
    for kind in KINDS {
        let side = Side::open(kind).await;
        let known = standin::Account { receive_url: side.receive_url(), ..side.known.clone() };
        let picture = side.standin.add_file(&known, "image/png", None, standin::PICTURE).unwrap();
        let since = Timestamp::now() - SignedDuration::from_hours(1);
        let webhooks: Vec<_> = [("first", None), ("second", Some(&picture)), ("third", None)]
            .map(|(text, file)| side.standin.write(&known, "+393331234567", "Zoë", text, file).unwrap())
            .into();
        let now = Timestamp::now();
        let missed =
            side.client.converse(&side.account, |adapter, connection, answers| adapter.missed(connection, since, now, answers)).await;
        let missed = match missed.unwrap() {
            Ok(missed) => missed,
            Err(problem) => {
                assert!(problem == Problem::NotOffered && matches!(kind, "META" | "KALEYRA"), "{kind} {problem}");
                continue;
            }
        };
        let told = webhooks.iter().flat_map(|webhook| {
            let headers = webhook
                .headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), http::HeaderValue::from_str(value).unwrap()));
            let headers: http::HeaderMap = headers.collect();
            let webhook = Webhook { method: &http::Method::POST, public_url: &webhook.url, headers: &headers, body: &webhook.body };
            side.adapter.parse(&webhook, &side.account, now).unwrap()
        });
        let told: Vec<_> = told.map(|parsed| essence(&parsed.event.kind, &parsed.event.id)).collect();
        let found: Vec<_> = missed.iter().map(|parsed| essence(&parsed.event.kind, &parsed.event.id)).collect();
        assert_eq!(found, told, "{kind}");
    }
}

/// Id, customer, text and file of a message.
fn essence(kind: &InboundKind, id: &str) -> (String, String, String, Option<String>) {
    let InboundKind::Message(message) = kind else { panic!("{kind:?}") };
    let file = message.attachments.first().map(|attachment| attachment.source.clone());
    (id.to_owned(), message.from.key(), message.content.readable(), file)
}
