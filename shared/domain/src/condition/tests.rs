use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn holds(condition: &str) -> bool {
    let known = BTreeMap::from([
        ("contact.name", "Ada Lovelace"),
        ("contact.mobile", "+393331234567"),
        ("message.text", "Vorrei un PREVENTIVO"),
        ("time.hour", "9"),
        ("time.time", "09:30"),
        ("interaction.priority", "7"),
        ("variables.lang", "it"),
        ("variables.amount", "10"),
        ("variables.code", "007"),
    ]);
    Condition::parse(condition).unwrap().holds(&|name| known.get(name).copied().unwrap_or_default().to_owned())
}

#[test]
fn comparisons_hold_as_written() {
    for condition in [
        r#"contact.name = "Ada Lovelace""#,
        r#"contact.name = "ADA LOVELACE""#,
        r#"contact.name != 'Bob'"#,
        r#"contact.mobile starts_with "+39""#,
        r#"message.text contains "preventivo""#,
        "time.hour < 10",
        "time.hour <= 9 && time.hour >= 9",
        "interaction.priority > 6.5",
        "amount > 9",
        "variables.amount = 10.0",
        "code = 7",
        r#"code != "7""#,
        r#"time.time >= "09:00" && time.time < "18:00""#,
        "-1 < 0",
    ] {
        assert!(holds(condition), "{condition}");
    }
    for condition in [r#"amount > "9""#, "lang > 5 && lang < 5", r#"contact.name starts_with "Love""#, "amount < 9"] {
        assert!(!holds(condition), "{condition}");
    }
}

#[test]
fn a_variable_that_was_never_set_is_empty() {
    assert!(holds(r#"unknown = """#) && holds("unknown != 0") && holds(r#"lang contains """#) && !holds(r#"unknown contains "x""#));
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    assert!(holds(r#"lang = "it" || lang = "de" && lang = "fr""#));
    assert!(!holds(r#"(lang = "it" || lang = "de") && lang = "fr""#));
    assert!(holds(r#"!lang = "de" && !(lang = "fr" || lang = "es")"#));
    assert!(holds(r#"!!lang = "it""#));
}

#[test]
fn a_text_may_hold_quotes_and_signs() {
    assert!(holds(r#""a \"b\" \\ && (" = 'a "b" \\ && ('"#));
    assert!(holds(r#""e\'" = "e'""#));
}

#[test]
fn a_text_that_is_not_a_condition_is_refused_with_the_place_and_the_expectation() {
    for (text, at, expected) in [
        ("", 0, "a name, a number or a text in quotes"),
        ("lang", 4, "=, !=, <, <=, >, >=, contains or starts_with"),
        ("lang =", 6, "a name, a number or a text in quotes"),
        ("lang == 1", 6, "a name, a number or a text in quotes"),
        ("lang containsx 1", 5, "=, !=, <, <=, >, >=, contains or starts_with"),
        ("lang = 1 lang = 2", 9, "&&, || or the end"),
        ("lang = 1 & lang = 2", 9, "&&, || or the end"),
        ("(lang = 1", 9, "&&, || or )"),
        ("lang = \"it", 10, "the quote that ends the text"),
        ("lang = 1.", 9, "a digit"),
        ("lang = 1a", 8, "the end of the number"),
        ("lang = -", 8, "a digit"),
        ("contact.nmae = 1", 0, "a name of account, contact, interaction, list, message, time or variables that exists"),
        ("variables. = 1", 0, "a variable's name: a letter, then letters, digits or _, at most 32 in all"),
        ("lang = 1 ||", 11, "a name, a number or a text in quotes"),
        ("$x = 1", 0, "a name, a number or a text in quotes"),
    ] {
        let error = Condition::parse(text).unwrap_err();
        assert_eq!((error.at, error.expected), (at, expected), "{text}");
    }
    let error = Condition::parse("\"è\" = $").unwrap_err();
    assert_eq!((error.at, error.column), (7, 7), "bytes before it, and which character it is");
    assert_eq!(error.to_string(), "at character 7: expected a name, a number or a text in quotes");
}

#[test]
fn long_and_deep_conditions_are_refused() {
    let deep = |depth: usize| format!("{}lang = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Condition::parse(&deep(32)).is_ok() && Condition::parse(&deep(33)).is_err());
    assert!(Condition::parse(&format!("{}lang = 1", "!".repeat(900))).is_err());
    let many = vec!["lang = 1"; 200].join("||");
    assert_eq!(Condition::parse(&many).unwrap_err().at, LONGEST);
    assert!(Condition::parse(&"è".repeat(LONGEST)).is_err());
}

#[test]
fn the_names_are_sorted_and_readable() {
    assert!(NAMES.is_sorted() && NAMES.iter().all(|name| Condition::parse(&format!("{name} = 1")).is_ok()));
}

#[test]
fn a_condition_is_stored_as_it_was_written() {
    let condition: Condition = serde_json::from_str(r#""lang='it'""#).unwrap();
    assert_eq!(serde_json::to_string(&condition).unwrap(), r#""lang='it'""#);
    let refused = serde_json::from_str::<Condition>(r#""lang""#).unwrap_err();
    assert!(refused.to_string().contains("at character 5"), "{refused}");
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..NAMES.len()).prop_map(|index| Value::Name(NAMES[index].to_owned())),
        "[a-zA-Z][a-zA-Z0-9_]{0,9}".prop_map(|name| Value::Name(format!("variables.{name}"))),
        any::<String>().prop_map(|text| Value::Text(text.chars().take(10).collect())),
        "-?[0-9]{1,5}(\\.[0-9]{1,3})?".prop_map(Value::Number),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let comparison = (value(), 0..OPERATORS.len(), value()).prop_map(|(left, operator, right)| Node::Comparison {
        left,
        operator: OPERATORS[operator].1,
        right,
    });
    comparison.prop_recursive(4, 12, 3, |inner| {
        let many = || proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![many().prop_map(Node::Any), many().prop_map(Node::All), inner.clone().prop_map(|node| Node::Not(Box::new(node)))]
    })
}

proptest! {
    #[test]
    fn a_printed_condition_reads_as_the_same(node in node()) {
        let text = node.to_string();
        prop_assume!(text.len() <= LONGEST);
        prop_assert_eq!(Condition::parse(&text).map(|condition| condition.node), Ok(node), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_within_it(text in any::<String>()) {
        if let Err(error) = Condition::parse(&text) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
        }
    }

    /// Texts, most of which begin like a condition.
    #[test]
    fn anything_like_a_condition_is_read_or_refused_and_evaluates(pieces in proptest::collection::vec(0..16_usize, 0..24), known in any::<String>()) {
        const PIECES: [&str; 16] =
            ["(", ")", "!", "&&", "||", "=", "<=", "contains", "starts_with", "lang", "time.hour", "\"a\"", "'è", "1.5", " ", "-"];
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        match Condition::parse(&text) {
            Ok(condition) => { condition.holds(&|_| known.clone()); }
            Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
        }
    }
}
