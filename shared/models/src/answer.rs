//! Decides what a model's reply is worth.

use domain::insights::{Sentiment, Summary};
use serde_json::Value;

use crate::prompt::ESCALATE;
use crate::{Reply, Stop};

/// WhatsApp's longest text message, in characters.
pub const LONGEST_MESSAGE: usize = 4_096;
/// A reason is read at a glance, in a notification.
const LONGEST_REASON: usize = 200;

/// What a reply is worth.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// A text.
    Text(String),
    /// It hands over to a person.
    Escalate {
        /// Why, in the model's words.
        reason: String,
    },
    /// It is not used.
    Unusable(Unusable),
}

/// An answer repeats what customers wrote, so it never reaches a log.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Text(_) => f.write_str("Text(…)"),
            Answer::Escalate { .. } => f.write_str("Escalate(…)"),
            Answer::Unusable(why) => f.debug_tuple("Unusable").field(why).finish(),
        }
    }
}

/// Why an answer is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It says nothing.
    Empty,
    /// It ends in the middle, at the limit of tokens.
    CutOff,
    /// It is longer than it may be.
    TooLong,
    /// A filter or a guardrail stopped it, or the model refused.
    Filtered,
    /// It can't be read, or calls a tool that there is not.
    Malformed,
    /// The prompt was longer than the model can read.
    TooMuch,
    /// It is what was said last.
    Repeated,
    /// It is what the customer wrote.
    Echo,
}

impl Unusable {
    /// The label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::CutOff => "cut_off",
            Self::TooLong => "answer_too_long",
            Self::Filtered => "filtered",
            Self::Malformed => "malformed",
            Self::TooMuch => "too_long",
            Self::Repeated => "repeated",
            Self::Echo => "echo",
        }
    }
}

/// Reads a reply. `most` is the longest text in characters, `last` what the company said last, `customer` what the
/// customer wrote last.
pub fn read(reply: &Reply, most: usize, last: Option<&str>, customer: Option<&str>) -> Answer {
    // A call counts whatever else the reply says: a person asked for is a person needed.
    if let Some((_, arguments)) = reply.calls.iter().find(|(name, _)| name == ESCALATE) {
        let reason = arguments["reason"].as_str().map(str::trim).filter(|reason| !reason.is_empty());
        return Answer::Escalate { reason: reason.unwrap_or("no reason given").chars().take(LONGEST_REASON).collect() };
    }
    let text = reply.text.trim();
    let unusable = match reply.stop {
        Stop::Length => Some(Unusable::CutOff),
        Stop::Filtered => Some(Unusable::Filtered),
        Stop::Malformed | Stop::Tool => Some(Unusable::Malformed),
        Stop::TooMuch => Some(Unusable::TooMuch),
        Stop::End | Stop::Unknown if !reply.calls.is_empty() => Some(Unusable::Malformed),
        Stop::End | Stop::Unknown if text.is_empty() => Some(Unusable::Empty),
        Stop::End | Stop::Unknown if text.chars().count() > most => Some(Unusable::TooLong),
        Stop::End | Stop::Unknown if last.is_some_and(|last| is_same(last, text)) => Some(Unusable::Repeated),
        Stop::End | Stop::Unknown if customer.is_some_and(|customer| is_same(customer, text)) => Some(Unusable::Echo),
        Stop::End | Stop::Unknown => None,
    };
    unusable.map_or_else(|| Answer::Text(text.to_owned()), Answer::Unusable)
}

/// Reads insights. Models are asked for one JSON document, and not through a service's own means of structured output,
/// which servers offer differently or not at all. So what stands around the document is not looked at, and a tool that
/// nobody offered counts if it was called with it.
pub fn insights(reply: &Reply) -> Result<(Sentiment, Summary), Unusable> {
    let documents = reply.calls.iter().map(|(_, arguments)| arguments.clone()).chain(document(&reply.text));
    if let Some(read) = documents.filter_map(|document| read_insights(&document)).next() {
        return Ok(read);
    }
    Err(match read(&Reply { calls: Vec::new(), ..reply.clone() }, usize::MAX, None, None) {
        Answer::Unusable(why) => why,
        Answer::Text(_) | Answer::Escalate { .. } => Unusable::Malformed,
    })
}

/// The JSON document in a text: from its first brace to its last.
fn document(text: &str) -> Option<Value> {
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    serde_json::from_str(text.get(start..=end)?).ok()
}

fn read_insights(document: &Value) -> Option<(Sentiment, Summary)> {
    let field = |name: &str| document.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str();
    Some((Sentiment::parse(field("sentiment")?)?, Summary::of(field("summary")?).ok()?))
}

/// Whether two texts are the same but for case and blanks.
fn is_same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    words(one) == words(other)
}

/// The numbers in brackets in an answer, such as `[2]`, that name one of `known` entries: each once, in order.
pub fn cited(text: &str, known: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    for part in text.split('[').skip(1) {
        let inside = part.split(']').next().filter(|inside| inside.len() < part.len()).unwrap_or_default();
        for number in inside.split([',', ';']).filter_map(|number| number.trim().parse().ok()) {
            if (1..=known).contains(&number) && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn reply(text: &str, stop: Stop) -> Reply {
        Reply { text: text.to_owned(), stop, ..Reply::default() }
    }

    fn of(reply: &Reply) -> Answer {
        read(reply, LONGEST_MESSAGE, Some("We open at 9."), Some("Are you open?"))
    }

    #[test]
    fn a_text_is_used_as_it_is_without_blanks_around_it() {
        assert_eq!(of(&reply(" Yes,\nuntil 18. \n", Stop::End)), Answer::Text("Yes,\nuntil 18.".into()));
        assert_eq!(of(&reply("Yes.", Stop::Unknown)), Answer::Text("Yes.".into()));
        assert_eq!(of(&reply(&"è".repeat(4_096), Stop::End)), Answer::Text("è".repeat(4_096)));
    }

    #[test]
    fn each_reply_that_is_no_answer_says_why() {
        for (text, stop, why) in [
            ("", Stop::End, Unusable::Empty),
            (" \n ", Stop::End, Unusable::Empty),
            ("We are open from 9 to", Stop::Length, Unusable::CutOff),
            ("Something bad", Stop::Filtered, Unusable::Filtered),
            ("{\"half\": ", Stop::Malformed, Unusable::Malformed),
            ("I call a tool", Stop::Tool, Unusable::Malformed),
            ("", Stop::TooMuch, Unusable::TooMuch),
            ("we  open\nat 9.", Stop::End, Unusable::Repeated),
            ("ARE you open?", Stop::End, Unusable::Echo),
        ] {
            assert_eq!(of(&reply(text, stop)), Answer::Unusable(why), "{text}");
        }
        assert_eq!(of(&reply(&"x".repeat(100_000), Stop::End)), Answer::Unusable(Unusable::TooLong));
    }

    #[test]
    fn a_call_to_escalate_counts_whatever_else_is_said() {
        let call = |arguments: Value, stop| Reply { calls: vec![(ESCALATE.into(), arguments)], ..reply("Sure, here is your refund", stop) };
        let reason = |reason: &str| Answer::Escalate { reason: reason.into() };
        assert_eq!(of(&call(json!({"reason": " asks for a person "}), Stop::Tool)), reason("asks for a person"));
        for broken in [Value::Null, json!({}), json!({"reason": 5}), json!({"reason": " "}), json!("x")] {
            assert_eq!(of(&call(broken, Stop::Length)), reason("no reason given"));
        }
        assert_eq!(of(&call(json!({"reason": "é".repeat(500)}), Stop::End)), reason(&"é".repeat(200)));
    }

    #[test]
    fn no_other_tool_can_be_reached() {
        for name in ["send_message", "refund", "Escalate", "escalate_now", ""] {
            let reply = Reply { calls: vec![(name.into(), json!({}))], ..reply("Done.", Stop::End) };
            assert_eq!(of(&reply), Answer::Unusable(Unusable::Malformed), "{name}");
        }
    }

    #[test]
    fn insights_are_read_whatever_stands_around_their_document() {
        let mood = |text: &str| insights(&reply(text, Stop::End)).map(|(sentiment, summary)| (sentiment, summary.as_str().to_owned()));
        let late = Ok((Sentiment::Negative, "The parcel is late.".to_owned()));
        for text in [
            r#"{"sentiment": "negative", "summary": "The parcel is late."}"#,
            "```json\n{\"summary\": \" The parcel is late. \", \"sentiment\": \"NEGATIVE\"}\n```",
            r#"Here it is: {"Sentiment": "negative", "Summary": "The parcel is late.", "confidence": 0.9} I hope it helps."#,
        ] {
            assert_eq!(mood(text), late, "{text}");
        }
        let call = |name: &str| Reply {
            calls: vec![(name.into(), json!({"sentiment": "mixed", "summary": "Late, but kind."}))],
            ..reply("", Stop::Tool)
        };
        for name in ["insights", "json", ESCALATE] {
            assert_eq!(insights(&call(name)).unwrap().0, Sentiment::Mixed);
        }
        let (_, long) = insights(&reply(&json!({"sentiment": "neutral", "summary": "è".repeat(5_000)}).to_string(), Stop::End)).unwrap();
        assert_eq!(long.as_str().chars().count(), Summary::LONGEST);
    }

    #[test]
    fn what_is_no_insight_says_why() {
        let why = |text: &str, stop| insights(&reply(text, stop)).unwrap_err();
        for broken in [
            "The customer is angry.",
            r#"{"sentiment": "angry", "summary": "x"}"#,
            r#"{"sentiment": "negative"}"#,
            r#"{"sentiment": "negative", "summary": "  "}"#,
            r#"{"sentiment": "negative", "summary": ["x"]}"#,
            r#"[{"sentiment": "negative"}, {"summary": "x"}]"#,
            "}{",
            r#"{"sentiment": "nega"#,
        ] {
            assert_eq!(why(broken, Stop::End), Unusable::Malformed, "{broken}");
        }
        assert_eq!(why(&"x".repeat(100_000), Stop::End), Unusable::Malformed);
        assert_eq!(why("", Stop::End), Unusable::Empty);
        assert_eq!(why(r#"{"sentiment": "#, Stop::Length), Unusable::CutOff);
        assert_eq!(why("", Stop::Filtered), Unusable::Filtered);
        assert_eq!(why("", Stop::TooMuch), Unusable::TooMuch);
    }

    #[test]
    fn entries_are_cited_by_number() {
        assert_eq!(cited("Until 18 [2], see also [1, 3] and [2].", 3), [2, 1, 3]);
        for none in ["", "[0]", "[4]", "[x]", "[1", "1]", "[99999999999999999999]", "[-1]"] {
            assert!(cited(none, 3).is_empty(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_model_says_only_a_text_that_fits_or_an_escalation_comes_out(
            text in "\\PC{0,60}", stop in 0..7_usize, tool in "escalate|other", calls in any::<bool>(), most in 0..50_usize,
        ) {
            let stops = [Stop::End, Stop::Tool, Stop::Length, Stop::Filtered, Stop::Malformed, Stop::TooMuch, Stop::Unknown];
            let calls = if calls { vec![(tool.clone(), Value::Null)] } else { Vec::new() };
            let answer = read(&Reply { text: text.clone(), calls: calls.clone(), stop: stops[stop], ..Reply::default() }, most, None, None);
            match answer {
                Answer::Text(out) => prop_assert!(calls.is_empty() && !out.is_empty() && out.chars().count() <= most && text.contains(&out)),
                Answer::Escalate { .. } => prop_assert!(!calls.is_empty() && tool == ESCALATE),
                Answer::Unusable(_) => {}
            }
            cited(&text, most);
            drop(insights(&Reply { text: text.clone(), stop: stops[stop], ..Reply::default() }));
        }
    }
}
