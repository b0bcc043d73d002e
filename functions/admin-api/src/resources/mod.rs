//! The configured resources: one file for each kind.

pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod ai_agents;
pub(crate) mod answer_files;
pub(crate) mod canned_answers;
pub(crate) mod contact_fields;
pub(crate) mod contacts;
pub(crate) mod dispositions;
pub(crate) mod intervals;
pub(crate) mod links;
pub(crate) mod lists;
pub(crate) mod pauses;
pub(crate) mod prices;
pub(crate) mod queues;
pub(crate) mod removal;
pub(crate) mod review;
pub(crate) mod settings;
mod singleton;
pub(crate) mod tags;
pub(crate) mod triggers;

use domain::ids::{
    AccountId, AgentId, AiAgentId, CannedAnswerId, ContactFieldId, ContactId, DispositionId, InteractionId, IntervalId, JobId, ListId,
    PauseId, QueueId, TagId, TriggerId,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The prefix of the ids of each kind.
pub(crate) const KINDS: [(&str, &str); 18] = [
    (AccountId::PREFIX, "account"),
    (AgentId::PREFIX, "agent"),
    (AiAgentId::PREFIX, "ai_agent"),
    (QueueId::PREFIX, "queue"),
    (ListId::PREFIX, "list"),
    (IntervalId::PREFIX, "interval"),
    (PauseId::PREFIX, "pause"),
    (DispositionId::PREFIX, "disposition"),
    (TagId::PREFIX, "tag"),
    (CannedAnswerId::PREFIX, "canned_answer"),
    (ContactId::PREFIX, "contact"),
    (ContactFieldId::PREFIX, "contact_field"),
    (TriggerId::PREFIX, "trigger"),
    // Supervisors export and delete through their own API.
    (InteractionId::PREFIX, "interaction"),
    (JobId::PREFIX, "job"),
    // Settings of which there is one: the id is the kind. The first is theirs.
    ("retention", "retention"),
    ("settings", "settings"),
    ("prices", "prices"),
];

/// The routes of all kinds.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .routes(routes!(accounts::delete_account))
        .routes(routes!(accounts::rotate_secret))
        .routes(routes!(accounts::end_previous_secret))
        .routes(routes!(accounts::put_account_agent, accounts::delete_account_agent))
        .routes(routes!(accounts::account_dispositions, accounts::put_account_dispositions))
        .routes(routes!(accounts::try_plan))
        .routes(routes!(accounts::try_template))
        .routes(routes!(accounts::put_whitelisted, accounts::delete_whitelisted))
        .routes(routes!(accounts::put_translation_key, accounts::delete_translation_key))
        .routes(routes!(accounts::put_video_key, accounts::delete_video_key))
        .merge(agents::routes())
        .merge(ai_agents::routes())
        .routes(routes!(ai_agents::put_ai_key, ai_agents::delete_ai_key))
        .merge(queues::routes())
        .routes(routes!(queues::put_member, queues::delete_member))
        .merge(intervals::routes())
        .merge(lists::routes())
        .routes(routes!(contacts::find_contacts, contacts::create_contact))
        .routes(routes!(contacts::get_contact, contacts::put_contact, contacts::patch_contact, removal::delete_contact))
        .merge(contact_fields::routes())
        .routes(routes!(links::list_links, links::link_contacts))
        .routes(routes!(links::unlink_contact))
        .routes(routes!(review::review_links))
        .routes(routes!(settings::get_settings, settings::put_settings))
        .routes(routes!(prices::get_prices, prices::put_prices))
        .merge(pauses::routes())
        .merge(dispositions::routes())
        .merge(tags::routes())
        .merge(canned_answers::routes())
        .routes(routes!(canned_answers::list_canned_answers))
        .routes(routes!(
            answer_files::upload_answer_file,
            answer_files::put_answer_file,
            answer_files::delete_answer_file,
            answer_files::get_answer_file
        ))
        .merge(triggers::routes())
        .routes(routes!(triggers::rotate_trigger_secret))
        .routes(routes!(triggers::list_trigger_deliveries))
        .routes(routes!(triggers::test_trigger))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::account::List;
    use domain::ai_agent::AiAgent;
    use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
    use domain::details::ContactField;
    use domain::interval::Interval;
    use domain::trigger::Trigger;
    use serde_json::{Value, json};

    use crate::input::{AccountInput, AgentInput, ContactInput, Errors, LinkInput, NewContactInput, QueueInput, REQUIRED, UnlinkInput};
    use crate::resource::Resource;
    use crate::resources::accounts::AccountDispositionsInput;

    #[test]
    fn the_parsers_know_every_field_of_the_schemas_and_require_the_required_ones() {
        type Parse = fn(Value) -> Option<Errors>;
        let parsers: [(&str, Parse); 17] = [
            ("AccountInput", |body| AccountInput::parse(body, None).err()),
            ("AccountDispositionsInput", |body| AccountDispositionsInput::parse(body, None).err()),
            ("AgentInput", |body| AgentInput::parse(body, None).err()),
            ("AiAgentInput", |body| AiAgent::parse(body, None).err()),
            ("QueueInput", |body| QueueInput::parse(body, None).err()),
            ("IntervalInput", |body| Interval::parse(body, None).err()),
            ("ListInput", |body| List::parse(body, None).err()),
            ("NewContactInput", |body| NewContactInput::parse(body).err()),
            ("ContactInput", |body| ContactInput::parse(body, &Value::Null).err()),
            ("LinkInput", |body| LinkInput::parse(body).err()),
            ("UnlinkInput", |body| UnlinkInput::parse(body).err()),
            ("PauseInput", |body| Pause::parse(body, None).err()),
            ("DispositionInput", |body| Disposition::parse(body, None).err()),
            ("ContactFieldInput", |body| ContactField::parse(body, None).err()),
            ("TagInput", |body| KnownTag::parse(body, None).err()),
            ("CannedAnswerInput", |body| CannedAnswer::parse(body, None).err()),
            ("TriggerInput", |body| Trigger::parse(body, None).err()),
        ];
        let description = serde_json::to_value(crate::openapi()).unwrap();
        for (name, parse) in parsers {
            let schema = &description["components"]["schemas"][name];
            let described: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            // At the top level, an object is the wrong value for some fields, but only an unknown field is refused as
            // unknown.
            let body = Value::Object(described.iter().map(|field| ((*field).to_owned(), json!({}))).collect());
            let refused = parse(body).unwrap();
            assert!(refused.iter().all(|error| error.message != "is not known"), "{name}: {refused:?}");
            let required: BTreeSet<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let missing = parse(json!({})).unwrap_or_default();
            // A field that is required only if another field is absent is not required in the schema.
            let missing = missing.iter().filter(|error| error.message == REQUIRED).map(|error| error.field.as_str());
            assert_eq!(missing.collect::<BTreeSet<_>>(), required, "{name}");
        }
    }
}
