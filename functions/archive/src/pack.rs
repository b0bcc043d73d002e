//! Zips. The same entries always give the same bytes, so a repetition overwrites an object with itself.

use std::io::{Cursor, Write};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A zip in memory.
pub(crate) struct Pack(ZipWriter<Cursor<Vec<u8>>>);

impl Pack {
    /// An empty zip.
    pub(crate) fn new() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }

    /// Adds a text, compressed.
    pub(crate) fn text(&mut self, name: &str, text: &[u8]) -> ZipResult<()> {
        self.entry(name, text, CompressionMethod::Deflated)
    }

    /// Adds a file as it is: pictures, recordings and documents are compressed already.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> ZipResult<()> {
        self.entry(name, bytes, CompressionMethod::Stored)
    }

    /// The zip's bytes.
    pub(crate) fn finish(self) -> ZipResult<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }

    fn entry(&mut self, name: &str, bytes: &[u8], method: CompressionMethod) -> ZipResult<()> {
        // The format's earliest time, so that the bytes don't depend on the clock.
        let options =
            SimpleFileOptions::default().compression_method(method).last_modified_time(DateTime::default()).unix_permissions(0o644);
        self.0.start_file(name, options)?;
        self.0.write_all(bytes)?;
        Ok(())
    }
}
