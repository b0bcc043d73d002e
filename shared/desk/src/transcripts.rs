//! Transcripts, stored as zip files in the bucket.

use api::{Command, FromPath, Parameters, Reader};
use axum::Json;
use axum::extract::State;
use cloud::objects::LINK_LIFETIME;
use domain::decide::Event;
use http::StatusCode;
use serde_json::json;
use views::transcript::transcript_key;

use crate::interactions::tell;
use crate::{Desk, Failure, Limited, Link};

/// Returns a download link to the transcript.
///
/// The transcript is written when the interaction closes and on request. 404 `transcript-not-ready`: it has not been
/// written yet. The audit trail tells of each link.
#[utoipa::path(
    get, path = "/interactions/{id}/transcript", operation_id = "get_transcript", tag = "transcripts",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("attachments" = Option<bool>, Query, description = "Whether the zip includes the attachments; the default is `false`")
    ),
    responses((status = OK, body = Link), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn read(
    State(desk): State<Desk>,
    caller: Reader,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Json<Link>, Failure> {
    let attachments = parameters.flag("attachments")?;
    let place = desk.locate(caller.clone(), &id).await?;
    let interaction = desk.found(&place).await?;
    let key = transcript_key(&interaction, attachments);
    desk.objects.head(&key).await?.ok_or(Failure::TranscriptNotReady)?;
    let told = json!({"file": "transcript", "attachments": attachments});
    desk.downloaded(&caller, "interaction", interaction.id.as_str(), &told).await?;
    let name = key.rsplit('/').next().unwrap_or(&key);
    let expires_at = desk.now() + LINK_LIFETIME;
    Ok(Json(Link { url: desk.objects.link(&key, &place.file_name(name)).await?, expires_at }))
}

/// Requests a transcript of the interaction in its present state.
///
/// It is ready a moment later and replaces the previous one. 429: the caller has requested as many transcripts as are
/// allowed in an hour.
#[utoipa::path(
    post, path = "/interactions/{id}/transcript", tag = "transcripts", params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = ACCEPTED, description = "The transcript is being written"),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub async fn request(State(desk): State<Desk>, command: Command, FromPath(id): FromPath<String>) -> Result<StatusCode, Failure> {
    let agent = command.caller.agent.clone();
    desk.count(&agent, Limited::Transcript).await?;
    tell(&desk, &command, &id, Event::RequestTranscript { agent }).await.map(|_| StatusCode::ACCEPTED)
}
