//! Approved templates: the values that a message carries for one ([`ApprovedTemplate`]), the parts of a listed one
//! that want values ([`TemplateParts`]), and the rules for both.

mod input;
mod parts;
mod rules;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use input::{ButtonInput, CardInput, FullInput, HeaderInput, ParameterInput, TemplateInput};
pub use parts::{
    ButtonPart, CardPart, HeaderPart, HeaderPartKind, ListedTemplate, ParameterFormat, TemplateCatalogue, TemplateParts, placeholders,
};
pub use rules::{LONGEST_PARAMETER, TextRule, flattened};

/// An approved template with its parameters.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedTemplate {
    /// The template's name with the provider, or its id where the provider's templates have ids instead.
    pub name: String,
    /// The template's language, e.g. `it` or `en_US`; empty where the id implies it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The header's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TemplateHeader>,
    /// The body's parameters, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<TemplateParameter>,
    /// The buttons' parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<TemplateButton>,
    /// The cards of a carousel, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<TemplateCard>,
    /// When the offer of a limited-time offer ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_ends_at: Option<Timestamp>,
}

/// The parameters may be personal data, so they never reach a log.
impl std::fmt::Debug for ApprovedTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("language", &self.language).finish_non_exhaustive()
    }
}

/// A parameter of a text: a text, which is the next one of a template whose parameters are numbered, or an object.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum TemplateParameter {
    /// A text without a name.
    Plain(String),
    /// A parameter with a name, or of another type.
    Full(NamedParameter),
}

/// What customers are told never reaches a log.
impl std::fmt::Debug for TemplateParameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TemplateParameter(…)")
    }
}

/// A parameter with a name, or of another type than text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamedParameter {
    /// The parameter's name, where the template's parameters have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value.
    #[serde(flatten)]
    pub value: ParameterValue,
}

/// The value of a parameter, under its type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ParameterValue {
    /// A text.
    Text(String),
    /// An amount of money, which WhatsApp writes in the customer's way.
    Currency(Currency),
    /// A date.
    DateTime(DateTime),
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// The currency's code (ISO 4217), e.g. `EUR`.
    pub code: String,
    /// The amount in thousandths, e.g. 12340 for 12.34.
    pub amount_1000: i64,
    /// The amount as a text, for clients that can't write it themselves.
    pub fallback: String,
}

/// A date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TemplateDate))]
#[serde(deny_unknown_fields)]
pub struct DateTime {
    /// The date as a text. WhatsApp shows it as it is.
    pub fallback: String,
}

impl TemplateParameter {
    /// A parameter, in the shortest form that says it.
    pub fn new(name: Option<String>, value: ParameterValue) -> Self {
        match (name, value) {
            (None, ParameterValue::Text(text)) => Self::Plain(text),
            (name, value) => Self::Full(NamedParameter { name, value }),
        }
    }

    /// The parameter's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Full(full) => full.name.as_deref(),
        }
    }

    /// The parameter as a text.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Full(NamedParameter { value: ParameterValue::Text(text), .. }) => text,
            Self::Full(NamedParameter { value: ParameterValue::Currency(currency), .. }) => &currency.fallback,
            Self::Full(NamedParameter { value: ParameterValue::DateTime(date), .. }) => &date.fallback,
        }
    }

    fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Plain(text) | Self::Full(NamedParameter { value: ParameterValue::Text(text), .. }) => text,
            Self::Full(NamedParameter { value: ParameterValue::Currency(currency), .. }) => &mut currency.fallback,
            Self::Full(NamedParameter { value: ParameterValue::DateTime(date), .. }) => &mut date.fallback,
        }
    }
}

impl From<&str> for TemplateParameter {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for TemplateParameter {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

/// The parameter of a template's header.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TemplateHeader {
    /// A text.
    Text {
        /// The text of the parameter.
        text: String,
        /// The parameter's name, where the template's parameters have names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A picture.
    Image {
        /// The picture's public https address; absent if it is the message's file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// A video.
    Video {
        /// The video's public https address; absent if it is the message's file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// A document.
    Document {
        /// The document's public https address; absent if it is the message's file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The file's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A place on a map.
    Location {
        /// Degrees north.
        #[cfg_attr(feature = "openapi", schema(value_type = f64))]
        latitude: Degrees,
        /// Degrees east.
        #[cfg_attr(feature = "openapi", schema(value_type = f64))]
        longitude: Degrees,
        /// The place's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// The place's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
}

/// What customers are told never reaches a log.
impl std::fmt::Debug for TemplateHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TemplateHeader(…)")
    }
}

impl TemplateHeader {
    /// Whether the header is the message's own file, which has no address yet.
    pub fn wants_file(&self) -> bool {
        matches!(self, Self::Image { url: None } | Self::Video { url: None } | Self::Document { url: None, .. })
    }
}

/// An angle in degrees. JSON has no other numbers than finite ones, so equality is total.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Degrees(pub f64);

impl Eq for Degrees {}

/// The parameter of one of a template's buttons.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateButton {
    /// The button's place, from 0.
    pub index: u32,
    /// The button's type.
    #[serde(rename = "type")]
    pub kind: TemplateButtonKind,
    /// The payload that comes back, the text that is appended to the address, the code to copy, or the flow's token.
    pub value: String,
}

/// What customers are told never reaches a log.
impl std::fmt::Debug for TemplateButton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemplateButton").field("index", &self.index).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The type of a template's button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TemplateButtonKind {
    /// The button sends an answer with a payload.
    QuickReply,
    /// The button opens an address.
    Url,
    /// The button copies a code.
    CopyCode,
    /// The button opens a form (a WhatsApp Flow).
    Flow,
}

/// The parameters of one card of a carousel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateCard {
    /// The header's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TemplateHeader>,
    /// The body's parameters, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<TemplateParameter>,
    /// The buttons' parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<TemplateButton>,
}

/// One thing that is wrong with a template's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The field, e.g. `body[0]` or `header.text`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Misfit {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApprovedTemplate {
    /// A template without parameters.
    pub fn plain(name: impl Into<String>, language: impl Into<String>) -> Self {
        Self { name: name.into(), language: language.into(), ..Self::default() }
    }

    /// Whether the header is the message's own file.
    pub fn wants_file(&self) -> bool {
        self.header.as_ref().is_some_and(TemplateHeader::wants_file)
    }

    /// The parameters as one list of variables, for providers whose templates have such a list: those with names under
    /// their names, the others numbered from 1 over header, body and buttons. Files and places are no variables.
    pub fn variables(&self) -> BTreeMap<String, &str> {
        let header = match &self.header {
            Some(TemplateHeader::Text { text, name }) => Some((name.as_deref(), text.as_str())),
            _ => None,
        };
        let body = self.body.iter().map(|parameter| (parameter.name(), parameter.text()));
        let mut buttons: Vec<_> = self.buttons.iter().collect();
        buttons.sort_by_key(|button| button.index);
        let buttons = buttons.into_iter().map(|button| (None, button.value.as_str()));
        let mut number = 0;
        let mut key = |name: Option<&str>| match name {
            Some(name) => name.to_owned(),
            None => {
                number += 1;
                u32::to_string(&number)
            }
        };
        header.into_iter().chain(body).chain(buttons).map(|(name, value)| (key(name), value)).collect()
    }

    /// All texts that stand for parameters, each with its field and its rule.
    pub fn texts(&self) -> Vec<(String, String, TextRule)> {
        let mut texts = Vec::new();
        self.clone().for_each_text(&mut |field, text, rule| texts.push((field, text.clone(), rule)));
        texts
    }

    /// What the provider would refuse of the texts that a person typed. Empty if it is fine.
    pub fn faults(&self) -> Vec<Misfit> {
        let faults = self.texts().into_iter().filter_map(|(field, text, rule)| Some(Misfit { field, message: rule.fault(&text)? }));
        faults.collect()
    }

    /// The same template with every text replaced by what `fill` makes of it. A text of one line stays one.
    ///
    /// # Errors
    /// The texts that the provider would refuse even so, such as empty ones.
    pub fn filled(mut self, fill: impl Fn(&str) -> String) -> Result<Self, Vec<Misfit>> {
        self.for_each_text(&mut |_, text, _| *text = flattened(&fill(text)));
        let faults = self.faults();
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// Visits all texts that stand for parameters, each with its field and its rule.
    fn for_each_text(&mut self, visit: &mut impl FnMut(String, &mut String, TextRule)) {
        of_parts("", self.header.as_mut(), &mut self.body, &mut self.buttons, visit);
        for (place, card) in self.cards.iter_mut().enumerate() {
            of_parts(&format!("cards[{place}]."), card.header.as_mut(), &mut card.body, &mut card.buttons, visit);
        }
    }
}

fn of_parts(
    path: &str,
    header: Option<&mut TemplateHeader>,
    body: &mut [TemplateParameter],
    buttons: &mut [TemplateButton],
    visit: &mut impl FnMut(String, &mut String, TextRule),
) {
    match header {
        Some(TemplateHeader::Text { text, .. }) => visit(format!("{path}header.text"), text, TextRule::Parameter),
        Some(TemplateHeader::Image { url } | TemplateHeader::Video { url }) => {
            url.iter_mut().for_each(|url| visit(format!("{path}header.url"), url, TextRule::Address));
        }
        Some(TemplateHeader::Document { url, name }) => {
            url.iter_mut().for_each(|url| visit(format!("{path}header.url"), url, TextRule::Address));
            name.iter_mut().for_each(|name| visit(format!("{path}header.name"), name, TextRule::Label));
        }
        Some(TemplateHeader::Location { label, address, .. }) => {
            label.iter_mut().for_each(|label| visit(format!("{path}header.label"), label, TextRule::Label));
            address.iter_mut().for_each(|address| visit(format!("{path}header.address"), address, TextRule::Label));
        }
        None => {}
    }
    for (place, parameter) in body.iter_mut().enumerate() {
        let inside = match parameter {
            TemplateParameter::Plain(_) => "",
            TemplateParameter::Full(NamedParameter { value: ParameterValue::Text(_), .. }) => ".text",
            TemplateParameter::Full(NamedParameter { value: ParameterValue::Currency(_), .. }) => ".currency.fallback",
            TemplateParameter::Full(NamedParameter { value: ParameterValue::DateTime(_), .. }) => ".date_time.fallback",
        };
        visit(format!("{path}body[{place}]{inside}"), parameter.text_mut(), TextRule::Parameter);
    }
    for (place, button) in buttons.iter_mut().enumerate() {
        let rule = match button.kind {
            TemplateButtonKind::QuickReply => TextRule::Payload,
            TemplateButtonKind::Url => TextRule::AddressEnd,
            TemplateButtonKind::CopyCode => TextRule::Code,
            TemplateButtonKind::Flow => TextRule::Payload,
        };
        visit(format!("{path}buttons[{place}].value"), &mut button.value, rule);
    }
}

#[cfg(test)]
mod tests;
