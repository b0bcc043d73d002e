//! Telephone numbers as people write them at home.

use domain::country::Country;
use domain::values::E164;

use super::reason::Reason;

/// A number of a country, as it is dialled there, at home or abroad.
fn number(Country { code, trunk, least, most, .. }: Country, digits: &str) -> Option<E164> {
    let abroad = if code == "1" { "011" } else { "00" };
    if let Some(rest) = digits.strip_prefix(abroad) {
        return E164::parse(&format!("+{rest}")).ok();
    }
    let national = digits.strip_prefix(trunk).filter(|_| !trunk.is_empty()).unwrap_or(digits);
    let number = (least..=most).contains(&national.len()).then(|| E164::parse(&format!("+{code}{national}")).ok());
    number.flatten()
}

/// A number with `+`, or one of a country as people write it there.
///
/// # Errors
/// It is none.
pub(crate) fn phone(text: &str, country: Option<Country>) -> Result<E164, Reason> {
    let text = text.trim();
    let is_filler = |c: char| matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')');
    let plain: String = text.chars().filter(|c| !is_filler(*c)).collect();
    let refused = Reason::NotAPhone;
    if let Some(digits) = plain.strip_prefix('+') {
        return E164::parse(&format!("+{digits}")).map_err(|_| refused);
    }
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused);
    }
    let country = country.ok_or(Reason::NoCountry)?;
    number(country, &plain).ok_or(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_their_country_writes_them() {
        for (country, text, number) in [
            ("IT", "06 1234 5678", "+390612345678"),
            ("IT", "333 1234567", "+393331234567"),
            ("IT", "0039 333-123.45.67", "+393331234567"),
            ("DE", "030 901820", "+4930901820"),
            ("GB", "(020) 7946 0018", "+442079460018"),
            ("US", "1 (202) 555-0123", "+12025550123"),
            ("US", "202.555.0123", "+12025550123"),
            ("US", "011 39 333 1234567", "+393331234567"),
            ("HU", "06 1 234 5678", "+3612345678"),
            ("RU", "8 912 345-67-89", "+79123456789"),
            ("ES", "612 34 56 78", "+34612345678"),
            ("IT", "+44 20 7946 0018", "+442079460018"),
        ] {
            assert_eq!(phone(text, Country::named(country)).as_ref().map(E164::as_str), Ok(number), "{country} {text}");
        }
        for (country, text) in [
            (None, "3331234567"),
            (Some("IT"), "12"),
            (Some("IT"), ""),
            (Some("IT"), "=1+1"),
            (Some("IT"), "Zoë"),
            (Some("US"), "202 555 01234"),
            (None, "+0123456789"),
            (None, "+39 333 x"),
        ] {
            assert!(phone(text, country.and_then(Country::named)).is_err(), "{country:?} {text}");
        }
    }
}
