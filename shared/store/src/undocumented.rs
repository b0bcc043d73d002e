//! Interactions that closed in a version before the documents, so that a search for a text reads their threads.

use domain::interaction::Interaction;
use domain::search::Document;
use engine::ports::{PortError, Store, System, World};

use crate::codec::PortResult;
use crate::documents::Documents;
use crate::interactions::Interactions;
use crate::transaction::{Cause, Expression, Outcome};
use crate::unlisted::ScannedInteractions;
use crate::{codec, keys};

/// How often an interaction is tried that somebody changes at the same instant. Closed ones have hardly any rivals.
const ATTEMPTS: u32 = 5;

/// What became of the document of an interaction that had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documented {
    /// It is written.
    Now,
    /// Nothing was written: it is there already, the interaction was deleted, or it is to have none.
    Not,
    /// A message of the thread can't be read.
    Unreadable,
}

/// What a lost write meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The interaction was changed or deleted since it was read.
    Changed,
    /// A document.
    There,
}

impl Interactions {
    /// The table of documents.
    fn derived(&self) -> PortResult<&Documents> {
        self.documents.as_ref().ok_or_else(|| PortError { operation: "documents", reason: "no table".to_owned() })
    }

    /// A part of the table, a megabyte at most, with the closed interactions in it that have no document: from the
    /// beginning, or from a [`ScannedInteractions::next`] on. It reads everything that lies between them too.
    ///
    /// # Errors
    /// A table can't be read.
    pub async fn scan_undocumented(&self, after: Option<&str>) -> PortResult<ScannedInteractions> {
        let mut part = self.scan_interactions(after, "").await?;
        // One that was merged is found with the one that absorbed it.
        part.interactions.retain(|interaction| !interaction.is_open() && interaction.merged_into.is_none());
        let there = self.derived()?.there(part.interactions.iter().map(|interaction| &interaction.id)).await?;
        part.interactions.retain(|interaction| !there.contains(&interaction.id));
        Ok(part)
    }

    /// Writes the document of a closed interaction that was read, unless it has one or was deleted.
    ///
    /// `archive` writes a document with every later change of the thread, and replaces what is there. So one that is
    /// there is left alone: it may be newer than what was read here. And one that is written here before such a
    /// change is replaced by it. What deletes, merges or opens an interaction changes its item, on which the write
    /// depends.
    ///
    /// # Errors
    /// A table can't be read or written. It is safe to call again.
    pub async fn document_late(&self, interaction: &Interaction) -> PortResult<Documented> {
        let mut known = interaction.clone();
        for attempt in 1..=ATTEMPTS {
            let messages = match self.all_messages(&known).await {
                Ok(messages) => messages,
                Err(error) if codec::is_undecodable(&error) => return Ok(Documented::Unreadable),
                Err(error) => return Err(error),
            };
            let document = Document::of(&known, &messages).filter(|_| known.merged_into.is_none());
            let Some(document) = document else { return Ok(Documented::Not) };
            let mut transaction = self.table.transaction();
            transaction.check(keys::interaction(&known.key()), Expression::version(known.version), Lost::Changed);
            self.derived()?.put_new_in(&mut transaction, &document, Lost::There)?;
            match transaction.send().await? {
                Outcome::Done => return Ok(Documented::Now),
                Outcome::Lost(lost) if lost.contains(&(Lost::There, Cause::Condition)) => return Ok(Documented::Not),
                Outcome::Lost(_) | Outcome::UnderWay => {
                    System.pause(attempt).await;
                    match self.interaction(&known.key()).await? {
                        Some(now) => known = now,
                        None => return Ok(Documented::Not),
                    }
                }
            }
        }
        Err(PortError { operation: "document an interaction", reason: format!("it changed {ATTEMPTS} times") })
    }
}
