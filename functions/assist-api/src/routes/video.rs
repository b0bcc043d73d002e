//! Starts video calls: the customer's link goes out as an ordinary message, and the agent gets the host's.

use std::sync::Arc;

use api::{Command, Error, FromPath, Problem};
use axum::Json;
use axum::extract::State;
use desk::Limited;
use desk::interactions::{Done, refused, settle};
use domain::account::Account;
use domain::decide::Event;
use domain::effect::InteractionKey;
use domain::ids::MessageId;
use domain::message::Content;
use domain::video::{Call, Meeting, VideoSettings};
use engine::Sending;
use engine::ports::World;
use jiff::SignedDuration;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Failure;

/// How long a command may take to start a call: as long as a request lives. A repetition that comes later finds
/// nobody who is still at it.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(30);

/// A call that was started.
#[derive(Serialize, ToSchema)]
pub(crate) struct VideoCall {
    /// The id of the message with the customer's link.
    message: MessageId,
    /// The customer's link.
    customer_link: String,
    /// The agent's own link. It is not shown again.
    host_link: String,
}

/// Starts a video call.
///
/// A meeting is made, its link goes to the customer as an ordinary message, and the answer has the agent's own link.
/// Only the interaction's agent may start one, within the 24-hour window. The call and the interaction live
/// independently. With an `Idempotency-Key`, a repeated request makes one meeting and one message, and is answered
/// the same. 409 `video-off`: the account has no video calls. 409 `video-under-way`: an earlier request with this key
/// is not done yet. 409 `video-unknown`: it broke off, and nobody knows whether there is a meeting.
#[utoipa::path(
    post, path = "/interactions/{id}/video", tag = "video",
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = VideoCall),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<VideoCall>, Failure> {
    let place = app.desk.locate(&command.caller, &id).await?;
    let account = place.account()?;
    let interaction = app.desk.found(&place).await?;
    let call = Calling { app: &app, command: &command, key: &place.key };
    if let Some(made) = app.desk.earlier(&command, Some(&interaction)).await? {
        return call.again(&made).await;
    }
    let settings = account.settings.video.as_ref().filter(|video| video.enabled).ok_or(Failure::VideoOff)?;
    let (agent, id) = (command.caller.agent.clone(), MessageId::from_ulid(app.desk.engine.world.ulid()));
    // A meeting that nobody may be invited to is not made. It is decided once more when the link goes out.
    let event = Event::VideoStarted { agent: agent.clone(), message: id.clone() };
    if let Some((refusal, interaction)) = app.desk.engine.refusal_of(&place.key, &event).await? {
        return Err(refused(&app.desk, refusal, Some(*interaction)).await?.into());
    }
    let meeting = call.meeting(account, settings).await?;
    let sending = Sending::new(id, Content::Text { body: meeting.customer.clone() });
    let told = app.desk.engine.start_video(&place.key, agent, sending, command.mark(), command.basis()).await?;
    match settle(&app.desk, &command, told).await? {
        Done::Now(_, Some(message)) => Ok(Json(VideoCall::of(message.id, meeting))),
        Done::Before(_, Some(made)) => call.again(&made).await,
        Done::Now(_, None) | Done::Before(_, None) => Err(Failure::CallUnknown),
    }
}

impl VideoCall {
    fn of(message: MessageId, Meeting { customer, host }: Meeting) -> Self {
        Self { message, customer_link: customer, host_link: host }
    }
}

/// A call that a command starts.
struct Calling<'a> {
    app: &'a App,
    command: &'a Command,
    key: &'a InteractionKey,
}

impl Calling<'_> {
    /// What an earlier request with the command's key did.
    async fn again(&self, message: &str) -> Result<Json<VideoCall>, Failure> {
        let message = message.parse().map_err(|_| Error::NotFound)?;
        let call = match &self.command.keyed {
            Some(keyed) => self.app.desk.store().call(self.key, &keyed.id).await?,
            None => None,
        };
        let meeting = call.and_then(|call| call.meeting).ok_or(Failure::CallUnknown)?;
        Ok(Json(VideoCall::of(message, meeting)))
    }

    /// The meeting of the command: the one that an earlier request made, else a new one. It is noted before Vidaoo is
    /// asked: whoever finds such a note without a meeting asks for no second one.
    async fn meeting(&self, account: &Account, settings: &VideoSettings) -> Result<Meeting, Failure> {
        let Some(keyed) = &self.command.keyed else { return self.make(account, settings).await.map_err(|(failure, _)| failure) };
        let (store, now) = (self.app.desk.store(), self.app.desk.now());
        let attempt = self.app.desk.engine.world.ulid().to_string();
        match store.begin_call(self.key, &keyed.id, &attempt, now).await? {
            Some(Call { meeting: Some(meeting), .. }) => return Ok(meeting),
            Some(Call { at, meeting: None }) if now < at + UNDER_WAY => return Err(Failure::CallUnderWay),
            Some(Call { meeting: None, .. }) => return Err(Failure::CallUnknown),
            None => {}
        }
        match self.make(account, settings).await {
            Ok(meeting) => {
                store.keep_call(self.key, &keyed.id, &Call { at: now, meeting: Some(meeting.clone()) }).await?;
                Ok(meeting)
            }
            Err((failure, certain)) => {
                if certain {
                    store.forget_call(self.key, &keyed.id).await?;
                }
                Err(failure)
            }
        }
    }

    /// A new meeting. A failure says whether there is certainly none.
    async fn make(&self, account: &Account, settings: &VideoSettings) -> Result<Meeting, (Failure, bool)> {
        self.app.desk.count(&self.command.caller.agent, Limited::VideoCall).await.map_err(|failure| (failure.into(), true))?;
        let made = self.app.vidaoo.meet(account, settings).await;
        made.map_err(|why| (Failure::NoMeeting(why), why.is_certain()))
    }
}
