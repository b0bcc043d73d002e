//! The calling agent and presences.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{AgentCaller, Body, Command, Error};
use axum::Json;
use axum::extract::State;
use desk::presence::{PresenceChange, PresenceView};
use domain::account::{Account, TransferRule};
use domain::agent::{Presence, PresenceState, Role};
use domain::catalog::Disposition;
use domain::ids::AgentId;
use domain::language::Language;
use domain::message::Content;
use domain::screens::Shown;
use domain::tag::Tag;
use engine::ports::{Directory, Idempotency, Store};
use serde::Serialize;
use utoipa::ToSchema;

use super::Named;
use crate::app::App;
use crate::problem::Failure;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The agent's id.
    id: AgentId,
    /// The name that colleagues see.
    name: String,
    /// The caller's role.
    role: Role,
    /// Whether interactions are offered to the caller.
    whatsapp: bool,
    /// How many open interactions the agent may hold.
    capacity: usize,
    /// The accounts the agent belongs to. For supervisors, admins and owners: all accounts.
    accounts: Vec<MyAccount>,
    /// The queues the agent belongs to.
    queues: Vec<Named>,
    /// The reasons for a pause. If the list is empty, any text is allowed.
    pauses: Vec<String>,
    /// The tags to choose from. If the list is empty, any text is allowed.
    tags: Vec<Tag>,
    /// When to choose which of the general dispositions, by its name. Those without a description are left out.
    disposition_descriptions: BTreeMap<String, String>,
}

/// An account of the caller.
#[derive(Debug, Serialize, ToSchema)]
struct MyAccount {
    /// The account's id.
    id: String,
    /// Five letters or digits, shown on tabs.
    key: String,
    /// Display name.
    name: String,
    /// Whether the caller is one of the account's agents. Interactions are offered only to these.
    member: bool,
    /// Whether it is switched on. While it is off, nothing rings and nobody can pick, transfer or start.
    active: bool,
    /// Whether the interaction's agent may transfer it to another agent, and how long that waits to be accepted.
    transfer_to_agent: TransferRule,
    /// The same for transfers to a queue.
    transfer_to_queue: TransferRule,
    /// Whether closing requires a disposition.
    mandatory_disposition: bool,
    /// The pause of an agent who closes without the required disposition, until it is chosen. If absent, that is
    /// refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition_pause: Option<String>,
    /// The dispositions to choose from: the account's own, then the general ones. Each has up to three levels
    /// separated by `/`. If the list is empty, any text is allowed.
    dispositions: Vec<String>,
    /// Whether the account has a recontact template.
    recontact: bool,
    /// The agents' language, if the account translates.
    #[serde(skip_serializing_if = "Option::is_none")]
    translation: Option<Language>,
    /// Whether the account has an AI agent that helps its agents.
    assistant: bool,
    /// Whether the account has an AI agent that sums conversations up.
    insights: bool,
    /// Whether agents may start video calls.
    video: bool,
    /// Whether the account has an AI agent that may answer customers.
    answering: bool,
    /// The longest text of a message, in characters (Unicode scalar values).
    text_limit: usize,
    /// Whether the customer sees which message an answer is about (`reply_to`). Otherwise only colleagues do.
    quotes: bool,
    /// Whether agents may react to messages.
    reactions: bool,
}

impl MyAccount {
    /// What the account's provider can do. A provider that this version does not know can do nothing.
    fn abilities(provider: &str) -> (usize, bool, bool) {
        let Some(adapter) = providers::adapter(provider) else { return (0, false, false) };
        let reaction = Content::Reaction { message: "x".to_owned(), emoji: "👍".to_owned() };
        (adapter.text_limit(), adapter.quotes(), adapter.fits(&reaction, None).is_ok())
    }
}

/// Returns the caller's record, accounts and choices.
///
/// The event `configuration` tells that something of it has changed.
#[utoipa::path(get, path = "/me", tag = "agent", responses((status = OK, body = Me)))]
pub(crate) async fn me(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<Me>, Failure> {
    // The caller may have been told of a change that this process has not seen.
    app.directory().renew().await?;
    let agent = app.desk.agent(&caller.agent).await?.ok_or(Error::NoAgent)?;
    let accounts = app.directory().accounts().await?;
    let queues = app.directory().queues().await?;
    let described = app.directory().general_dispositions().await?;
    let general: Vec<String> = described.iter().map(|it| it.name.clone()).collect();
    let pauses = app.directory().pauses().await?;
    let of_mine = |account: &Account| {
        let Shown {
            key,
            name,
            active,
            provider,
            transfer_to_agent,
            transfer_to_queue,
            mandatory_disposition,
            disposition_pause,
            dispositions,
            recontact,
            translation,
            assistant,
            insights,
            video,
            answering,
        } = Shown::from(account);
        let pause = disposition_pause.and_then(|wanted| pauses.iter().find(|pause| pause.id == *wanted));
        let (text_limit, quotes, reactions) = MyAccount::abilities(provider);
        MyAccount {
            id: account.id.to_string(),
            key: key.to_owned(),
            name: name.to_owned(),
            member: account.agents.contains(&agent.id),
            active,
            transfer_to_agent,
            transfer_to_queue,
            mandatory_disposition,
            disposition_pause: pause.map(|pause| pause.name.clone()),
            dispositions: blended(dispositions, &general),
            recontact,
            translation: translation.cloned(),
            assistant,
            insights,
            video,
            answering,
            text_limit,
            quotes,
            reactions,
        }
    };
    let accounts = accounts.iter().filter(|account| caller.reads(account)).map(of_mine);
    let queues = queues.values().filter(|queue| queue.members.contains(&agent.id));
    let queues = queues.map(|queue| Named { id: queue.id.to_string(), name: queue.name.clone() });
    Ok(Json(Me {
        role: caller.role,
        whatsapp: agent.whatsapp,
        capacity: agent.capacity.get(),
        accounts: accounts.collect(),
        queues: queues.collect(),
        pauses: pauses.iter().map(|pause| pause.name.clone()).collect(),
        tags: app.directory().tags().await?.iter().map(|known| known.tag.clone()).collect(),
        disposition_descriptions: descriptions(&described),
        id: agent.id,
        name: agent.name,
    }))
}

/// The account's own dispositions, then the general ones that it does not have itself.
fn blended(own: &[String], general: &[String]) -> Vec<String> {
    own.iter().chain(general.iter().filter(|name| !own.contains(name))).cloned().collect()
}

/// The descriptions by name.
fn descriptions(of: &[Disposition]) -> BTreeMap<String, String> {
    of.iter().filter_map(|it| Some((it.name.clone(), it.description.clone()?))).collect()
}

/// Returns the caller's presence.
#[utoipa::path(get, path = "/presence", tag = "agent", responses((status = OK, body = PresenceView)))]
pub(crate) async fn presence(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<PresenceView>, Failure> {
    if let Some(presence) = app.store().presences(std::slice::from_ref(&caller.agent)).await?.get(&caller.agent) {
        return Ok(Json(app.desk.presence_view(presence).await?));
    }
    let agent = app.desk.agent(&caller.agent).await?.ok_or(Error::NoAgent)?;
    Ok(Json((&Presence::logged_out(agent.id, agent.capacity, app.now())).into()))
}

/// Changes the caller's presence: log in, pause, resume or log out.
///
/// Pausing and logging out withdraw all offers to the caller at once. 409 `whatsapp-disabled`: the caller has
/// WhatsApp switched off and can't become ready.
#[utoipa::path(put, path = "/presence", tag = "agent", request_body = PresenceChange, responses((status = OK, body = PresenceView)))]
pub(crate) async fn set_presence(
    State(app): State<Arc<App>>,
    command: Command,
    Body(change): Body<PresenceChange>,
) -> Result<Json<PresenceView>, Failure> {
    let state = change.state(&app.directory().pauses().await?)?;
    let agent = app.desk.fresh_agent(&command.caller.agent).await?.ok_or(Error::NoAgent)?;
    if state == PresenceState::Ready && !agent.whatsapp {
        return Err(Failure::NotEnabled);
    }
    let ready = state == PresenceState::Ready;
    let presence = app.desk.engine.set_presence(&agent.id, state.clone(), command.mark()).await?;
    app.desk.meant(&command, &presence, &state).await?;
    // WhatsApp was switched off in the meantime. That change may have logged the agent out just before this one.
    if ready && !app.desk.fresh_agent(&agent.id).await?.is_some_and(|agent| agent.whatsapp) {
        app.desk.engine.set_presence(&agent.id, PresenceState::LoggedOut, Idempotency::Guarded).await?;
        return Err(Failure::NotEnabled);
    }
    Ok(Json((&presence).into()))
}

#[cfg(test)]
mod tests {
    use domain::ids::DispositionId;
    use ulid::Ulid;

    use super::*;

    #[test]
    fn an_account_tells_what_its_provider_can_do() {
        let of = MyAccount::abilities;
        assert_eq!((of("META"), of("TWILIO")), ((4096, true, true), (1600, false, false)));
        assert_eq!((of("SINCH"), of("SINCH_V2"), of("KALEYRA")), ((4096, false, false), (4096, false, false), (4096, false, true)));
        assert_eq!(of("UNKNOWN"), (0, false, false));
    }

    #[test]
    fn only_dispositions_that_have_a_description_are_described() {
        let made = |name: &str, description: Option<&str>| Disposition {
            id: DispositionId::from_ulid(Ulid(1)),
            name: name.to_owned(),
            description: description.map(str::to_owned),
        };
        let described = descriptions(&[made("Late", Some("By a day or more")), made("Sold", None)]);
        assert_eq!(described, BTreeMap::from([("Late".to_owned(), "By a day or more".to_owned())]));
    }

    #[test]
    fn an_accounts_own_dispositions_come_before_the_general_ones() {
        assert_eq!(blended(&["A".into(), "B".into()], &["B".into(), "C".into()]), ["A", "B", "C"]);
    }
}
