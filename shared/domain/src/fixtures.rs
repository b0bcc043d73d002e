//! Values for tests: one account, one interaction and one message. A test changes only the fields that it is about.

use jiff::Timestamp;
use ulid::Ulid;

use crate::account::{Account, Provider, Settings};
use crate::active::Active;
use crate::ai_agent::{AiAgent, Escalation, Knowledge, KnowledgeText, ModelProvider};
use crate::ids::{AccountId, AiAgentId, ContactId, InteractionId, ListId, MessageId, TriggerId};
use crate::interaction::{Inactivity, Interaction, Run, Status};
use crate::message::{Author, Content, Message};
use crate::plan::{ActionPlan, WebhookUrl};
use crate::priority::Priority;
use crate::search::SearchInput;
use crate::trigger::{Trigger, TriggerEvent};
use crate::values::{AccountKey, Address, E164};
use crate::variables::Variables;

/// An active Twilio account without agents and with an empty plan.
pub fn account() -> Account {
    Account {
        id: AccountId::from_ulid(Ulid::from_parts(1, 1)),
        name: "Roma".to_owned(),
        key: AccountKey::parse("ROMA1").unwrap(),
        list: ListId::from_ulid(Ulid::from_parts(1, 5)),
        domain: None,
        proxy_token: "proxy".into(),
        webhook_secret: Some("whsec_c2VjcmV0".into()),
        provider: Provider { kind: "TWILIO".to_owned(), fields: [("account_sid".to_owned(), format!("AC{}", "a".repeat(32)))].into() },
        phone: E164::parse("+390612345678").unwrap(),
        description: None,
        active: true,
        receive_path: "/receive/twilio/T0KEN".into(),
        replaced: crate::account::Replaced::default(),
        agents: Vec::new(),
        answering_ai_agent: None,
        settings: Settings::default(),
        translation_key_set_at: None,
        video_key_set_at: None,
        plan: ActionPlan { version: 1, steps: Vec::new() },
        version: 1,
    }
}

/// An AI agent with one knowledge text and one phrase, on an API with a key.
pub fn ai_agent() -> AiAgent {
    AiAgent {
        id: AiAgentId::from_ulid(Ulid::from_parts(1, 6)),
        name: "Ada".to_owned(),
        provider: ModelProvider::OpenaiCompatible,
        model: "small".to_owned(),
        region: None,
        base_url: Some("https://models.example.com/v1".to_owned()),
        key_set_at: Some(Timestamp::UNIX_EPOCH),
        instructions: "Answer questions about the shop.".to_owned(),
        knowledge: Knowledge {
            base: None,
            texts: vec![KnowledgeText { title: "Opening hours".to_owned(), text: "The shop is open from 9 to 18.".to_owned() }],
        },
        temperature: None,
        max_tokens: AiAgent::USUAL_TOKENS,
        language: None,
        disclosure: None,
        escalation: Escalation { phrases: vec!["operator".to_owned()], message: None },
        limits: crate::ai_agent::Limits::default(),
        guardrail: None,
        price: None,
    }
}

/// An interaction of [`account`] without an agent, opened at `at`. A closed one is closed at `at` too.
pub fn interaction(status: Status, at: Timestamp) -> Interaction {
    Interaction {
        id: InteractionId::from_ulid(Ulid::from_parts(1, 3)),
        account: account().id,
        contact: ContactId::from_ulid(Ulid::from_parts(1, 2)),
        address: Address::Phone(E164::parse("+393331234567").unwrap()),
        address_at: None,
        address_changed_at: None,
        customer_name: None,
        name_kept: false,
        claims: Vec::new(),
        version: 1,
        status,
        opened_at: at,
        closed_at: (status == Status::Closed).then_some(at),
        archived: false,
        disposition: None,
        agent: None,
        assigned_at: None,
        accepted_via: None,
        tab_open: false,
        tab_opened_at: None,
        unread: false,
        unread_count: 0,
        wrap_up: None,
        answered: false,
        one_sided: false,
        wait: None,
        unanswered_since: None,
        active: Active::default(),
        tried: Vec::new(),
        last_message: None,
        heard_at: None,
        inactivity: Inactivity::default(),
        tags: Vec::new(),
        priority: Priority::default(),
        variables: Variables::default(),
        ai: None,
        answering: crate::interaction::Answering::default(),
        run: Run::default(),
        language: None,
        language_kept: false,
        insights: None,
        absorbed: Vec::new(),
        merged_into: None,
        watchers: Vec::new(),
        commands: None,
    }
}

/// An active trigger for all events of all accounts.
pub fn trigger() -> Trigger {
    Trigger {
        id: TriggerId::from_ulid(Ulid::from_parts(1, 6)),
        name: "CRM".to_owned(),
        description: None,
        active: true,
        accounts: Vec::new(),
        events: TriggerEvent::ALL.into(),
        search: SearchInput::default(),
        url: WebhookUrl::parse("https://crm.example.com/whatsapp").unwrap(),
        secret: "whsec_c2VjcmV0".into(),
        secret_set_at: Timestamp::UNIX_EPOCH,
        replaced_secret: None,
        disabled: None,
    }
}

/// A text that the customer of [`interaction`] wrote at `at`.
pub fn message(at: Timestamp) -> Message {
    let (id, interaction) = (MessageId::from_ulid(Ulid::from_parts(1, 4)), InteractionId::from_ulid(Ulid::from_parts(1, 3)));
    Message::new(id, interaction, at, Author::Customer, Content::Text { body: "Buongiorno".to_owned() })
}
