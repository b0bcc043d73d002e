use serde_json::{Value, json};

use super::*;

fn read(body: Value) -> ApprovedTemplate {
    serde_json::from_value::<TemplateInput>(body).unwrap().read().unwrap().0
}

fn misread(body: Value) -> Vec<String> {
    let misfits = serde_json::from_value::<TemplateInput>(body).unwrap().read().unwrap_err();
    misfits.into_iter().map(|misfit| misfit.field).collect()
}

fn faulty(body: Value) -> Vec<String> {
    read(body).faults().into_iter().map(|misfit| misfit.field).collect()
}

/// What the version before this one stored and queued.
const STORED_BEFORE: &str = r#"{"name":"recontact_1","language":"it","header":{"type":"document","url":"https://h.example/d","name":"d.pdf"},"body":["Zoë","5"],"buttons":[{"index":0,"type":"quick_reply","value":"yes"},{"index":1,"type":"url","value":"abc"}]}"#;

#[test]
fn a_template_that_the_version_before_stored_is_read_and_written_as_it_was() {
    let template: ApprovedTemplate = serde_json::from_str(STORED_BEFORE).unwrap();
    assert_eq!(template.body, ["Zoë".into(), "5".into()]);
    let header = TemplateHeader::Document { url: Some("https://h.example/d".into()), name: Some("d.pdf".into()) };
    assert_eq!((template.header.clone(), template.buttons.len()), (Some(header), 2));
    // The version before reads it too, while both run side by side.
    assert_eq!(serde_json::to_string(&template).unwrap(), STORED_BEFORE);
}

#[test]
fn every_part_of_a_template_survives_storage() {
    let body = json!({
        "name": "order", "language": "it",
        "header": {"type": "location", "latitude": 41.9, "longitude": 12.5, "label": "Roma"},
        "body": [
            {"name": "first_name", "text": "Zoë"},
            {"name": "total", "currency": {"code": "EUR", "amount_1000": 12340, "fallback": "12,34 €"}},
            {"name": "day", "date_time": {"fallback": "31 gennaio 2026"}},
        ],
        "buttons": [{"index": 0, "type": "copy_code", "value": "SAVE20"}, {"index": 1, "type": "flow", "value": "token"}],
        "cards": [{"header": {"type": "image", "url": "https://h.example/a.png"}, "body": ["x"]}],
        "offer_ends_at": "2026-12-01T00:00:00Z",
    });
    let template = read(body.clone());
    assert_eq!(template.faults(), []);
    assert_eq!(serde_json::to_value(&template).unwrap(), body);
    assert_eq!(serde_json::from_value::<ApprovedTemplate>(body).unwrap(), template);
}

#[test]
fn a_template_that_is_not_well_formed_is_refused_naming_every_field() {
    for (body, fields) in [
        (json!({"name": " "}), vec!["name"]),
        (json!({"name": "x\n", "language": "it it"}), vec!["name", "language"]),
        (json!({"name": "x", "body": vec!["a"; 101]}), vec!["body"]),
        (json!({"name": "x", "body": [{"name": "a"}]}), vec!["body[0]"]),
        (
            json!({"name": "x", "body": [{"name": " ", "text": "a"}, {"text": "a", "date_time": {"fallback": "b"}}]}),
            vec!["body[0].name", "body[1]"],
        ),
        (json!({"name": "x", "body": [{"currency": {"code": "eur", "amount_1000": 1, "fallback": "a"}}]}), vec!["body[0].currency.code"]),
        (json!({"name": "x", "header": {"type": "image"}}), vec!["header.url"]),
        (json!({"name": "x", "header": {"type": "video", "url": "https://a", "attachment": "upl_1"}}), vec!["header.url"]),
        (
            json!({"name": "x", "header": {"type": "location", "latitude": 91, "longitude": 181}}),
            vec!["header.latitude", "header.longitude"],
        ),
        (json!({"name": "x", "cards": [{"header": {"type": "image", "attachment": "upl_1"}}]}), vec!["cards[0].header.attachment"]),
    ] {
        assert_eq!(misread(body.clone()), fields, "{body}");
    }
    for body in
        [json!({"name": "x", "colour": 1}), json!({"name": "x", "body": [{"text": "a", "colour": 1}]}), json!({"name": "x", "body": [1]})]
    {
        assert!(serde_json::from_value::<TemplateInput>(body.clone()).is_err(), "{body}");
    }
}

#[test]
fn a_typed_parameter_that_the_provider_refuses_is_named() {
    for (body, field) in [
        (json!({"name": "x", "body": ["a", "b     c"]}), "body[1]"),
        (json!({"name": "x", "body": [{"name": "a", "text": "b\nc"}]}), "body[0].text"),
        (json!({"name": "x", "body": [{"date_time": {"fallback": ""}}]}), "body[0].date_time.fallback"),
        (json!({"name": "x", "body": [{"currency": {"code": "EUR", "amount_1000": 1, "fallback": "\t"}}]}), "body[0].currency.fallback"),
        (json!({"name": "x", "header": {"type": "text", "text": "a\tb"}}), "header.text"),
        (json!({"name": "x", "header": {"type": "image", "url": "http://x"}}), "header.url"),
        (json!({"name": "x", "buttons": [{"index": 0, "type": "url", "value": ""}]}), "buttons[0].value"),
        (json!({"name": "x", "buttons": [{"index": 0, "type": "copy_code", "value": "0123456789ABCDEF"}]}), "buttons[0].value"),
        (json!({"name": "x", "cards": [{"body": ["a\r\n"]}]}), "cards[0].body[0]"),
    ] {
        assert_eq!(faulty(body.clone()), [field], "{body}");
    }
    assert!(faulty(json!({"name": "x", "body": ["a    b"], "buttons": [{"index": 0, "type": "quick_reply", "value": ""}]})).is_empty());
}

#[test]
fn a_filled_in_text_is_flattened_and_an_empty_one_is_refused_by_name() {
    let template =
        read(json!({"name": "x", "header": {"type": "text", "text": "{{a}}"}, "body": ["Ciao {{a}}!", {"name": "n", "text": "{{b}}"}]}));
    let fill = |a: &'static str, b: &'static str| move |text: &str| text.replace("{{a}}", a).replace("{{b}}", b);
    let filled = template.clone().filled(fill("Zoë\n\n  Rossi", "b       c")).unwrap();
    assert_eq!(filled.body.iter().map(TemplateParameter::text).collect::<Vec<_>>(), ["Ciao Zoë Rossi!", "b c"]);
    let misfits = template.filled(fill("\n", " ")).unwrap_err();
    assert_eq!(misfits.iter().map(|misfit| misfit.field.as_str()).collect::<Vec<_>>(), ["header.text", "body[1].text"]);
}

#[test]
fn variables_are_those_with_names_and_the_others_by_number_over_all_parts() {
    let template = read(json!({"name": "x", "header": {"type": "text", "text": "h"}, "body": ["a", {"name": "total", "text": "5"}],
        "buttons": [{"index": 1, "type": "url", "value": "z"}, {"index": 0, "type": "quick_reply", "value": "y"}]}));
    let variables: Vec<(String, &str)> = template.variables().into_iter().collect();
    let expected = [("1", "h"), ("2", "a"), ("3", "y"), ("4", "z"), ("total", "5")];
    assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn placeholders_are_found_once_and_numbers_in_their_order() {
    assert_eq!(placeholders("Ciao {{2}}, {{ 1 }} {{2}} {{10}}"), ["1", "2", "10"]);
    assert_eq!(placeholders("{{first_name}} {{order}} {{first_name}}"), ["first_name", "order"]);
    for none in ["", "Ciao", "{{", "{{}}", "{1}", "{{a b}}"] {
        assert!(placeholders(none).is_empty(), "{none}");
    }
}

fn misfits(parts: Value, template: Value) -> Vec<(String, String)> {
    let parts: TemplateParts = serde_json::from_value(parts).unwrap();
    parts.misfits(&read(template)).into_iter().map(|misfit| (misfit.field, misfit.message)).collect()
}

fn one(parts: &Value, template: Value) -> (String, String) {
    let found = misfits(parts.clone(), template);
    let [only] = found.as_slice() else { panic!("{found:?}") };
    only.clone()
}

#[test]
fn a_numbered_parameter_that_is_missing_or_superfluous_is_named_by_its_place() {
    let parts = json!({"parameters": ["1", "2"]});
    assert_eq!(misfits(parts.clone(), json!({"name": "x", "body": ["a", "b"]})), []);
    assert_eq!(one(&parts, json!({"name": "x", "body": ["a"]})), ("body[1]".into(), "is missing: the template takes 2".into()));
    assert_eq!(
        one(&parts, json!({"name": "x", "body": ["a", "b", "c"]})),
        ("body[2]".into(), "is superfluous: the template takes 2".into())
    );
    let (field, _) = one(&parts, json!({"name": "x", "body": ["a", {"name": "b", "text": "c"}]}));
    assert_eq!(field, "body[1].name");
}

#[test]
fn a_named_parameter_that_is_missing_or_superfluous_is_named() {
    let parts = json!({"format": "named", "parameters": ["first_name", "order"], "header": {"type": "text", "parameters": ["shop"]}});
    let header = json!({"type": "text", "name": "shop", "text": "Roma"});
    let given = |body: Value| json!({"name": "x", "header": header, "body": body});
    let (first, order) = (json!({"name": "first_name", "text": "Zoë"}), json!({"name": "order", "text": "5"}));
    assert_eq!(misfits(parts.clone(), given(json!([order, first]))), []);
    assert_eq!(one(&parts, given(json!([first]))), ("body".into(), "lacks the parameter order".into()));
    let other = json!({"name": "colour", "text": "red"});
    assert_eq!(one(&parts, given(json!([first, order, other]))), ("body[2]".into(), "the template has no parameter colour".into()));
    assert_eq!(one(&parts, given(json!([first, order, order]))), ("body[2]".into(), "the parameter order is given twice".into()));
    let found = misfits(parts.clone(), given(json!([first, "5"])));
    assert_eq!(found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["body", "body[1].name"]);
    let unnamed = json!({"name": "x", "header": {"type": "text", "text": "Roma"}, "body": [first, order]});
    assert_eq!(one(&parts, unnamed), ("header.name".into(), "must be shop".into()));
}

#[test]
fn headers_and_buttons_must_be_those_of_the_template() {
    let parts = json!({"header": {"type": "image"}, "buttons": [{"index": 0}, {"index": 1, "type": "url", "required": true},
        {"index": 2, "type": "quick_reply"}]});
    let url = json!({"index": 1, "type": "url", "value": "abc"});
    let image = json!({"type": "image", "url": "https://h.example/a"});
    assert_eq!(misfits(parts.clone(), json!({"name": "x", "header": image, "buttons": [url]})), []);
    let fields = |template: Value| misfits(parts.clone(), template).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert_eq!(fields(json!({"name": "x", "buttons": [url]})), ["header"]);
    assert_eq!(fields(json!({"name": "x", "header": {"type": "video", "url": "https://h.example/a"}, "buttons": [url]})), ["header.type"]);
    assert_eq!(fields(json!({"name": "x", "header": image})), ["buttons"]);
    let copy = json!({"index": 1, "type": "copy_code", "value": "A"});
    assert_eq!(fields(json!({"name": "x", "header": image, "buttons": [copy]})), ["buttons[0].type"]);
    let fixed = json!({"index": 0, "type": "url", "value": "A"});
    assert_eq!(fields(json!({"name": "x", "header": image, "buttons": [url, fixed]})), ["buttons[1]"]);
    // A header whose text has no placeholder takes nothing.
    let fixed = json!({"header": {"type": "text", "text": "Ciao"}});
    assert_eq!(misfits(fixed.clone(), json!({"name": "x"})), []);
    assert_eq!(one(&fixed, json!({"name": "x", "header": {"type": "text", "text": "a"}})).0, "header");
}

#[test]
fn a_list_of_variables_must_be_complete_whatever_part_they_come_from() {
    let parts = json!({"format": "variables", "parameters": ["1", "2", "code"]});
    let code = json!({"name": "code", "text": "A"});
    assert_eq!(misfits(parts.clone(), json!({"name": "HX1", "body": ["a", code, "b"]})), []);
    assert_eq!(misfits(parts.clone(), json!({"name": "HX1", "header": {"type": "text", "text": "h"}, "body": ["a", code]})), []);
    assert_eq!(one(&parts, json!({"name": "HX1", "body": ["a", "b"]})), ("body".into(), "lacks the variable code".into()));
    assert_eq!(
        one(&parts, json!({"name": "HX1", "body": ["a", "b", "c", code]})),
        ("body".into(), "the template has no variable 3".into())
    );
    let image = json!({"name": "HX1", "header": {"type": "image", "url": "https://a"}, "body": ["a", code, "b"]});
    assert_eq!(one(&parts, image).0, "header");
}

#[test]
fn cards_offers_and_parts_that_nothing_here_can_carry_are_checked() {
    let parts = json!({"cards": [{"parameters": ["1"]}, {"parameters": []}], "offer_ends_at": true});
    let offer = "2026-12-01T00:00:00Z";
    assert_eq!(misfits(parts.clone(), json!({"name": "x", "cards": [{"body": ["a"]}, {}], "offer_ends_at": offer})), []);
    assert_eq!(one(&parts, json!({"name": "x", "cards": [{}, {}], "offer_ends_at": offer})).0, "cards[0].body[0]");
    assert_eq!(one(&parts, json!({"name": "x", "cards": [{"body": ["a"]}, {}]})).0, "offer_ends_at");
    assert_eq!(one(&json!({}), json!({"name": "x", "cards": [{}]})).0, "cards");
    assert_eq!(one(&json!({"unsupported": ["order_details"]}), json!({"name": "x"})).0, "name");
}

#[test]
fn a_list_of_yesterday_is_not_believed_and_holds_no_texts() {
    let listed: ListedTemplate = serde_json::from_value(json!({"name": "x", "title": "X", "language": "it", "status": "approved",
        "parts": {"text": "Ciao {{1}}", "parameters": ["1"], "buttons": [{"index": 0, "text": "No"}]}}))
    .unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let account = crate::ids::AccountId::from_ulid(ulid::Ulid(1));
    let catalogue = TemplateCatalogue::of(account, at("2026-01-01T10:00:00Z"), &[listed]);
    let found = catalogue.find("x", "it", at("2026-01-02T09:59:59Z")).unwrap();
    assert_eq!((found.parts.text.as_str(), found.parts.parameters.len(), found.parts.buttons.len()), ("", 1, 0));
    assert!(catalogue.find("x", "", at("2026-01-01T10:00:00Z")).is_some());
    assert!(catalogue.find("x", "IT", at("2026-01-01T10:00:00Z")).is_some());
    assert_eq!(catalogue.find("x", "en", at("2026-01-01T10:00:00Z")), None);
    assert_eq!(catalogue.find("y", "it", at("2026-01-01T10:00:00Z")), None);
    assert_eq!(catalogue.find("x", "it", at("2026-01-02T10:00:00Z")), None);
}

#[test]
fn a_recontact_template_that_the_version_before_stored_is_read_and_written_as_it_was() {
    let stored = r#"{"name":"HX1","language":"it","parameters":["{{contact.name}}","{{account.name}}"]}"#;
    let recontact: crate::account::Recontact = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&recontact).unwrap(), stored);
    let groups = |name: &'static str| vec![("contact", vec![("name", name)]), ("account", vec![("name", "Demo")])];
    let filled = recontact.filled(&groups("Zoë\n     Rossi")).unwrap();
    assert_eq!(filled.body, ["Zoë Rossi".into(), "Demo".into()]);
    let misfits = recontact.filled(&groups("")).unwrap_err();
    assert_eq!(misfits.iter().map(|misfit| misfit.field.as_str()).collect::<Vec<_>>(), ["body[0]"]);
}

#[test]
fn an_empty_parameter_of_the_recontact_template_takes_the_fallback_that_the_account_sets() {
    let name = "{{contact.name}}{{^contact.name}}cliente{{/contact.name}}";
    let recontact: crate::account::Recontact = ApprovedTemplate { body: vec![name.into()], ..ApprovedTemplate::plain("a", "it") }.into();
    for (name, shown) in [("Zoë", "Zoë"), ("", "cliente")] {
        let filled = recontact.filled(&vec![("contact", vec![("name", name)])]).unwrap();
        assert_eq!(filled.body, [shown.into()]);
    }
}
