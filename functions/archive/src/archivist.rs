//! Writes the transcript and the log of one interaction, and the document by which searches find it.

use std::collections::BTreeMap;
use std::future::Future;

use cloud::aws::CallError;
use domain::effect::InteractionKey;
use domain::history::HistoryEntry;
use domain::ids::InteractionId;
use domain::interaction::Interaction;
use domain::message::{Copy, Message};
use domain::search::Document;
use engine::ports::{Directory, PortError};
use serde_json::Value;
use views::transcript::{File, Transcript, log_key, transcript_key};
use zip::result::ZipError;

use crate::pack::Pack;

/// The limit for the attachments of one zip together, in bytes. The zip is built in memory. With a growing buffer's
/// spare room and the largest single file (100 MB) it takes three quarters of the function's 2048 MB.
const MOST_ATTACHED: u64 = 200 << 20;

/// How often the archive is written because the interaction changed meanwhile. Only last attachments and delivery
/// reports change a closed interaction.
const ROUNDS: u32 = 3;

/// The records to read.
pub(crate) trait Records: Sync {
    /// The interaction.
    fn interaction(&self, key: &InteractionKey) -> impl Future<Output = Result<Option<Interaction>, PortError>> + Send;
    /// Its thread, with the threads of the interactions that it absorbed, oldest first, and what its own messages tell
    /// of its history.
    fn thread(&self, interaction: &Interaction) -> impl Future<Output = Result<(Vec<Message>, Vec<HistoryEntry>), PortError>> + Send;
    /// The thread as it is, or was a moment ago, for half the price.
    fn thread_lately(&self, interaction: &Interaction)
    -> impl Future<Output = Result<(Vec<Message>, Vec<HistoryEntry>), PortError>> + Send;
    /// Its history, oldest first, with what the messages `told`.
    fn history(&self, key: &InteractionKey, told: Vec<HistoryEntry>) -> impl Future<Output = Result<Vec<HistoryEntry>, PortError>> + Send;
    /// Writes a search's document, and replaces an earlier one.
    fn put_document(&self, document: &Document) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Deletes a search's document. An absent one is a success.
    fn delete_document(&self, interaction: &InteractionId) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The bucket.
pub(crate) trait Bucket: Sync {
    /// An object's bytes.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, CallError>> + Send;
    /// Deletes an object. An absent one is a success.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Writes an object, and replaces one with the same key.
    fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Writes transcripts and logs.
pub(crate) struct Archivist<R, D, B> {
    pub(crate) records: R,
    pub(crate) directory: D,
    pub(crate) bucket: B,
}

/// Why nothing, or not everything, was written. It is safe to repeat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Bucket(#[from] CallError),
    /// A fault of the program. The cause is not shown, because it may quote a name.
    #[error("the zip or the document could not be made")]
    Form,
    /// A closed interaction that keeps changing.
    #[error("the interaction changed {ROUNDS} times while it was written")]
    Restless,
}

impl From<ZipError> for ArchiveError {
    fn from(_: ZipError) -> Self {
        ArchiveError::Form
    }
}

/// An interaction as it was read.
#[derive(Debug, PartialEq)]
struct Snapshot {
    interaction: Interaction,
    messages: Vec<Message>,
    told: Vec<HistoryEntry>,
}

impl<R: Records, D: Directory, B: Bucket> Archivist<R, D, B> {
    /// Writes both transcripts of an interaction and, if it is closed, its log. Two runs at the same time may write
    /// in any order. A run that finds, after writing, that the interaction has changed writes again, so the last
    /// write is the newest.
    ///
    /// A merged interaction is in the thread of the one that absorbed it. If that one is closed too, its archive is
    /// made again.
    pub(crate) async fn archive(&self, key: &InteractionKey) -> Result<Written, ArchiveError> {
        let (written, mut merged_into) = self.archive_one(key).await?;
        // Mergers lead to ever older interactions, so the loop ends.
        while let Some(into) = merged_into {
            let Some(older) = self.records.interaction(&into).await? else { break };
            if !older.is_open() {
                self.archive_one(&into).await?;
            }
            merged_into = older.merged_into;
        }
        Ok(written)
    }

    /// Returns also the interaction into which this one was merged.
    async fn archive_one(&self, key: &InteractionKey) -> Result<(Written, Option<InteractionKey>), ArchiveError> {
        // The thread may be read too early: what was written is compared with what is there afterwards.
        let Some(interaction) = self.records.interaction(key).await? else { return Ok((Written::Nothing, None)) };
        let (messages, told) = self.records.thread_lately(&interaction).await?;
        let mut snapshot = Snapshot { interaction, messages, told };
        for _ in 0..ROUNDS {
            self.write(key, &snapshot).await?;
            let Some(latest) = self.snapshot(key).await? else {
                self.forget(&snapshot.interaction).await?;
                return Ok((Written::Nothing, None));
            };
            if latest == snapshot {
                let written = if snapshot.interaction.is_open() { Written::Transcript } else { Written::TranscriptAndLog };
                return Ok((written, snapshot.interaction.merged_into));
            }
            snapshot = latest;
        }
        // An open interaction goes on, so its transcript is a snapshot anyway.
        if snapshot.interaction.is_open() {
            Ok((Written::Transcript, snapshot.interaction.merged_into))
        } else {
            Err(ArchiveError::Restless)
        }
    }

    /// Deletes what was written for an interaction that was deleted meanwhile.
    async fn forget(&self, interaction: &Interaction) -> Result<(), ArchiveError> {
        let transcripts = [false, true].map(|attachments| transcript_key(interaction, attachments));
        for key in transcripts.into_iter().chain(log_key(interaction)) {
            self.bucket.delete(&key).await?;
        }
        Ok(self.records.delete_document(&interaction.id).await?)
    }

    async fn snapshot(&self, key: &InteractionKey) -> Result<Option<Snapshot>, PortError> {
        let Some(interaction) = self.records.interaction(key).await? else { return Ok(None) };
        let (messages, told) = self.records.thread(&interaction).await?;
        Ok(Some(Snapshot { interaction, messages, told }))
    }

    async fn write(&self, key: &InteractionKey, snapshot: &Snapshot) -> Result<(), ArchiveError> {
        let Snapshot { interaction, messages, told } = snapshot;
        // First, since people search sooner than they read transcripts. One that was merged is found with the one that
        // absorbed it.
        match Document::of(interaction, messages).filter(|_| interaction.merged_into.is_none()) {
            Some(document) => self.records.put_document(&document).await?,
            None => self.records.delete_document(&interaction.id).await?,
        }
        let account = self.directory.account(&interaction.account).await?;
        let agents = self.directory.agents().await?;
        let mut transcript = Transcript { account: account.as_deref(), interaction, messages, agents: &agents, left_out: BTreeMap::new() };

        let mut plain = Pack::new();
        add_texts(&mut plain, &transcript)?;
        self.bucket.put(&transcript_key(interaction, false), plain.finish()?, ZIP).await?;
        if let Some(log_key) = log_key(interaction) {
            let history = self.records.history(key, told.clone()).await?;
            self.bucket.put(&log_key, pretty(&transcript.log(&history))?, "application/json").await?;
        }

        let files = transcript.files();
        let (taken, left_out) = choose(&files, MOST_ATTACHED);
        transcript.left_out = left_out;
        let mut full = Pack::new();
        // One by one, so that only one file at a time is in memory beside the zip.
        for (file, object) in taken {
            match self.bucket.get(object).await? {
                Some(bytes) => full.file(&format!("attachments/{}", file.name), &bytes)?,
                None => drop(transcript.left_out.insert(file.number, "the copy is no longer there".to_owned())),
            }
        }
        add_texts(&mut full, &transcript)?;
        self.bucket.put(&transcript_key(interaction, true), full.finish()?, ZIP).await?;
        Ok(())
    }
}

/// The objects that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The interaction is gone.
    Nothing,
    /// The interaction is open: the transcript is a snapshot.
    Transcript,
    /// The interaction is closed.
    TranscriptAndLog,
}

const ZIP: &str = "application/zip";

/// The copies to pack, each with its object's key, and those that are left out because all together would be more
/// than `most` bytes.
fn choose<'a>(files: &[File<'a>], most: u64) -> (Vec<(File<'a>, &'a str)>, BTreeMap<usize, String>) {
    let (mut taken, mut left_out, mut total) = (Vec::new(), BTreeMap::new(), 0_u64);
    for file in files {
        let Copy::Stored { key, size, .. } = &file.attachment.copy else { continue };
        match total.checked_add(*size).filter(|sum| *sum <= most) {
            Some(sum) => {
                total = sum;
                taken.push((file.clone(), key.as_str()));
            }
            None => {
                left_out.insert(file.number, format!("the attachments are larger than {} MB together", most >> 20));
            }
        }
    }
    (taken, left_out)
}

fn add_texts(pack: &mut Pack, transcript: &Transcript<'_>) -> Result<(), ArchiveError> {
    pack.text("transcript.txt", transcript.text().as_bytes())?;
    pack.text("transcript.json", &pretty(&transcript.json())?)?;
    Ok(())
}

fn pretty(document: &Value) -> Result<Vec<u8>, ArchiveError> {
    serde_json::to_vec_pretty(document).map_err(|_| ArchiveError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::{Cursor, Read};
    use std::sync::Mutex;

    use domain::effect::ConversationKey;
    use domain::history::Fact;
    use domain::interaction::Status;
    use domain::message::{Attachment, Content, Measures, thumbnail_key};

    use engine::memory::{Memory, MemoryDirectory};
    use jiff::Timestamp;
    use ulid::Ulid;

    /// Each read takes the next state. The last state stays.
    #[derive(Default)]
    struct FakeRecords(
        Mutex<VecDeque<(Interaction, Vec<Message>)>>,
        Mutex<BTreeMap<InteractionId, Interaction>>,
        Mutex<BTreeMap<InteractionId, Document>>,
    );

    impl FakeRecords {
        fn current(&self) -> Option<(Interaction, Vec<Message>)> {
            self.0.lock().unwrap().front().cloned()
        }
    }

    impl Records for FakeRecords {
        async fn interaction(&self, key: &InteractionKey) -> Result<Option<Interaction>, PortError> {
            if let Some(other) = self.1.lock().unwrap().get(&key.interaction) {
                return Ok(Some(other.clone()));
            }
            Ok(self.current().map(|(interaction, _)| interaction))
        }

        async fn thread_lately(&self, interaction: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
            self.thread(interaction).await
        }

        async fn thread(&self, _: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
            let current = self.current();
            let mut states = self.0.lock().unwrap();
            if states.len() > 1 {
                states.pop_front();
            }
            Ok((current.map(|(_, messages)| messages).unwrap_or_default(), Vec::new()))
        }

        async fn history(&self, _: &InteractionKey, _: Vec<HistoryEntry>) -> Result<Vec<HistoryEntry>, PortError> {
            Ok(vec![HistoryEntry { at: now(), version: 1, role: None, fact: Fact::Opened }])
        }

        async fn put_document(&self, document: &Document) -> Result<(), PortError> {
            self.2.lock().unwrap().insert(document.interaction.clone(), document.clone());
            Ok(())
        }

        async fn delete_document(&self, interaction: &InteractionId) -> Result<(), PortError> {
            self.2.lock().unwrap().remove(interaction);
            Ok(())
        }
    }

    #[derive(Default)]
    struct FakeBucket(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Bucket for FakeBucket {
        async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
            Ok(self.0.lock().unwrap().get(key).cloned())
        }

        async fn put(&self, key: &str, bytes: Vec<u8>, _: &str) -> Result<(), CallError> {
            self.0.lock().unwrap().insert(key.into(), bytes);
            Ok(())
        }

        async fn delete(&self, key: &str) -> Result<(), CallError> {
            self.0.lock().unwrap().remove(key);
            Ok(())
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T10:00:00Z".parse().unwrap()
    }

    fn interaction(status: Status, version: u64) -> Interaction {
        let closed_at = (status == Status::Closed).then(now);
        Interaction { version, closed_at, ..domain::fixtures::interaction(status, now()) }
    }

    fn key() -> InteractionKey {
        let interaction = interaction(Status::Open, 1);
        let conversation = ConversationKey { account: interaction.account, contact: interaction.contact };
        InteractionKey { conversation, interaction: interaction.id }
    }

    fn message(copies: Vec<Copy>) -> Message {
        Message {
            attachments: copies
                .into_iter()
                .map(|copy| Attachment {
                    source: "https://x".into(),
                    content_type: "image/png".into(),
                    name: Some("foto.png".into()),
                    kind: None,
                    sha256: None,
                    copy,
                })
                .collect(),
            ..domain::fixtures::message(now())
        }
    }

    fn stored(key: &str, size: u64) -> Copy {
        Copy::Stored { key: key.into(), size, content_type: "image/png".into(), measures: Measures::default(), thumbnail: true }
    }

    fn archivist(states: impl IntoIterator<Item = (Interaction, Vec<Message>)>) -> Archivist<FakeRecords, MemoryDirectory, FakeBucket> {
        let records = FakeRecords(Mutex::new(states.into_iter().collect()), Mutex::default(), Mutex::default());
        let bucket = FakeBucket(Mutex::new(BTreeMap::from([
            ("media/1".to_owned(), b"\x89PNG".to_vec()),
            (thumbnail_key("media/1"), b"small".to_vec()),
        ])));
        Archivist { records, directory: Memory::new().directory(), bucket }
    }

    fn unpacked(zip: &[u8]) -> BTreeMap<String, String> {
        let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        (0..zip.len())
            .map(|index| {
                let mut entry = zip.by_index(index).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (entry.name().unwrap().into_owned(), String::from_utf8_lossy(&bytes).into_owned())
            })
            .collect()
    }

    impl Archivist<FakeRecords, MemoryDirectory, FakeBucket> {
        fn object(&self, key: &str) -> Option<Vec<u8>> {
            self.bucket.0.lock().unwrap().get(key).cloned()
        }

        fn zip(&self, attachments: bool) -> BTreeMap<String, String> {
            unpacked(&self.object(&transcript_key(&interaction(Status::Open, 1), attachments)).unwrap())
        }
    }

    #[tokio::test]
    async fn a_closed_interaction_has_a_transcript_with_and_without_attachments_and_a_log() {
        let closed = interaction(Status::Closed, 4);
        let copies = vec![stored("media/1", 4), stored("media/gone", 4), Copy::Failed { reason: "too large".into() }];
        let archivist = archivist([(closed.clone(), vec![message(copies)])]);
        assert_eq!(archivist.archive(&key()).await.unwrap(), Written::TranscriptAndLog);

        let plain = archivist.zip(false);
        assert_eq!(plain.keys().collect::<Vec<_>>(), ["transcript.json", "transcript.txt"]);
        assert!(plain["transcript.txt"].contains("Customer: Buongiorno"));
        let full = archivist.zip(true);
        assert_eq!(full.keys().collect::<Vec<_>>(), ["attachments/1-foto.png", "transcript.json", "transcript.txt"]);
        assert!(full["transcript.txt"].contains("2-foto.png, image/png, 4 bytes, left out here: the copy is no longer there"));
        assert!(full["transcript.txt"].contains("3-foto.png could not be copied: too large"));
        let log: Value = serde_json::from_slice(&archivist.object(&log_key(&closed).unwrap()).unwrap()).unwrap();
        assert_eq!(log["history"][0]["fact"], "opened");
        assert_eq!(log["messages"].as_array().unwrap().len(), 1);
    }

    /// An interaction that is deleted once it has been read.
    struct Vanishing(Mutex<Option<Interaction>>, Mutex<BTreeMap<InteractionId, Document>>);

    impl Records for Vanishing {
        async fn interaction(&self, _: &InteractionKey) -> Result<Option<Interaction>, PortError> {
            Ok(self.0.lock().unwrap().take())
        }

        async fn thread_lately(&self, interaction: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
            self.thread(interaction).await
        }

        async fn thread(&self, _: &Interaction) -> Result<(Vec<Message>, Vec<HistoryEntry>), PortError> {
            Ok((vec![message(vec![])], Vec::new()))
        }

        async fn history(&self, _: &InteractionKey, _: Vec<HistoryEntry>) -> Result<Vec<HistoryEntry>, PortError> {
            Ok(Vec::new())
        }

        async fn put_document(&self, document: &Document) -> Result<(), PortError> {
            self.1.lock().unwrap().insert(document.interaction.clone(), document.clone());
            Ok(())
        }

        async fn delete_document(&self, interaction: &InteractionId) -> Result<(), PortError> {
            self.1.lock().unwrap().remove(interaction);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_interaction_has_the_document_of_its_latest_state_and_an_open_or_merged_one_has_none() {
        let closed = interaction(Status::Closed, 4);
        let said = |body: &str| Message { content: Content::Text { body: body.to_owned() }, ..message(vec![]) };
        // A message is corrected while the transcript is written.
        let states = [(closed.clone(), vec![said("Domani")]), (closed.clone(), vec![said("Perché no")])];
        let archivist = archivist(states);
        archivist.archive(&key()).await.unwrap();
        let documents = archivist.records.2.lock().unwrap().clone();
        assert_eq!(documents.into_values().collect::<Vec<_>>(), [Document::of(&closed, &[said("Perché no")]).unwrap()]);

        let merged = Interaction { merged_into: Some(key()), ..closed.clone() };
        let long = "a ".repeat(Document::LONGEST / 2 + 1);
        for (now, body) in [(interaction(Status::Open, 5), "Domani"), (merged, "Domani"), (closed.clone(), long.as_str())] {
            let archivist = self::archivist([(now, vec![said(body)])]);
            let earlier = Document::of(&closed, &[said("Domani")]).unwrap();
            archivist.records.put_document(&earlier).await.unwrap();
            // One that was merged into itself would go round for ever.
            archivist.archive_one(&key()).await.unwrap();
            assert!(archivist.records.2.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn what_was_written_for_an_interaction_that_was_deleted_meanwhile_is_deleted() {
        let records = Vanishing(Mutex::new(Some(interaction(Status::Closed, 4))), Mutex::default());
        let archivist = Archivist { records, directory: Memory::new().directory(), bucket: FakeBucket::default() };
        assert_eq!(archivist.archive(&key()).await.unwrap(), Written::Nothing);
        assert!(archivist.bucket.0.lock().unwrap().is_empty());
        assert!(archivist.records.1.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_open_interaction_has_no_log() {
        let archivist = archivist([(interaction(Status::Open, 2), vec![message(vec![])])]);
        assert_eq!(archivist.archive(&key()).await.unwrap(), Written::Transcript);
        let objects = archivist.bucket.0.lock().unwrap();
        assert!(!objects.keys().any(|key| key.starts_with("logs/")));
        assert_eq!(objects.keys().filter(|key| key.starts_with("transcripts/")).count(), 2);
    }

    #[tokio::test]
    async fn archiving_a_merged_interaction_renews_the_archive_of_the_one_that_absorbed_it() {
        let into = InteractionKey { interaction: InteractionId::from_ulid(Ulid::from_parts(0, 9)), ..key() };
        let merged = Interaction { merged_into: Some(into.clone()), ..interaction(Status::Closed, 4) };
        let older = Interaction { id: into.interaction.clone(), absorbed: vec![key()], ..interaction(Status::Closed, 9) };
        let archivist = archivist([(merged.clone(), vec![message(vec![])])]);
        archivist.records.1.lock().unwrap().insert(into.interaction, older.clone());
        assert_eq!(archivist.archive(&key()).await.unwrap(), Written::TranscriptAndLog);
        for closed in [&merged, &older] {
            assert!(archivist.object(&log_key(closed).unwrap()).is_some());
        }
    }

    #[tokio::test]
    async fn the_same_interaction_gives_the_same_bytes() {
        let once = || async {
            let archivist = archivist([(interaction(Status::Closed, 4), vec![message(vec![stored("media/1", 4)])])]);
            archivist.archive(&key()).await.unwrap();
            archivist.bucket.0.into_inner().unwrap()
        };
        assert_eq!(once().await, once().await);
    }

    #[tokio::test]
    async fn an_attachment_that_settles_while_the_transcript_is_written_is_in_it() {
        let closed = interaction(Status::Closed, 4);
        let archivist =
            archivist([(closed.clone(), vec![message(vec![Copy::Pending])]), (closed, vec![message(vec![stored("media/1", 4)])])]);
        assert_eq!(archivist.archive(&key()).await.unwrap(), Written::TranscriptAndLog);
        assert!(archivist.zip(true).contains_key("attachments/1-foto.png"));
    }

    #[tokio::test]
    async fn an_interaction_that_closes_while_its_snapshot_is_written_ends_with_the_closed_one() {
        let states = [(interaction(Status::Open, 3), vec![message(vec![])]), (interaction(Status::Closed, 4), vec![message(vec![])])];
        assert_eq!(archivist(states).archive(&key()).await.unwrap(), Written::TranscriptAndLog);
    }

    #[tokio::test]
    async fn an_interaction_that_is_gone_is_done() {
        assert_eq!(archivist([]).archive(&key()).await.unwrap(), Written::Nothing);
    }

    #[test]
    fn attachments_beyond_the_limit_are_left_out_and_smaller_ones_still_fit() {
        let messages = [message(vec![
            stored("media/1", 60 << 20),
            stored("media/2", 150 << 20),
            stored("media/3", u64::MAX),
            stored("media/4", 140 << 20),
        ])];
        let (interaction, agents) = (interaction(Status::Closed, 4), BTreeMap::new());
        let transcript =
            Transcript { account: None, interaction: &interaction, messages: &messages, agents: &agents, left_out: BTreeMap::new() };
        let (taken, left_out) = choose(&transcript.files(), MOST_ATTACHED);
        assert_eq!(taken.iter().map(|(_, key)| *key).collect::<Vec<_>>(), ["media/1", "media/4"]);
        assert_eq!(left_out.keys().collect::<Vec<_>>(), [&2, &3]);
        assert_eq!(left_out[&2], "the attachments are larger than 200 MB together");
    }
}
