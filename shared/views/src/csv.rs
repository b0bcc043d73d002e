//! CSV for spreadsheets: UTF-8 with a byte order mark, comma, CRLF, and no cell that a spreadsheet takes for a
//! formula.

use csv::{Terminator, Writer, WriterBuilder};

/// What Excel needs to read UTF-8.
pub const MARK: &str = "\u{feff}";

/// The characters that make a spreadsheet calculate (OWASP, "CSV Injection"), with their full-width forms. An
/// apostrophe is in the list so that an import can take exactly one off.
const ACTIVE: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', '\''];

/// The cell as it is written: an active beginning gets an apostrophe, which spreadsheets don't show. `raw` leaves it
/// as it is, for programs.
pub fn cell(text: &str, raw: bool) -> String {
    if !raw && text.starts_with(ACTIVE) { format!("'{text}") } else { text.to_owned() }
}

/// Rows as bytes.
#[derive(Debug)]
pub struct Rows {
    writer: Writer<Vec<u8>>,
    raw: bool,
}

impl Rows {
    /// Rows behind the bytes that are there.
    pub fn behind(bytes: Vec<u8>, raw: bool) -> Self {
        Self { writer: WriterBuilder::new().terminator(Terminator::CRLF).flexible(false).from_writer(bytes), raw }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// It has not as many cells as the rows before.
    pub fn add<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> Result<(), csv::Error> {
        self.writer.write_record(cells.into_iter().map(|text| cell(text, self.raw)))
    }

    /// How many bytes there are, some of the latest rows left out.
    pub fn size(&self) -> usize {
        self.writer.get_ref().len()
    }

    /// The bytes; `None` if they could not be written, which does not happen in memory.
    pub fn finish(self) -> Option<Vec<u8>> {
        self.writer.into_inner().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As an import reads a cell.
    fn taken_off(cell: &str) -> &str {
        cell.strip_prefix('\'').unwrap_or(cell)
    }

    fn written(rows: &[Vec<String>], raw: bool) -> Vec<u8> {
        let mut written = Rows::behind(Vec::new(), raw);
        rows.iter().for_each(|row| written.add(row.iter().map(String::as_str)).unwrap());
        written.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    /// What a spreadsheet may take for the beginning of a formula. It is written here once more, so that a beginning
    /// that the code forgets is found.
    const DANGEROUS: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

    /// Texts that begin with anything, often with something dangerous or with the mark against it.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            (prop::sample::select([&DANGEROUS[..], &['\'']].concat()), any::<String>()).prop_map(|(first, rest)| format!("{first}{rest}"))
        ]
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_and_an_import_reads_what_was_exported(rows in prop::collection::vec(prop::collection::vec(texts(), 3), 1..5)) {
            let cells = read(&written(&rows, false));
            for cell in cells.iter().flatten() {
                prop_assert!(!cell.starts_with(DANGEROUS), "{cell:?}");
            }
            let back: Vec<Vec<String>> = cells.iter().map(|row| row.iter().map(|cell| taken_off(cell).to_owned()).collect()).collect();
            prop_assert_eq!(back, rows);
        }

        #[test]
        fn raw_cells_stay_as_they_are(rows in prop::collection::vec(prop::collection::vec(texts(), 2), 1..5)) {
            prop_assert_eq!(read(&written(&rows, true)), rows);
        }
    }

    #[test]
    fn lines_end_with_both_characters_and_a_phone_number_is_text() {
        let row = ["+393331234567", "a \"quoted\", text"].map(str::to_owned).to_vec();
        assert_eq!(String::from_utf8(written(&[row], false)).unwrap(), "'+393331234567,\"a \"\"quoted\"\", text\"\r\n");
    }
}
