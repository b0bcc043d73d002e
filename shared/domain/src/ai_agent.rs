//! AI agents: language models that help agents with questions, and that answer customers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AiAgentId;
use crate::language::Language;
use crate::pricing::{Amount, Currency};

/// A language model with instructions, knowledge and limits.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AiAgent {
    /// Ours.
    pub id: AiAgentId,
    /// The name that agents and supervisors see.
    pub name: String,
    /// The service that runs the model.
    pub provider: ModelProvider,
    /// The model's id with the provider; for Bedrock also the id or ARN of an inference profile.
    pub model: String,
    /// The AWS region of the model (Bedrock) and of the knowledge base; `None`: the stack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of an API that is compatible with OpenAI's, without a slash at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// When the API's key was set for `base_url`. `None`: there is none, or the address has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_set_at: Option<Timestamp>,
    /// What it is for and how it answers, in the administrator's words.
    pub instructions: String,
    /// What it knows beside the conversation.
    #[serde(default)]
    pub knowledge: Knowledge,
    /// From 0 (always the likeliest words) to 1; `None`: the model's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens of an answer. Every call has this limit.
    pub max_tokens: u32,
    /// The language of its answers; `None`: the language of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The text that tells a customer, before the first answer, that no person answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<String>,
    /// When it hands over to a person.
    #[serde(default)]
    pub escalation: Escalation,
    /// How often and how long it answers customers before people take over.
    #[serde(default)]
    pub limits: Limits,
    /// Bedrock's guardrail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// What its tokens cost; `None`: reports tell no cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<TokenPrice>,
}

/// What a million tokens of a model cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiPrice))]
pub struct TokenPrice {
    /// Of prompts, with up to six decimals.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = r"^\d{1,4}(\.\d{1,6})?$", example = "0.06"))]
    pub input: Amount,
    /// Of replies, with up to six decimals.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = r"^\d{1,4}(\.\d{1,6})?$", example = "0.24"))]
    pub output: Amount,
    /// Their currency.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Z]{3}$", example = "USD"))]
    pub currency: Currency,
}

impl TokenPrice {
    /// What a call costs, in millionths.
    pub fn of(&self, input: u64, output: u64) -> u64 {
        let of = |price: Amount, tokens: u64| u128::from(price.millionths()) * u128::from(tokens);
        let cost = of(self.input, input) + of(self.output, output);
        u64::try_from((cost + 500_000) / 1_000_000).unwrap_or(u64::MAX)
    }
}

/// Instructions and knowledge are the company's own texts, so they never reach a log.
impl std::fmt::Debug for AiAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("AiAgent");
        shown.field("id", &self.id).field("provider", &self.provider).field("model", &self.model).finish_non_exhaustive()
    }
}

impl AiAgent {
    /// The longest instructions, in characters: two pages, which are sent with each question.
    pub const LONGEST_INSTRUCTIONS: usize = 8_000;
    /// The most knowledge texts in all, in characters. They go whole into each question: some 8,000 tokens.
    pub const LONGEST_TEXTS: usize = 30_000;
    /// The most tokens of an answer that may be asked for. A WhatsApp message holds 4,096 characters, about 1,000
    /// tokens; models that think before they answer count their thoughts too.
    pub const MOST_TOKENS: u32 = 8_192;
    /// The tokens of an answer if nothing is chosen: several paragraphs.
    pub const USUAL_TOKENS: u32 = 800;
}

/// A service that runs language models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelProvider {
    /// Amazon Bedrock, with this deployment's own rights.
    Bedrock,
    /// Any service with OpenAI's API of chat completions.
    OpenaiCompatible,
}

/// What an AI agent knows beside the conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiKnowledge))]
pub struct Knowledge {
    /// A knowledge base of Amazon Bedrock, which each question is searched in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<KnowledgeBase>,
    /// Texts that go whole into each question. They have at most 30,000 characters in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub texts: Vec<KnowledgeText>,
}

/// A knowledge base of Amazon Bedrock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiKnowledgeBase))]
pub struct KnowledgeBase {
    /// Its id with Bedrock.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9]{10}$", example = "KB12345678"))]
    pub id: String,
    /// How many passages are retrieved for a question.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 5, minimum = 1, maximum = 20))]
    pub results: u32,
}

impl KnowledgeBase {
    /// The most passages for a question. Bedrock gives up to 100; beyond these few nothing is to the point.
    pub const MOST_RESULTS: u32 = 20;
    /// The passages if nothing is chosen: Bedrock's own default.
    pub const USUAL_RESULTS: u32 = 5;
}

/// A text that an AI agent knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiKnowledgeText))]
pub struct KnowledgeText {
    /// The title by which answers refer to it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200, example = "Opening hours"))]
    pub title: String,
    /// The text.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 30_000))]
    pub text: String,
}

impl std::fmt::Debug for KnowledgeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnowledgeText(…)")
    }
}

/// When an AI agent hands a customer over to a person, beside its own decision to.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiEscalation))]
pub struct Escalation {
    /// Words of a customer that ask for a person. A message that has one of them is not answered by the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 20, example = json!(["operator", "speak to a person"])))]
    pub phrases: Vec<String>,
    /// The text that the customer then gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 1_000))]
    pub message: Option<String>,
}

impl std::fmt::Debug for Escalation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Escalation").field("phrases", &self.phrases.len()).finish_non_exhaustive()
    }
}

impl Escalation {
    /// Whether a customer asks for a person with one of the phrases: as whole words, in any case.
    pub fn is_asked_for(&self, text: &str) -> bool {
        let said = words(text);
        self.phrases.iter().map(|phrase| words(phrase)).any(|phrase| said.windows(phrase.len().max(1)).any(|part| part == phrase))
    }
}

/// The words of a text in lower case, without what stands between them.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// How often and how long an AI agent answers customers before people take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiLimits))]
pub struct Limits {
    /// The most messages in a row without a person. Then the interaction waits for people.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 20, minimum = 1, maximum = 100))]
    pub in_a_row: u32,
    /// The most answers to one contact in an hour, over all interactions.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 60, minimum = 1, maximum = 600))]
    pub an_hour: u32,
    /// The most answers in a row that are dropped because the customer wrote meanwhile. Each is a paid call.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 3, minimum = 0, maximum = 10))]
    pub dropped: u32,
    /// The time in seconds that the knowledge base and the model have for an answer.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 50, minimum = 5, maximum = 50))]
    pub seconds: u32,
}

impl Limits {
    /// A customer who has not been helped by so many answers needs a person, and two bots that face each other stop.
    pub const IN_A_ROW: std::ops::RangeInclusive<u32> = 1..=100;
    /// One a minute by default. Ten a minute are faster than anybody reads.
    pub const AN_HOUR: std::ops::RangeInclusive<u32> = 1..=600;
    /// With none, each message that comes meanwhile hands over.
    pub const DROPPED: std::ops::RangeInclusive<u32> = 0..=10;
    /// The function that asks the model has 60 s, in which it also reads and writes tables. Most models answer nothing
    /// in less than some seconds.
    pub const SECONDS: std::ops::RangeInclusive<u32> = 5..=50;
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_a_row: 20, an_hour: 60, dropped: 3, seconds: *Self::SECONDS.end() }
    }
}

/// A guardrail of Amazon Bedrock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AiGuardrail))]
pub struct Guardrail {
    /// Its id or ARN.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub id: String,
    /// Its version: a number, or `DRAFT`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8, example = "1"))]
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_who_says_a_phrase_asks_for_a_person() {
        let escalation = Escalation { phrases: vec!["operator".into(), "Parlare con una persona".into()], message: None };
        for asks in ["Operator!", "an OPERATOR, please", "vorrei parlare con una\npersona."] {
            assert!(escalation.is_asked_for(asks), "{asks}");
        }
        for other in ["", "operators", "cooperator", "parlare con la persona", "parlare con una", "?"] {
            assert!(!escalation.is_asked_for(other), "{other}");
        }
        assert!(!Escalation::default().is_asked_for("operator"));
        // A phrase without a word, from a version that allowed it, asks for nothing.
        assert!(!Escalation { phrases: vec!["!".into()], message: None }.is_asked_for("what?"));
    }

    #[test]
    fn tokens_cost_by_the_million() {
        let amount = |text| Amount::parse(text).unwrap();
        let price = TokenPrice { input: amount("0.06"), output: amount("0.24"), currency: Currency::EUR };
        assert_eq!([price.of(0, 0), price.of(1_000_000, 0), price.of(0, 1_000_000), price.of(1_000, 100)], [0, 60_000, 240_000, 84]);
        assert!(price.of(u64::MAX, u64::MAX) > price.of(u64::MAX / 2, 0));
    }

    #[test]
    fn texts_do_not_show_in_debug() {
        let agent = crate::fixtures::ai_agent();
        let shown = format!("{agent:?} {:?} {:?}", agent.knowledge, agent.escalation);
        for hidden in ["Answer questions", "9 to 18", "operator"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
