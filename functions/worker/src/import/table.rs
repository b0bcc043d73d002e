//! The uploaded file as rows: its encoding, its delimiter, its columns.

use std::borrow::Cow;
use std::ops::Range;

use csv::{ReaderBuilder, StringRecord};
use domain::import::{Columns, MOST_BYTES, MOST_ROWS};
use encoding_rs::WINDOWS_1252;

/// More columns than any list of customers has.
const MOST_COLUMNS: usize = 500;

/// Why a file can't be imported, in words for the person who uploaded it.
pub(crate) type Problem = String;

/// A file that was read. It is decoded once, and rows are found by their place in it.
#[derive(Debug)]
pub(crate) struct Table {
    text: String,
    delimiter: u8,
    /// Where each row lies in the text.
    rows: Vec<Range<usize>>,
    /// The place of each wanted column.
    places: Vec<(String, usize)>,
}

/// The text of a file: UTF-8 or UTF-16 by its mark, otherwise UTF-8 if it is that, otherwise Windows-1252, which Excel
/// writes.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, Problem> {
    // Nothing is unpacked: a small archive may hold more than any memory.
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(b"PK\x03\x04") {
        return Err("The file is compressed or a spreadsheet. Save it as CSV.".to_owned());
    }
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
        return if broken { Err(format!("The file begins as {} and is not all of it.", encoding.name())) } else { Ok(text) };
    }
    if bytes.contains(&0) {
        return Err("The file has zero bytes: it is no text, or UTF-16 without its mark.".to_owned());
    }
    Ok(std::str::from_utf8(bytes).map_or_else(|_| WINDOWS_1252.decode_without_bom_handling(bytes).0, Cow::Borrowed))
}

/// The most frequent of the usual delimiters in the first row, outside quotes.
fn delimiter(text: &str) -> u8 {
    let mut quoted = false;
    let first = text.bytes().take_while(|byte| {
        quoted ^= *byte == b'"';
        quoted || !matches!(byte, b'\n' | b'\r')
    });
    let (mut counts, mut inside) = ([(b',', 0_usize), (b';', 0), (b'\t', 0)], false);
    for byte in first {
        inside ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == byte && !inside) {
            *count += 1;
        }
    }
    // Of equals the first: a single column is the same with each.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

/// A cell as it was before an export guarded it: one apostrophe is taken off.
fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell).trim()
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no CSV of at most [`MOST_ROWS`] rows, or a column is missing.
    pub(crate) fn read(bytes: &[u8], columns: &Columns) -> Result<Self, Problem> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err("The file is longer than 50 MB.".to_owned());
        }
        let text = decoded(bytes)?.into_owned();
        let delimiter = delimiter(&text);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
        let (mut record, mut rows, mut header) = (StringRecord::new(), Vec::new(), None::<StringRecord>);
        loop {
            let from = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(format!("Row {} can't be read: {}", rows.len() + 1, kind(&error))),
            }
            if record.len() > MOST_COLUMNS {
                return Err(format!("Row {} has more than {MOST_COLUMNS} columns.", rows.len() + usize::from(header.is_some()) + 1));
            }
            let to = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            if header.is_none() {
                header = Some(record.clone());
            } else if rows.len() == MOST_ROWS {
                return Err(format!("The file has more than {MOST_ROWS} rows. Import it in parts."));
            } else {
                rows.push(from..to);
            }
        }
        let header = header.ok_or_else(|| "The file is empty.".to_owned())?;
        let heads: Vec<String> = header.iter().map(|head| unguarded(head).to_lowercase()).collect();
        let mut places = Vec::new();
        for (what, heading) in columns.headings() {
            let mut at = heads.iter().enumerate().filter(|(_, head)| **head == heading.trim().to_lowercase()).map(|(at, _)| at);
            match (at.next(), at.next()) {
                (Some(place), None) => places.push((what, place)),
                (Some(_), Some(_)) => return Err(format!("columns.{what}: the file has several columns \"{heading}\".")),
                (None, _) => return Err(format!("columns.{what}: the file has no column \"{heading}\".")),
            }
        }
        Ok(Self { text, delimiter, rows, places })
    }

    /// How many rows there are, without the header.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The cells of a row, counted from 0, by the name of what they are. Empty ones are left out.
    pub(crate) fn row(&self, at: usize) -> Vec<(&str, String)> {
        let Some(text) = self.rows.get(at).and_then(|row| self.text.get(row.clone())) else { return Vec::new() };
        let mut reader = ReaderBuilder::new().delimiter(self.delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        if !reader.read_record(&mut record).unwrap_or_default() {
            return Vec::new();
        }
        let cell = |(what, place): &(String, usize)| record.get(*place).map(|cell| (what.clone(), unguarded(cell).to_owned()));
        let cells = self.places.iter().filter_map(cell).filter(|(_, cell)| !cell.is_empty());
        cells.filter_map(|(what, cell)| Some((self.places.iter().find(|(known, _)| *known == what)?.0.as_str(), cell))).collect()
    }
}

/// What is wrong, without the contents.
fn kind(error: &csv::Error) -> &'static str {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is no text.",
        _ => "it is no CSV.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        Columns { phone: Some("Phone".into()), name: Some("Name".into()), ..Columns::default() }
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<(String, String)>>, Problem> {
        let table = Table::read(bytes, &columns())?;
        let row = |at| table.row(at).into_iter().map(|(what, cell)| (what.to_owned(), cell)).collect();
        Ok((0..table.len()).map(row).collect())
    }

    fn cells(phone: &str, name: &str) -> Vec<(String, String)> {
        vec![("phone".to_owned(), phone.to_owned()), ("name".to_owned(), name.to_owned())]
    }

    #[test]
    fn every_usual_encoding_and_delimiter_is_read() {
        let expected = vec![cells("+39333", "Zoë"), cells("+39334", "a;b,c")];
        for delimiter in [",", ";", "\t"] {
            let text = format!("Phone{delimiter}name\r\n'+39333{delimiter}Zoë\r\n+39334{delimiter}\"a;b,c\"\r\n");
            let wide = |bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
                mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
            };
            let narrow: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            for bytes in [
                text.clone().into_bytes(),
                format!("\u{feff}{text}").into_bytes(),
                wide(u16::to_le_bytes, [0xff, 0xfe]),
                wide(u16::to_be_bytes, [0xfe, 0xff]),
                narrow,
            ] {
                assert_eq!(read(&bytes).unwrap(), expected, "{delimiter:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn a_row_may_span_lines_and_lack_cells_and_blank_lines_are_none() {
        let rows = read(b"Name,Phone\n\"Zo\ne\",+39333\n\nRossi\n").unwrap();
        assert_eq!(rows, [cells("+39333", "Zo\ne"), vec![("name".to_owned(), "Rossi".to_owned())]]);
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_the_reason() {
        let wide = [b"Phone,Name\n".to_vec(), vec![b','; 1_000_000]].concat();
        let broken = [&[0xff, 0xfe][..], b"\x00\xd8a"].concat();
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04rest", "compressed"),
            (&[0x1f, 0x8b, 8], "compressed"),
            (b"P\0h\0o\0", "zero bytes"),
            (&broken, "UTF-16"),
            (b"Phone,Vorname\n", "columns.name"),
            (b"Phone,Name,name\n", "several"),
            (&wide, "Row 2 has more than 500 columns"),
        ] {
            let problem = read(bytes).unwrap_err();
            assert!(problem.contains(says), "{says}: {problem}");
        }
        let many = format!("Phone,Name\n{}", "+39333,x\n".repeat(MOST_ROWS + 1));
        assert!(read(many.as_bytes()).unwrap_err().contains("more than 200000 rows"));
    }
}
