//! Routes a provider's event to its interaction.

use std::collections::BTreeSet;

use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Identity, NamedBy, Place, Tie};
use domain::decide::{self, Context, CustomerName, Decision, Event, Opening, Welcome};
use domain::effect::{Effect, MessageKey};
use domain::ids::{ContactId, InteractionId, MessageId};
use domain::inbound::{Alert, InboundAttachment, InboundEvent, InboundKind, InboundMessage};
use domain::interaction::Interaction;
use domain::message::{Author, Content, Message};
use domain::values::{Address, to_millisecond};
use jiff::Timestamp;

use crate::claim::Claim;
use crate::gather::Facts;
use crate::identity::{Identified, origin};
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Owned, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Routes an event: a message joins or opens an interaction, a status moves its message on, an annotation
    /// changes one. Repetitions change nothing.
    ///
    /// # Errors
    /// [`EngineError::NotYet`] if the message that it is about may come in a moment. A port fails, or rivals win
    /// every attempt. It is safe to call again.
    pub async fn route(&self, event: &InboundEvent) -> Result<(), EngineError> {
        match &event.kind {
            InboundKind::Message(message) => self.route_message(event, message).await,
            InboundKind::Status(status) => self.route_status(event, status).await,
            InboundKind::Annotation(annotation) => self.route_annotation(event, annotation).await,
            InboundKind::Elsewhere(said) => self.route_elsewhere(event, said).await,
            InboundKind::Alert(alert) => {
                let alert = Alert { unproven: event.is_unproven(), ..alert.clone() };
                Ok(self.store.keep_alert(event, &alert).await?)
            }
            // `route` reads it from the table first.
            InboundKind::Stored => Err(EngineError::NotFound),
            // The event is stored with its raw body. There is nothing to route.
            InboundKind::Other { .. } => Ok(self.store.settle(event).await?),
        }
    }

    async fn route_message(&self, event: &InboundEvent, inbound: &InboundMessage) -> Result<(), EngineError> {
        let account = self.directory.account(&event.account).await?.ok_or_else(|| EngineError::NoAccount(event.account.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let Some(sender) = self.sender(event, inbound, &account, attempt > 1).await? else {
                self.world.pause(attempt).await;
                continue;
            };
            let met = self.meet(event, inbound, &account, sender).await?;
            let (before, decision) = met.decide(inbound, &account);
            match self.commit(met.assemble(event, inbound, &account, before, decision)).await? {
                Committed::Done => return self.other_spellings(event, inbound, &account).await,
                Committed::AlreadyDone => return Ok(()),
                Committed::Conflict | Committed::AtCapacity | Committed::NotAMember => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Finds out who wrote. `None` if another process is just linking the customer's addresses.
    async fn sender(
        &self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        fresh: bool,
    ) -> Result<Option<Sender>, EngineError> {
        let origin = origin(event);
        let mut others: Vec<Address> = inbound.alias.iter().chain(&inbound.also).cloned().collect();
        let mut person = match self.identify(account, &inbound.from, origin.as_ref().map(|origin| (&others[..], origin)), fresh).await? {
            Identified::Known(person) => Some(person),
            Identified::New => None,
            Identified::Conflict => return Ok(None),
        };
        let mut answered = match &inbound.reply_to {
            Some(answered) => self.store.message_by_provider_id(&account.id, answered).await?,
            None => None,
        };
        // Whoever answers one of our messages is the one to whom we sent it, however the number is spelled.
        let is_theirs = |key: &MessageKey, person: Option<&Identity>| person.is_some_and(|person| person.has(contact_of(key)));
        let mut claims = if event.proven == Some(false) { others.clone() } else { Vec::new() };
        if let Some(key) = answered.as_ref().filter(|key| !is_theirs(key, person.as_ref()))
            && let Some(reached) = self.reached(key).await?
        {
            match &origin {
                Some(origin) => {
                    others.push(reached);
                    person = match self.identify(account, &inbound.from, Some((&others[..], origin)), true).await? {
                        Identified::Known(person) => Some(person),
                        Identified::New => None,
                        Identified::Conflict => return Ok(None),
                    };
                }
                None if event.proven.is_some() => claims.push(reached),
                None => {}
            }
        }
        answered = answered.filter(|key| is_theirs(key, person.as_ref()));
        Ok(Some(Sender { person, answers: answered.map(|key| key.message), others, claims }))
    }

    /// The address to which we sent a message; `None` if the customer wrote it.
    async fn reached(&self, key: &MessageKey) -> Result<Option<Address>, EngineError> {
        let Some(message) = self.store.message(key).await?.filter(|message| message.delivery.is_some()) else { return Ok(None) };
        match message.to {
            Some(to) => Ok(Some(to)),
            // The version before wrote it.
            None => Ok(self.store.interaction(&key.interaction).await?.map(|interaction| interaction.address)),
        }
    }

    /// A new customer's contact has one number. Another number in the same request is linked with it once it exists.
    async fn other_spellings(&self, event: &InboundEvent, inbound: &InboundMessage, account: &Account) -> Result<(), EngineError> {
        let Some(origin) = origin(event) else { return Ok(()) };
        let numbers: Vec<Address> = inbound.alias.iter().chain(&inbound.also).filter(|other| other.phone().is_some()).cloned().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        // If another process is just linking them, the customer's next message finds what is left to do.
        self.identify(account, &inbound.from, Some((&numbers, &origin)), true).await?;
        Ok(())
    }

    /// Gathers the data for a message.
    async fn meet(&self, event: &InboundEvent, inbound: &InboundMessage, account: &Account, sender: Sender) -> Result<Met, EngineError> {
        let now = self.world.now();
        let Sender { person, answers, others, claims } = sender;
        let (contact, conversation) = match &person {
            Some(person) => self.conversation_with(&account.id, person).await?,
            None => (ContactId::from_ulid(self.world.ulid()), Conversation::default()),
        };
        let at = to_millisecond(inbound.sent_at.unwrap_or(event.received_at));
        let message = MessageId::from_ulid(self.world.ulid());
        let open = conversation.open.as_ref();
        let received = Event::MessageReceived { message: message.clone(), at, from: inbound.from.clone(), name: None };
        let needs = decide::needs(&received, open);
        let facts = self.gather(account, &needs, open, now).await?;
        let (name, mut changed, owner) = self.called(event, inbound, account, person.as_ref(), &conversation, at).await?;
        // What is open goes on, whatever was decided about the customer since.
        let welcome = if open.is_some() {
            Welcome::Served
        } else if self.is_blocked(owner.as_ref(), person.as_ref()).await? {
            Welcome::Blocked
        } else if self.is_welcome(account, person.as_ref()).await? {
            Welcome::Served
        } else {
            Welcome::NotWhitelisted
        };
        if open.is_none() && welcome == Welcome::Served {
            // The owner's item is written once.
            let named = changed.iter().find(|changed| owner.as_ref().is_some_and(|owner| owner.id == changed.id));
            let owner = owner.as_ref().map(|owner| Contact { version: owner.version, ..named.unwrap_or(owner).clone() });
            if let Some(listed) = self.unlisted(owner, person.as_ref(), account).await? {
                changed.retain(|changed| changed.id != listed.id);
                changed.push(listed);
            }
        }
        let known_as = match &name {
            Some(name) => name.name.as_ref(),
            None => open.and_then(|open| open.customer_name.as_ref()),
        };
        let claimed_name = inbound.profile_name.as_ref().filter(|name| event.proven == Some(false) && known_as != Some(*name));
        let claim = Claim { addresses: &claims, name: claimed_name }.line();
        let claim = claim.filter(|line| open.is_none_or(|open| !open.tells_claim(line)));
        Ok(Met {
            person,
            contact,
            others: if event.is_proven() { others } else { Vec::new() },
            conversation,
            name,
            changed,
            welcome,
            answers,
            claim: claim.map(|line| (MessageId::from_ulid(self.world.ulid()), line)),
            facts,
            received: Received { message, at },
            interaction: InteractionId::from_ulid(self.world.ulid()),
            now,
        })
    }

    /// What the customer is called, if the interaction does not know it yet, the contact that a profile names anew,
    /// and for a new interaction its owner. A profile that the interaction knows costs nothing.
    async fn called(
        &self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        person: Option<&Identity>,
        conversation: &Conversation,
        at: Timestamp,
    ) -> Result<(Option<CustomerName>, Vec<Contact>, Option<Contact>), EngineError> {
        // An older profile that comes late is not the present one.
        let current = conversation.last_inbound_at.is_none_or(|last| last <= at);
        let profile = inbound.profile_name.as_ref().filter(|_| event.is_proven() && current);
        let profile = match (&conversation.open, profile) {
            (Some(open), Some(profile)) if !open.name_kept && open.customer_name.as_ref() != Some(profile) => Some(profile),
            (Some(_), _) => return Ok((None, Vec::new(), None)),
            (None, profile) => profile,
        };
        let Some(person) = person else {
            return Ok((Some(CustomerName { name: profile.cloned(), kept: false }), Vec::new(), None));
        };
        let mut contacts = Vec::new();
        for contact in person.contacts() {
            contacts.extend(self.store.contact(contact).await?);
        }
        // A person's choice stands for the whole customer. Otherwise a profile names its sender, and the sender's own
        // name says more than that of another contact.
        let owner = contacts.iter().find(|contact| contact.id == person.owner).cloned();
        let place = Place::of(&inbound.from, &Business::of(account));
        let home = contacts.iter().find(|contact| contact.places().any(|own| own == place)).or(contacts.first());
        if let Some(chosen) = contacts.iter().find(|contact| !contact.follows_profiles()) {
            return Ok((Some(CustomerName { name: chosen.name.clone(), kept: true }), Vec::new(), owner));
        }
        let named = home.and_then(|home| home.named(profile?));
        let saved = home.and_then(|home| home.name.clone()).or_else(|| contacts.iter().find_map(|contact| contact.name.clone()));
        Ok((Some(CustomerName { name: profile.cloned().or(saved), kept: false }), named.into_iter().collect(), owner))
    }
}

fn contact_of(key: &MessageKey) -> &ContactId {
    &key.interaction.conversation.contact
}

/// Who wrote a message.
struct Sender {
    /// The customer; `None`: a new one.
    person: Option<Identity>,
    /// The customer's message that this one replies to.
    answers: Option<MessageId>,
    /// The customer's other addresses.
    others: Vec<Address>,
    /// Addresses that the request claims without proof.
    claims: Vec<Address>,
}

/// The data for a customer's message, and the ids of the items that it may add.
struct Met {
    /// The customer; `None`: a new one.
    person: Option<Identity>,
    contact: ContactId,
    /// The proven addresses of a new customer beside the sender's.
    others: Vec<Address>,
    conversation: Conversation,
    /// What the customer is called, if the interaction does not say so yet.
    name: Option<CustomerName>,
    /// Contacts that the profile names, or that join the account's list.
    changed: Vec<Contact>,
    /// Whether the account serves the customer.
    welcome: Welcome,
    /// The message that this one replies to.
    answers: Option<MessageId>,
    /// The line about what the request claims without proof.
    claim: Option<(MessageId, String)>,
    facts: Facts,
    received: Received,
    /// The interaction, if one is opened.
    interaction: InteractionId,
    now: Timestamp,
}

/// The message in the thread.
struct Received {
    message: MessageId,
    at: Timestamp,
}

impl Met {
    /// Decides: the message joins the open interaction or opens one.
    fn decide(&self, inbound: &InboundMessage, account: &Account) -> (Option<Interaction>, Decision) {
        let Received { message, at } = &self.received;
        let last_inbound_at = self.conversation.last_inbound_at;
        let context = Context { heard: Some(&inbound.content), ..self.facts.context(account, last_inbound_at, self.now) };
        // If the conversation's head names a closed interaction, a new one is right, and the transaction checks
        // that.
        let joined = self.conversation.open.as_ref().and_then(|open| {
            let (from, name) = (inbound.from.clone(), self.name.clone());
            let received = Event::MessageReceived { message: message.clone(), at: *at, from, name };
            Some((Some(open.clone()), decide::decide(open, received, &context).ok()?))
        });
        joined.unwrap_or_else(|| {
            let opening = Opening {
                id: self.interaction.clone(),
                contact: self.contact.clone(),
                address: inbound.from.clone(),
                name: self.name.clone().unwrap_or_default(),
                welcome: self.welcome,
            };
            (None, decide::open(opening, message.clone(), *at, &context))
        })
    }

    /// Assembles the writes.
    fn assemble(
        self,
        event: &InboundEvent,
        inbound: &InboundMessage,
        account: &Account,
        before: Option<Interaction>,
        mut decision: Decision,
    ) -> Commit {
        let Received { message, at } = self.received;
        let business = Business::of(account);
        let place = Place::of(&inbound.from, &business);
        let message = Message {
            provider_id: Some(inbound.provider_id.clone()),
            from: Some(inbound.from.clone()),
            attachments: inbound.attachments.iter().map(InboundAttachment::to_be_copied).collect(),
            reply_to: inbound.reply_to.clone(),
            answers: self.answers,
            forwarded: inbound.forwarded,
            referral: inbound.referral.clone(),
            product: inbound.product.clone(),
            words: inbound.words.clone(),
            cut: inbound.cut,
            ..Message::new(message, decision.interaction.id.clone(), at, Author::Customer, inbound.content.clone())
        };
        let mut message = message;
        message.came_with(&event.id);
        let mut effects = std::mem::take(&mut decision.message_effects);
        let told: Vec<Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Push { .. })).cloned().collect();
        effects.extend((0..message.attachments.len()).map(|index| Effect::CopyMedia { index }));
        let claim = self.claim.map(|(id, line)| {
            decision.interaction.add_claim(&line);
            (Message::new(id, decision.interaction.id.clone(), at, Author::System, Content::System { body: line }), told)
        });
        let new = self.person.is_none().then(|| {
            // Its user ids. Another number needs a contact of its own.
            let ids = self.others.iter().filter(|other| other.phone().is_none()).map(|other| Place::of(other, &business));
            let others: BTreeSet<Place> = ids.filter(|other| *other != place).collect();
            let contact = Contact::known_by(self.contact, self.now, std::iter::once(place.clone()).chain(others.iter().cloned()));
            let origin = origin(event);
            let name = inbound.profile_name.clone().filter(|_| event.is_proven());
            Contact {
                // A contact whom the whitelist refuses is known from now on, but on no list until a whitelist lets
                // the customer in.
                lists: (self.welcome == Welcome::Served).then(|| account.list.clone()).into_iter().collect(),
                named_by: name.as_ref().map(|_| NamedBy::Profile),
                name,
                username: inbound.username.clone().filter(|_| event.is_proven()),
                ties: others.iter().zip(origin.iter().cycle()).map(|(other, origin)| Tie::of_address(other, origin)).collect(),
                ..contact
            }
        });
        let commit = Commit {
            contact: new,
            changed: self.changed,
            // No other process may have linked the contact, and opened an interaction with the linked one, since it
            // was read.
            identity: self.person.filter(|_| before.is_none()).map(|person| Owned { place, business, person }),
            last_inbound_at: self.conversation.last_inbound_at.is_none_or(|last| last < at).then_some(at),
            // The message's provider id is written new, which a repetition finds.
            ..Commit::of(before, decision, Idempotency::Guarded)
        };
        let mut commit = commit.with(message, effects);
        commit.messages.extend(claim);
        commit
    }
}
