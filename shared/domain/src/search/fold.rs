//! Texts as they are compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The text without case, accents, and blanks that don't show: NFKD without marks, lower case, letters that only look
/// like another one (`ø`, `ß`) in the plain letters that people type for them, and one space for any blanks. Folding
/// twice changes nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut blank = false;
    // Lower case comes between two rounds: some letters have a mark only in one case.
    for letter in text.nfkd().flat_map(char::to_lowercase).nfkd().filter(|letter| !is_combining_mark(*letter)) {
        if letter.is_whitespace() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) && !folded.is_empty() {
            folded.push(' ');
        }
        match letter {
            'ß' => folded.push_str("ss"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            // At the end of a word, Greek writes its s another way.
            'ς' => folded.push('σ'),
            letter => folded.push(letter),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_and_blanks_make_no_difference() {
        for (one, other) in [
            ("Perché", "perche"),
            ("PERCHE\u{301}", "perché"),
            ("Straße", "STRASSE"),
            ("Øre Łódź Đorđe", "ore lodz dorde"),
            ("Æsop cœur", "aesop coeur"),
            ("  a\u{a0}\n b\t", "a b"),
            ("ﬁn ①", "fin 1"),
            ("İstanbul", "istanbul"),
            ("ΟΔΟΣ", "οδος"),
            ("ｗｉｄｅ", "wide"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        assert_ne!(fold("a b"), fold("ab"));
        assert_eq!(fold(" \u{301} "), "");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC*") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn a_part_of_a_text_is_found_in_it(before in "[a-zA-Zàèéß ]{0,8}", part in "[a-zA-Zàèéß]{1,8}", after in "[a-zA-Zàèéß ]{0,8}") {
            let whole = format!("{before}{part}{after}");
            prop_assert!(fold(&whole).contains(&fold(&part.to_uppercase())));
        }
    }
}
