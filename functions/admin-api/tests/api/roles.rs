//! Permissions: every route of the four APIs and the WebSocket, with every role, for both sources of roles. The
//! tests run before and after demotion and deletion, on records that the previous version wrote.

use aws_sdk_dynamodb::types::AttributeValue;
use realtime::Realtime;

use super::*;

/// The responses of the other APIs, which these tests check too.
static AGENT_API: LazyLock<Answers> = LazyLock::new(|| Answers::new("/agent", &agent_api::openapi()));
static SUPERVISOR_API: LazyLock<Answers> = LazyLock::new(|| Answers::new("/supervisor", &supervisor_api::openapi()));
static ASSIST_API: LazyLock<Answers> = LazyLock::new(|| Answers::new("/assist", &assist_api::openapi()));

/// The lowest role for each operation of the admin API. The test fails for an operation that is missing here.
const ADMIN: &str = "
    admin GET /accounts
    admin POST /accounts
    admin GET /accounts/{id}
    admin PUT /accounts/{id}
    admin PATCH /accounts/{id}
    admin DELETE /accounts/{id}
    admin PUT /accounts/{id}/agents/{agent}
    admin DELETE /accounts/{id}/agents/{agent}
    admin PUT /accounts/{id}/whitelist/{list}
    admin DELETE /accounts/{id}/whitelist/{list}
    admin PUT /accounts/{id}/translation/key
    admin DELETE /accounts/{id}/translation/key
    admin PUT /accounts/{id}/video/key
    admin DELETE /accounts/{id}/video/key
    admin GET /accounts/{id}/alerts
    supervisor GET /accounts/{id}/dispositions
    supervisor PUT /accounts/{id}/dispositions
    admin POST /accounts/{id}/check
    admin GET /accounts/{id}/numbers
    admin POST /accounts/{id}/plan/dry-run
    admin POST /accounts/{id}/reconcile
    admin POST /accounts/{id}/secrets/{secret}/rotate
    admin DELETE /accounts/{id}/secrets/{secret}/previous
    agent GET /accounts/{id}/templates
    admin GET /accounts/{id}/webhook
    admin POST /accounts/{id}/webhook
    supervisor GET /ai-agents
    admin POST /ai-agents
    supervisor GET /ai-agents/{id}
    admin PUT /ai-agents/{id}
    admin PATCH /ai-agents/{id}
    admin DELETE /ai-agents/{id}
    admin PUT /ai-agents/{id}/key
    admin DELETE /ai-agents/{id}/key
    supervisor GET /agents
    admin POST /agents
    supervisor GET /agents/{id}
    admin PUT /agents/{id}
    admin PATCH /agents/{id}
    admin DELETE /agents/{id}
    admin GET /audit
    supervisor GET /canned-answers
    supervisor POST /canned-answers
    supervisor GET /canned-answers/{id}
    supervisor PUT /canned-answers/{id}
    supervisor PATCH /canned-answers/{id}
    supervisor DELETE /canned-answers/{id}
    supervisor GET /canned-answers/{id}/attachment
    supervisor POST /canned-answers/{id}/attachment
    supervisor PUT /canned-answers/{id}/attachment
    supervisor DELETE /canned-answers/{id}/attachment
    supervisor GET /contacts
    supervisor POST /contacts
    supervisor GET /contacts/{id}
    supervisor PUT /contacts/{id}
    supervisor PATCH /contacts/{id}
    admin DELETE /contacts/{id}
    supervisor GET /contact-fields
    admin POST /contact-fields
    supervisor GET /contact-fields/{id}
    admin PUT /contact-fields/{id}
    admin PATCH /contact-fields/{id}
    admin DELETE /contact-fields/{id}
    supervisor GET /contacts/{id}/links
    supervisor POST /contacts/{id}/links
    supervisor POST /contacts/{id}/unlink
    supervisor GET /dispositions
    supervisor POST /dispositions
    supervisor GET /dispositions/{id}
    supervisor PUT /dispositions/{id}
    supervisor PATCH /dispositions/{id}
    supervisor DELETE /dispositions/{id}
    admin GET /intervals
    admin POST /intervals
    admin GET /intervals/{id}
    admin PUT /intervals/{id}
    admin PATCH /intervals/{id}
    admin DELETE /intervals/{id}
    supervisor GET /links
    supervisor GET /lists
    admin POST /lists
    supervisor GET /lists/{id}
    admin PUT /lists/{id}
    admin PATCH /lists/{id}
    admin DELETE /lists/{id}
    supervisor GET /pauses
    admin POST /pauses
    supervisor GET /pauses/{id}
    admin PUT /pauses/{id}
    admin PATCH /pauses/{id}
    admin DELETE /pauses/{id}
    supervisor GET /prices
    admin PUT /prices
    admin GET /providers
    admin POST /providers/{type}/check
    admin POST /providers/{type}/numbers
    supervisor GET /queues
    admin POST /queues
    supervisor GET /queues/{id}
    admin PUT /queues/{id}
    admin PATCH /queues/{id}
    admin DELETE /queues/{id}
    admin PUT /queues/{id}/members/{agent}
    admin DELETE /queues/{id}/members/{agent}
    supervisor GET /tags
    supervisor POST /tags
    supervisor GET /tags/{id}
    supervisor PUT /tags/{id}
    supervisor PATCH /tags/{id}
    supervisor DELETE /tags/{id}
    admin POST /templates/dry-run
    admin GET /settings
    admin PUT /settings
    admin GET /triggers
    admin POST /triggers
    admin GET /triggers/{id}
    admin PUT /triggers/{id}
    admin PATCH /triggers/{id}
    admin DELETE /triggers/{id}
    admin POST /triggers/{id}/secret/rotate
    admin GET /triggers/{id}/deliveries
    admin POST /triggers/{id}/test
";

/// The same for the agent API. Operations on an interaction look it up first, so a caller learns nothing about
/// interactions of others.
const AGENT: &str = "
    agent GET /accounts/{id}/canned-answers
    agent GET /accounts/{id}/canned-answers/{answer}/attachment
    agent GET /accounts/{id}/colleagues
    agent POST /accounts/{id}/conversations
    agent GET /accounts/{id}/interactions
    supervisor GET /agents/{id}/presence
    supervisor PUT /agents/{id}/presence
    agent GET /events
    agent GET /interactions
    agent GET /interactions/all
    agent GET /interactions/waiting
    agent GET /interactions/{id}
    agent POST /interactions/{id}/accept
    agent PUT /interactions/{id}/ai
    agent PUT /interactions/{id}/language
    agent POST /interactions/{id}/archive
    agent GET /interactions/{id}/attachments
    agent POST /interactions/{id}/attachments
    agent POST /interactions/{id}/close
    agent GET /contacts
    agent GET /interactions/{id}/contact
    agent GET /interactions/{id}/history
    agent GET /interactions/{id}/messages
    agent POST /interactions/{id}/messages
    agent GET /interactions/{id}/messages/{message}/attachments/{index}
    agent POST /interactions/{id}/notes
    agent GET /interactions/{id}/past
    agent POST /interactions/{id}/pick
    agent POST /interactions/{id}/reassign
    agent POST /interactions/{id}/reject
    agent POST /interactions/{id}/reopen
    agent PUT /interactions/{id}/tab
    agent DELETE /interactions/{id}/tab
    agent POST /interactions/{id}/tags
    agent GET /interactions/{id}/transcript
    agent POST /interactions/{id}/transcript
    agent POST /interactions/{id}/transfer
    agent GET /me
    agent GET /notifications
    agent POST /notifications/read
    agent POST /notifications/{id}/read
    agent GET /presence
    agent PUT /presence
    agent GET /queues
    agent POST /search
    agent GET /search/fields
    agent POST /tickets
";

/// The same for the supervisors' API. A star: the caller must also be an agent, since the history of an interaction
/// names the agent who acted.
const SUPERVISOR: &str = "
    supervisor GET /agents/{id}/presence
    supervisor* PUT /agents/{id}/presence
    owner PUT /contacts/{id}/hold
    owner DELETE /contacts/{id}/hold
    supervisor GET /contacts/{id}/hold
    owner POST /contacts/{id}/erase
    supervisor POST /deletions
    supervisor POST /deletions/preview
    supervisor POST /deletions/preview/matching
    supervisor POST /exports
    supervisor POST /imports
    supervisor POST /imports/uploads
    supervisor GET /interactions
    supervisor DELETE /interactions/{id}
    owner PUT /interactions/{id}/hold
    owner DELETE /interactions/{id}/hold
    supervisor GET /interactions/{id}/hold
    supervisor GET /interactions/{id}
    supervisor* PUT /interactions/{id}/ai
    supervisor* PUT /interactions/{id}/language
    supervisor* POST /interactions/{id}/archive
    supervisor* POST /interactions/{id}/close
    supervisor GET /interactions/{id}/history
    supervisor GET /interactions/{id}/messages
    supervisor GET /interactions/{id}/messages/{message}/attachments/{index}
    supervisor GET /interactions/{id}/attachments
    supervisor* POST /interactions/{id}/notes
    supervisor GET /interactions/{id}/log
    supervisor* POST /interactions/{id}/reassign
    supervisor* POST /interactions/{id}/reopen
    supervisor* POST /interactions/{id}/tags
    supervisor POST /search
    supervisor GET /retention
    owner PUT /retention
    owner POST /retention/preview
    supervisor GET /search/fields
    supervisor GET /searches
    supervisor PUT /searches/{name}
    supervisor DELETE /searches/{name}
    supervisor GET /interactions/{id}/transcript
    supervisor* POST /interactions/{id}/transcript
    supervisor GET /jobs
    supervisor GET /jobs/{id}
    supervisor DELETE /jobs/{id}
    supervisor GET /jobs/{id}/file
    supervisor* PUT /interactions/{id}/watch
    supervisor* DELETE /interactions/{id}/watch
    supervisor GET /logs
    supervisor GET /oversight
    supervisor GET /reports
";

const ROLES: [(&str, Role); 4] = [("agent", Role::Agent), ("supervisor", Role::Supervisor), ("admin", Role::Admin), ("owner", Role::Owner)];

fn role(word: &str) -> Role {
    ROLES.iter().find(|(known, _)| *known == word).unwrap().1
}

/// An operation of a table.
struct Operation {
    least: Role,
    /// Whether the caller must also be an agent.
    record: bool,
    method: String,
    path: String,
}

/// The operations of a table. They must match those of the OpenAPI document.
fn operations(table: &str, description: &utoipa::openapi::OpenApi) -> Vec<Operation> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let listed: Vec<Operation> = lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let (least, record) = (role(words[0].trim_end_matches('*')), words[0].ends_with('*'));
            Operation { least, record, method: words[1].to_owned(), path: words[2].to_owned() }
        })
        .collect();
    let mut known: Vec<_> = listed.iter().map(|Operation { method, path, .. }| format!("{method} {path}")).collect();
    let described = api::testing::operations(description);
    let mut described: Vec<_> = described.iter().map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    known.sort();
    described.sort();
    assert_eq!(known, described, "say who may use each operation");
    listed
}

/// Accepts `subject/claim` as a token: the subject, and the role that it claims, if any.
struct Words;

impl Gate for Words {
    fn verify<'a>(&'a self, token: &'a str, _: Timestamp) -> Pin<Box<dyn Future<Output = Result<Claims, AuthError>> + Send + 'a>> {
        let (subject, claim) = token.split_once('/').unwrap();
        let roles = ROLES.iter().filter(|(word, _)| *word == claim).map(|(_, role)| *role).collect();
        Box::pin(async move { Ok(Claims { subject: subject.to_owned(), roles }) })
    }
}

/// The operations of the assist API. All of them look for the caller's record.
const ASSIST: &str = "
    agent POST /interactions/{id}/translations
    agent POST /interactions/{id}/drafts
    agent POST /interactions/{id}/ask
    agent POST /interactions/{id}/suggest
    agent POST /interactions/{id}/insights
    agent POST /interactions/{id}/video
    admin POST /ai-agents/{id}/test
";

/// The four APIs and the WebSocket on the same tables.
struct House {
    admin: Admin,
    agent: Router,
    supervisor: Router,
    assist: Router,
    socket: Realtime,
    dynamodb: aws_sdk_dynamodb::Client,
    operations: [(&'static str, Vec<Operation>); 4],
}

impl House {
    async fn start(role_source: RoleSource) -> Self {
        let mut admin = Admin::start().await;
        let word = if role_source == RoleSource::Record { "record" } else { "claim" };
        let mut pairs = pairs(&admin.endpoint, &admin.account, &admin.wakes);
        pairs.retain(|(name, _)| *name != "ROLE_SOURCE");
        pairs.extend([
            ("ROLE_SOURCE", word),
            ("JOBS_QUEUE_URL", "http://127.0.0.1:1/jobs"),
            ("WEBSOCKET_URL", "wss://socket.example"),
            ("WEBSOCKET_ENDPOINT", admin.endpoint.as_str()),
            ("TIMERS_QUEUE_URL", "http://127.0.0.1:1/timers"),
        ]);
        let env = Env::from_pairs(pairs);
        let access = || Access { gate: Arc::new(Words), ..Access::from_env(&env).unwrap() };
        let router = router(App { access: access(), ..App::from_env(&env).unwrap() });
        let agent = agent_api::App { access: access(), ..agent_api::App::from_env(&env).unwrap() };
        let aws = Aws::new(&env).unwrap();
        let (dynamodb, socket) = (aws.dynamodb(), Realtime::from_env(&aws, &env).unwrap());
        let supervisor = supervisor_api::App { access: access(), ..supervisor_api::App::from_env(&env).unwrap() };
        let assist = assist_api::App { access: access(), ..assist_api::App::from_env(&env).unwrap() };
        let mut of_agents = operations(AGENT, &agent_api::openapi());
        let mut of_assist = operations(ASSIST, &assist_api::openapi());
        of_agents.iter_mut().chain(&mut of_assist).for_each(|operation| operation.record = true);
        let operations = [
            ("/admin", operations(ADMIN, &admin_api::openapi())),
            ("/agent", of_agents),
            ("/supervisor", operations(SUPERVISOR, &supervisor_api::openapi())),
            ("/assist", of_assist),
        ];
        admin.router = router;
        let (agent, supervisor) = (agent_api::router(Arc::new(agent)), supervisor_api::router(Arc::new(supervisor)));
        let assist = assist_api::router(Arc::new(assist));
        Self { admin, agent, supervisor, assist, socket, dynamodb, operations }
    }

    /// Writes a record in the format of the previous version: the agent and its subject.
    async fn record(&self, number: u8, subject: &str, role: &str) -> String {
        let id = format!("agt_{number:026}");
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let n = |number: &str| AttributeValue::N(number.to_owned());
        let data = [("id", s(&id)), ("name", s(subject)), ("subject", s(subject)), ("role", s(role)), ("capacity", n("5"))];
        let mut data: std::collections::HashMap<_, _> = data.map(|(name, value)| (name.to_owned(), value)).into();
        data.insert("whatsapp".to_owned(), AttributeValue::Bool(true));
        let put = |pk: &str, sk: &str| self.dynamodb.put_item().table_name("config").item("pk", s(pk)).item("sk", s(sk)).item("v", n("1"));
        put("agent", &id).item("version", n("1")).item("data", AttributeValue::M(data)).send().await.unwrap();
        put("unique", &format!("subject#{subject}")).item("owner", s(&id)).send().await.unwrap();
        id
    }

    /// The response to a caller.
    async fn ask(&self, prefix: &str, token: &str, method: &str, path: &str) -> (u16, String) {
        let (router, described) = match prefix {
            "/agent" => (&self.agent, &AGENT_API),
            "/supervisor" => (&self.supervisor, &SUPERVISOR_API),
            "/assist" => (&self.assist, &ASSIST_API),
            _ => (&self.admin.router, &DESCRIBED),
        };
        let path = path.replace(['{', '}'], "");
        let body = if path.ends_with("/presence") { json!({"state": "paused", "reason": "Lunch"}) } else { json!({}) };
        let request = Request::builder().method(method).uri(format!("{prefix}{path}"));
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}")).header(header::CONTENT_TYPE, "application/json");
        let request = if prefix == "/admin" { request.header(header::IF_MATCH, "\"1\"") } else { request };
        let response = router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let answer = read(described, method, &format!("{prefix}{path}"), response).await;
        (answer.status.as_u16(), answer.body["type"].as_str().unwrap_or_default().to_owned())
    }

    /// Checks that every operation of the APIs treats the caller as `role`, or refuses. `has_record`: whether the
    /// caller is also an agent.
    async fn lets_in(&self, token: &str, role: Option<Role>, has_record: bool, refusal: &str) {
        for (prefix, operations) in &self.operations {
            let answers = stream::iter(operations).map(async |Operation { least, record, method, path }| {
                let (status, kind) = self.ask(prefix, token, method, path).await;
                let what = format!("{method} {prefix}{path} as {token}: {status} {kind}");
                // Routes of agents look for the record before they ask for a role.
                let no_record = *record && !has_record;
                match role {
                    None => assert_eq!((status, kind.as_str()), (403, refusal), "{what}"),
                    Some(role) if role < *least && !(no_record && ["/agent", "/assist"].contains(prefix)) => {
                        assert_eq!((status, kind.as_str()), (403, "/problems/forbidden"), "{what}");
                    }
                    Some(_) if no_record => assert_eq!((status, kind.as_str()), (403, "/problems/no_agent"), "{what}"),
                    Some(_) => assert!(![401, 403, 405, 500, 503].contains(&status), "{what}"),
                }
            });
            answers.buffer_unordered(8).collect::<Vec<()>>().await;
        }
    }

    async fn ticket(&self, token: &str) -> String {
        let request = Request::post("/agent/tickets").header(header::AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap();
        let response = self.agent.clone().oneshot(request).await.unwrap();
        read(&AGENT_API, "POST", "/agent/tickets", response).await.is(201)["ticket"].as_str().unwrap().to_owned()
    }

    async fn socket(&self, kind: &str, ticket: &str) -> Value {
        let event = json!({
            "requestContext": {"connectionId": "c-1", "eventType": kind, "connectedAt": 0, "requestTimeEpoch": 0},
            "queryStringParameters": {"ticket": ticket},
            "body": "{\"after\": 0}"
        });
        self.socket.handle(serde_json::from_value(event).unwrap()).await.unwrap()["statusCode"].clone()
    }

    async fn change(&self, id: &str, patch: Value) -> Answer {
        let version = call("boss/agent", "GET", format!("/agents/{id}")).to(&self.admin.router).await.etag;
        call("boss/agent", "PATCH", format!("/agents/{id}")).if_match(&version).json(&patch).to(&self.admin.router).await
    }

    async fn delete(&self, id: &str) -> Answer {
        let version = call("boss/agent", "GET", format!("/agents/{id}")).to(&self.admin.router).await.etag;
        call("boss/agent", "DELETE", format!("/agents/{id}")).if_match(&version).to(&self.admin.router).await
    }
}

#[tokio::test]
async fn a_changed_record_decides_from_the_next_call_on_whatever_the_token_claims() {
    let house = House::start(RoleSource::Record).await;
    let no_agent = "/problems/no_agent";
    // Without any agent record, a caller who claims to be an owner may create the first one. Other claims may not.
    house.lets_in("boss/owner", Some(Role::Owner), false, no_agent).await;
    house.lets_in("boss/admin", None, false, no_agent).await;
    // A record without the role does not prevent this.
    let clerk = house.record(9, "clerk", "agent").await;
    house.lets_in("clerk/owner", Some(Role::Owner), true, no_agent).await;
    let boss = house.record(1, "boss", "owner").await;
    // From now on the claim no longer counts.
    house.lets_in("clerk/owner", Some(Role::Agent), true, no_agent).await;
    house.lets_in("stranger/owner", None, false, no_agent).await;
    let mut ids = Vec::new();
    for (number, (word, role)) in (2..).zip(ROLES) {
        ids.push(house.record(number, word, word).await);
        house.lets_in(&format!("{word}/{}", if role == Role::Owner { "agent" } else { "owner" }), Some(role), true, no_agent).await;
        house.lets_in(&format!("{word}/"), Some(role), true, no_agent).await;
    }
    // The agent is demoted and then deleted. Each time the next call has the new rights.
    for ((word, role), id) in ROLES.into_iter().zip(&ids) {
        if role > Role::Agent {
            house.change(id, json!({"role": "agent"})).await.is(200);
            house.lets_in(&format!("{word}/owner"), Some(Role::Agent), true, no_agent).await;
        }
        // Just before, since a ticket ends by itself after 30 s.
        let tickets = (house.ticket(&format!("{word}/")).await, house.ticket(&format!("{word}/")).await);
        assert_eq!(house.socket("CONNECT", &tickets.0).await, 200, "{word}");
        house.delete(id).await.is(204);
        assert_eq!(house.socket("CONNECT", &tickets.1).await, 403, "{word}");
        assert_eq!(house.socket("MESSAGE", "").await, 403, "{word}");
        assert_eq!(house.socket("MESSAGE", "").await, 410, "{word}: the connection is forgotten");
        house.lets_in(&format!("{word}/owner"), None, false, no_agent).await;
    }
    // The same person returns as another agent. The cached id of the subject is no longer valid.
    house.record(7, "supervisor", "supervisor").await;
    house.lets_in("supervisor/", Some(Role::Supervisor), true, no_agent).await;
    // The last owner can't be demoted.
    house.change(&boss, json!({"role": "admin"})).await.problem(409, "last-owner");
    house.delete(&boss).await.problem(409, "last-owner");
    house.change(&clerk, json!({"role": "owner"})).await.is(200);
    house.change(&boss, json!({"role": "admin"})).await.is(200);
    house.lets_in("boss/owner", Some(Role::Admin), true, no_agent).await;
}

#[tokio::test]
async fn records_grant_nothing_if_the_token_decides() {
    let house = House::start(RoleSource::Claim).await;
    let forbidden = "/problems/forbidden";
    house.record(1, "boss", "agent").await;
    for (number, (word, role)) in (2..).zip(ROLES) {
        let id = house.record(number, word, "agent").await;
        house.lets_in(&format!("{word}/{word}"), Some(role), true, forbidden).await;
        house.lets_in(&format!("{word}/"), None, true, forbidden).await;
        house.lets_in(&format!("stranger/{word}"), Some(role), false, forbidden).await;
        let patched = call("boss/owner", "PATCH", format!("/agents/{id}")).if_match("\"1\"").json(&json!({"role": "owner"}));
        patched.to(&house.admin.router).await.is(200);
        house.lets_in(&format!("{word}/{word}"), Some(role), true, forbidden).await;
        // The last owner may be deleted here.
        let deleted = call("boss/owner", "DELETE", format!("/agents/{id}")).if_match("\"2\"");
        deleted.to(&house.admin.router).await.is(204);
    }
    let ticket = house.ticket("boss/agent").await;
    assert_eq!(house.socket("CONNECT", &ticket).await, 200);
}
