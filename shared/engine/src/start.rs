//! Conversations that agents start.

use std::collections::BTreeSet;

use domain::account::Account;
use domain::agent::Role;
use domain::business::Business;
use domain::contact::{Contact, Identity, NamedBy, Place};
use domain::decide::{self, CustomerName, Needs, Opening, Refusal, Welcome};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::interaction::Interaction;
use domain::message::{ApprovedTemplate, Author, Content, Message};
use domain::values::{Address, ClientId};

use crate::identity::Identified;
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Owned, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// A conversation that an agent starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The agent.
    pub agent: AgentId,
    /// The agent's role, which the history notes.
    pub role: Option<Role>,
    /// The customer's address.
    pub to: Address,
    /// The customer's name, for a new contact.
    pub name: Option<ProfileName>,
    /// The message's id. The caller chooses it, so that a repetition names the same message.
    pub message: MessageId,
    /// The template to send. Outside the service window only an approved template may be sent.
    pub template: ApprovedTemplate,
    /// The id that the agent's client gives the message.
    pub client_id: Option<ClientId>,
}

/// The result of a start.
#[derive(Debug, Clone, PartialEq)]
pub enum Started {
    /// The agent has the conversation.
    Opened(Box<Interaction>, Box<Message>),
    /// An earlier attempt of the same command opened it.
    Before,
    /// It was not opened, for this reason.
    Refused(Refusal),
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Opens an interaction of `account` with an agent's template. A new customer becomes a contact on the
    /// account's list.
    ///
    /// # Errors
    /// A port fails, or rivals win every attempt. It is safe to call again with the same mark.
    pub async fn start(&self, account: &Account, start: &Start, mark: &Idempotency) -> Result<Started, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let person = match self.identify(account, &start.to, None, attempt > 1).await? {
                Identified::Known(person) => Some(person),
                Identified::New => None,
                Identified::Conflict => {
                    self.world.pause(attempt).await;
                    continue;
                }
            };
            let (contact, Conversation { open, .. }) = match &person {
                Some(person) => self.conversation_with(&account.id, person).await?,
                None => (ContactId::from_ulid(self.world.ulid()), Conversation::default()),
            };
            if let Some(open) = open {
                // A repetition ends here too, at the interaction that the first attempt opened. The caller
                // recognises it by its mark.
                return Ok(Started::Refused(Refusal::OtherOpen { interaction: open.id }));
            }
            let commit = match self.started(account, start, contact, person, mark).await? {
                Ok(commit) => commit,
                Err(refusal) => return Ok(Started::Refused(refusal)),
            };
            let (interaction, message) = (commit.after.clone(), commit.messages.first().map(|(message, _)| message.clone()));
            match (self.commit(commit).await?, message) {
                (Committed::Done, Some(message)) => return Ok(Started::Opened(Box::new(interaction), Box::new(message))),
                (Committed::Done, None) | (Committed::AlreadyDone, _) => return Ok(Started::Before),
                (Committed::AtCapacity, _) => return Ok(Started::Refused(Refusal::AtCapacity)),
                (Committed::NotAMember, _) => return Ok(Started::Refused(Refusal::NotAMember)),
                (Committed::Conflict, _) => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    async fn started(
        &self,
        account: &Account,
        start: &Start,
        contact: ContactId,
        person: Option<Identity>,
        mark: &Idempotency,
    ) -> Result<Result<Commit, Refusal>, EngineError> {
        let now = self.world.now();
        let needs = Needs::to_start(&start.agent, &account.id);
        let facts = self.gather(account, &needs, None, now).await?;
        let owner = match &person {
            Some(person) => self.store.contact(&person.owner).await?,
            None => None,
        };
        if self.is_blocked(owner.as_ref(), person.as_ref()).await? {
            return Ok(Err(Refusal::CustomerBlocked));
        }
        let kept = owner.as_ref().map_or(start.name.is_some(), |owner| !owner.follows_profiles());
        let known = owner.as_ref().and_then(|owner| owner.name.clone());
        let changed = self.unlisted(owner, person.as_ref(), account).await?.into_iter().collect();
        let name = known.or_else(|| start.name.clone());
        let business = Business::of(account);
        let place = Place::of(&start.to, &business);
        let opening = Opening {
            id: InteractionId::from_ulid(self.world.ulid()),
            contact: contact.clone(),
            address: start.to.clone(),
            name: CustomerName { name: name.clone(), kept },
            welcome: Welcome::Served,
        };
        let mut decision = match decide::start(opening, start.agent.clone(), start.message.clone(), &facts.context(account, None, now)) {
            Ok(decision) => decision.in_role(start.role),
            Err(refusal) => return Ok(Err(refusal)),
        };
        // The agent chose the name of a new contact.
        let new = person.is_none().then(|| Contact {
            lists: BTreeSet::from([account.list.clone()]),
            named_by: name.as_ref().map(|_| NamedBy::Person),
            name,
            ..Contact::known_by(contact, now, [place.clone()])
        });
        let content = Content::Template(start.template.clone());
        let author = Author::Agent { agent: start.agent.clone() };
        let message = Message::new(start.message.clone(), decision.interaction.id.clone(), now, author, content);
        let message = Message { client_id: start.client_id.clone(), ..message }.queued(now, &start.to);
        let effects = std::mem::take(&mut decision.message_effects);
        let identity = person.map(|person| Owned { place, business, person });
        let commit = Commit { contact: new, changed, identity, membership: needs.membership, ..Commit::of(None, decision, mark.clone()) };
        Ok(Ok(commit.with(message, effects)))
    }
}
