//! The templates that a provider lists, and what each needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApprovedTemplate, Misfit, TemplateButton, TemplateButtonKind, TemplateHeader, TemplateParameter};

/// A template of the provider's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTemplate {
    /// Its name; its id if the provider sends templates by id.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// Its language.
    pub language: String,
    /// Its category in lower case, e.g. `marketing`; empty if the provider does not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// The provider's word for its state in lower case, e.g. `approved`, `paused`.
    pub status: String,
    /// Its parts.
    pub parts: TemplateParts,
}

impl ListedTemplate {
    /// Whether it may be sent.
    pub fn is_approved(&self) -> bool {
        self.status == "approved"
    }

    /// Whether it is advertising, which customers may refuse.
    pub fn is_marketing(&self) -> bool {
        self.category == "marketing"
    }

    /// About as many bytes as it takes without its texts: those of its names, and the words around them.
    fn bytes(&self) -> usize {
        let of_names = |names: &[String]| names.iter().map(|name| name.len() + 3).sum::<usize>();
        let parts = &self.parts;
        let cards = parts.cards.iter().map(|card| 64 + of_names(&card.parameters) + 64 * card.buttons.len());
        let own = self.name.len() + self.language.len() + of_names(&parts.parameters) + of_names(&parts.unsupported);
        200 + own + 64 * parts.buttons.len() + cards.sum::<usize>()
    }
}

/// The templates of an account as its provider last listed them, without their texts. It only spares the provider
/// messages that it would refuse; a template that is not here may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateCatalogue {
    /// The account's id.
    pub account: crate::ids::AccountId,
    /// The time of the list.
    pub listed_at: Timestamp,
    /// The templates.
    pub templates: Vec<ListedTemplate>,
}

/// For how long a list is believed. A template that was edited since is judged by its old parts until somebody lists
/// the templates again.
const BELIEVED: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

impl TemplateCatalogue {
    /// The most bytes of templates that are kept, by a rough count: an item has 400 KB. It is enough for
    /// 700 templates.
    const LONGEST: usize = 200 * 1024;

    /// A catalogue of `templates`, without their texts. Those that are too many are left out.
    pub fn of(account: crate::ids::AccountId, listed_at: Timestamp, templates: &[ListedTemplate]) -> Self {
        let mut bytes = 0;
        let kept = templates.iter().map(|template| ListedTemplate {
            title: String::new(),
            parts: template.parts.without_texts(),
            ..template.clone()
        });
        let fitting = kept.take_while(|template| {
            bytes += template.bytes();
            bytes <= Self::LONGEST
        });
        Self { account, listed_at, templates: fitting.collect() }
    }

    /// The template with this name and language, if the list is not too old. An empty language fits any: the id
    /// implies it.
    pub fn find(&self, name: &str, language: &str, now: Timestamp) -> Option<&ListedTemplate> {
        let fresh = now.duration_since(self.listed_at) < BELIEVED;
        let mut named = self.templates.iter().filter(|listed| fresh && listed.name == name);
        named.find(|listed| language.is_empty() || listed.language.eq_ignore_ascii_case(language))
    }
}

/// The parts of a template, and the parameters that each needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateParts {
    /// How parameters are told apart.
    #[serde(default)]
    pub format: ParameterFormat,
    /// The header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderPart>,
    /// The text of the body, with its placeholders.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The parameters of the body: their names, or their numbers from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// The text of the footer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub footer: String,
    /// The buttons, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<ButtonPart>,
    /// The cards of a carousel, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<CardPart>,
    /// Whether the message says when its offer ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offer_ends_at: bool,
    /// Parts that a message can't carry here. Such a template can't be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// How the parameters of a template are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ParameterFormat {
    /// By their order, from 1.
    #[default]
    Positional,
    /// By their names.
    Named,
    /// One list of variables for the whole template: names, or numbers from 1. All are parameters of the body.
    Variables,
}

/// The header of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeaderPart {
    /// What the header shows.
    #[serde(rename = "type")]
    pub kind: HeaderPartKind,
    /// Its text, with its placeholder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The parameter of the text: its name, or its number from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

/// What a header shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeaderPartKind {
    /// A text.
    Text,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A document.
    Document,
    /// A place on a map.
    Location,
}

impl HeaderPartKind {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Document => "document",
            Self::Location => "location",
        }
    }

    fn of(header: &TemplateHeader) -> Self {
        match header {
            TemplateHeader::Text { .. } => Self::Text,
            TemplateHeader::Image { .. } => Self::Image,
            TemplateHeader::Video { .. } => Self::Video,
            TemplateHeader::Document { .. } => Self::Document,
            TemplateHeader::Location { .. } => Self::Location,
        }
    }
}

/// A button of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ButtonPart {
    /// The button's place, from 0.
    pub index: u32,
    /// The type of the parameter that the button takes; absent if it takes none.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<TemplateButtonKind>,
    /// Whether a message must give the parameter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The address with its placeholder, if the button opens one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A card of a carousel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardPart {
    /// The header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderPart>,
    /// The text of the body, with its placeholders.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The parameters of the body: their names, or their numbers from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// The buttons, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<ButtonPart>,
}

/// The placeholders of a text such as `Buongiorno {{1}}` or `{{first_name}}`: each once, numbers in their order.
pub fn placeholders(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for piece in text.split("{{").skip(1) {
        let Some((name, _)) = piece.split_once("}}") else { continue };
        let name = name.trim();
        let proper = !name.is_empty() && name.len() <= 100 && !name.contains(|c: char| c.is_whitespace() || c.is_control());
        if proper && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    if found.iter().all(|name| name.parse::<u32>().is_ok()) {
        found.sort_by_key(|name| name.parse::<u32>().unwrap_or_default());
    }
    found
}

impl TemplateParts {
    /// What is missing from a message, and what it has too much of. Empty if it fits.
    pub fn misfits(&self, template: &ApprovedTemplate) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if let Some(part) = self.unsupported.first() {
            misfits.push(Misfit::new("name", format!("this template can't be sent from here: it has the part {part}")));
            return misfits;
        }
        if self.format == ParameterFormat::Variables {
            self.variables(template, &mut misfits);
            return misfits;
        }
        let named = self.format == ParameterFormat::Named;
        of_header("", self.header.as_ref(), template.header.as_ref(), named, &mut misfits);
        of_text("body", &self.parameters, &template.body, named, &mut misfits);
        of_buttons("", &self.buttons, &template.buttons, &mut misfits);
        if self.cards.len() != template.cards.len() {
            misfits.push(Misfit::new("cards", format!("must have {} entries: the template has as many cards", self.cards.len())));
        }
        for (place, (needed, given)) in self.cards.iter().zip(&template.cards).enumerate() {
            let path = format!("cards[{place}].");
            of_header(&path, needed.header.as_ref(), given.header.as_ref(), named, &mut misfits);
            of_text(&format!("{path}body"), &needed.parameters, &given.body, named, &mut misfits);
            of_buttons(&path, &needed.buttons, &given.buttons, &mut misfits);
        }
        match (self.offer_ends_at, template.offer_ends_at.is_some()) {
            (true, false) => misfits.push(Misfit::new("offer_ends_at", "is missing: the template has an offer that ends")),
            (false, true) => misfits.push(Misfit::new("offer_ends_at", "is superfluous: the template has no offer that ends")),
            _ => {}
        }
        misfits
    }

    fn variables(&self, template: &ApprovedTemplate, misfits: &mut Vec<Misfit>) {
        if template.header.as_ref().is_some_and(|header| HeaderPartKind::of(header) != HeaderPartKind::Text) {
            misfits.push(Misfit::new("header", "is superfluous: the template takes variables only, as parameters of the body"));
        }
        let given = template.variables();
        for name in self.parameters.iter().filter(|name| !given.contains_key(*name)) {
            misfits.push(Misfit::new("body", format!("lacks the variable {name}")));
        }
        for name in given.keys().filter(|name| !self.parameters.contains(name)) {
            misfits.push(Misfit::new("body", format!("the template has no variable {name}")));
        }
    }

    /// The same parts without what only people read.
    fn without_texts(&self) -> Self {
        let header = |header: &Option<HeaderPart>| header.clone().map(|header| HeaderPart { text: String::new(), ..header });
        let buttons = |buttons: &[ButtonPart]| -> Vec<ButtonPart> {
            let bare = |button: &ButtonPart| ButtonPart { text: String::new(), url: String::new(), ..button.clone() };
            buttons.iter().filter(|button| button.kind.is_some()).map(bare).collect()
        };
        let cards = self.cards.iter().map(|card| CardPart {
            header: header(&card.header),
            text: String::new(),
            parameters: card.parameters.clone(),
            buttons: buttons(&card.buttons),
        });
        Self {
            header: header(&self.header),
            text: String::new(),
            footer: String::new(),
            buttons: buttons(&self.buttons),
            cards: cards.collect(),
            ..self.clone()
        }
    }
}

fn of_header(path: &str, needed: Option<&HeaderPart>, given: Option<&TemplateHeader>, named: bool, misfits: &mut Vec<Misfit>) {
    // A text without placeholders, like no header at all, takes nothing.
    let needed = needed.filter(|needed| needed.kind != HeaderPartKind::Text || !needed.parameters.is_empty());
    let field = format!("{path}header");
    match (needed, given) {
        (None, None) => {}
        (None, Some(_)) => misfits.push(Misfit::new(field, "is superfluous: the template's header takes no parameter")),
        (Some(needed), None) => {
            misfits.push(Misfit::new(field, format!("is missing: the template's header takes a {}", needed.kind.word())));
        }
        (Some(needed), Some(given)) if HeaderPartKind::of(given) != needed.kind => {
            misfits.push(Misfit::new(format!("{field}.type"), format!("must be {}", needed.kind.word())));
        }
        (Some(needed), Some(TemplateHeader::Text { name, .. })) => match (named, needed.parameters.first(), name) {
            (true, Some(wanted), name) if name.as_ref() != Some(wanted) => {
                misfits.push(Misfit::new(format!("{field}.name"), format!("must be {wanted}")));
            }
            (false, _, Some(_)) => {
                misfits.push(Misfit::new(format!("{field}.name"), "is superfluous: the template's parameters are numbered"))
            }
            _ => {}
        },
        (Some(_), Some(_)) => {}
    }
}

fn of_text(field: &str, needed: &[String], given: &[TemplateParameter], named: bool, misfits: &mut Vec<Misfit>) {
    if !named {
        for (place, _) in given.iter().enumerate().filter(|(_, parameter)| parameter.name().is_some()) {
            misfits.push(Misfit::new(format!("{field}[{place}].name"), "is superfluous: the template's parameters are numbered"));
        }
        for place in given.len()..needed.len() {
            misfits.push(Misfit::new(format!("{field}[{place}]"), format!("is missing: the template takes {}", needed.len())));
        }
        for place in needed.len()..given.len() {
            misfits.push(Misfit::new(format!("{field}[{place}]"), format!("is superfluous: the template takes {}", needed.len())));
        }
        return;
    }
    for name in needed.iter().filter(|name| !given.iter().any(|parameter| parameter.name() == Some(name))) {
        misfits.push(Misfit::new(field, format!("lacks the parameter {name}")));
    }
    for (place, parameter) in given.iter().enumerate() {
        match parameter.name() {
            None => misfits.push(Misfit::new(format!("{field}[{place}].name"), "is missing: the template's parameters have names")),
            Some(name) if !needed.iter().any(|wanted| wanted == name) => {
                misfits.push(Misfit::new(format!("{field}[{place}]"), format!("the template has no parameter {name}")));
            }
            Some(name) if given[..place].iter().any(|earlier| earlier.name() == Some(name)) => {
                misfits.push(Misfit::new(format!("{field}[{place}]"), format!("the parameter {name} is given twice")));
            }
            Some(_) => {}
        }
    }
}

fn of_buttons(path: &str, needed: &[ButtonPart], given: &[TemplateButton], misfits: &mut Vec<Misfit>) {
    for button in needed.iter().filter(|button| button.required && !given.iter().any(|given| given.index == button.index)) {
        misfits.push(Misfit::new(format!("{path}buttons"), format!("lacks the parameter of the button with index {}", button.index)));
    }
    for (place, button) in given.iter().enumerate() {
        let field = format!("{path}buttons[{place}]");
        match needed.iter().find(|needed| needed.index == button.index).map(|needed| needed.kind) {
            None | Some(None) => {
                misfits.push(Misfit::new(field, format!("the button with index {} takes no parameter", button.index)));
            }
            Some(Some(kind)) if kind != button.kind => {
                misfits.push(Misfit::new(format!("{field}.type"), format!("must be {}", kind.word())));
            }
            Some(Some(_)) if given[..place].iter().any(|earlier| earlier.index == button.index) => {
                misfits.push(Misfit::new(field, format!("the button with index {} is given twice", button.index)));
            }
            Some(Some(_)) => {}
        }
    }
}

impl TemplateButtonKind {
    fn word(self) -> &'static str {
        match self {
            Self::QuickReply => "quick_reply",
            Self::Url => "url",
            Self::CopyCode => "copy_code",
            Self::Flow => "flow",
        }
    }
}
