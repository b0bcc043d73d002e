//! Reads of the interactions table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit::Entry;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::agent::{Capacity, Presence, PresenceState};
use domain::business::Business;
use domain::contact::{Contact, Identity, Link, Place, Standing};
use domain::effect::{ConversationKey, Effect, InteractionKey, MessageKey, Target};
use domain::footprint::WaitingRow;
use domain::history::{Fact, HistoryEntry, entry_of, whole};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId};
use domain::inbound::{Alert, InboundEvent};
use domain::insights::{Insights, Summary};
use domain::interaction::Interaction;
use domain::message::Message;
use engine::ports::{Commit, Committed, Conversation, Idempotency, MessageCommit, Store};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::codec::{Form, Item, PortResult, failed, from_data, key_item, n, number, s, text, told_by, undecodable};
use crate::documents::Documents;
use crate::feed::Feeds;
use crate::keys;
use crate::table::Table;

/// How long addresses are cached. Their owners seldom change, and a transaction that opens an interaction with an
/// old answer is refused.
const ALIAS_TTL: Duration = Duration::from_secs(60);

/// The most bytes of messages on a page. A function's answer may have 6 MB, in which quotes and backslashes count
/// twice and control characters seven times, and a message of WhatsApp's full length has 256 KB.
const PAGE_BYTES: usize = 1024 * 1024;

/// The most cached addresses. Beyond it, the cache starts anew.
const ALIASES_KEPT: usize = 10_000;

/// The most cached places of interactions, some 200 bytes each. Beyond it, the cache starts anew.
const PLACES_KEPT: usize = 10_000;

/// A part of the table, for reads that look at every contact.
#[derive(Debug, Clone)]
pub struct ScannedContacts {
    /// The contacts in it, in no order.
    pub contacts: Vec<Contact>,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<String>,
}

/// Parts the two keys of a place in the table. No key has a line break.
const BETWEEN_KEYS: char = '\n';

/// The place in the table behind a contact, as [`Interactions::scan_contacts`] takes it.
pub fn after_contact(id: &ContactId) -> String {
    let place = keys::contact(id);
    format!("{}{BETWEEN_KEYS}{}", place.pk, place.sk)
}

/// The place in the table at which a scan ended.
pub(crate) fn to_place(last: &Item) -> Option<String> {
    Some(format!("{}{BETWEEN_KEYS}{}", text(last, "pk")?, text(last, "sk")?))
}

/// The key behind which a scan goes on.
pub(crate) fn from_place(after: Option<&str>) -> Option<Item> {
    let (pk, sk) = after?.split_once(BETWEEN_KEYS)?;
    Some(Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))]))
}

/// Whether a text is a place in the table.
pub fn is_place(text: &str) -> bool {
    text.split_once(BETWEEN_KEYS).is_some_and(|(pk, sk)| !pk.is_empty() && !sk.is_empty())
}

/// The order of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As it was written.
    OldestFirst,
    /// As people read it who come to it now.
    NewestFirst,
}

/// The interactions table.
#[derive(Clone)]
pub struct Interactions {
    pub(crate) table: Table,
    pub(crate) config_table: Arc<str>,
    pub(crate) feeds: Feeds,
    pub(crate) form: Form,
    pub(crate) documents: Option<Documents>,
    aliases: Arc<Mutex<HashMap<String, (Standing, Instant)>>>,
    places: Arc<Mutex<HashMap<InteractionId, InteractionKey>>>,
}

impl std::fmt::Debug for Interactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interactions").field("table", &self.table.name).finish_non_exhaustive()
    }
}

/// A page of a thread, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// The messages.
    pub messages: Vec<Message>,
    /// The start of the next page.
    pub next: Option<String>,
}

impl Interactions {
    /// The interactions table with this name. Its transactions check membership in `config_table`.
    pub fn new(client: Client, table: impl Into<Arc<str>>, config_table: impl Into<Arc<str>>) -> Self {
        let table = Table::new(client, table);
        let (config_table, feeds) = (config_table.into(), Feeds::default());
        let (aliases, places) = (Arc::default(), Arc::default());
        Self { table, config_table, feeds, form: Form::Plain, documents: None, aliases, places }
    }

    /// The same table, whose searches use these documents and whose deletions delete them.
    #[must_use]
    pub fn with_documents(self, documents: Documents) -> Self {
        Self { documents: Some(documents), ..self }
    }

    /// The same table, with items written in this form.
    #[must_use]
    pub fn writing(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Several interactions. Missing ones are left out.
    pub async fn interactions(&self, ids: &[InteractionId]) -> PortResult<Vec<Interaction>> {
        let places = self.table.batch(ids.iter().map(keys::reference).collect()).await?;
        self.interactions_at(&places.iter().map(place_of).collect::<PortResult<Vec<_>>>()?).await
    }

    /// What these agents have, now or a moment ago.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn held_by(&self, agents: &[AgentId]) -> PortResult<BTreeSet<InteractionId>> {
        let presences = self.table.batch_of_hints(agents.iter().map(keys::presence).collect(), &["load"]).await?;
        let held = presences.iter().filter_map(|presence| presence.get("load")?.as_ss().ok()).flatten();
        Ok(held.filter_map(|id| id.parse().ok()).collect())
    }

    /// The interactions at these places, in no order. Missing ones are left out.
    pub async fn interactions_at(&self, places: &[InteractionKey]) -> PortResult<Vec<Interaction>> {
        self.table.batch(places.iter().map(keys::interaction).collect()).await?.iter().map(from_data).collect()
    }

    /// The key of an interaction, read at half the price. An interaction never moves, so only a missing answer may be
    /// too old; it is asked for again. One that was deleted a moment ago may still have a key that leads nowhere.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn locate_lately(&self, id: &InteractionId) -> PortResult<Option<InteractionKey>> {
        match self.table.get_lately(keys::reference(id)).await? {
            Some(item) => place_of(&item).map(Some),
            None => self.locate(id).await,
        }
    }

    /// The key of an interaction, for a command that reads the interaction itself. An interaction never moves, so what
    /// this process has seen stays true, unless the interaction was deleted: then it is not at its place.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn locate_once(&self, id: &InteractionId) -> PortResult<Option<InteractionKey>> {
        let known = self.places.lock().ok().and_then(|places| places.get(id).cloned());
        if known.is_some() {
            return Ok(known);
        }
        let found = self.locate_lately(id).await?;
        if let (Some(key), Ok(mut places)) = (&found, self.places.lock()) {
            if places.len() >= PLACES_KEPT {
                places.clear();
            }
            places.insert(id.clone(), key.clone());
        }
        Ok(found)
    }

    /// A part of the table, a megabyte at most, with the contacts in it: from the beginning, or from a
    /// [`ScannedContacts::next`] or [`after_contact`] on. It reads everything that lies between the contacts too, so
    /// it is for rare work of administrators.
    pub async fn scan_contacts(&self, after: Option<&str>) -> PortResult<ScannedContacts> {
        let scan = self.table.client.scan().table_name(&*self.table.name).set_exclusive_start_key(from_place(after));
        let scan = scan.filter_expression("sk = :contact").expression_attribute_values(":contact", s(keys::CONTACT));
        let answer = scan.send().await.map_err(failed("Scan"))?;
        let contacts = answer.items.unwrap_or_default().iter().map(from_data).collect::<PortResult<_>>()?;
        Ok(ScannedContacts { contacts, next: answer.last_evaluated_key.as_ref().and_then(to_place) })
    }

    /// A page of an interaction's thread, from `after` on (a [`Thread::next`] of the same order): its own messages and
    /// those of the interactions that it absorbed, by time. Reads up to `limit` of each. A page ends at about
    /// `PAGE_BYTES` too.
    pub async fn thread(&self, interaction: &Interaction, after: Option<&str>, limit: i32, order: Order) -> PortResult<Thread> {
        let newest = order == Order::NewestFirst;
        let prefix = keys::messages(&interaction.id);
        // The cursor comes from outside, so it may only point into this thread.
        let place = after.and_then(|sk| sk.strip_prefix(&prefix)).unwrap_or_default();
        let (mut messages, mut horizon) = (Vec::new(), None::<String>);
        for source in sources(interaction) {
            let prefix = keys::messages(&source.interaction);
            // Between the place itself and every item that is not a message of this source. Backwards the place is
            // read too, and left out.
            let (from, to, more) = match (place, order) {
                ("", _) => (prefix.clone(), format!("{prefix}~"), 0),
                (place, Order::OldestFirst) => (format!("{prefix}{place}!"), format!("{prefix}~"), 0),
                (place, Order::NewestFirst) => (prefix.clone(), format!("{prefix}{place}"), 1),
            };
            let query = self.table.query().limit(limit + more).scan_index_forward(!newest);
            let query = query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", s(keys::conversation(&source.conversation)))
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to));
            let answer = query.send().await.map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                let at = text(&item, "sk").and_then(|sk| sk.strip_prefix(&prefix)).unwrap_or_default().to_owned();
                if at != place {
                    messages.push((at, from_data::<Message>(&item)?));
                }
            }
            let read_to = answer.last_evaluated_key.as_ref().and_then(|last| text(last, "sk")?.strip_prefix(&prefix));
            // Beyond the messages that were read of one source, the order is unknown.
            if let Some(read_to) = read_to.filter(|read_to| horizon.as_deref().is_none_or(|horizon| (*read_to < horizon) != newest)) {
                horizon = Some(read_to.to_owned());
            }
        }
        messages.sort_by(|(a, _), (b, _)| if newest { b.cmp(a) } else { a.cmp(b) });
        let found = messages.len();
        if let Some(horizon) = &horizon {
            messages.retain(|(place, _)| place == horizon || (place < horizon) != newest);
        }
        let mut left = PAGE_BYTES;
        let fit = messages.iter().position(|(_, message)| {
            let size = message.weight();
            let fits = size <= left;
            left = left.saturating_sub(size);
            !fits
        });
        // At least one message, however long, so that the reader gets on.
        messages.truncate(fit.map_or(usize::MAX, |fit| fit.max(1)).min(usize::try_from(limit).unwrap_or_default()));
        let more = horizon.is_some() || messages.len() < found;
        let next = messages.last().map(|(place, _)| place.clone()).or(horizon).filter(|_| more);
        Ok(Thread {
            messages: messages.into_iter().map(|(_, message)| message).collect(),
            next: next.map(|place| format!("{prefix}{place}")),
        })
    }

    /// A page of the interactions of some conversations that are older than `before`, newest first, and the
    /// `before` of the next page, if there is one.
    pub async fn past(
        &self,
        conversations: &[ConversationKey],
        before: Option<&InteractionId>,
        limit: i32,
    ) -> PortResult<(Vec<Interaction>, Option<InteractionId>)> {
        let pages = try_join_all(conversations.iter().map(|key| async move {
            // One more shows whether there is a next page. One is `before` itself.
            let query = self.table.query().scan_index_forward(false).limit(limit + 2);
            let query = query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", s(keys::conversation(key)))
                .expression_attribute_values(":from", s(keys::INTERACTIONS))
                .expression_attribute_values(":to", s(keys::up_to(before)));
            let answer = query.send().await.map_err(failed("Query"))?;
            let more = answer.last_evaluated_key.is_some();
            let found: Vec<Interaction> = answer.items.unwrap_or_default().iter().map(from_data).collect::<PortResult<_>>()?;
            Ok((found, more))
        }))
        .await?;
        let mut found = Vec::new();
        let mut horizon = None;
        for (page, more) in pages {
            // After the interactions that were read of one conversation, the order is unknown.
            if let Some(last) = page.last().filter(|_| more) {
                horizon = horizon.max(Some(last.id.clone()));
            }
            found.extend(page);
        }
        found.retain(|interaction: &Interaction| before.is_none_or(|before| interaction.id < *before));
        found.sort_by(|one, other| other.id.cmp(&one.id));
        let all = found.len();
        found.retain(|interaction| horizon.as_ref().is_none_or(|horizon| interaction.id >= *horizon));
        found.truncate(usize::try_from(limit).unwrap_or_default());
        let next = found.last().map(|last| last.id.clone()).filter(|_| found.len() < all || horizon.is_some());
        Ok((found, next))
    }

    /// The whole thread of an interaction, oldest first, with the threads of those that it absorbed.
    pub async fn all_messages(&self, interaction: &Interaction) -> PortResult<Vec<Message>> {
        Ok(self.told_thread(interaction).await?.0)
    }

    /// The same, with what its own messages tell of its history.
    pub async fn told_thread(&self, interaction: &Interaction) -> PortResult<(Vec<Message>, Vec<HistoryEntry>)> {
        self.read_thread(interaction, true).await
    }

    /// The same as it is, or was a moment ago, for half the price.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn told_thread_lately(&self, interaction: &Interaction) -> PortResult<(Vec<Message>, Vec<HistoryEntry>)> {
        self.read_thread(interaction, false).await
    }

    async fn read_thread(&self, interaction: &Interaction, now: bool) -> PortResult<(Vec<Message>, Vec<HistoryEntry>)> {
        let (mut messages, mut told) = (Vec::new(), Vec::new());
        for source in sources(interaction) {
            let (pk, prefix) = (keys::conversation(&source.conversation), keys::messages(&source.interaction));
            let items = if now { self.table.all(pk, &prefix).await? } else { self.table.all_lately(pk, &prefix).await? };
            if source.interaction == interaction.id {
                told = told_by_all(&items)?;
            }
            for item in &items {
                messages.push(from_data::<Message>(item)?);
            }
        }
        // In the order of the keys.
        messages.sort_by(|a, b| (a.at.as_millisecond(), &a.id).cmp(&(b.at.as_millisecond(), &b.id)));
        Ok((messages, told))
    }

    /// The history of an interaction, oldest first.
    pub async fn history(&self, key: &InteractionKey) -> PortResult<Vec<HistoryEntry>> {
        self.history_beside(key, self.told_by_messages(key).await?).await
    }

    /// The same for whoever has read what the messages tell ([`Self::told_thread`]).
    pub async fn history_beside(&self, key: &InteractionKey, told: Vec<HistoryEntry>) -> PortResult<Vec<HistoryEntry>> {
        let items = self.table.all(keys::conversation(&key.conversation), &keys::history_prefix(&key.interaction)).await?;
        let entries: Vec<Vec<HistoryEntry>> = items.iter().map(from_data).collect::<PortResult<_>>()?;
        Ok(whole(entries.into_iter().flatten().collect(), told))
    }

    /// The summary of an interaction's latest insights, if it has any.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn summary(&self, interaction: &Interaction) -> PortResult<Option<Summary>> {
        let Some(Insights { version, .. }) = interaction.insights else { return Ok(None) };
        let Some(item) = self.table.get(keys::history(&interaction.key(), version)).await? else { return Ok(None) };
        let entries: Vec<HistoryEntry> = from_data(&item)?;
        Ok(entries.into_iter().find_map(|entry| match entry.fact {
            Fact::InsightsMade { summary, .. } => Some(summary),
            _ => None,
        }))
    }

    /// The history entries that messages stand for or carry.
    async fn told_by_messages(&self, key: &InteractionKey) -> PortResult<Vec<HistoryEntry>> {
        told_by_all(&self.table.all(keys::conversation(&key.conversation), &keys::messages(&key.interaction)).await?)
    }

    /// A page of an interaction's history, oldest first: `limit` decisions after the one that made version `after`,
    /// and the `after` of the next page, if there is one.
    pub async fn history_page(&self, key: &InteractionKey, after: u64, limit: i32) -> PortResult<(Vec<HistoryEntry>, Option<u64>)> {
        let pk = keys::conversation(&key.conversation);
        let query = self.table.query().limit(limit);
        let query = query
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":from", s(keys::history(key, after.saturating_add(1)).sk))
            // After every version: a colon sorts after all digits.
            .expression_attribute_values(":to", s(format!("{}:", keys::history_prefix(&key.interaction))));
        let answer = query.send().await.map_err(failed("Query"))?;
        let entries: Vec<Vec<HistoryEntry>> = answer.items.unwrap_or_default().iter().map(from_data).collect::<PortResult<_>>()?;
        let entries: Vec<HistoryEntry> = entries.into_iter().flatten().collect();
        // Behind this version there is more.
        let through = answer.last_evaluated_key.and(entries.last().map(|last| last.version));
        let mut told = self.told_by_messages(key).await?;
        told.retain(|entry| entry.version > after && through.is_none_or(|through| entry.version <= through));
        let mut entries = whole(entries, told);
        let versions: BTreeSet<u64> = entries.iter().map(|entry| entry.version).collect();
        let cut = usize::try_from(limit)
            .ok()
            .filter(|limit| versions.len() > *limit)
            .and_then(|limit| versions.iter().nth(limit.saturating_sub(1)));
        if let Some(cut) = cut {
            entries.retain(|entry| entry.version <= *cut);
        }
        Ok((entries, cut.copied().or(through)))
    }

    /// Writes ties of contacts and addresses, or their cut, with the entry of the audit trail.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn link_told(&self, link: &Link, entry: Option<&Entry>) -> PortResult<Committed> {
        let linked = self.write_link(link, entry).await?;
        if linked == Committed::Done {
            for (place, standing) in link.known.iter().chain(&link.new) {
                self.remember_alias(place.key(), standing.clone());
            }
        }
        Ok(linked)
    }

    async fn is_waited_for(&self, target: &Target, now: bool) -> PortResult<bool> {
        let query = self.table.query().consistent_read(now).limit(1);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(keys::waiting_of(target)));
        Ok(query.send().await.map_err(failed("Query"))?.count > 0)
    }

    fn known_alias(&self, key: &str) -> Option<Standing> {
        let aliases = self.aliases.lock().ok()?;
        aliases.get(key).filter(|(_, read)| read.elapsed() < ALIAS_TTL).map(|(standing, _)| standing.clone())
    }

    fn remember_alias(&self, key: String, standing: Standing) {
        if let Ok(mut aliases) = self.aliases.lock() {
            if aliases.len() >= ALIASES_KEPT {
                aliases.clear();
            }
            aliases.insert(key, (standing, Instant::now()));
        }
    }
}

/// The history entries that messages stand for or carry.
fn told_by_all(items: &[Item]) -> PortResult<Vec<HistoryEntry>> {
    let mut told = Vec::new();
    for item in items {
        told.extend(entry_of(&from_data(item)?));
        told.extend(told_by(item)?);
    }
    Ok(told)
}

/// The interactions whose messages make the thread of an interaction.
pub(crate) fn sources(interaction: &Interaction) -> impl Iterator<Item = InteractionKey> {
    std::iter::once(interaction.key()).chain(interaction.absorbed.iter().cloned())
}

fn standing_of(item: &Item) -> Option<Standing> {
    let person = |owner: &str, linked: &str| {
        let owner = text(item, owner)?.parse().ok()?;
        let linked = match item.get(linked) {
            Some(linked) => linked.as_ss().ok()?.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?,
            None => BTreeSet::new(),
        };
        Some(Identity { owner, linked })
    };
    let businesses = item.keys().filter_map(|name| keys::business_of(name));
    let at = businesses.map(|business| Some((business.clone(), person(&keys::owner_at(&business), &keys::linked_at(&business))?)));
    Some(Standing { everywhere: person("owner", "linked")?, at: at.collect::<Option<_>>()? })
}

fn place_of(item: &Item) -> PortResult<InteractionKey> {
    let parse = || {
        let conversation = ConversationKey { account: text(item, "account")?.parse().ok()?, contact: text(item, "contact")?.parse().ok()? };
        Some(InteractionKey { conversation, interaction: text(item, "pk")?.strip_prefix("REF#")?.parse().ok()? })
    };
    parse().ok_or_else(|| undecodable("a reference to an interaction"))
}

/// A presence is stored in separate attributes, so that transactions change its sets without reading them.
pub(crate) fn presence_of(item: &Item) -> PortResult<Presence> {
    let parse = || {
        let state = match text(item, "state")? {
            "ready" => PresenceState::Ready,
            "paused" => PresenceState::Paused { reason: text(item, "reason").unwrap_or_default().to_owned() },
            _ => PresenceState::LoggedOut,
        };
        let set = |name| -> Option<BTreeSet<InteractionId>> {
            match item.get(name) {
                Some(ids) => Some(ids.as_ss().ok()?.iter().filter_map(|id| id.parse().ok()).collect()),
                None => Some(BTreeSet::new()),
            }
        };
        let (load, wrapping_up) = (set("load")?, set("wrapping_up")?);
        let ringing = item.get("ringing")?.as_m().ok()?.iter();
        let ringing = ringing.filter_map(|(id, until)| {
            let until: i64 = until.as_n().ok()?.parse().ok()?;
            Some((id.parse().ok()?, Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX)))
        });
        Some(Presence {
            agent: keys::agent_at(text(item, "pk")?)?,
            chosen: state,
            wrapping_up,
            wrap_up_pause: text(item, "wrap_up_pause").unwrap_or_default().to_owned(),
            since: Timestamp::from_millisecond(number(item, "since")?).ok()?,
            capacity: Capacity::new(number(item, "capacity")?).ok()?,
            load,
            ringing: ringing.collect(),
            missed: number(item, "missed").unwrap_or_default(),
            logged_in_at: number(item, "logged_in_at").and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            forced_by: text(item, "forced_by").map(str::to_owned),
            last_offered: number(item, "last_offered").and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            version: number(item, "version")?,
            revision: number(item, "revision")?,
        })
    };
    parse().ok_or_else(|| undecodable("a presence"))
}

impl Store for Interactions {
    async fn contact_of(&self, place: &Place, business: &Business, fresh: bool) -> PortResult<Option<Identity>> {
        let key = place.key();
        if let Some(standing) = self.known_alias(&key).filter(|_| !fresh) {
            return Ok(Some(standing.at(business).clone()));
        }
        let Some(item) = self.table.get(keys::alias(place)).await? else { return Ok(None) };
        let standing = standing_of(&item).ok_or_else(|| undecodable("an alias"))?;
        let person = standing.at(business).clone();
        self.remember_alias(key, standing);
        Ok(Some(person))
    }

    async fn contact(&self, id: &ContactId) -> PortResult<Option<Contact>> {
        self.table.get(keys::contact(id)).await?.as_ref().map(from_data).transpose()
    }

    async fn link(&self, link: &Link) -> PortResult<Committed> {
        self.link_told(link, None).await
    }

    async fn conversation(&self, key: &ConversationKey) -> PortResult<Conversation> {
        // Backwards from the head: the head, then the newest interaction, which is the open one unless an older one
        // was reopened.
        let query = self.table.query().scan_index_forward(false).limit(2);
        let query = query
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", s(keys::conversation(key)))
            .expression_attribute_values(":sk", s(keys::INTERACTION_PREFIX));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        let head = items.iter().find(|item| text(item, "sk") == Some(keys::HEAD));
        let at_head = head.and_then(|head| number(head, "last_inbound_at")).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(open) = head.and_then(|head| text(head, "open")).and_then(|id| id.parse::<InteractionId>().ok()) else {
            let latest = items.iter().find(|item| text(item, "sk") != Some(keys::HEAD)).map(from_data).transpose()?;
            return Ok(Conversation { open: None, last_inbound_at: at_head, latest });
        };
        let place = InteractionKey { conversation: key.clone(), interaction: open };
        let sk = keys::interaction(&place).sk;
        let open: Option<Interaction> = match items.iter().find(|item| text(item, "sk") == Some(&sk)) {
            Some(item) => Some(from_data(item)?),
            None => self.interaction(&place).await?,
        };
        let last_inbound_at = at_head.max(open.as_ref().and_then(|open| open.heard_at));
        Ok(Conversation { open, last_inbound_at, latest: None })
    }

    async fn locate(&self, id: &InteractionId) -> PortResult<Option<InteractionKey>> {
        self.table.get(keys::reference(id)).await?.as_ref().map(place_of).transpose()
    }

    async fn interaction(&self, key: &InteractionKey) -> PortResult<Option<Interaction>> {
        self.table.get(keys::interaction(key)).await?.as_ref().map(from_data).transpose()
    }

    async fn was_deleted(&self, id: &InteractionId) -> PortResult<bool> {
        Ok(self.gone(id).await?.is_some())
    }

    async fn open_interactions(
        &self,
        account: &AccountId,
        before: Option<&InteractionId>,
        limit: usize,
    ) -> PortResult<Vec<InteractionKey>> {
        // A range includes its bound.
        let wanted = limit + usize::from(before.is_some());
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let left = i32::try_from(wanted - found.len()).unwrap_or(i32::MAX);
            let query =
                self.table.client.query().table_name(&*self.table.name).index_name(keys::OPEN_INDEX).scan_index_forward(false).limit(left);
            let query = query
                .key_condition_expression("open_of = :account AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":account", s(account.as_str()))
                .expression_attribute_values(":from", s(keys::INTERACTIONS))
                .expression_attribute_values(":to", s(keys::up_to(before)))
                .set_exclusive_start_key(from);
            let answer = query.send().await.map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                let place = text(&item, "pk").zip(text(&item, "sk")).and_then(|(pk, sk)| keys::interaction_at(pk, sk));
                found.push(place.ok_or_else(|| undecodable("a row of open interactions"))?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() || found.len() >= wanted {
                break;
            }
        }
        found.retain(|place| before.is_none_or(|before| place.interaction < *before));
        found.truncate(limit);
        Ok(found)
    }

    async fn message(&self, key: &MessageKey) -> PortResult<Option<Message>> {
        self.table.get(keys::message(key)).await?.as_ref().map(from_data).transpose()
    }

    async fn message_lately(&self, key: &MessageKey) -> PortResult<Option<Message>> {
        self.table.get_lately(keys::message(key)).await?.as_ref().map(from_data).transpose()
    }

    async fn message_by_provider_id(&self, account: &AccountId, provider_id: &str) -> PortResult<Option<MessageKey>> {
        let item = self.table.get(keys::provider_message(account, provider_id)).await?;
        // The id of a deleted message leads nowhere.
        item.as_ref().filter(|item| item.contains_key("data")).map(from_data).transpose()
    }

    async fn presences(&self, agents: &[AgentId]) -> PortResult<BTreeMap<AgentId, Presence>> {
        let items = match agents {
            [] => Vec::new(),
            [one] => self.table.get(keys::presence(one)).await?.into_iter().collect(),
            many => self.table.batch(many.iter().map(keys::presence).collect()).await?,
        };
        items.iter().map(|item| presence_of(item).map(|presence| (presence.agent.clone(), presence))).collect()
    }

    async fn waiting(&self, target: &Target) -> PortResult<Vec<WaitingRow>> {
        self.table.all(keys::waiting_of(target), "").await?.iter().map(from_data).collect()
    }

    async fn first_waiting(&self, target: &Target, most: usize) -> PortResult<(Vec<WaitingRow>, bool)> {
        let query = self.table.query().limit(i32::try_from(most).unwrap_or(i32::MAX));
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(keys::waiting_of(target)));
        let answer = query.send().await.map_err(failed("Query"))?;
        let rows = answer.items.unwrap_or_default().iter().map(from_data).collect::<PortResult<_>>()?;
        Ok((rows, answer.last_evaluated_key.is_some()))
    }

    async fn anything_waits(&self, target: &Target) -> PortResult<bool> {
        self.is_waited_for(target, true).await
    }

    async fn anything_waited(&self, target: &Target) -> PortResult<bool> {
        self.is_waited_for(target, false).await
    }

    async fn cursor(&self, target: &Target) -> PortResult<Option<AgentId>> {
        let item = self.table.get(keys::cursor(target)).await?;
        Ok(item.as_ref().and_then(|item| text(item, "agent")).and_then(|agent| agent.parse().ok()))
    }

    async fn commit(&self, commit: Commit) -> PortResult<Committed> {
        self.write_commit(commit).await
    }

    async fn commit_message(&self, commit: MessageCommit) -> PortResult<Committed> {
        self.write_message(commit).await
    }

    async fn index_provider_id(&self, key: &MessageKey, provider_id: &str) -> PortResult<Committed> {
        self.write_provider_id(key, provider_id).await
    }

    async fn forget_provider_id(&self, key: &MessageKey, provider_id: &str) -> PortResult<()> {
        let account = &key.interaction.conversation.account;
        self.blank_provider_id(account, provider_id, key.message.as_str(), key.at).await
    }

    async fn commit_presence(&self, presence: &Presence, effects: &[Effect], mark: &Idempotency) -> PortResult<Committed> {
        self.write_presence(presence, effects, mark, None).await
    }

    async fn commit_contact(&self, contact: &Contact, mark: &Idempotency) -> PortResult<Committed> {
        self.write_contact(contact, mark).await
    }

    async fn keep_alert(&self, event: &InboundEvent, alert: &Alert) -> PortResult<()> {
        self.write_alert(event, alert).await?;
        self.settle(event).await
    }

    async fn commit_forced_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
        entry: &Entry,
    ) -> PortResult<Committed> {
        self.write_presence(presence, effects, mark, Some(entry)).await
    }

    async fn settle(&self, event: &InboundEvent) -> PortResult<()> {
        let update =
            self.table.client.update_item().table_name(&*self.table.name).set_key(Some(key_item(keys::event(&event.account, &event.id))));
        let update = update.update_expression("SET routed = if_not_exists(routed, :none)").expression_attribute_values(":none", s("-"));
        update.send().await.map_err(failed("UpdateItem")).map(|_| ())
    }
}

pub(crate) fn expires(now: Timestamp, keep: jiff::SignedDuration) -> AttributeValue {
    n(now.saturating_add(keep).unwrap_or(Timestamp::MAX).as_second())
}
