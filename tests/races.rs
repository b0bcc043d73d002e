//! Pairs of concurrent events, a hundred rounds each, on the engine's own transactions.

use domain::decide::{AiAnswer, Event, Refusal};
use domain::effect::{InteractionKey, Target, Timer};
use domain::ids::{AgentId, AiAgentId, InteractionId};
use domain::inbound::InboundEvent;
use domain::interaction::{Interaction, Stage};
use domain::message::Author;
use domain::queue::Strategy;
use engine::ports::{Idempotency, Store, World};
use engine::{Engine, EngineError, Reach, Told};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::StatusCode;
use store::{Order, Write};
use ulid::Ulid;

use crate::support::{AUTH_TOKEN, Deployment, sid, text, webhook};
use crate::{interaction_of, open};

/// How often each pair races.
const ROUNDS: usize = 100;

/// The real clock, moved ahead by this much.
#[derive(Debug, Clone)]
struct Later(SignedDuration);

impl World for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond((Timestamp::now() + self.0).as_millisecond()).unwrap()
    }

    fn ulid(&self) -> Ulid {
        cloud::ids::ulid()
    }

    async fn pause(&self, attempt: u32) {
        engine::ports::System.pause(attempt).await;
    }
}

/// One account with two agents of ample capacity. Each round has an interaction that is offered to both.
struct Desk {
    deployment: Deployment,
    account: domain::account::Account,
    agents: Vec<AgentId>,
    queue: Target,
}

impl Desk {
    async fn new(key: &str) -> Self {
        let deployment = Deployment::new().await;
        let agents = vec![deployment.ready_agent("anna", 100).await, deployment.ready_agent("ben", 100).await];
        let queue = deployment.queue(Strategy::Beepall, &agents).await;
        let account = deployment.account(key, &agents, &queue).await;
        Self { deployment, account, agents, queue: Target::Queue(queue) }
    }

    async fn rings(&self, number: usize) -> InteractionKey {
        let interaction = open(&self.deployment, &self.account, number).await;
        self.deployment.engine.wake(&self.queue, Reach::Far).await.unwrap();
        self.deployment.engine.locate(&interaction).await.unwrap()
    }

    async fn accepted(&self, number: usize) -> InteractionKey {
        let key = self.rings(number).await;
        let told = self.tell(&key, Event::Accept { agent: self.agents[0].clone() }).await.unwrap();
        assert!(matches!(told, Told::Changed { .. }), "{told:?}");
        key
    }

    async fn tell(&self, key: &InteractionKey, event: Event) -> Result<Told, EngineError> {
        self.deployment.engine.tell(key, event, Idempotency::Command { id: cloud::ids::ulid().to_string() }).await
    }

    async fn now(&self, key: &InteractionKey) -> Interaction {
        self.deployment.store.interaction(key).await.unwrap().unwrap()
    }

    async fn load(&self) -> usize {
        let presences = self.deployment.store.presences(&self.agents).await.unwrap();
        presences.values().map(|presence| presence.load.len()).sum()
    }
}

#[tokio::test]
async fn a_person_who_takes_it_while_the_model_thinks_is_never_talked_over() {
    let mut desk = Desk::new("ANSWE").await;
    let before = desk.account.clone();
    desk.account.answering_ai_agent = Some(AiAgentId::from_ulid(cloud::ids::ulid()));
    desk.account.version += 1;
    let write = Write::Replace { before: &before, version: before.version };
    desk.deployment.configuration.put(&desk.account, write, Vec::new()).await.unwrap();
    for round in 0..ROUNDS {
        let key = desk.rings(round).await;
        let on = Event::AiSwitched { by: desk.agents[0].clone(), oversees: true, on: true };
        assert!(matches!(desk.tell(&key, on).await.unwrap(), Told::Changed { .. }));
        let wait = desk.now(&key).await.ai_wait().unwrap().id;
        assert!(matches!(desk.tell(&key, Event::AiClaims { wait }).await.unwrap(), Told::Changed { .. }));
        let limits = domain::ai_agent::Limits::default();
        let answer = AiAnswer { name: "Ada".into(), disclosure: None, text: "From 9 to 18.".into(), farewell: None, limits };
        let (answered, one, other) = tokio::join!(
            desk.tell(&key, Event::AiAnswered { wait, answer: Box::new(answer) }),
            desk.tell(&key, Event::Pick { agent: desk.agents[0].clone() }),
            desk.tell(&key, Event::Pick { agent: desk.agents[1].clone() }),
        );
        let won = [one.unwrap(), other.unwrap()].iter().filter(|told| matches!(told, Told::Changed { .. })).count();
        let now = desk.now(&key).await;
        assert_eq!((won, now.agent.is_some(), now.answered_by()), (1, true, None));
        let thread = desk.deployment.store.thread(&now, None, 10, Order::OldestFirst).await.unwrap();
        let by_ai = thread.messages.iter().filter(|message| matches!(message.author, Author::Ai { .. })).count();
        match answered.unwrap() {
            // It was written before anybody took it.
            Told::Changed { .. } => assert_eq!(by_ai, 1),
            Told::Refused(Refusal::Stale, _) => assert_eq!(by_ai, 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(desk.load().await, ROUNDS, "each takes one slot, of the person who has it");
}

#[tokio::test]
async fn of_a_concurrent_accept_and_offer_timeout_exactly_one_wins() {
    let desk = Desk::new("EXPIR").await;
    let (mut accepted, mut over) = (0, 0);
    for round in 0..ROUNDS {
        let key = desk.rings(round).await;
        let wait = desk.now(&key).await.wait.unwrap();
        // One engine's clock is past the deadline, and the other's is not.
        let later = Engine {
            store: desk.deployment.store.clone(),
            directory: desk.deployment.engine.directory.clone(),
            world: Later(SignedDuration::from_hours(1)),
        };
        let (accept, end) = tokio::join!(
            desk.tell(&key, Event::Accept { agent: desk.agents[1].clone() }),
            later.tell(&key, Event::Timer(Timer::Wait { wait: wait.id }), Idempotency::Guarded),
        );
        let now = desk.now(&key).await;
        match (accept.unwrap(), end.unwrap()) {
            (Told::Changed { .. }, Told::Refused(Refusal::Stale, _)) => {
                assert_eq!((now.agent, now.wait), (Some(desk.agents[1].clone()), None));
                accepted += 1;
            }
            (Told::Refused(Refusal::OfferGone { owner: None }, _), Told::Changed { .. }) => {
                assert_eq!((now.agent, now.wait.map(|wait| wait.stage)), (None, Some(Stage::Exhausted)));
                over += 1;
            }
            both => panic!("{both:?}"),
        }
    }
    assert_eq!(accepted + over, ROUNDS);
    assert_eq!(desk.load().await, accepted, "who lost holds no slot");
}

#[tokio::test]
async fn a_concurrent_transfer_and_close_end_closed_without_an_agent_or_an_offer() {
    let desk = Desk::new("TRANS").await;
    for round in 0..ROUNDS {
        let key = desk.accepted(round).await;
        let (from, to) = (desk.agents[0].clone(), Target::Agent(desk.agents[1].clone()));
        let (transfer, close) = tokio::join!(
            desk.tell(&key, Event::Transfer { agent: from.clone(), to }),
            desk.tell(&key, Event::Close { agent: from.clone(), disposition: None }),
        );
        assert!(matches!(close.unwrap(), Told::Changed { .. }));
        assert!(matches!(transfer.unwrap(), Told::Changed { .. } | Told::Refused(Refusal::Closed, _)));
        let now = desk.now(&key).await;
        assert!(!now.is_open() && now.wait.is_none());
        let presences = desk.deployment.store.presences(&desk.agents).await.unwrap();
        assert!(presences.values().all(|presence| presence.ringing.is_empty() && presence.load.is_empty()));
    }
}

#[tokio::test]
async fn a_concurrent_message_and_close_lose_no_message() {
    let desk = Desk::new("CLOSE").await;
    let (mut joined, mut opened) = (0, 0);
    for round in 0..ROUNDS {
        let key = desk.accepted(round).await;
        let message = format!("{}{}", desk.account.key, sid(10_000 + round));
        let from = format!("whatsapp:+3934{round:08}");
        let request = webhook(desk.account.receive_path.reveal(), "", &text(&message, &from, "one more thing"), Some(AUTH_TOKEN));
        assert_eq!(desk.deployment.warm_receiver().handle(&request).await.status(), StatusCode::OK);
        let [event] = desk.deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.try_into().unwrap();
        let (routed, close) = tokio::join!(
            desk.deployment.engine.route(&event),
            desk.tell(&key, Event::Close { agent: desk.agents[0].clone(), disposition: None }),
        );
        routed.unwrap();
        assert!(matches!(close.unwrap(), Told::Changed { .. }));
        let place: InteractionId = interaction_of(&desk.deployment, &desk.account, &message).await;
        let place = desk.deployment.engine.locate(&place).await.unwrap();
        match place == key {
            true => joined += 1,
            false => {
                assert!(desk.now(&place).await.is_open(), "what came behind the end is a new one");
                opened += 1;
            }
        }
        assert!(!desk.now(&key).await.is_open());
    }
    assert_eq!(joined + opened, ROUNDS);
}

#[tokio::test]
async fn two_concurrent_picks_of_one_interaction_have_one_winner() {
    let desk = Desk::new("PICKS").await;
    for round in 0..ROUNDS {
        let key = desk.rings(round).await;
        let pick = |agent: &AgentId| desk.tell(&key, Event::Pick { agent: agent.clone() });
        let (anna, ben) = tokio::join!(pick(&desk.agents[0]), pick(&desk.agents[1]));
        let won = [anna.unwrap(), ben.unwrap()].into_iter().filter(|told| matches!(told, Told::Changed { .. })).count();
        assert_eq!(won, 1);
    }
    assert_eq!(desk.load().await, ROUNDS);
}
