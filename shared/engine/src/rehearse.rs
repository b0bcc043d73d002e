//! Rehearses an account's plan: reads what a run rests on, and writes nothing.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Identity};
use domain::decide::{self, CustomerName, Needs, Opening, Rehearsal, Rehearsed, Welcome};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::message::Content;
use domain::values::Address;
use domain::variables::{VariableName, Variables};
use jiff::Timestamp;

use crate::ports::{Directory, Store, World};
use crate::{Engine, EngineError};

/// What a rehearsal assumes.
pub struct Trial {
    /// When the customer writes.
    pub at: Timestamp,
    /// The customer.
    pub customer: Customer,
    /// The text of the message.
    pub text: String,
    /// Variables that are set before the plan begins.
    pub variables: Variables,
    /// What other systems answer, by the place of the Webhook step.
    pub answers: BTreeMap<usize, Vec<(VariableName, String)>>,
}

/// The customer of a rehearsal.
pub enum Customer {
    /// A contact.
    Known(ContactId),
    /// Somebody who has never written.
    New {
        /// The name of the profile.
        name: Option<ProfileName>,
        /// The address.
        address: Address,
    },
}

/// A customer as an interaction is opened for one.
#[derive(Debug)]
pub struct Met {
    /// The contact.
    pub contact: ContactId,
    /// The address for answers.
    pub address: Address,
    /// The name.
    pub name: CustomerName,
    /// Whether the account serves the customer.
    pub welcome: Welcome,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// What a run of the account's plan would do if nobody answered. It opens a new interaction, even if the customer
    /// has an open one, and the account counts as switched on.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if the contact does not exist, or a port fails.
    pub async fn rehearse(&self, account: &Account, trial: Trial) -> Result<Rehearsed, EngineError> {
        let account = Account { active: true, ..account.clone() };
        let Trial { at, customer, text, variables, answers } = trial;
        let Met { contact, address, name, welcome } = self.introduce(&account, customer).await?;
        let mut needs = Needs { presences: account.agents.iter().chain(account.plan.agents()).cloned().collect(), ..Needs::default() };
        for queue in account.plan.queues() {
            let members: Vec<AgentId> = self.directory.queue(queue).await?.map(|queue| queue.members).unwrap_or_default();
            needs.presences.extend(members);
        }
        let facts = self.gather(&account, &needs, None, at).await?;
        let heard = Content::Text { body: text };
        let context = decide::Context { heard: Some(&heard), ..facts.context(&account, None, at) };
        let opening = Opening { id: InteractionId::from_ulid(self.world.ulid()), contact, address, name, welcome };
        let message = MessageId::from_ulid(self.world.ulid());
        let rehearsal = Rehearsal { opening, message, variables, answers: &answers, seen_at: self.world.now() };
        Ok(decide::rehearse(rehearsal, &context))
    }

    /// The customer as the account meets one.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if the contact does not exist, or a port fails.
    pub async fn introduce(&self, account: &Account, customer: Customer) -> Result<Met, EngineError> {
        let id = match customer {
            Customer::Known(id) => id,
            Customer::New { name, address } => {
                let welcome = if self.is_welcome(account, None).await? { Welcome::Served } else { Welcome::NotWhitelisted };
                let contact = ContactId::from_ulid(self.world.ulid());
                return Ok(Met { contact, address, name: CustomerName { name, kept: false }, welcome });
            }
        };
        let known = self.store.contact(&id).await?.ok_or(EngineError::NotFound)?;
        let business = Business::of(account);
        let person = self.person(&known, &business).await?;
        let mut contacts = vec![known];
        for other in person.contacts().filter(|other| **other != id) {
            contacts.extend(self.store.contact(other).await?);
        }
        let address = contacts.iter().find_map(|contact| contact.reached_at(&business).next()).cloned();
        let owner = contacts.iter().find(|contact| contact.id == person.owner);
        Ok(Met {
            welcome: self.welcome(account, owner, &person).await?,
            address: address.unwrap_or_else(|| Address::Bsuid(String::new())),
            name: called(&contacts),
            contact: person.owner,
        })
    }

    async fn welcome(&self, account: &Account, owner: Option<&Contact>, person: &Identity) -> Result<Welcome, EngineError> {
        Ok(if self.is_blocked(owner, Some(person)).await? {
            Welcome::Blocked
        } else if self.is_welcome(account, Some(person)).await? {
            Welcome::Served
        } else {
            Welcome::NotWhitelisted
        })
    }
}

/// The name of a customer with these contacts: the one that a person chose, else the first that is known.
fn called(contacts: &[Contact]) -> CustomerName {
    match contacts.iter().find(|contact| !contact.follows_profiles()) {
        Some(chosen) => CustomerName { name: chosen.name.clone(), kept: true },
        None => CustomerName { name: contacts.iter().find_map(|contact| contact.name.clone()), kept: false },
    }
}
