//! The translators' own codes of languages: those of Amazon Translate's and Google's lists that differ from BCP 47.

use domain::language::Language;

/// Amazon Translate's code.
pub(super) fn of_amazon(language: &Language) -> String {
    let code = match language.as_str() {
        code if is_traditional_chinese(code) => "zh-TW",
        code @ ("pt-PT" | "fr-CA" | "fa-AF") => code,
        "es-MX" | "es-419" => "es-MX",
        _ => match language.primary() {
            "nb" => "no",
            "fil" => "tl",
            "iw" => "he",
            primary => primary,
        },
    };
    code.to_owned()
}

/// Google's code.
pub(super) fn of_google(language: &Language) -> String {
    let code = match language.as_str() {
        code if is_traditional_chinese(code) => "zh-TW",
        code @ ("pt-PT" | "fr-CA") => code,
        _ => match language.primary() {
            "zh" => "zh-CN",
            "nb" => "no",
            "iw" => "he",
            primary => primary,
        },
    };
    code.to_owned()
}

fn is_traditional_chinese(code: &str) -> bool {
    code.starts_with("zh-Hant") || matches!(code, "zh-TW" | "zh-HK" | "zh-MO")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_translator_gets_its_own_code() {
        for (code, amazon, google) in [
            ("it", "it", "it"),
            ("it-CH", "it", "it"),
            ("zh-Hans", "zh", "zh-CN"),
            ("zh-Hant-HK", "zh-TW", "zh-TW"),
            ("zh-HK", "zh-TW", "zh-TW"),
            ("pt-BR", "pt", "pt"),
            ("pt-PT", "pt-PT", "pt-PT"),
            ("nb", "no", "no"),
            ("fil", "tl", "fil"),
            ("iw", "he", "he"),
            ("es-419", "es-MX", "es"),
            ("fr-CA", "fr-CA", "fr-CA"),
        ] {
            let language = Language::parse(code).unwrap();
            assert_eq!((of_amazon(&language).as_str(), of_google(&language).as_str()), (amazon, google), "{code}");
        }
    }
}
