//! The Lambda `realtime`: handles agents' WebSocket connections: connect, ask, disconnect. `push` sends the events.
//!
//! | input | result |
//! |---|---|
//! | connect with a good ticket | the connection is noted; 200 |
//! | connect without a ticket, or with one that is used, too old or unknown | 401; nothing written |
//! | connect or ask of an agent whose record was deleted | 403; a connection that is there is closed and forgotten |
//! | `{"after": N}` | the events after number N are sent, at most [`CATCH_UP`], each as the agent may read it now, and `expired` in the place of those that are gone; then `{"caught_up": M}`: all up to number M were sent. With `"more": true` others follow: ask again with M |
//! | `{"ping": …}` | the same comes back as `{"pong": …}`, which keeps the connection from idling out after 10 minutes |
//! | anything else | an error message that lists the valid requests |
//! | disconnect | the connection is forgotten; an agent without a connection when the grace of the settings is over is logged out |

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use cloud::auth::RoleSource;
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::function;
use cloud::queues::{Queue, SendOptions};
use cloud::sockets::Sockets;
use domain::agent::{Agent, Role};
use domain::ids::AgentId;
use engine::jobs::Wakeup;
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Configuration, Connection, Interactions, Page, Reader};
use views::AgentEvent;

/// The lifetime of a connection and of the right to it. API Gateway ends a connection after two hours.
const CONNECTION_LIFETIME: SignedDuration = SignedDuration::from_hours(2);

/// The most events for one request to catch up. A few hundred short posts stay well within the function's time.
pub const CATCH_UP: i32 = 200;

/// What a connection needs.
pub struct Realtime {
    store: Interactions,
    configuration: Configuration,
    role_source: RoleSource,
    timers: Queue,
    sockets: Sockets,
}

/// A client's request.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Ask {
    CatchUp { after: u64 },
    Ping { ping: Value },
}

impl Realtime {
    /// Wires the clients from the environment.
    ///
    /// # Errors
    /// When a variable is missing or can't be used.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self {
            store: Interactions::from_env(aws, env)?,
            configuration: Configuration::from_env(aws, env)?,
            role_source: RoleSource::from_env(env)?,
            sockets: Sockets::from_env(aws, env)?,
            timers: Queue::from_env(aws, env, "TIMERS_QUEUE_URL")?,
        })
    }

    /// Handles a connection's event.
    ///
    /// # Errors
    /// When a table, the timers or the socket fails.
    pub async fn handle(&self, request: ApiGatewayWebsocketProxyRequest) -> Result<Value, Error> {
        let context = &request.request_context;
        let connection = context.connection_id.as_deref().ok_or("no connection id")?;
        match context.event_type.as_deref() {
            Some("CONNECT") => self.connect(connection, request.query_string_parameters.first("ticket")).await,
            Some("DISCONNECT") => self.disconnect(connection).await,
            _ => self.asked(connection, request.body.as_deref().unwrap_or_default()).await,
        }
    }

    async fn connect(&self, connection: &str, ticket: Option<&str>) -> Result<Value, Error> {
        let now = cloud::time::now();
        let hash = cloud::digest::sha256_hex(ticket.unwrap_or_default());
        let Some(agent) = self.store.take_ticket(&hash, now).await? else {
            tracing::warn!(event = "realtime.refused");
            return Ok(json!({ "statusCode": 401 }));
        };
        if self.record(&agent).await?.is_none() {
            tracing::warn!(event = "realtime.no_agent", %agent);
            return Ok(json!({ "statusCode": 403 }));
        }
        tracing::info!(event = "realtime.connected", %agent);
        let expires_at = now.saturating_add(CONNECTION_LIFETIME)?;
        self.store.connect(&Connection { id: connection.to_owned(), agent, opened_at: now, expires_at }).await?;
        Ok(json!({ "statusCode": 200 }))
    }

    /// Sends the wake-up first. It forgets the connection too, in case this function dies afterwards.
    async fn disconnect(&self, connection: &str) -> Result<Value, Error> {
        if let Some(agent) = self.store.connection_owner(connection).await? {
            let at = cloud::time::now();
            let lost = Wakeup::Lost { agent: agent.clone(), connection: connection.to_owned(), at };
            self.timers.send(&lost, SendOptions::delayed(self.configuration.connection_grace().await)).await?;
            self.store.lose(&agent, connection, at).await?;
            tracing::info!(event = "realtime.disconnected", %agent);
        }
        Ok(json!({ "statusCode": 200 }))
    }

    async fn asked(&self, connection: &str, body: &str) -> Result<Value, Error> {
        let Some(agent) = self.store.connection_owner(connection).await? else { return Ok(json!({ "statusCode": 410 })) };
        let Some(record) = self.record(&agent).await? else {
            tracing::warn!(event = "realtime.no_agent", %agent);
            self.store.lose(&agent, connection, cloud::time::now()).await?;
            if let Err(error) = self.sockets.close(connection).await {
                tracing::warn!(event = "realtime.not_closed", %agent, %error);
            }
            return Ok(json!({ "statusCode": 403 }));
        };
        match serde_json::from_str(body) {
            Ok(Ask::CatchUp { after }) => self.catch_up(connection, &record, after).await?,
            Ok(Ask::Ping { ping }) => self.post(connection, &json!({ "pong": ping })).await?,
            Err(_) => self.post(connection, &json!({ "error": "understood are {\"after\": N} and {\"ping\": …}" })).await?,
        }
        Ok(json!({ "statusCode": 200 }))
    }

    /// The agent's record as it is now, by one consistent read.
    async fn record(&self, agent: &AgentId) -> Result<Option<Agent>, Error> {
        Ok(self.configuration.get::<Agent>(agent.as_str()).await?.map(|(agent, _)| agent))
    }

    async fn catch_up(&self, connection: &str, agent: &Agent, after: u64) -> Result<(), Error> {
        // Where the token decides, the record's role grants nothing.
        let oversees = self.role_source == RoleSource::Record && agent.role >= Role::Supervisor;
        let reader = Reader { agent: &agent.id, oversees };
        let now = cloud::time::now();
        let page = self.store.events_for::<AgentEvent>(&self.configuration, reader, after, CATCH_UP, now).await?;
        for event in &page.events {
            self.post(connection, &serde_json::to_value(event)?).await?;
        }
        // What is appended meanwhile is posted by `push`: the connection was there before the feed was read.
        self.post(connection, &caught_up(after, &page)).await
    }

    async fn post(&self, connection: &str, message: &Value) -> Result<(), Error> {
        self.sockets.post(connection, message.to_string().into_bytes()).await?;
        Ok(())
    }
}

/// The end of an answer to `after`: the number up to which all was sent, and whether there is more behind it.
fn caught_up(after: u64, page: &Page<AgentEvent>) -> Value {
    match page.last {
        Some(last) => json!({ "caught_up": last }),
        None => json!({ "caught_up": page.events.last().map_or(after, |event| event.seq), "more": true }),
    }
}

/// Runs the Lambda.
///
/// # Errors
/// When the environment is incomplete or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Realtime::from_env, async |realtime: &Realtime, event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        realtime.handle(event.payload).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use store::FeedEvent;

    use super::*;

    #[test]
    fn an_answer_ends_with_the_number_up_to_which_nothing_is_missing() {
        let event = |seq| FeedEvent { seq, at: jiff::Timestamp::UNIX_EPOCH, account: None, event: AgentEvent::Expired };
        let end = |after, events: &[u64], last| caught_up(after, &Page { events: events.iter().copied().map(event).collect(), last });
        assert_eq!(end(7, &[8, 9], Some(9)), json!({ "caught_up": 9 }));
        assert_eq!(end(7, &[8, 9], None), json!({ "caught_up": 9, "more": true }));
        assert_eq!((end(7, &[], Some(7)), end(0, &[], Some(0))), (json!({ "caught_up": 7 }), json!({ "caught_up": 0 })));
        // A client that has a number from elsewhere.
        assert_eq!(end(900, &[], Some(7)), json!({ "caught_up": 7 }));
    }

    #[test]
    fn a_client_may_catch_up_or_ping_and_nothing_else() {
        assert_eq!(serde_json::from_str::<Ask>(r#"{"after":7}"#).unwrap(), Ask::CatchUp { after: 7 });
        assert_eq!(serde_json::from_str::<Ask>(r#"{"ping":"x"}"#).unwrap(), Ask::Ping { ping: json!("x") });
        for other in ["", "{}", r#"{"after":-1}"#, r#"{"after":1,"agent":"agt_x"}"#, "[]"] {
            assert!(serde_json::from_str::<Ask>(other).is_err(), "{other}");
        }
    }
}
