//! Conversations that agents start.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::contact::{Contact, Identity};
use domain::decide::{self, Needs, Opening, Refusal};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::interaction::Interaction;
use domain::message::{ApprovedTemplate, Author, Content, Message};
use domain::values::Address;

use crate::identity::Identified;
use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// A conversation that an agent starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The agent.
    pub agent: AgentId,
    /// The customer's address.
    pub to: Address,
    /// The customer's name, for a new contact.
    pub name: Option<ProfileName>,
    /// The message's id. The caller chooses it, so that a repetition names the same message.
    pub message: MessageId,
    /// The template to send. Outside the service window only an approved template may be sent.
    pub template: ApprovedTemplate,
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
            let person = match self.identify(&[&start.to], attempt > 1).await? {
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
            match (self.store.commit(commit).await?, message) {
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
        let known = owner.as_ref().and_then(|owner| owner.name.clone());
        let listed = self.unlisted(owner, account).await?;
        let name = known.or_else(|| start.name.clone());
        let opening = Opening {
            id: InteractionId::from_ulid(self.world.ulid()),
            contact: contact.clone(),
            address: start.to.clone(),
            customer_name: name.clone(),
            welcome: true,
        };
        let mut decision = match decide::start(opening, start.agent.clone(), start.message.clone(), &facts.context(account, None, now)) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let new = person.is_none().then(|| Contact {
            id: contact,
            lists: BTreeSet::from([account.list.clone()]),
            name,
            username: None,
            marketing: BTreeMap::new(),
            addresses: vec![start.to.clone()],
            created_at: now,
            version: 1,
            linked: BTreeSet::new(),
            linked_to: None,
        });
        let content = Content::Template(start.template.clone());
        let author = Author::Agent { agent: start.agent.clone() };
        let message = Message::new(start.message.clone(), decision.interaction.id.clone(), now, author, content).queued(now);
        let effects = std::mem::take(&mut decision.message_effects);
        let identity = person.map(|person| (start.to.clone(), person));
        let commit = Commit { contact: new, listed, identity, membership: needs.membership, ..Commit::of(None, decision, mark.clone()) };
        Ok(Ok(commit.with(message, effects)))
    }
}
