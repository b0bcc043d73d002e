use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::fixtures;
use crate::ids::MessageId;
use crate::interaction::Interaction;
use crate::message::{Author, Content, Message};
use crate::row::Listing;
use crate::tag::Tag;
use crate::variables::VariableName;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A closed interaction of Perché Rossi with Anna, and its messages.
fn example() -> (Interaction, Vec<Message>) {
    let opened = at("2026-03-29T00:30:00Z");
    let mut variables = crate::variables::Variables::default();
    assert!(variables.set(&VariableName::parse("order").unwrap(), "A-77"));
    let interaction = Interaction {
        agent: Some(AgentId::from_ulid(Ulid(1))),
        accepted_via: Some(QueueId::from_ulid(Ulid(2))),
        customer_name: Some(crate::inbound::ProfileName("Perché Rossi".to_owned())),
        tags: vec![Tag::parse("VIP").unwrap(), Tag::parse("Reso").unwrap()],
        disposition: Some("Venduto".to_owned()),
        variables,
        ..fixtures::interaction(Status::Closed, opened)
    };
    let message = |number: u128, minute: i64, author: Author, body: &str| Message {
        id: MessageId::from_ulid(Ulid(number)),
        at: opened + jiff::SignedDuration::from_mins(minute),
        author,
        content: Content::Text { body: body.to_owned() },
        ..fixtures::message(opened)
    };
    let agent = Author::Agent { agent: AgentId::from_ulid(Ulid(1)) };
    let note = Message { content: Content::Note { body: "Attenzione: cliente difficile".to_owned() }, ..message(3, 9, agent.clone(), "") };
    let messages = vec![message(1, 1, Author::Customer, "Dov'è il mio\nordine?"), message(2, 5, agent, "È partito ieri"), note];
    (interaction, messages)
}

fn names() -> Names {
    let mut names = Names::default();
    names.account(&fixtures::account().id, "Roma", "ROMA1");
    names.agent(&AgentId::from_ulid(Ulid(1)), "Anna Bianchi");
    names.queue(&QueueId::from_ulid(Ulid(2)), "Vendite");
    names
}

fn condition(field: &str, operator: &str, value: &str) -> ConditionInput {
    let number = value.parse().ok().filter(|_| field == "priority");
    let value = number.map(ValueInput::Number).or_else(|| (!value.is_empty()).then(|| ValueInput::Text(value.to_owned())));
    ConditionInput { field: field.to_owned(), operator: operator.to_owned(), value, disabled: false }
}

fn search(combine: Combine, conditions: Vec<ConditionInput>) -> Search {
    SearchInput { combine, conditions, zone: Some("Europe/Rome".to_owned()) }.check().unwrap()
}

fn finds(search: &Search) -> bool {
    let (interaction, messages) = example();
    finds_in(search, &interaction, &messages)
}

fn finds_in(search: &Search, interaction: &Interaction, messages: &[Message]) -> bool {
    let Listing { position, row, .. } = Listing::of(interaction).unwrap();
    let facts = Facts::of(interaction, messages);
    let Interaction { account, contact, .. } = interaction;
    let subject = Subject { position: &position, account, contact, row: &row, facts: Some(&facts) };
    let blind = Subject { facts: None, ..subject };
    let found = search.matches(&subject, &names());
    assert!(!found || search.may_match(&blind, &names()), "the row alone leaves out what matches");
    assert!(search.needs_facts() || found == search.matches(&blind, &names()), "the row alone tells otherwise");
    found
}

fn holds(field: &str, operator: &str, value: &str) -> bool {
    finds(&search(Combine::All, vec![condition(field, operator, value)]))
}

#[test]
fn texts_are_found_without_case_and_accents() {
    for (field, value) in [
        ("contact_name", "PERCHE rossi"),
        ("contact_phone", "+393331234567"),
        ("agent", "anna bianchi"),
        ("agent", "agt_00000000000000000000000001"),
        ("queue", "vendite"),
        ("account", "roma"),
        ("account", "roma1"),
        ("disposition", "VENDUTO"),
        ("variables.order", "a-77"),
        ("tags", "vip"),
        ("tags", "reso"),
        ("text", "e partito IERI"),
    ] {
        assert!(holds(field, "equals", value), "{field} {value}");
        assert!(!holds(field, "differs", value), "{field} {value}");
        assert!(!holds(field, "is_empty", ""), "{field}");
    }
    assert!(holds("contact_phone", "starts_with", "+39") && holds("contact_phone", "ends_with", "4567"));
    assert!(holds("contact_name", "contains", "che ro") && !holds("contact_name", "starts_with", "rossi"));
    assert!(holds("id", "starts_with", "INT_") && holds("contact_id", "equals", "con_00000000010000000000000002"));
}

#[test]
fn a_message_condition_holds_if_one_message_does_and_never_across_two() {
    assert!(holds("text", "contains", "mio ordine"), "a line break in a message is a blank");
    assert!(holds("text", "starts_with", "dov'e") && holds("text", "ends_with", "ieri"));
    assert!(!holds("text", "contains", "ordine? e"), "two messages are not one");
    assert!(holds("text", "contains", "cliente difficile"), "notes are searched too");
    assert!(holds("text", "differs", "dov'e") && !holds("text", "differs", "dov'e il mio ordine?"));
}

#[test]
fn for_a_missing_value_differs_and_is_empty_hold_and_nothing_else() {
    for operator in ["equals", "contains", "starts_with", "ends_with"] {
        assert!(!holds("variables.other", operator, "x"), "{operator}");
    }
    assert!(holds("variables.other", "differs", "x") && holds("variables.other", "is_empty", ""));
    assert!(holds("sentiment", "differs", "positive") && holds("sentiment", "is_empty", "") && !holds("sentiment", "equals", "positive"));
}

#[test]
fn the_customers_mood_is_found_by_the_row_alone() {
    let (interaction, messages) = example();
    let insights = crate::insights::Insights { sentiment: Sentiment::Mixed, at: interaction.opened_at, version: 3 };
    let told = Interaction { insights: Some(insights), ..interaction };
    let holds = |operator: &str, value: &str| {
        let search = search(Combine::All, vec![condition("sentiment", operator, value)]);
        assert!(!search.needs_facts());
        finds_in(&search, &told, &messages)
    };
    assert!(holds("equals", "mixed") && holds("differs", "negative"));
    assert!(!holds("equals", "negative") && !holds("is_empty", ""));
}

#[test]
fn a_day_is_one_of_the_searchs_zone() {
    // In Rome it is half past one, on the day on which the clocks are put forward.
    assert!(holds("opened", "equals", "2026-03-29") && !holds("opened", "equals", "2026-03-28"));
    assert!(holds("opened", "before", "2026-03-30") && !holds("opened", "before", "2026-03-29"));
    assert!(holds("opened", "after", "2026-03-28") && !holds("opened", "after", "2026-03-29"));
    assert!(holds("first_message", "equals", "2026-03-29") && holds("last_message", "equals", "2026-03-29"));
    assert!(holds("closed", "equals", "2026-03-29") && !holds("closed", "is_empty", ""));
}

#[test]
fn words_and_numbers_are_compared() {
    assert!(holds("status", "equals", "closed") && holds("status", "differs", "open") && holds("read", "equals", "read"));
    assert!(holds("direction", "equals", "out"), "a note is not the latest message");
    assert!(holds("priority", "equals", "0") && holds("priority", "less", "1") && holds("priority", "differs", "3"));
    assert!(!holds("priority", "greater", "0"));
}

#[test]
fn all_or_any_must_hold_and_disabled_conditions_are_not_asked() {
    let (right, wrong) = (condition("tags", "equals", "vip"), condition("tags", "equals", "gold"));
    let disabled = ConditionInput { disabled: true, ..wrong.clone() };
    assert!(!finds(&search(Combine::All, vec![right.clone(), wrong.clone()])));
    assert!(finds(&search(Combine::Any, vec![right.clone(), wrong.clone()])));
    assert!(!finds(&search(Combine::Any, vec![wrong])));
    assert!(finds(&search(Combine::All, vec![right, disabled.clone()])));
    for combine in [Combine::All, Combine::Any] {
        assert!(finds(&search(combine, vec![disabled.clone()])), "no enabled condition leaves nothing out");
    }
}

#[test]
fn a_fault_names_its_place() {
    let long = "x".repeat(201);
    for (field, operator, value, part) in [
        ("colour", "equals", "red", "field"),
        ("variables.", "equals", "red", "field"),
        ("variables.a b", "equals", "red", "field"),
        ("text", "before", "2026-01-01", "operator"),
        ("text", "like", "x", "operator"),
        ("tags", "starts_with", "x", "operator"),
        ("text", "contains", "", "value"),
        ("text", "contains", "\u{301}", "value"),
        ("text", "contains", &long, "value"),
        ("text", "is_empty", "x", "value"),
        ("priority", "equals", "high", "value"),
        ("opened", "equals", "2026-02-30", "value"),
        ("status", "equals", "Open", "value"),
    ] {
        let input =
            SearchInput { conditions: vec![condition("id", "is_empty", ""), condition(field, operator, value)], ..SearchInput::default() };
        let faults = input.check().unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(),
            [format!("conditions[1].{part}")],
            "{field} {operator}"
        );
        // One that is disabled may be enabled at any time.
        let mut disabled = input;
        disabled.conditions[1].disabled = true;
        assert_eq!(disabled.check().unwrap_err(), faults);
    }
    let samoa = SearchInput {
        conditions: vec![condition("opened", "equals", "2011-12-30")],
        zone: Some("Pacific/Apia".into()),
        ..SearchInput::default()
    };
    assert_eq!(samoa.check().unwrap_err()[0].place, "conditions[0].value");
    let nowhere = SearchInput { zone: Some("Mars/Base".into()), ..SearchInput::default() };
    assert_eq!(nowhere.check().unwrap_err()[0].place, "zone");
}

#[test]
fn twenty_conditions_are_the_most_and_200_characters_fit() {
    let many = |count| SearchInput { conditions: vec![condition("text", "contains", &"è".repeat(200)); count], ..SearchInput::default() };
    assert!(many(20).check().is_ok());
    assert_eq!(many(21).check().unwrap_err()[0].place, "conditions[20]");
}

#[test]
fn a_search_is_read_from_json_as_it_was_written() {
    let text = r#"{"match":"any","conditions":[{"field":"priority","operator":"greater","value":3},{"field":"text","operator":"contains","value":"x","disabled":true}],"zone":"Europe/Rome"}"#;
    let input: SearchInput = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&input).unwrap(), text);
    for bad in [r#"{"conditions":[{"field":"id","operator":"equals","value":true}]}"#, r#"{"match":"some"}"#, r#"{"terms":[]}"#] {
        assert!(serde_json::from_str::<SearchInput>(bad).is_err(), "{bad}");
    }
}

#[test]
fn every_field_offers_operators_and_only_those_are_taken() {
    let variable = Field::parse("variables.lang").unwrap();
    for field in Field::NAMED.into_iter().map(|(_, field)| field).chain([variable]) {
        assert!(!field.operators().is_empty());
        assert_eq!(field.kind() == Kind::Choice, !field.choices().is_empty(), "{field:?}");
    }
}

/// A condition of any field, with a value of its kind.
fn any_condition() -> impl Strategy<Value = ConditionInput> {
    let texts = prop::sample::select(vec!["a", "vip", "rossi", "ordine", "anna", "+39", "A-77", "è"]);
    let days = prop::sample::select(vec!["2026-03-28", "2026-03-29", "2026-03-30"]);
    (0..20_usize, any::<prop::sample::Index>(), texts, days, 0..4_i64, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(field, operator, text, day, number, choice, disabled)| {
            let name = Field::NAMED.get(field).map_or("variables.order", |(name, _)| name);
            let field = Field::parse(name).unwrap();
            let operator = field.operators()[operator.index(field.operators().len())];
            let value = match field.kind() {
                _ if operator == Operator::IsEmpty => None,
                Kind::Text | Kind::Messages | Kind::Tags => Some(ValueInput::Text(text.to_owned())),
                Kind::Time => Some(ValueInput::Text(day.to_owned())),
                Kind::Number => Some(ValueInput::Number(number)),
                Kind::Choice => Some(ValueInput::Text(field.choices()[choice.index(field.choices().len())].to_owned())),
            };
            ConditionInput { field: name.to_owned(), operator: operator.word().to_owned(), value, disabled }
        },
    )
}

proptest! {
    #[test]
    fn a_condition_and_its_opposite_never_agree(one in any_condition()) {
        let opposite = match one.operator.as_str() { "equals" => "differs", "differs" => "equals", _ => return Ok(()) };
        prop_assume!(Field::parse(&one.field).unwrap().operators().iter().any(|operator| operator.word() == opposite));
        let one = ConditionInput { disabled: false, ..one };
        let other = ConditionInput { operator: opposite.to_owned(), ..one.clone() };
        prop_assert_ne!(finds(&search(Combine::All, vec![one])), finds(&search(Combine::All, vec![other])));
    }

    #[test]
    fn combinations_are_those_of_their_conditions(conditions in prop::collection::vec(any_condition(), 0..6)) {
        let each: Vec<bool> = conditions.iter().filter(|condition| !condition.disabled).map(|condition| finds(&search(Combine::All, vec![condition.clone()]))).collect();
        prop_assert_eq!(finds(&search(Combine::All, conditions.clone())), each.iter().all(|holds| *holds));
        prop_assert_eq!(finds(&search(Combine::Any, conditions)), each.is_empty() || each.iter().any(|holds| *holds));
    }
}
