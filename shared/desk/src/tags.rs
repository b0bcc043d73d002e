//! Tags on an interaction.

use api::{Body, Command, FromPath};
use axum::Json;
use axum::extract::State;
use domain::decide::Event;
use domain::tag::Tag;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::interactions::tell;
use crate::{Desk, Failure};

/// Tags to add and to remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retagging {
    /// Tags to add, 1 to 32 characters each. If the deployment has configured tags (`GET /me`), only those are
    /// allowed.
    #[serde(default)]
    add: Vec<String>,
    /// Tags to remove.
    #[serde(default)]
    remove: Vec<String>,
}

/// Adds tags to an interaction that the caller may read, and removes others.
///
/// An interaction has at most 20 tags.
#[utoipa::path(
    post, path = "/interactions/{id}/tags", tag = "interactions", request_body = Retagging,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn retag(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(body): Body<Retagging>,
) -> Result<Json<InteractionView>, Failure> {
    let (add, remove) = body.read(&desk.directory().tags().await?.iter().map(|known| known.tag.clone()).collect::<Vec<_>>())?;
    let by = command.caller.agent.clone();
    tell(&desk, &command, &id, Event::Retagged { by, add, remove }).await
}

impl Retagging {
    /// The tags to add and to remove. `known`: the tags to choose from; if it is empty, any text is allowed.
    fn read(&self, known: &[Tag]) -> Result<(Vec<Tag>, Vec<Tag>), Failure> {
        if self.add.is_empty() && self.remove.is_empty() {
            return Err(Failure::field("add", "is required, or remove"));
        }
        let tags = |field: &str, texts: &[String]| -> Result<Vec<Tag>, Failure> {
            // A list longer than an interaction's limit is a mistake, so the rest of it is not read.
            if texts.len() > Tag::MOST {
                return Err(Failure::field(field, &format!("must have at most {} tags", Tag::MOST)));
            }
            let tag = |(place, text): (usize, &String)| Tag::parse(text).map_err(|why| Failure::field(&format!("{field}[{place}]"), why.0));
            texts.iter().enumerate().map(tag).collect()
        };
        let (add, remove) = (tags("add", &self.add)?, tags("remove", &self.remove)?);
        if let Some(place) = add.iter().position(|tag| !known.is_empty() && !known.contains(tag)) {
            return Err(Failure::field(&format!("add[{place}]"), "is not among the tags to choose from"));
        }
        if let Some(place) = add.iter().position(|tag| remove.contains(tag)) {
            return Err(Failure::field(&format!("add[{place}]"), "is also in remove"));
        }
        Ok((add, remove))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(body: Value, known: &[&str]) -> String {
        let known: Vec<Tag> = known.iter().map(|tag| Tag::parse(tag).unwrap()).collect();
        let body: Retagging = serde_json::from_value(body).unwrap();
        match body.read(&known) {
            Ok((add, remove)) => format!("{} added, {} removed", add.len(), remove.len()),
            Err(failure) => serde_json::to_value(failure.problem()).unwrap()["errors"][0]["field"].as_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn tags_must_be_configured_ones_if_there_are_any() {
        assert_eq!(refused(json!({"add": ["vip", "new"], "remove": ["old"]}), &[]), "2 added, 1 removed");
        assert_eq!(refused(json!({"add": ["vip", "new"]}), &["vip"]), "add[1]");
        // A tag that is no longer configured can still be removed.
        assert_eq!(refused(json!({"remove": ["old"]}), &["vip"]), "0 added, 1 removed");
    }

    #[test]
    fn an_empty_or_contradictory_change_of_tags_is_refused() {
        assert_eq!(refused(json!({}), &[]), "add");
        assert_eq!(refused(json!({"add": ["vip"], "remove": [" vip "]}), &[]), "add[0]");
        assert_eq!(refused(json!({"remove": ["vip", ""]}), &[]), "remove[1]");
        assert_eq!(refused(json!({"add": ["x".repeat(33)]}), &[]), "add[0]");
        assert_eq!(refused(json!({"add": vec!["x"; 21]}), &[]), "add");
    }
}
