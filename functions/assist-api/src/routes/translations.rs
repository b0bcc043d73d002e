//! Translates messages and drafts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::{AgentCaller, Body, Error, Errors, FromPath, Problem};
use axum::Json;
use axum::extract::State;
use desk::text::lines;
use desk::{Limited, Located};
use domain::account::{Account, Translation};
use domain::decide::Event;
use domain::effect::{InteractionKey, MessageKey};
use domain::ids::MessageId;
use domain::interaction::Interaction;
use domain::language::{LONGEST_TRANSLATED, Language, Rendering, SURELY_DETECTED, Translator};
use domain::message::{Author, Content, Message};
use engine::Told;
use engine::ports::Idempotency;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use store::Order;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Failure, problem};
use crate::translate::{Translated, Untranslated};

/// A screen or two, as much as a client asks for while a person reads.
const MOST: usize = 50;
/// Messages that are under way at once.
const AT_ONCE: usize = 4;
/// The HTTP API ends after 30 s. Until then what was translated must be written, 50 messages at most, and the answer
/// must have left.
const TIME: Duration = Duration::from_secs(22);
/// How many messages one query reads.
const PAGE: i32 = 100;
/// Without ids, the latest messages are looked through for those without a translation: ten screens.
const LOOKED_THROUGH: usize = 200;

/// The messages to translate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTranslations {
    /// The ids of 1 to 50 messages of the interaction. If absent: the latest 50 of the customer's messages that have a
    /// text and no translation yet, among the latest 200.
    #[schema(min_items = 1, max_items = 50)]
    messages: Option<Vec<String>>,
}

/// What became of each message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Translations {
    /// The messages, in the order asked for; without ids the latest first.
    items: Vec<TranslationOutcome>,
    /// The customer's language as it is known now. Absent while it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
}

/// What became of a message: it has either a translation or a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TranslationOutcome {
    /// The message's id.
    message: MessageId,
    /// The translation, which the message keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    translation: Option<Rendering>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Translates messages into the agents' language.
///
/// Each translation is kept with its message, in the thread, in transcripts and for the search, and is paid once. A
/// message that is translated already is answered as it is. The customer's language is detected, unless an agent has
/// set it. One message's problem does not keep the others from their translations; its `problem` says why. 409
/// `translation-off`: the account does not translate. 429: more than the deployment allows an agent in an hour.
#[utoipa::path(
    post, path = "/interactions/{id}/translations", tag = "translation", request_body = NewTranslations,
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = Translations),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn translate(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    Body(NewTranslations { messages: asked }): Body<NewTranslations>,
) -> Result<Json<Translations>, Failure> {
    let until = Instant::now() + TIME;
    let asked = asked.map(|ids| parsed(&ids)).transpose()?;
    let place = app.desk.locate(&caller, &id).await?;
    let (account, settings) = translating(&place)?;
    let interaction = app.desk.found(&place).await?;
    let messages = match &asked {
        Some(ids) => these(&app, &interaction, ids).await?,
        None => untranslated(&app, &interaction, settings).await?,
    };
    let is_done = |message: &Message| message.translation.as_ref().is_some_and(|known| known.language == settings.language);
    let new = messages.iter().filter(|message| !is_done(message) && text_of(message).is_some()).count();
    app.desk.count_several(&caller.agent, Limited::Translation, new).await?;
    let translated = stream::iter(messages).map(|message| async {
        if let (true, Some(known)) = (is_done(&message), message.translation.clone()) {
            return Outcome { message, of: Ok(known), is_new: false };
        }
        let work = timeout_at(until, one(&app, account, settings, &interaction, &message));
        let of = work.await.unwrap_or(Err(Untranslated::Late));
        Outcome { message, of, is_new: true }
    });
    let outcomes: Vec<Outcome> = translated.buffered(AT_ONCE).collect().await;
    keep(&app, &interaction, &outcomes).await?;
    let detected = detected(&outcomes);
    let items = outcomes.into_iter().map(|Outcome { message, of, .. }| outcome_of(settings.provider, message.id, of));
    let items = items.collect();
    let language = match detected {
        Some(detected) => told(&app, &place.key, &interaction, detected).await?,
        None => interaction.language,
    };
    Ok(Json(Translations { items, language }))
}

fn outcome_of(by: Translator, message: MessageId, outcome: Result<Rendering, Untranslated>) -> TranslationOutcome {
    match outcome {
        Ok(translation) => TranslationOutcome { message, translation: Some(translation), problem: None },
        Err(why) => TranslationOutcome { message, translation: None, problem: Some(problem(by, &why)) },
    }
}

/// What became of a message in this request.
struct Outcome {
    message: Message,
    of: Result<Rendering, Untranslated>,
    /// Whether it was translated, or tried, now.
    is_new: bool,
}

/// Distinct ids, in their order.
fn parsed(ids: &[String]) -> Result<Vec<MessageId>, Failure> {
    if ids.is_empty() || ids.len() > MOST {
        return Err(Error::field("messages", format!("must name 1 to {MOST} messages")).into());
    }
    let (mut errors, mut seen, mut parsed) = (Errors::default(), BTreeSet::new(), Vec::new());
    for (index, id) in ids.iter().enumerate() {
        match id.parse::<MessageId>() {
            Ok(id) if seen.insert(id.clone()) => parsed.push(id),
            Ok(_) => {}
            Err(_) => errors.add(format!("messages[{index}]"), NOT_A_MESSAGE),
        }
    }
    errors.check().map_err(Error::Invalid)?;
    Ok(parsed)
}

const NOT_A_MESSAGE: &str = "is not a message of this interaction";

/// The account, if it translates.
fn translating(place: &Located) -> Result<(&Arc<Account>, &Translation), Failure> {
    let account = place.account()?;
    let settings = account.settings.translation.as_ref().filter(|translation| translation.enabled).ok_or(Failure::Off)?;
    Ok((account, settings))
}

/// Walks through the thread, the latest first, until `enough`.
async fn walk(app: &App, interaction: &Interaction, mut enough: impl FnMut(Message) -> bool) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = app.desk.store().thread(interaction, after.as_deref(), PAGE, Order::NewestFirst).await?;
        for message in page.messages {
            if enough(message) {
                return Ok(());
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The messages with these ids, in that order.
async fn these(app: &App, interaction: &Interaction, ids: &[MessageId]) -> Result<Vec<Message>, Failure> {
    let mut found = BTreeMap::new();
    walk(app, interaction, |message| {
        if ids.contains(&message.id) {
            found.insert(message.id.clone(), message);
        }
        found.len() == ids.len()
    })
    .await?;
    let mut errors = Errors::default();
    let mut messages = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        match found.remove(id) {
            Some(message) => messages.push(message),
            None => errors.add(format!("messages[{index}]"), NOT_A_MESSAGE),
        }
    }
    errors.check().map_err(Error::Invalid)?;
    Ok(messages)
}

/// The customer's latest messages with a text and without a translation into the agents' language.
async fn untranslated(app: &App, interaction: &Interaction, settings: &Translation) -> Result<Vec<Message>, Failure> {
    let (mut messages, mut seen) = (Vec::new(), 0);
    walk(app, interaction, |message| {
        seen += 1;
        let done = message.translation.as_ref().is_some_and(|known| known.language == settings.language);
        if message.author == Author::Customer && !done && text_of(&message).is_some() {
            messages.push(message);
        }
        messages.len() == MOST || seen == LOOKED_THROUGH
    })
    .await?;
    Ok(messages)
}

/// The text that is translated. A template has its own translations, and a note is the agents' own.
fn text_of(message: &Message) -> Option<&str> {
    let text = match &message.content {
        Content::Text { body } => body,
        Content::Media { caption } => caption,
        Content::Button { text, .. } => text,
        _ => return None,
    };
    Some(text.as_str()).filter(|text| !text.trim().is_empty())
}

/// Translates a message.
async fn one(
    app: &App,
    account: &Account,
    settings: &Translation,
    interaction: &Interaction,
    message: &Message,
) -> Result<Rendering, Untranslated> {
    let Some(text) = text_of(message) else { return Err(Untranslated::Nothing) };
    let customers = message.author == Author::Customer;
    let chosen = interaction.language.as_ref().filter(|_| interaction.language_kept && customers);
    let into = &settings.language;
    let translated = match app.translators.translate(account, settings, text, chosen, into).await {
        // What the customer spoke before is a better guess than none.
        Err(Untranslated::Unclear { .. }) if customers && chosen.is_none() && interaction.language.is_some() => {
            app.translators.translate(account, settings, text, interaction.language.as_ref(), into).await
        }
        outcome => outcome,
    };
    let Translated { text, from } = translated?;
    Ok(Rendering { text, language: into.clone(), from: Some(from), by: settings.provider })
}

/// Keeps each new translation with its message. They come one after the other, so that the last one is the last: it
/// has a closed interaction's archive made again, once. If this breaks off, whoever asks again translates the rest.
async fn keep(app: &App, interaction: &Interaction, outcomes: &[Outcome]) -> Result<(), Failure> {
    let mut new = Vec::new();
    for Outcome { message, of, is_new } in outcomes {
        if let (true, Ok(rendering), Some(key)) = (is_new, of, key_of(interaction, message)) {
            new.push((key, message, rendering));
        }
    }
    let count = new.len();
    for (place, (key, message, rendering)) in new.into_iter().enumerate() {
        app.desk.engine.translated(&key, &message.content, rendering, place + 1 == count).await?;
    }
    Ok(())
}

/// The place of a message, which may have been merged into the interaction with another one.
fn key_of(interaction: &Interaction, message: &Message) -> Option<MessageKey> {
    let own = interaction.key();
    let of = std::iter::once(&own).chain(&interaction.absorbed).find(|key| key.interaction == message.interaction)?;
    Some(MessageKey { interaction: of.clone(), at: message.at, message: message.id.clone() })
}

/// The language of the customer's latest message that was translated now and is long enough to tell it.
fn detected(outcomes: &[Outcome]) -> Option<Language> {
    let sure =
        |message: &Message| text_of(message).is_some_and(|text| text.lines().any(|line| line.trim().chars().count() >= SURELY_DETECTED));
    let new = outcomes.iter().filter_map(|Outcome { message, of, is_new }| match of {
        Ok(rendering) if *is_new && message.author == Author::Customer && sure(message) => Some((message, rendering)),
        _ => None,
    });
    new.max_by(|(one, _), (other, _)| (one.at, &one.id).cmp(&(other.at, &other.id))).and_then(|(_, rendering)| rendering.from.clone())
}

/// Keeps the language that was detected, unless the interaction is closed or an agent has set another.
async fn told(app: &App, key: &InteractionKey, before: &Interaction, language: Language) -> Result<Option<Language>, Failure> {
    if before.language_kept || before.language.as_ref() == Some(&language) {
        return Ok(before.language.clone());
    }
    let told = app.desk.engine.tell(key, Event::LanguageDetected { language }, Idempotency::Guarded).await?;
    let (Told::Changed { interaction, .. } | Told::AlreadyDone(interaction) | Told::Refused(_, interaction)) = told;
    Ok(interaction.language)
}

/// A text that an agent is about to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDraft {
    /// The text in the agents' language: at most 10,000 bytes.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    /// The language to translate into. If absent: the customer's.
    #[schema(example = "pt")]
    to: Option<String>,
}

/// An agent's words never reach a log.
impl std::fmt::Debug for NewDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewDraft(…)")
    }
}

/// A draft and its translation. To send it, give `text` as the message's text, and `original` with it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TranslatedDraft {
    /// The translation.
    text: String,
    /// What the agent wrote.
    original: DraftOriginal,
}

/// What the agent wrote, as a message that is sent takes it in `original`.
#[derive(Serialize, ToSchema)]
pub(crate) struct DraftOriginal {
    /// The text.
    text: String,
    /// The language of the translation.
    translated_to: Language,
}

/// Translates a draft from the agents' language into the customer's.
///
/// Nothing is sent and nothing is kept. 422 `language-unknown`: translate a message of the customer first, set the
/// language, or name it.
#[utoipa::path(
    post, path = "/interactions/{id}/drafts", tag = "translation", request_body = NewDraft,
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = TranslatedDraft),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn translate_draft(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    Body(NewDraft { text, to }): Body<NewDraft>,
) -> Result<Json<TranslatedDraft>, Failure> {
    let until = Instant::now() + TIME;
    let named = to.map(|code| Language::parse(&code).map_err(|invalid| Error::field("to", invalid.0))).transpose()?;
    if text.trim().is_empty() {
        return Err(Error::field("text", "must not be empty").into());
    }
    lines("text", &text, LONGEST_TRANSLATED)?;
    let place = app.desk.locate(&caller, &id).await?;
    let (account, settings) = translating(&place)?;
    let interaction = app.desk.found(&place).await?;
    let to = named.or(interaction.language).ok_or(Failure::LanguageUnknown)?;
    app.desk.count_several(&caller.agent, Limited::Translation, 1).await?;
    let work = timeout_at(until, app.translators.translate(account, settings, &text, Some(&settings.language), &to));
    let outcome = work.await.unwrap_or(Err(Untranslated::Late));
    let translated = outcome.map_err(|why| Failure::Untranslated { by: settings.provider, why })?;
    Ok(Json(TranslatedDraft { text: translated.text, original: DraftOriginal { text, translated_to: to } }))
}
