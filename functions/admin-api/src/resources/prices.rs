//! The table of prices, by which reports tell what messages cost.

use std::collections::BTreeSet;

use api::{Administrator, Body, IfMatch, Overseer, Versioned};
use axum::extract::State;
use domain::pricing::{Amount, Category, Currency, Market, Price, Prices, Rate};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Fields, Refusal, parsed, whole};
use crate::openapi::{Refusals, WriteRefusals};
use crate::resource::{DryRun, Mode, Outcome};
use crate::resources::singleton;

/// A price of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub(crate) struct PriceView {
    /// What messages are charged as: Meta's categories; `template` for templates whose category the provider does not
    /// tell, `other` for categories that this version does not know.
    category: Category,
    /// The calling code of the customers' country. If absent: all countries that have no price of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9]\d{0,2}$", example = "+39")]
    country: Option<Market>,
    /// The price of a message, with up to six decimals.
    #[schema(value_type = String, pattern = r"^\d{1,4}(\.\d{1,6})?$", example = "0.0307")]
    amount: Amount,
    /// The currency of the price. If absent: that of reports.
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Currency,
    /// The first day of the price, in UTC. Of several prices for the same messages the latest that has begun counts.
    /// If absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date, example = "2026-07-01")]
    from: Option<Date>,
}

/// What a currency is worth.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceRate)]
pub(crate) struct RateView {
    /// The other currency.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "USD")]
    currency: Currency,
    /// What one of it is worth in the currency of reports, with up to six decimals.
    #[schema(value_type = String, pattern = r"^\d{1,4}(\.\d{1,6})?$", example = "0.92")]
    rate: Amount,
}

/// The table of prices.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
pub(crate) struct PricesInput {
    /// The currency of reports.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: String,
    /// The prices.
    #[schema(required = false, max_items = 400)]
    prices: Vec<PriceView>,
    /// What other currencies are worth: those of prices, of prices that a provider states, and of AI agents. What is
    /// in another one without a rate is reported as unpriced.
    #[schema(required = false, max_items = 30)]
    rates: Vec<RateView>,
}

/// The table of prices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prices)]
pub(crate) struct PricesView {
    /// The currency of reports.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Currency,
    /// The prices.
    prices: Vec<PriceView>,
    /// What other currencies are worth.
    rates: Vec<RateView>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl PricesView {
    fn of(Prices { currency, prices, rates }: Prices, version: u64) -> Versioned<Self> {
        let price = |Price { category, market, amount, currency, from }| PriceView { category, country: market, amount, currency, from };
        let rate = |Rate { currency, rate }| RateView { currency, rate };
        let (prices, rates) = (prices.into_iter().map(price).collect(), rates.into_iter().map(rate).collect());
        Versioned::new(Self { currency, prices, rates, version }, version)
    }
}

fn currency(text: &str) -> Result<Currency, Refusal> {
    Currency::parse(text).map_err(|invalid| invalid.0)
}

fn amount(text: &str) -> Result<Amount, Refusal> {
    Amount::parse(text).map_err(|invalid| invalid.0)
}

fn category(text: &str) -> Result<Category, Refusal> {
    let words = "must be marketing, utility, authentication, authentication_international, service, template or other";
    Category::named(text).ok_or(words)
}

/// The day as it is written in answers: nothing shorter, and none that no calendar has.
fn day(text: &str) -> Result<Date, Refusal> {
    text.parse().ok().filter(|_| text.len() == 10).ok_or("must be a day that exists, such as 2026-07-01")
}

fn read(fields: &mut Fields<'_>) -> Option<Prices> {
    let of_reports = fields.required("currency", parsed(currency));
    let usual = of_reports.unwrap_or(Currency::EUR);
    let mut seen = BTreeSet::new();
    let prices = fields.list("prices", Prices::MOST, "must have at most 400 prices", |path, value, errors| {
        let mut fields = Fields::open(path.clone(), value, errors)?;
        let category = fields.required("category", parsed(category));
        let market = fields.optional("country", parsed(|text| Market::parse(text).map_err(|invalid| invalid.0)));
        let amount = fields.required("amount", parsed(amount));
        let currency = fields.optional("currency", parsed(currency)).unwrap_or(usual);
        let from = fields.optional("from", parsed(day));
        fields.finish();
        let price = Price { category: category?, market, amount: amount?, currency, from };
        if !seen.insert((price.category, price.market, price.from)) {
            errors.add(path, "is there already: the category, the country and the day are those of another price");
            return None;
        }
        Some(price)
    });
    let mut known = BTreeSet::new();
    let rates = fields.list("rates", Prices::MOST_RATES, "must have at most 30 rates", |path, value, errors| {
        let mut fields = Fields::open(path, value, errors)?;
        let currency = fields.required("currency", parsed(currency));
        let rate = fields.required("rate", parsed(amount));
        match (currency, rate) {
            (Some(currency), _) if Some(currency) == of_reports => fields.refuse("currency", "is that of reports"),
            (Some(currency), _) if !known.insert(currency) => fields.refuse("currency", "is there already"),
            (_, Some(rate)) if rate == Amount::default() => fields.refuse("rate", "must be above 0"),
            _ => {}
        }
        fields.finish();
        Some(Rate { currency: currency?, rate: rate? })
    });
    Some(Prices { currency: of_reports?, prices, rates })
}

/// Returns the table of prices.
///
/// Supervisors may read it too.
#[utoipa::path(get, path = "/prices", tag = "prices",
    responses((status = 200, description = "The table.", body = PricesView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_prices(State(app): State<App>, _: Overseer) -> Result<Versioned<PricesView>, ApiError> {
    let (prices, version) = app.configuration().singleton().await?;
    Ok(PricesView::of(prices, version))
}

/// Replaces the table of prices.
///
/// Reports apply it from then on, to what was before as well: a price that was wrong or is entered late counts for all
/// messages since its day.
#[utoipa::path(put, path = "/prices", tag = "prices", params(("If-Match" = String, Header), DryRun), request_body = PricesInput,
    responses((status = 200, description = "Changed, or would be.", body = PricesView,
        headers(("ETag" = String, description = "Absent in a dry run"))), WriteRefusals))]
pub(crate) async fn put_prices(
    State(app): State<App>,
    Administrator(by): Administrator,
    mode: Mode,
    condition: IfMatch,
    Body(body): Body<Value>,
) -> Result<Outcome<PricesView>, ApiError> {
    // The version may be sent back as it was read; `If-Match` says which one is meant.
    let shown = json!({ "version": body.get("version") });
    let prices = whole(body, Some(&shown), read)?;
    let version = singleton::replace(&app, &by, mode, &condition, &prices).await?;
    Ok(Outcome::of(mode, PricesView::of(prices, version)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Errors;
    use crate::input::testing::names;

    fn parse(body: Value) -> Result<Prices, Errors> {
        whole(body, None, read)
    }

    #[test]
    fn a_table_is_read_as_it_is_shown() {
        let body = json!({
            "currency": "EUR",
            "prices": [
                {"category": "marketing", "country": "+39", "amount": "0.0691", "currency": "EUR", "from": "2026-07-01"},
                {"category": "marketing", "amount": "0.06", "currency": "USD"},
            ],
            "rates": [{"currency": "USD", "rate": "0.92"}],
        });
        let prices = parse(body).unwrap();
        assert_eq!((prices.prices.len(), prices.rates.len(), prices.prices[1].market), (2, 1, None));
        assert_eq!(prices.prices[0].amount.to_string(), "0.0691");
    }

    #[test]
    fn every_bad_field_is_named_with_its_place() {
        let table = |price: Value| json!({"currency": "EUR", "prices": [{"category": "utility", "amount": "1"}, price]});
        for (price, named) in [
            (json!({"category": "cheap", "amount": "1"}), "prices[1].category"),
            (json!({"category": "service"}), "prices[1].amount"),
            (json!({"category": "service", "amount": 0.03}), "prices[1].amount"),
            (json!({"category": "service", "amount": "-1"}), "prices[1].amount"),
            (json!({"category": "service", "amount": "1", "country": "IT"}), "prices[1].country"),
            (json!({"category": "service", "amount": "1", "country": "+3"}), "prices[1].country"),
            (json!({"category": "service", "amount": "1", "currency": "euro"}), "prices[1].currency"),
            (json!({"category": "service", "amount": "1", "from": "2026-02-30"}), "prices[1].from"),
            (json!({"category": "service", "amount": "1", "colour": "red"}), "prices[1].colour"),
            (json!({"category": "utility", "amount": "2"}), "prices[1]"),
            (json!("service"), "prices[1]"),
        ] {
            assert_eq!(names(parse(table(price.clone()))), [named], "{price}");
        }
        let rates = |rates: Value| json!({"currency": "EUR", "rates": rates});
        assert_eq!(names(parse(rates(json!([{"currency": "EUR", "rate": "1"}])))), ["rates[0].currency"]);
        assert_eq!(names(parse(rates(json!([{"currency": "USD", "rate": "0"}])))), ["rates[0].rate"]);
        assert_eq!(names(parse(rates(json!([{"currency": "USD", "rate": "1"}, {"currency": "USD", "rate": "2"}])))), ["rates[1].currency"]);
        assert_eq!(names(parse(json!({"prices": []}))), ["currency"]);
        let many = vec![json!({"category": "utility", "amount": "1"}); 401];
        assert_eq!(names(parse(json!({"currency": "EUR", "prices": many}))), ["prices"]);
    }
}
