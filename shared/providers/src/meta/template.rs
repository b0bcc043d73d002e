//! Templates: what the list tells of one, and the document of a message that sends one.
//!
//! Sources: Meta, "Template components", "Supported parameters" and the pages of each kind of template.

use domain::template::{
    ApprovedTemplate, ButtonPart, CardPart, HeaderPart, HeaderPartKind, ListedTemplate, NamedParameter, ParameterFormat, ParameterValue,
    TemplateButton, TemplateButtonKind, TemplateHeader, TemplateParameter, TemplateParts, placeholders,
};
use serde_json::{Value, json};

use crate::json as read;
use crate::{OutgoingAttachment, RenderError};

/// A template of the list.
pub(crate) fn listed(template: &Value) -> Option<ListedTemplate> {
    let name = read::value(&template["name"])?;
    let word = |field: &str| read::word(&template[field]).to_ascii_lowercase();
    Some(ListedTemplate {
        title: name.clone(),
        name,
        language: read::value(&template["language"]).unwrap_or_default(),
        category: word("category"),
        status: word("status"),
        parts: parts(template),
    })
}

fn parts(template: &Value) -> TemplateParts {
    let mut parts = TemplateParts::default();
    for component in read::list(&template["components"]) {
        match read::word(&component["type"]).to_ascii_uppercase().as_str() {
            "HEADER" => match header(component) {
                Ok(header) => parts.header = Some(header),
                Err(kind) => parts.unsupported.push(format!("header_{kind}")),
            },
            "BODY" => (parts.text, parts.parameters) = text(component),
            "FOOTER" => parts.footer = read::text(&component["text"], read::TEXT_LIMIT).unwrap_or_default(),
            "BUTTONS" => parts.buttons = buttons(component, &mut parts.unsupported),
            "CAROUSEL" => {
                let cards = read::list(&component["cards"]).iter().map(|card| card_of(card, &mut parts.unsupported)).collect();
                parts.cards = cards;
            }
            "LIMITED_TIME_OFFER" => parts.offer_ends_at = component["limited_time_offer"]["has_expiration"] == true,
            // What is newer than this version may need nothing.
            _ => {}
        }
    }
    let texts = parts.parameters.iter().chain(parts.header.iter().flat_map(|header| &header.parameters));
    let names = texts.chain(parts.cards.iter().flat_map(|card| &card.parameters)).any(|name| name.parse::<u32>().is_err());
    if names || read::word(&template["parameter_format"]).eq_ignore_ascii_case("named") {
        parts.format = ParameterFormat::Named;
    }
    parts
}

fn text(component: &Value) -> (String, Vec<String>) {
    let text = read::text(&component["text"], read::TEXT_LIMIT).unwrap_or_default();
    let parameters = placeholders(&text);
    (text, parameters)
}

/// The header, or its format if a message can't carry such a one.
fn header(component: &Value) -> Result<HeaderPart, String> {
    let format = read::word(&component["format"]).to_ascii_lowercase();
    let kind = match format.as_str() {
        "text" => HeaderPartKind::Text,
        "image" => HeaderPartKind::Image,
        "video" => HeaderPartKind::Video,
        "document" => HeaderPartKind::Document,
        "location" => HeaderPartKind::Location,
        _ => return Err(format),
    };
    let (text, parameters) = text(component);
    Ok(HeaderPart { kind, text, parameters })
}

fn buttons(component: &Value, unsupported: &mut Vec<String>) -> Vec<ButtonPart> {
    let mut part = |index: u32, button: &Value| {
        let url = read::text(&button["url"], read::TEXT_LIMIT).unwrap_or_default();
        let (kind, required) = match read::word(&button["type"]).to_ascii_uppercase().as_str() {
            // Without a payload, the answer has the button's text.
            "QUICK_REPLY" => (Some(TemplateButtonKind::QuickReply), false),
            "URL" if !placeholders(&url).is_empty() => (Some(TemplateButtonKind::Url), true),
            // The code of an authentication template is the parameter of its button, too.
            "OTP" => (Some(TemplateButtonKind::Url), true),
            "COPY_CODE" => (Some(TemplateButtonKind::CopyCode), true),
            "FLOW" => (Some(TemplateButtonKind::Flow), false),
            other @ ("MPM" | "SPM" | "ORDER_DETAILS") => {
                unsupported.push(format!("button_{}", other.to_ascii_lowercase()));
                (None, false)
            }
            // Fixed addresses, calls, catalogues: they need nothing.
            _ => (None, false),
        };
        ButtonPart { index, kind, required, text: read::text(&button["text"], read::TEXT_LIMIT).unwrap_or_default(), url }
    };
    (0..).zip(read::list(&component["buttons"])).map(|(index, button)| part(index, button)).collect()
}

fn card_of(card: &Value, unsupported: &mut Vec<String>) -> CardPart {
    let mut part = CardPart::default();
    for component in read::list(&card["components"]) {
        match read::word(&component["type"]).to_ascii_uppercase().as_str() {
            "HEADER" => match header(component) {
                Ok(header) => part.header = Some(header),
                Err(kind) => unsupported.push(format!("header_{kind}")),
            },
            "BODY" => (part.text, part.parameters) = text(component),
            "BUTTONS" => part.buttons = buttons(component, unsupported),
            _ => {}
        }
    }
    part
}

/// The object `template` of a message. `file` is the message's own file, for a header without an address.
///
/// # Errors
/// The template has no name or no language, or a header without its file.
pub(crate) fn document(template: &ApprovedTemplate, file: Option<&OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
    if template.name.is_empty() || template.language.is_empty() {
        return Err(RenderError::MalformedTemplate);
    }
    let mut components = components(template.header.as_ref(), &template.body, &template.buttons, file)?;
    if let Some(end) = template.offer_ends_at {
        let end = json!({"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": end.as_millisecond()}});
        components.push(json!({"type": "limited_time_offer", "parameters": [end]}));
    }
    if !template.cards.is_empty() {
        let mut cards = Vec::new();
        for (index, card) in template.cards.iter().enumerate() {
            let components = self::components(card.header.as_ref(), &card.body, &card.buttons, None)?;
            cards.push(json!({"card_index": index, "components": components}));
        }
        components.push(json!({"type": "carousel", "cards": cards}));
    }
    let mut object = json!({"name": template.name, "language": {"code": template.language}});
    if !components.is_empty() {
        object["components"] = components.into();
    }
    Ok(object)
}

fn components(
    header: Option<&TemplateHeader>,
    body: &[TemplateParameter],
    buttons: &[TemplateButton],
    file: Option<&OutgoingAttachment<'_>>,
) -> Result<Vec<Value>, RenderError> {
    let mut components: Vec<Value> = Vec::new();
    if let Some(header) = header {
        components.push(json!({"type": "header", "parameters": [header_parameter(header, file)?]}));
    }
    if !body.is_empty() {
        components.push(json!({"type": "body", "parameters": body.iter().map(parameter).collect::<Vec<_>>()}));
    }
    for button in buttons {
        let (kind, parameter) = match button.kind {
            TemplateButtonKind::QuickReply => ("quick_reply", json!({"type": "payload", "payload": button.value})),
            TemplateButtonKind::Url => ("url", json!({"type": "text", "text": button.value})),
            TemplateButtonKind::CopyCode => ("copy_code", json!({"type": "coupon_code", "coupon_code": button.value})),
            TemplateButtonKind::Flow => ("flow", json!({"type": "action", "action": {"flow_token": button.value}})),
        };
        components.push(json!({"type": "button", "sub_type": kind, "index": button.index.to_string(), "parameters": [parameter]}));
    }
    Ok(components)
}

fn header_parameter(header: &TemplateHeader, file: Option<&OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
    let link = |url: &Option<String>| url.clone().or_else(|| file.map(|file| file.url.to_owned())).ok_or(RenderError::MalformedTemplate);
    Ok(match header {
        TemplateHeader::Text { text, name } => {
            let mut parameter = json!({"type": "text", "text": text});
            if let Some(name) = name {
                parameter["parameter_name"] = name.as_str().into();
            }
            parameter
        }
        TemplateHeader::Image { url } => json!({"type": "image", "image": {"link": link(url)?}}),
        TemplateHeader::Video { url } => json!({"type": "video", "video": {"link": link(url)?}}),
        TemplateHeader::Document { url, name } => {
            let mut document = json!({"link": link(url)?});
            let own = file.filter(|_| url.is_none()).and_then(|file| file.name);
            if let Some(name) = name.as_deref().or(own) {
                document["filename"] = name.into();
            }
            json!({"type": "document", "document": document})
        }
        TemplateHeader::Location { latitude, longitude, label, address } => {
            // Meta's samples have texts here, unlike in a message of the type location.
            let mut location = json!({"latitude": latitude.0.to_string(), "longitude": longitude.0.to_string()});
            for (name, value) in [("name", label), ("address", address)] {
                if let Some(value) = value {
                    location[name] = value.as_str().into();
                }
            }
            json!({"type": "location", "location": location})
        }
    })
}

fn parameter(parameter: &TemplateParameter) -> Value {
    let (name, mut document) = match parameter {
        TemplateParameter::Plain(text) => (None, json!({"type": "text", "text": text})),
        TemplateParameter::Full(NamedParameter { name, value }) => (
            name.as_deref(),
            match value {
                ParameterValue::Text(text) => json!({"type": "text", "text": text}),
                ParameterValue::Currency(money) => json!({"type": "currency", "currency": {
                    "fallback_value": money.fallback, "code": money.code, "amount_1000": money.amount_1000,
                }}),
                ParameterValue::DateTime(date) => json!({"type": "date_time", "date_time": {"fallback_value": date.fallback}}),
            },
        ),
    };
    if let Some(name) = name {
        document["parameter_name"] = name.into();
    }
    document
}

#[cfg(test)]
mod tests {
    use domain::template::TemplateInput;

    use super::*;

    fn sent(template: Value) -> Value {
        let (template, _) = serde_json::from_value::<TemplateInput>(template).unwrap().read().unwrap();
        document(&template, None).unwrap()["components"].clone()
    }

    #[test]
    fn named_parameters_money_and_dates_are_written_as_meta_wants_them() {
        let components = sent(json!({"name": "order", "language": "it",
            "header": {"type": "text", "name": "shop", "text": "Roma"},
            "body": [
                {"name": "first_name", "text": "Zoë"},
                {"name": "total", "currency": {"code": "EUR", "amount_1000": 12340, "fallback": "12,34 €"}},
                {"date_time": {"fallback": "31 gennaio 2026"}},
                "plain",
            ],
        }));
        assert_eq!(
            components,
            json!([
                {"type": "header", "parameters": [{"type": "text", "text": "Roma", "parameter_name": "shop"}]},
                {"type": "body", "parameters": [
                    {"type": "text", "text": "Zoë", "parameter_name": "first_name"},
                    {"type": "currency", "currency": {"fallback_value": "12,34 €", "code": "EUR", "amount_1000": 12340}, "parameter_name": "total"},
                    {"type": "date_time", "date_time": {"fallback_value": "31 gennaio 2026"}},
                    {"type": "text", "text": "plain"},
                ]},
            ])
        );
    }

    #[test]
    fn places_codes_flows_offers_and_cards_are_written_as_meta_wants_them() {
        let components = sent(json!({"name": "sale", "language": "it",
            "header": {"type": "location", "latitude": 41.9, "longitude": 12.5, "label": "Roma", "address": "Via 1"},
            "buttons": [{"index": 0, "type": "copy_code", "value": "SAVE20"}, {"index": 1, "type": "flow", "value": "t0k"}],
            "cards": [{"header": {"type": "image", "url": "https://h.example/a.png"}, "body": ["x"],
                       "buttons": [{"index": 0, "type": "quick_reply", "value": "more"}]}],
            "offer_ends_at": "2026-12-01T00:00:00Z",
        }));
        assert_eq!(
            components,
            json!([
                {"type": "header", "parameters": [{"type": "location",
                    "location": {"latitude": "41.9", "longitude": "12.5", "name": "Roma", "address": "Via 1"}}]},
                {"type": "button", "sub_type": "copy_code", "index": "0", "parameters": [{"type": "coupon_code", "coupon_code": "SAVE20"}]},
                {"type": "button", "sub_type": "flow", "index": "1", "parameters": [{"type": "action", "action": {"flow_token": "t0k"}}]},
                {"type": "limited_time_offer", "parameters": [
                    {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_796_083_200_000_i64}}]},
                {"type": "carousel", "cards": [{"card_index": 0, "components": [
                    {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://h.example/a.png"}}]},
                    {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
                    {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "more"}]},
                ]}]},
            ])
        );
    }

    #[test]
    fn a_header_may_be_the_messages_own_file() {
        let header = |header: TemplateHeader| ApprovedTemplate { header: Some(header), ..ApprovedTemplate::plain("a", "it") };
        let kind = domain::message::AttachmentKind::Document;
        let file = OutgoingAttachment { url: "https://h.example/f", kind, content_type: "application/pdf", name: Some("f.pdf") };
        let document =
            |template: &ApprovedTemplate, file| super::document(template, file).map(|sent| sent["components"][0]["parameters"][0].clone());
        let own = header(TemplateHeader::Document { url: None, name: None });
        let expected = json!({"type": "document", "document": {"link": "https://h.example/f", "filename": "f.pdf"}});
        assert_eq!(document(&own, Some(&file)), Ok(expected));
        assert_eq!(document(&own, None), Err(RenderError::MalformedTemplate));
        let image = header(TemplateHeader::Image { url: None });
        assert_eq!(document(&image, Some(&file)), Ok(json!({"type": "image", "image": {"link": "https://h.example/f"}})));
    }

    fn listed(template: Value) -> TemplateParts {
        super::listed(&template).unwrap().parts
    }

    /// The components of "Template components", as a list answers them.
    #[test]
    fn a_listed_template_tells_what_each_part_needs() {
        let template = json!({"name": "order", "language": "it", "status": "APPROVED", "category": "UTILITY", "parameter_format": "NAMED",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "{{shop}}", "example": {"header_text_named_params": [{"param_name": "shop", "example": "Roma"}]}},
            {"type": "BODY", "text": "Ciao {{first_name}}, {{order}}"},
            {"type": "FOOTER", "text": "Grazie"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Sì"},
                {"type": "URL", "text": "Segui", "url": "https://h.example/{{1}}", "example": ["https://h.example/1"]},
                {"type": "URL", "text": "Sito", "url": "https://h.example"},
                {"type": "PHONE_NUMBER", "text": "Chiama", "phone_number": "+390612345678"},
                {"type": "COPY_CODE", "text": "Copia", "example": ["SAVE20"]},
                {"type": "FLOW", "text": "Apri", "flow_id": "1"},
            ]},
        ]});
        let found = super::listed(&template).unwrap();
        assert_eq!((found.category.as_str(), found.is_approved(), found.parts.format), ("utility", true, ParameterFormat::Named));
        let header = found.parts.header.as_ref().unwrap();
        assert_eq!((header.kind, header.parameters.as_slice()), (HeaderPartKind::Text, ["shop".to_owned()].as_slice()));
        assert_eq!((found.parts.parameters.join(" "), found.parts.footer.as_str()), ("first_name order".into(), "Grazie"));
        let buttons: Vec<_> = found.parts.buttons.iter().map(|button| (button.index, button.kind, button.required)).collect();
        use TemplateButtonKind::{CopyCode, Flow, QuickReply, Url};
        let expected =
            [(Some(QuickReply), false), (Some(Url), true), (None, false), (None, false), (Some(CopyCode), true), (Some(Flow), false)];
        assert_eq!(buttons, (0..).zip(expected).map(|(index, (kind, required))| (index, kind, required)).collect::<Vec<_>>());
    }

    #[test]
    fn headers_of_every_format_and_the_code_of_an_authentication_template_are_told() {
        let header = |format: &str| listed(json!({"name": "a", "components": [{"type": "HEADER", "format": format}]}));
        for (format, kind) in [
            ("IMAGE", HeaderPartKind::Image),
            ("VIDEO", HeaderPartKind::Video),
            ("DOCUMENT", HeaderPartKind::Document),
            ("LOCATION", HeaderPartKind::Location),
        ] {
            assert_eq!(header(format).header.unwrap().kind, kind);
        }
        assert_eq!(header("PRODUCT").unsupported, ["header_product"]);
        let otp = "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}";
        for button in [json!({"type": "OTP", "otp_type": "COPY_CODE"}), json!({"type": "URL", "url": otp})] {
            let parts = listed(
                json!({"name": "code", "components": [{"type": "BODY", "text": "*{{1}}*"}, {"type": "BUTTONS", "buttons": [button]}]}),
            );
            assert_eq!((parts.format, parts.parameters.len()), (ParameterFormat::Positional, 1));
            assert_eq!((parts.buttons[0].kind, parts.buttons[0].required), (Some(TemplateButtonKind::Url), true));
        }
    }

    #[test]
    fn carousels_offers_and_what_no_message_can_carry_are_told() {
        let parts = listed(json!({"name": "sale", "components": [
            {"type": "BODY", "text": "Ciao"},
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Ora", "has_expiration": true}},
            {"type": "CAROUSEL", "cards": [{"components": [
                {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "{{1}}"},
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sì"}]},
            ]}]},
        ]}));
        assert!(parts.offer_ends_at && parts.unsupported.is_empty());
        let [card] = parts.cards.as_slice() else { panic!("one card") };
        assert_eq!((card.header.as_ref().unwrap().kind, card.parameters.len(), card.buttons.len()), (HeaderPartKind::Image, 1, 1));
        let orders = listed(json!({"name": "a", "components": [{"type": "BUTTONS", "buttons": [{"type": "ORDER_DETAILS"}]}]}));
        assert_eq!(orders.unsupported, ["button_order_details"]);
    }
}
