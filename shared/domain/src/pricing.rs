//! What messages to customers cost.
//!
//! Providers charge for a message once the customer's device has it, by a category and the customer's country. Some
//! tell the category with the message's state ([`Charge`]), one tells the price itself. What is counted is the
//! category and the country ([`Priced`]), and a report applies the administrator's table ([`Prices`]) to the counts.
//! So a price that is corrected or entered late counts for everything since its day, and nothing is ever counted anew
//! for it.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::country::{Country, calling_code};
use crate::message::{Content, DeliveryState, Message};
use crate::values::{Address, Invalid};

/// What a message is charged as, in the providers' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PriceCategory))]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A template that advertises.
    Marketing,
    /// A template about something that the customer did.
    Utility,
    /// A template with a code.
    Authentication,
    /// A template with a code, to a country where the business is not at home.
    AuthenticationInternational,
    /// Any message that is no template.
    Service,
    /// A template whose category the provider does not tell.
    Template,
    /// Any other word of the provider.
    Other,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Marketing,
        Self::Utility,
        Self::Authentication,
        Self::AuthenticationInternational,
        Self::Service,
        Self::Template,
        Self::Other,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Utility => "utility",
            Self::Authentication => "authentication",
            Self::AuthenticationInternational => "authentication_international",
            Self::Service => "service",
            Self::Template => "template",
            Self::Other => "other",
        }
    }

    /// The category with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// The category that a provider's word means: Meta writes `authentication-international` and `marketing_lite`.
    pub fn of_word(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase().replace('-', "_");
        match word.as_str() {
            "marketing_lite" => Self::Marketing,
            // No message is charged as one whose category is not told.
            "template" => Self::Other,
            word => Self::named(word).unwrap_or(Self::Other),
        }
    }
}

/// A currency by its three letters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");
    /// The United States' dollar.
    pub const USD: Self = Self(*b"USD");

    /// Accepts three letters from A to Z.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(Invalid("must be the three letters of a currency, such as EUR")),
        }
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

/// An amount of money, or a rate, in millionths: providers' prices have four decimals or five.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u64);

/// A whole one in millionths.
const WHOLE: u64 = 1_000_000;

impl Amount {
    /// The greatest: a message for more is a mistake, and sums of as many messages as there are fit into 64 bits.
    pub const MOST: Self = Self(9_999 * WHOLE);

    /// So many millionths.
    pub const fn of_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub fn millionths(self) -> u64 {
        self.0
    }

    /// Reads a number such as `0.0307`, with up to six decimals.
    ///
    /// # Errors
    /// It is something else, or above [`Self::MOST`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid("must be a number such as 0.0307, from 0 to 9999, with up to six decimals");
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 4) || !digits(decimals, 6) {
            return Err(invalid);
        }
        let of = |part: &str| part.parse::<u64>().map_err(|_| Invalid("must be a number"));
        let amount = Self(of(whole)? * WHOLE + of(&format!("{decimals:0<6}"))?);
        if amount <= Self::MOST { Ok(amount) } else { Err(invalid) }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % WHOLE);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / WHOLE),
            decimals => write!(f, "{}.{decimals}", self.0 / WHOLE),
        }
    }
}

impl TryFrom<String> for Amount {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> String {
        amount.to_string()
    }
}

/// Where a customer is at home, as far as prices go: the calling code of the number, such as `+39`. Providers' markets
/// are drawn along calling codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Market(u16);

impl Market {
    /// Of a customer whose number is not known.
    pub const UNKNOWN: Self = Self(0);

    /// Accepts a calling code with its plus.
    ///
    /// # Errors
    /// There is no such code.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let code = text.strip_prefix('+').filter(|code| calling_code(code) == Some(*code)).and_then(|code| code.parse().ok());
        code.map(Self).ok_or(Invalid("must be the calling code of a country, such as +39"))
    }

    /// That of an address: its number's, or that of the country with which a user id begins.
    pub fn of(address: &Address) -> Self {
        let code = match address {
            Address::Phone(number) => calling_code(number.as_str()),
            Address::Bsuid(id) => id.split_once('.').and_then(|(letters, _)| Country::named(letters)).map(|country| country.code),
        };
        code.and_then(|code| code.parse().ok()).map_or(Self::UNKNOWN, Self)
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Market {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Market> for String {
    fn from(market: Market) -> String {
        market.to_string()
    }
}

/// What a provider says about the price of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Whether it costs nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    /// The price itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<(Amount, Currency)>,
}

impl Charge {
    /// What is known after another report. A report that says nothing of one part leaves it as it was.
    #[must_use]
    pub fn or(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            category: self.category.or(before.category),
            free: if self.category.is_some() { self.free } else { before.free },
            stated: self.stated.or(before.stated),
        }
    }
}

/// How the price of a message is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Terms {
    /// By the administrator's table.
    Table,
    /// The provider charges nothing.
    Free,
    /// The provider said it, in this currency.
    Stated(Currency),
}

/// A message that reached a customer, as it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priced {
    /// The category.
    pub category: Category,
    /// The customer's country.
    pub market: Market,
    /// How its price is found.
    pub terms: Terms,
}

impl Priced {
    /// Its name in stored sums, such as `m.utility.39`, `f.service.39` or `p.utility.39.USD`.
    pub fn name(self) -> String {
        let (category, Market(code)) = (self.category.name(), self.market);
        match self.terms {
            Terms::Table => format!("m.{category}.{code}"),
            Terms::Free => format!("f.{category}.{code}"),
            Terms::Stated(currency) => format!("p.{category}.{code}.{currency:?}"),
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let (terms, category, code, currency) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
        let terms = match (terms, currency) {
            ("m", None) => Terms::Table,
            ("f", None) => Terms::Free,
            ("p", Some(currency)) => Terms::Stated(Currency::parse(currency).ok()?),
            _ => return None,
        };
        Some(Self { category: Category::named(category)?, market: Market(code.parse().ok()?), terms })
    }
}

/// What a message is charged as, and the price that the provider said, in millionths (1 if it said none); `None` for a
/// message that did not reach the customer: nobody charges for it.
///
/// Once it is something it stays something: what reached the customer fails no more.
pub fn priced(message: &Message) -> Option<(Priced, u64)> {
    let reached =
        message.delivery.as_ref().is_some_and(|delivery| matches!(delivery.state, DeliveryState::Delivered | DeliveryState::Read));
    if !reached {
        return None;
    }
    let charge = message.charge.unwrap_or_default();
    let by_content = || if matches!(message.content, Content::Template(_)) { Category::Template } else { Category::Service };
    let (terms, value) = match charge.stated {
        _ if charge.free => (Terms::Free, 1),
        Some((amount, currency)) => (Terms::Stated(currency), amount.millionths()),
        None => (Terms::Table, 1),
    };
    let market = message.to.as_ref().map_or(Market::UNKNOWN, Market::of);
    Some((Priced { category: charge.category.unwrap_or_else(by_content), market, terms }, value))
}

/// The administrator's table of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// The currency of reports.
    pub currency: Currency,
    /// The prices.
    pub prices: Vec<Price>,
    /// What other currencies are worth in that of reports.
    pub rates: Vec<Rate>,
}

/// A price of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The category.
    pub category: Category,
    /// The country of the customer; `None`: all that have no price of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// The price of a message.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// Its first day, in UTC; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
}

/// What a currency is worth in that of reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The currency.
    pub currency: Currency,
    /// What one of it is worth.
    pub rate: Amount,
}

impl Default for Prices {
    fn default() -> Self {
        Self { currency: Currency::EUR, prices: Vec::new(), rates: Vec::new() }
    }
}

impl Prices {
    /// The most prices: seven categories in some 60 countries. The item stays below 40 KB.
    pub const MOST: usize = 400;
    /// The most rates.
    pub const MOST_RATES: usize = 30;

    /// The price of a message on a day: that of its country before the one for all others, of several the latest.
    pub fn price(&self, category: Category, market: Market, day: Date) -> Option<&Price> {
        let fits = |price: &&Price| {
            price.category == category && price.market.is_none_or(|own| own == market) && price.from.is_none_or(|from| from <= day)
        };
        self.prices.iter().filter(fits).max_by_key(|price| (price.market.is_some(), price.from))
    }

    /// What an amount of a currency, in millionths, is worth in that of reports; `None` without a rate.
    pub fn exchanged(&self, millionths: u64, currency: Currency) -> Option<u64> {
        if currency == self.currency {
            return Some(millionths);
        }
        let rate = self.rates.iter().find(|rate| rate.currency == currency)?.rate;
        let exchanged = (u128::from(millionths) * u128::from(rate.millionths()) + u128::from(WHOLE / 2)) / u128::from(WHOLE);
        Some(u64::try_from(exchanged).unwrap_or(u64::MAX))
    }

    /// What messages cost on a day, in millionths of the currency of reports; `None` if that is not known. `stated` is
    /// the sum of what the provider said.
    pub fn cost(&self, priced: Priced, messages: u64, stated: u64, day: Date) -> Option<u64> {
        match priced.terms {
            Terms::Free => Some(0),
            Terms::Stated(currency) => self.exchanged(stated, currency),
            Terms::Table => {
                let price = self.price(priced.category, priced.market, day)?;
                self.exchanged(price.amount.millionths().saturating_mul(messages), price.currency)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::message::Delivery;
    use crate::values::E164;

    fn price(category: Category, market: Option<&str>, amount: &str, from: Option<Date>) -> Price {
        let market = market.map(|code| Market::parse(code).unwrap());
        Price { category, market, amount: Amount::parse(amount).unwrap(), currency: Currency::EUR, from }
    }

    #[test]
    fn amounts_are_exact_and_read_as_they_were_written() {
        for (text, millionths) in [("0", 0), ("0.0307", 30_700), ("12", 12_000_000), ("0.000001", 1), ("9999", 9_999_000_000)] {
            let amount = Amount::parse(text).unwrap();
            assert_eq!((amount.millionths(), amount.to_string().as_str()), (millionths, text));
        }
        for text in ["", ".5", "1.", "-1", "1e3", "0.0000001", "9999.1", "10000", "1,5", " 1", "१"] {
            assert!(Amount::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_price_of_a_country_counts_before_that_for_all_others_from_its_day_on() {
        let prices = Prices {
            prices: vec![
                price(Category::Utility, None, "0.05", None),
                price(Category::Utility, Some("+39"), "0.03", None),
                price(Category::Utility, Some("+39"), "0.02", Some(date(2026, 7, 1))),
                price(Category::Marketing, Some("+39"), "0.07", Some(date(2026, 7, 1))),
            ],
            ..Prices::default()
        };
        let of =
            |category, code: &str, day| prices.price(category, Market::parse(code).unwrap(), day).map(|price| price.amount.to_string());
        assert_eq!(of(Category::Utility, "+39", date(2026, 6, 30)).as_deref(), Some("0.03"));
        assert_eq!(of(Category::Utility, "+39", date(2026, 7, 1)).as_deref(), Some("0.02"));
        assert_eq!(of(Category::Utility, "+49", date(2026, 7, 1)).as_deref(), Some("0.05"));
        assert_eq!(of(Category::Marketing, "+39", date(2026, 6, 30)), None);
        assert_eq!(of(Category::Service, "+39", date(2026, 7, 1)), None);
    }

    #[test]
    fn what_the_provider_said_counts_before_the_table_and_other_currencies_are_exchanged() {
        let usd = Currency::parse("USD").unwrap();
        let rates = vec![Rate { currency: usd, rate: Amount::parse("0.9").unwrap() }];
        let mut prices = Prices { prices: vec![price(Category::Utility, None, "0.05", None)], rates, ..Prices::default() };
        let day = date(2026, 1, 1);
        let of =
            |prices: &Prices, terms| prices.cost(Priced { category: Category::Utility, market: Market::UNKNOWN, terms }, 3, 200_000, day);
        assert_eq!(
            [Terms::Table, Terms::Free, Terms::Stated(Currency::EUR), Terms::Stated(usd)].map(|terms| of(&prices, terms)),
            [Some(150_000), Some(0), Some(200_000), Some(180_000)]
        );
        prices.rates.clear();
        assert_eq!(of(&prices, Terms::Stated(usd)), None);
        prices.prices.clear();
        assert_eq!(of(&prices, Terms::Table), None);
    }

    #[test]
    fn only_what_reached_the_customer_is_charged_and_stays_so() {
        let mut message = crate::fixtures::message(Timestamp::UNIX_EPOCH);
        message.to = Some(Address::Phone(E164::parse("+393331234567").unwrap()));
        let marketing = Charge { category: Some(Category::Marketing), ..Charge::default() };
        message.charge = Some(marketing);
        let states = [DeliveryState::Queued, DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Delivered, DeliveryState::Read];
        let named = states.map(|state| {
            message.delivery = Some(Delivery { state, since: Timestamp::UNIX_EPOCH, error: None, attempts: 0, claim: None });
            priced(&message).map(|(priced, _)| priced.name())
        });
        let expected = Some("m.marketing.39".to_owned());
        assert_eq!(named, [None, None, None, expected.clone(), expected]);
        message.charge = None;
        assert_eq!(priced(&message).unwrap().0.name(), "m.service.39");
        message.to = Some(Address::Bsuid("IT.13491208655302741918".to_owned()));
        let stated = Some((Amount::of_millionths(5_000), Currency::parse("USD").unwrap()));
        message.charge = Some(Charge { stated, ..Charge::default() }.or(Some(marketing)));
        assert_eq!(priced(&message).map(|(priced, value)| (priced.name(), value)), Some(("p.marketing.39.USD".to_owned(), 5_000)));
        message.charge = Some(Charge { category: Some(Category::Service), free: true, stated: None });
        assert_eq!(priced(&message).map(|(priced, value)| (priced.name(), value)), Some(("f.service.39".to_owned(), 1)));
    }

    #[test]
    fn names_of_what_is_charged_lead_back() {
        for category in Category::ALL {
            for terms in [Terms::Table, Terms::Free, Terms::Stated(Currency::EUR)] {
                let priced = Priced { category, market: Market(39), terms };
                assert_eq!(Priced::named(&priced.name()), Some(priced));
            }
            assert_eq!(serde_json::to_value(category).unwrap(), category.name());
        }
        for name in ["", "m", "m.utility", "x.utility.39", "m.utility.39.USD", "p.utility.39", "m.nothing.39", "m.utility.x"] {
            assert_eq!(Priced::named(name), None, "{name}");
        }
        let words = ["UTILITY", "authentication-international", "marketing_lite", "referral_conversion", ""];
        let known = [Category::Utility, Category::AuthenticationInternational, Category::Marketing, Category::Other, Category::Other];
        assert_eq!(words.map(Category::of_word), known);
    }
}
