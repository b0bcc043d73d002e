//! AI agents that answer customers: the function `assist` with the stand-ins of both services, on the local engine.

use std::time::Duration;

use cloud::batch::{Consumer, Delivery};
use domain::ai_agent::{AiAgent, Limits};
use domain::effect::{InteractionKey, Target};
use domain::interaction::{Interaction, Stage};
use domain::plan::Step;
use engine::Reach;
use engine::jobs::AssistJob;
use engine::ports::Store as _;
use local::standin::{Fault, MODEL_KEY};
use serde_json::{Value, json};
use store::Write;

use crate::assisting::{ATTEMPTS, ada, bea};
use crate::support::sid;
use crate::{Caller, Desk};

/// The time limit for a model that is asked on a busy machine. Only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a customer asks, and the answer that the AI agent has.
const ASKED: &str = "When is the shop open?";
const ANSWER: &str = "The shop is open from 9 to 18.";
const DISCLOSED: &str = "I am a machine.";
const FAREWELL: &str = "One moment.";

/// A desk whose plan lets an AI agent answer before the queue rings.
struct Answering {
    desk: Desk,
    function: assist::Function,
    ai_agent: AiAgent,
}

impl Answering {
    async fn open(key: &str, ai_agent: impl FnOnce(&str) -> AiAgent) -> Self {
        Self::planned(key, ai_agent, true).await
    }

    async fn planned(key: &str, ai_agent: impl FnOnce(&str) -> AiAgent, queue: bool) -> Self {
        let mut desk = Desk::open(key, 100).await;
        let ai_agent = ai_agent(&desk.issuer.url);
        desk.deployment.configuration.put(&ai_agent, Write::New, Vec::new()).await.unwrap();
        desk.keyed(&ai_agent.id, MODEL_KEY).await;
        let before = desk.account.clone();
        if !queue {
            desk.account.plan.steps.clear();
        }
        desk.account.plan.steps.insert(0, Step::Assistant { ai_agent: ai_agent.id.clone() }.into());
        desk.account.answering_ai_agent = Some(ai_agent.id.clone());
        desk.account.version += 1;
        let write = Write::Replace { before: &before, version: before.version };
        desk.deployment.configuration.put(&desk.account, write, Vec::new()).await.unwrap();
        desk.routers = desk.fresh_routers();
        let (url, queue) = (desk.issuer.url.clone(), desk.deployment.env.required("JOBS_QUEUE_URL").unwrap());
        let bedrock = format!("{url}/bedrock");
        // Only failures of tables are sent to the queue again, and there are none here.
        let more = [("BEDROCK_URL", bedrock.as_str()), ("EGRESS_ALLOWED_ORIGINS", &url), ("ASSIST_QUEUE_URL", queue)];
        let function = assist::Function::from_env(&desk.deployment.aws, &desk.deployment.env_with(&more)).unwrap();
        Self { desk, function, ai_agent }
    }

    /// The customer `number` writes. Each message has its own `id`.
    async fn writes(&self, number: usize, id: usize, words: &str) -> InteractionKey {
        self.desk.says(number, id, words).await;
        let (_, routed) = self.desk.deployment.store.event(&self.desk.account.id, &sid(id)).await.unwrap().unwrap();
        self.desk.deployment.engine.locate(&routed.unwrap().parse().unwrap()).await.unwrap()
    }

    async fn now(&self, key: &InteractionKey) -> Interaction {
        self.desk.deployment.store.interaction(key).await.unwrap().unwrap()
    }

    /// The wait that owes an answer.
    async fn owed(&self, key: &InteractionKey) -> Option<u64> {
        self.now(key).await.ai_wait().filter(|wait| wait.until.is_some()).map(|wait| wait.id)
    }

    async fn work(&self, key: &InteractionKey, wait: u64) {
        let delivery = Delivery { message_id: String::new(), receipt_handle: String::new(), receive_count: 1, group: None, sent_at: None };
        self.function.consume(AssistJob::Answer { interaction: key.clone(), wait }, delivery).await.unwrap();
    }

    /// Does the job that is owed, and once more.
    async fn answers(&self, key: &InteractionKey) {
        let wait = self.owed(key).await.expect("an answer is owed");
        self.work(key, wait).await;
        let asked = self.desk.issuer.prompts().len();
        self.work(key, wait).await;
        assert_eq!(self.desk.issuer.prompts().len(), asked, "a job that comes again asks nobody");
    }

    fn path(key: &InteractionKey) -> String {
        format!("/interactions/{}", key.interaction)
    }

    /// What the AI agent wrote, in order.
    async fn said(&self, key: &InteractionKey) -> Vec<String> {
        let (_, thread) = self.desk.anna().get(&format!("{}/messages?limit=200", Self::path(key))).await;
        let by_ai = thread["items"].as_array().unwrap().iter().filter(|message| message["author"]["kind"] == "ai");
        by_ai
            .map(|message| {
                assert_eq!(message["author"]["name"], self.ai_agent.name, "{message}");
                message["content"]["body"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// The facts of this kind, in order.
    async fn facts(&self, key: &InteractionKey, kind: &str) -> Vec<Value> {
        let (_, history) = self.desk.anna().get(&format!("{}/history", Self::path(key))).await;
        history["items"].as_array().unwrap().iter().filter(|entry| entry["fact"] == kind).cloned().collect()
    }

    /// The reasons for which it handed over.
    async fn escalated(&self, key: &InteractionKey) -> Vec<String> {
        self.facts(key, "ai_escalated").await.iter().map(|fact| fact["why"].as_str().unwrap().to_owned()).collect()
    }

    /// The queue behind the AI agent's step rings for a customer.
    async fn rings(&self, key: &InteractionKey) -> bool {
        let (now, queue) = (self.now(key).await, Target::Queue(self.desk.queue.clone()));
        let at_queue = now.wait.is_some_and(|wait| wait.stage == Stage::Step { index: 1, plan: 1 } && wait.targets == [queue.clone()]);
        self.desk.deployment.engine.wake(&queue, Reach::Far).await.unwrap();
        let (_, mine) = self.desk.anna().get("/interactions").await;
        let offers = mine["offers"].as_array().unwrap().iter();
        at_queue && offers.filter(|offer| offer["id"] == key.interaction.as_str()).count() == 1
    }

    fn boss(&self) -> Caller {
        self.desk.with_token("/supervisor", self.desk.issuer.mint("boss", &["supervisor"], Duration::from_secs(600)).unwrap())
    }

    /// Lets the model think until `meanwhile` is done.
    async fn answers_after(&self, key: &InteractionKey, meanwhile: impl Future<Output = ()>) {
        let (wait, issuer) = (self.owed(key).await.unwrap(), &self.desk.issuer);
        let asked = issuer.prompts().len();
        issuer.hold_models(true);
        tokio::join!(self.work(key, wait), async {
            issuer.wait_for_prompts(PATIENCE, asked + 1).await.unwrap();
            meanwhile.await;
            issuer.hold_models(false);
        });
    }
}

#[tokio::test]
async fn each_failure_of_either_service_hands_over_once_and_says_nothing_of_it() {
    let table: Vec<Value> = serde_json::from_str(include_str!("../functions/assist/src/answer/failures.json")).unwrap();
    for (key, service, ai_agent) in [("OPEFA", "openai", ada as fn(&str) -> AiAgent), ("BEDFA", "bedrock", bea as fn(&str) -> AiAgent)] {
        // A model that hangs takes the time that it has.
        let limits = Limits { seconds: 1, ..Limits::default() };
        let desk = Answering::open(key, |url| AiAgent { limits, ..ai_agent(url) }).await;
        let mut expected = 0;
        for (number, case) in table.iter().enumerate().filter(|(_, case)| case.get(service).is_some()) {
            let id = 10 * number;
            let mut interaction = desk.writes(number, id, ASKED).await;
            let mut said = Vec::new();
            if case["why"] == "repeated" {
                desk.answers(&interaction).await;
                said = [DISCLOSED, ANSWER].map(str::to_owned).to_vec();
                interaction = desk.writes(number, id + 1, "And on Sunday?").await;
                expected += 1;
            }
            let fault: Fault = serde_json::from_value(case[service].clone()).unwrap();
            desk.desk.issuer.next(Fault { provider: Some(service.to_uppercase()), on: local::standin::On::Api, ..fault });
            desk.answers(&interaction).await;
            said.push(FAREWELL.to_owned());
            let case = &case["case"];
            assert_eq!(desk.escalated(&interaction).await, [table[number]["why"].as_str().unwrap()], "{service}: {case}");
            assert_eq!(desk.said(&interaction).await, said, "{service}: {case}");
            assert!(desk.rings(&interaction).await, "{service}: {case}");
            expected += 1;
        }
        let asked = desk.desk.issuer.prompts().iter().filter(|asked| asked.service == service.to_uppercase()).count();
        assert_eq!(asked, expected, "{service}: one attempt each");
    }
}

#[tokio::test]
async fn while_the_model_thinks_anything_may_happen_and_its_answer_is_sent_only_if_it_still_fits() {
    let desk = Answering::open("WHILE", ada).await;
    desk.desk.deployment.ready_agent("boss", 5).await;

    // A supervisor switches it off: the plan goes on.
    let key = desk.writes(1, 10, ASKED).await;
    let off = async {
        let (status, answer) = desk.boss().call("PUT", &format!("{}/ai", Answering::path(&key)), None, Some(json!({ "on": false }))).await;
        assert_eq!(status, 200, "{answer}");
    };
    desk.answers_after(&key, off).await;
    assert_eq!((desk.said(&key).await.len(), desk.escalated(&key).await.len()), (0, 0));
    assert!(desk.rings(&key).await);

    // A supervisor closes it.
    let key = desk.writes(2, 20, ASKED).await;
    let close = async {
        let (status, answer) = desk.boss().post(&format!("{}/close", Answering::path(&key)), json!({ "disposition": "Solved" })).await;
        assert_eq!(status, 200, "{answer}");
    };
    desk.answers_after(&key, close).await;
    assert_eq!((desk.said(&key).await.len(), desk.now(&key).await.is_open()), (0, false));

    // The customer goes on: one answer to all of it.
    let key = desk.writes(3, 30, ASKED).await;
    let more = async {
        desk.writes(3, 31, "I mean: is the shop open on Sunday?").await;
    };
    desk.answers_after(&key, more).await;
    assert!(desk.said(&key).await.is_empty());
    desk.answers(&key).await;
    assert_eq!(desk.said(&key).await, [DISCLOSED, ANSWER]);
    assert_eq!(desk.owed(&key).await, None);

    // An agent writes beside it.
    let key = desk.writes(4, 40, ASKED).await;
    let path = Answering::path(&key);
    assert_eq!(desk.desk.anna().post(&format!("{path}/pick"), Value::Null).await.0, 200);
    desk.writes(4, 41, ASKED).await;
    let (status, _) = desk.desk.anna().call("PUT", &format!("{path}/ai"), None, Some(json!({ "on": true }))).await;
    assert_eq!(status, 200);
    let write = async { assert_eq!(desk.desk.anna().post(&format!("{path}/messages"), json!({ "text": "At nine." })).await.0, 201) };
    desk.answers_after(&key, write).await;
    assert!(desk.said(&key).await.is_empty());

    // The AI agent is deleted. What it thought is sent, and then people are asked.
    let key = desk.writes(5, 50, ASKED).await;
    let delete = async {
        let configuration = &desk.desk.deployment.configuration;
        let (ai_agent, version) = configuration.get::<AiAgent>(desk.ai_agent.id.as_str()).await.unwrap().unwrap();
        configuration.delete(&ai_agent, version, &[]).await.unwrap();
    };
    desk.answers_after(&key, delete).await;
    assert_eq!(desk.said(&key).await, [DISCLOSED, ANSWER]);
    let asked = desk.desk.issuer.prompts().len();
    desk.writes(5, 51, ASKED).await;
    desk.answers(&key).await;
    assert_eq!((desk.escalated(&key).await, desk.desk.issuer.prompts().len()), (vec!["gone".to_owned()], asked));
    assert!(desk.rings(&key).await);
}

#[tokio::test]
async fn a_person_who_takes_it_at_that_instant_is_never_talked_over_a_hundred_times() {
    let desk = Answering::open("INSTA", |url| AiAgent { disclosure: None, ..ada(url) }).await;
    let mut sent = 0;
    for round in 0..100 {
        let key = desk.writes(round, round, ASKED).await;
        let (wait, pick) = (desk.owed(&key).await.unwrap(), format!("{}/pick", Answering::path(&key)));
        let (anna, ben) = (desk.desk.anna(), desk.desk.ben());
        let picks = async {
            // While the model thinks, or while the job begins.
            if round % 2 == 0 {
                desk.desk.issuer.wait_for_prompts(PATIENCE, sent + 1).await.unwrap();
            }
            tokio::join!(anna.post(&pick, Value::Null), ben.post(&pick, Value::Null))
        };
        let ((), (one, other)) = tokio::join!(desk.work(&key, wait), picks);
        let now = desk.now(&key).await;
        assert_eq!([one.0, other.0].iter().filter(|status| **status == 200).count(), 1, "one has it");
        assert_eq!((now.agent.is_some(), now.answered_by(), now.ai_wait()), (true, None, None));
        let version = |fact: &Value| fact["version"].as_u64().unwrap();
        let picked = version(&desk.facts(&key, "picked").await[0]);
        let answered = desk.facts(&key, "ai_answered").await;
        assert!(answered.len() <= 1 && answered.iter().all(|fact| version(fact) < picked), "{answered:?}");
        assert_eq!(desk.said(&key).await.len(), answered.len());
        assert!(desk.escalated(&key).await.is_empty());
        sent = desk.desk.issuer.prompts().len();
    }
}

#[tokio::test]
async fn two_bots_that_face_each_other_stop_whatever_the_model_does() {
    for (key, fails) in [("BOTS1", false), ("BOTS2", true)] {
        let limits = Limits { in_a_row: 3, ..Limits::default() };
        let ai_agent = |url: &str| AiAgent { limits, disclosure: None, ..ada(url) };
        // With the plan at its end, each message begins it anew.
        let desk = Answering::planned(key, ai_agent, false).await;
        let (mut heard, mut number) = (1, 0);
        // The other bot answers each message.
        while heard > 0 {
            let interaction = desk.writes(1, number, &format!("{ASKED} {number}")).await;
            number += 1;
            let before = desk.said(&interaction).await.len();
            if fails {
                desk.desk.model_fails("OPENAI", 500, "");
            } else if number > 1 {
                // Every answer is another one.
                desk.desk.model_fails("OPENAI", 200, &format!("text:answer {number}"));
            }
            if let Some(wait) = desk.owed(&interaction).await {
                desk.work(&interaction, wait).await;
            }
            heard = desk.said(&interaction).await.len() - before;
            assert!(number < 10, "they go on");
        }
        let interaction = desk.writes(1, number, ASKED).await;
        let reasons = desk.escalated(&interaction).await;
        assert_eq!(reasons.last().unwrap(), "limit", "{reasons:?}");
        assert_eq!((desk.said(&interaction).await.len(), desk.desk.issuer.prompts().len()), (4, 3), "three messages and the farewell");
        let skipped = desk.facts(&interaction, "stage_skipped").await;
        assert!(skipped.iter().all(|fact| fact["why"] == "used_up") && !skipped.is_empty());
    }
}

#[tokio::test]
async fn an_hour_has_its_limit_over_all_interactions_of_a_contact() {
    let limits = Limits { an_hour: 2, ..Limits::default() };
    let desk = Answering::open("HOURS", |url| AiAgent { limits, ..ada(url) }).await;
    for round in 0..3 {
        let key = desk.writes(1, round, ASKED).await;
        desk.answers(&key).await;
        let expected = if round < 2 { vec![DISCLOSED, ANSWER] } else { vec![FAREWELL] };
        assert_eq!(desk.said(&key).await, expected);
        let path = Answering::path(&key);
        assert_eq!(desk.desk.anna().post(&format!("{path}/pick"), Value::Null).await.0, 200);
        assert_eq!(desk.desk.anna().post(&format!("{path}/close"), json!({ "disposition": "Solved" })).await.0, 200);
    }
    assert_eq!(desk.desk.issuer.prompts().len(), 2);
    // Another contact has its own.
    let key = desk.writes(2, 10, ASKED).await;
    desk.answers(&key).await;
    assert_eq!(desk.said(&key).await, [DISCLOSED, ANSWER]);
}

#[tokio::test]
async fn whatever_a_customer_writes_no_tool_but_escalate_can_be_reached_and_nothing_but_text_leaves() {
    let desk = Answering::open("REACH", |url| AiAgent { disclosure: None, ..ada(url) }).await;
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        // A model that obeys: it calls the tool that the customer names.
        desk.desk.model_fails("OPENAI", 200, "tool");
        let key = desk.writes(number, number, attempt).await;
        desk.answers(&key).await;
        assert_eq!(
            (desk.escalated(&key).await, desk.said(&key).await),
            (vec!["unusable".to_owned()], vec![FAREWELL.to_owned()]),
            "{attempt}"
        );
        let body = desk.desk.issuer.prompts().last().unwrap().body.clone();
        let tools = body["tools"].as_array().unwrap();
        assert_eq!((tools.len(), &tools[0]["function"]["name"]), (1, &json!("escalate")));
        assert!(!body["messages"][0]["content"].as_str().unwrap().contains(attempt));
        let data: Value = serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap();
        assert_eq!(data["conversation"].as_array().unwrap().last().unwrap()["text"], **attempt);
        // It did what it always does: nobody else was written to, nothing was closed, tagged or set.
        let now = desk.now(&key).await;
        assert!(now.is_open() && now.tags.is_empty() && now.agent.is_none(), "{attempt}");
        assert!(desk.rings(&key).await);
    }
}
