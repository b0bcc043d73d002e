//! Templates as people write them into a request.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    ApprovedTemplate, Currency, DateTime, Degrees, Misfit, ParameterValue, TemplateButton, TemplateButtonKind, TemplateCard,
    TemplateHeader, TemplateParameter,
};

/// WhatsApp's limit for a template's name, in characters.
const LONGEST_NAME: usize = 512;

/// A language code is short.
const LONGEST_LANGUAGE: usize = 15;

/// A body of 1024 characters can't hold more parameters than this, and WhatsApp allows 10 buttons and 10 cards.
const MOST_PARAMETERS: usize = 100;
const MOST_BUTTONS: usize = 10;
const MOST_CARDS: usize = 10;

/// An approved template with its parameters. `GET /admin/accounts/{id}/templates` lists what each template needs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewTemplate))]
#[serde(deny_unknown_fields)]
pub struct TemplateInput {
    /// The template's name at the provider. For providers that use ids instead (Twilio): the id.
    pub name: String,
    /// The language, such as `it` or `en_US`. Omit it if the provider's id already includes the language.
    #[serde(default)]
    pub language: String,
    /// The header's parameter.
    pub header: Option<HeaderInput>,
    /// The body's parameters: in order, or with their names.
    #[serde(default)]
    pub body: Vec<ParameterInput>,
    /// The buttons' parameters.
    #[serde(default)]
    pub buttons: Vec<ButtonInput>,
    /// The cards of a carousel, in order.
    #[serde(default)]
    pub cards: Vec<CardInput>,
    /// When the offer of a limited-time offer ends.
    pub offer_ends_at: Option<Timestamp>,
}

/// A parameter of a text: a text, which is the next one of a template whose parameters are numbered, or an object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewParameter))]
#[serde(untagged)]
pub enum ParameterInput {
    /// The text to fill in.
    Plain(String),
    /// A parameter with a name, or of another type than text.
    Full(FullInput),
}

/// A parameter with a name, or of another type than text. Give exactly one of `text`, `currency` and `date_time`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewNamedParameter))]
#[serde(deny_unknown_fields)]
pub struct FullInput {
    /// The parameter's name, if the template's parameters have names. For Twilio: the variable.
    name: Option<String>,
    /// A text to fill in.
    text: Option<String>,
    /// An amount of money.
    currency: Option<Currency>,
    /// A date.
    date_time: Option<DateTime>,
}

/// The parameter of a template's header.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewHeader))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum HeaderInput {
    /// A text.
    Text {
        /// The text to fill in.
        text: String,
        /// The parameter's name, if the template's parameters have names.
        name: Option<String>,
    },
    /// An image: an address, or an upload.
    Image {
        /// A public https address.
        url: Option<String>,
        /// The id of an upload (`POST …/attachments`) to this interaction.
        attachment: Option<String>,
    },
    /// A video: an address, or an upload.
    Video {
        /// A public https address.
        url: Option<String>,
        /// The id of an upload (`POST …/attachments`) to this interaction.
        attachment: Option<String>,
    },
    /// A document: an address, or an upload.
    Document {
        /// A public https address.
        url: Option<String>,
        /// The id of an upload (`POST …/attachments`) to this interaction.
        attachment: Option<String>,
        /// The file's name.
        name: Option<String>,
    },
    /// A place on a map.
    Location {
        /// Degrees north, -90 to 90.
        latitude: f64,
        /// Degrees east, -180 to 180.
        longitude: f64,
        /// The place's name.
        label: Option<String>,
        /// The place's address.
        address: Option<String>,
    },
}

/// The parameter of one of a template's buttons.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewButton))]
#[serde(deny_unknown_fields)]
pub struct ButtonInput {
    /// The button's index, starting at 0.
    index: u32,
    /// The button's type.
    #[serde(rename = "type")]
    kind: TemplateButtonKind,
    /// The payload that a reply returns, the text to append to the address, the code to copy, or the flow's token.
    value: String,
}

/// The parameters of one card of a carousel.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewCard))]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// The header's parameter.
    header: Option<HeaderInput>,
    /// The body's parameters: in order, or with their names.
    #[serde(default)]
    body: Vec<ParameterInput>,
    /// The buttons' parameters.
    #[serde(default)]
    buttons: Vec<ButtonInput>,
}

/// What was read: the template, and the id of the upload that its header shows.
type Read = (ApprovedTemplate, Option<String>);

impl TemplateInput {
    /// The template, with texts as they were written.
    ///
    /// # Errors
    /// Everything that is wrong with its form.
    pub fn read(self) -> Result<Read, Vec<Misfit>> {
        let mut misfits = Vec::new();
        one_line("name", &self.name, LONGEST_NAME, &mut misfits);
        let plain = self.language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if self.language.len() > LONGEST_LANGUAGE || !plain {
            misfits.push(Misfit::new("language", "must be a language such as it or en_US"));
        }
        let (header, upload) = self::header("", self.header, &mut misfits);
        let body = self::parameters("body", self.body, &mut misfits);
        let buttons = self::buttons("", self.buttons, &mut misfits);
        if self.cards.len() > MOST_CARDS {
            misfits.push(Misfit::new("cards", format!("must have at most {MOST_CARDS} entries")));
        }
        let cards = self.cards.into_iter().take(MOST_CARDS).enumerate().map(|(place, card)| {
            let path = format!("cards[{place}].");
            let (header, upload) = self::header(&path, card.header, &mut misfits);
            if upload.is_some() {
                misfits.push(Misfit::new(format!("{path}header.attachment"), "is not possible in a card: give an address"));
            }
            let body = self::parameters(&format!("{path}body"), card.body, &mut misfits);
            TemplateCard { header, body, buttons: self::buttons(&path, card.buttons, &mut misfits) }
        });
        let cards = cards.collect();
        let template =
            ApprovedTemplate { name: self.name, language: self.language, header, body, buttons, cards, offer_ends_at: self.offer_ends_at };
        if misfits.is_empty() { Ok((template, upload)) } else { Err(misfits) }
    }
}

fn one_line(field: &str, text: &str, most: usize, misfits: &mut Vec<Misfit>) {
    if text.trim().is_empty() {
        misfits.push(Misfit::new(field, "must not be empty"));
    } else if text.contains(char::is_control) || text.chars().count() > most {
        misfits.push(Misfit::new(field, format!("must be one line of at most {most} characters")));
    }
}

fn header(path: &str, header: Option<HeaderInput>, misfits: &mut Vec<Misfit>) -> (Option<TemplateHeader>, Option<String>) {
    let mut source = |url: Option<String>, attachment: Option<String>| {
        if url.is_some() == attachment.is_some() {
            misfits.push(Misfit::new(format!("{path}header.url"), "exactly one of url and attachment is needed"));
        }
        (url, attachment)
    };
    match header {
        None => (None, None),
        Some(HeaderInput::Text { text, name }) => (Some(TemplateHeader::Text { text, name }), None),
        Some(HeaderInput::Image { url, attachment }) => {
            let (url, upload) = source(url, attachment);
            (Some(TemplateHeader::Image { url }), upload)
        }
        Some(HeaderInput::Video { url, attachment }) => {
            let (url, upload) = source(url, attachment);
            (Some(TemplateHeader::Video { url }), upload)
        }
        Some(HeaderInput::Document { url, attachment, name }) => {
            let (url, upload) = source(url, attachment);
            (Some(TemplateHeader::Document { url, name }), upload)
        }
        Some(HeaderInput::Location { latitude, longitude, label, address }) => {
            if !(-90.0..=90.0).contains(&latitude) {
                misfits.push(Misfit::new(format!("{path}header.latitude"), "must be from -90 to 90"));
            }
            if !(-180.0..=180.0).contains(&longitude) {
                misfits.push(Misfit::new(format!("{path}header.longitude"), "must be from -180 to 180"));
            }
            (Some(TemplateHeader::Location { latitude: Degrees(latitude), longitude: Degrees(longitude), label, address }), None)
        }
    }
}

fn parameters(field: &str, given: Vec<ParameterInput>, misfits: &mut Vec<Misfit>) -> Vec<TemplateParameter> {
    if given.len() > MOST_PARAMETERS {
        misfits.push(Misfit::new(field, format!("must have at most {MOST_PARAMETERS} parameters")));
        return Vec::new();
    }
    let mut read = |place: usize, given: ParameterInput| {
        let FullInput { name, text, currency, date_time } = match given {
            ParameterInput::Plain(text) => return TemplateParameter::Plain(text),
            ParameterInput::Full(full) => full,
        };
        if let Some(name) = &name {
            one_line(&format!("{field}[{place}].name"), name, LONGEST_NAME, misfits);
        }
        let value = match (text, currency, date_time) {
            (Some(text), None, None) => ParameterValue::Text(text),
            (None, Some(currency), None) => {
                if !(currency.code.len() == 3 && currency.code.bytes().all(|b| b.is_ascii_uppercase())) {
                    misfits.push(Misfit::new(format!("{field}[{place}].currency.code"), "must be three capital letters such as EUR"));
                }
                ParameterValue::Currency(currency)
            }
            (None, None, Some(date)) => ParameterValue::DateTime(date),
            _ => {
                misfits.push(Misfit::new(format!("{field}[{place}]"), "exactly one of text, currency and date_time is needed"));
                ParameterValue::Text(String::new())
            }
        };
        TemplateParameter::new(name, value)
    };
    given.into_iter().enumerate().map(|(place, given)| read(place, given)).collect()
}

fn buttons(path: &str, given: Vec<ButtonInput>, misfits: &mut Vec<Misfit>) -> Vec<TemplateButton> {
    if given.len() > MOST_BUTTONS {
        misfits.push(Misfit::new(format!("{path}buttons"), format!("must have at most {MOST_BUTTONS} entries")));
    }
    given.into_iter().map(|ButtonInput { index, kind, value }| TemplateButton { index, kind, value }).collect()
}
