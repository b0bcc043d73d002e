//! Exports: rows become parts of a file in the bucket. A part is uploaded once it is long enough for S3; what is too
//! short is set aside as an object of its own, so that a unit of work can end at any time. In memory are a part, which
//! takes up to twice its 5 MB, and a page of messages for each of the threads that are read at once: 30 MB together.

use std::future::Future;

use cloud::aws::CallError;
use cloud::uploads::LEAST_PART;
use domain::contact::Contact;
use domain::ids::{InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::{Counts, File, Job, PART, Place, Task, Upload};
use engine::ports::{PortError, World};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use views::csv::{MARK, Rows};

use crate::rows::{self, Digest, Names};
use crate::steps::{Then, Unit, WorkError};

/// How long a unit gathers rows: a third of a step, so that somebody who cancels does not wait long.
const GATHERS: SignedDuration = SignedDuration::from_secs(20);

/// How many interactions are read in one batch, as many as DynamoDB takes.
const BATCH: usize = 100;

/// How many threads are read at once: each takes a page of 1 MB at most.
const AT_ONCE: usize = 16;

/// The records to export.
pub(crate) trait Records: Sync {
    /// A part of the job's ids.
    fn frozen(&self, job: &JobId, part: u64) -> impl Future<Output = Result<Vec<InteractionId>, PortError>> + Send;
    /// Interactions, in no order. Missing ones are left out.
    fn interactions(&self, ids: &[InteractionId]) -> impl Future<Output = Result<Vec<Interaction>, PortError>> + Send;
    /// What is told of an interaction's thread.
    fn digest(&self, interaction: &Interaction) -> impl Future<Output = Result<Digest, PortError>> + Send;
    /// Contacts from a place in the table on, and the place of the next ones.
    fn contacts(&self, after: Option<&str>) -> impl Future<Output = Result<(Vec<Contact>, Option<String>), PortError>> + Send;
    /// The names behind ids.
    fn names(&self) -> impl Future<Output = Result<Names, PortError>> + Send;
}

/// The bucket.
pub(crate) trait Bucket: Sync {
    /// Begins an upload, and returns its id.
    fn begin(&self, key: &str) -> impl Future<Output = Result<String, CallError>> + Send;
    /// Uploads a part, counted from 1; `None` if the upload is gone.
    fn part(&self, key: &str, upload: &str, number: i32, bytes: Vec<u8>) -> impl Future<Output = Result<Option<String>, CallError>> + Send;
    /// Makes the object of its parts. False if the upload is gone.
    fn complete(&self, key: &str, upload: &str, tags: &[String]) -> impl Future<Output = Result<bool, CallError>> + Send;
    /// Gives up an upload.
    fn abort(&self, key: &str, upload: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Writes an object.
    fn put(&self, key: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Reads an object.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, CallError>> + Send;
    /// The bytes of an object.
    fn size(&self, key: &str) -> impl Future<Output = Result<Option<u64>, CallError>> + Send;
    /// Deletes an object.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Writes exports.
pub(crate) struct Exporter<R, B, W> {
    pub(crate) records: R,
    pub(crate) bucket: B,
    pub(crate) world: W,
    /// The least size of a part, in bytes.
    pub(crate) least_part: usize,
}

impl<R, B, W> Exporter<R, B, W> {
    pub(crate) fn new(records: R, bucket: B, world: W) -> Self {
        Self { records, bucket, world, least_part: LEAST_PART }
    }
}

/// The export's file.
pub(crate) fn key(job: &JobId) -> String {
    format!("exports/{job}.csv")
}

impl<R: Records, B: Bucket, W: World> Exporter<R, B, W> {
    /// Does the unit at the job's place.
    pub(crate) async fn unit(&self, job: &Job) -> Result<Unit, WorkError> {
        let key = key(&job.id);
        let Job { counts, place, .. } = job.clone();
        if job.cancelled {
            if let Some(upload) = &place.upload {
                self.bucket.abort(&key, &upload.id).await?;
                self.forget_rest(upload).await?;
            }
            return Ok(Unit { counts, place, then: Then::Stopped });
        }
        let Some(upload) = place.upload.clone() else {
            let upload = Upload { id: self.bucket.begin(&key).await?, tags: Vec::new(), size: 0, rest: None };
            return Ok(Unit { counts, place: Place { upload: Some(upload), ..place }, then: Then::More });
        };
        let (raw, header): (bool, &[&str]) = match &job.task {
            Task::ExportInteractions { raw } => (*raw, &rows::INTERACTION),
            Task::ExportContacts { raw } => (*raw, &rows::CONTACT),
            Task::Delete { .. }
            | Task::PreviewDeletion { .. }
            | Task::PreviewRetention { .. }
            | Task::FillLists
            | Task::FillDocuments
            | Task::Erase { .. }
            | Task::ImportContacts(_) => {
                return Err(WorkError::Form);
            }
        };
        let begun = match &upload.rest {
            Some(rest) => match self.bucket.get(rest).await? {
                Some(bytes) => bytes,
                // An earlier attempt had completed the upload and deleted it.
                None => return self.gone(&key, counts, place).await,
            },
            None if upload.tags.is_empty() => MARK.as_bytes().to_vec(),
            None => Vec::new(),
        };
        let mut gathered = Gathered { rows: Rows::behind(begun, raw), counts, place, ended: false };
        if upload.tags.is_empty() && upload.rest.is_none() {
            gathered.rows.add(header.iter().copied()).map_err(|_| WorkError::Form)?;
        }
        let names = self.records.names().await?;
        let until = self.world.now().saturating_add(GATHERS).unwrap_or(Timestamp::MAX);
        while !gathered.ended && gathered.rows.size() < self.least_part && self.world.now() < until {
            match &job.task {
                Task::ExportInteractions { .. } => self.gather_interactions(&job.id, &names, &mut gathered).await?,
                Task::ExportContacts { .. } => self.gather_contacts(&names, &mut gathered).await?,
                Task::Delete { .. }
                | Task::PreviewDeletion { .. }
                | Task::PreviewRetention { .. }
                | Task::FillLists
                | Task::FillDocuments
                | Task::Erase { .. }
                | Task::ImportContacts(_) => {
                    return Err(WorkError::Form);
                }
            }
        }
        self.keep(&key, upload, gathered).await
    }

    /// Adds the next interactions in the order of their ids. Those that were deleted meanwhile are left out.
    async fn gather_interactions(&self, job: &JobId, names: &Names, gathered: &mut Gathered) -> Result<(), WorkError> {
        let Gathered { rows, counts, place, ended } = gathered;
        let in_part = place.index % PART as u64;
        let part = self.records.frozen(job, place.index / PART as u64).await?;
        let ids: Vec<InteractionId> = part.into_iter().skip(usize::try_from(in_part).unwrap_or(PART)).take(BATCH).collect();
        let mut found = self.records.interactions(&ids).await?;
        found.sort_by_key(|interaction| ids.iter().position(|id| *id == interaction.id));
        let reads: Vec<_> = found.iter().map(|interaction| self.records.digest(interaction)).collect();
        let digests: Vec<Digest> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        for (interaction, digest) in found.iter().zip(&digests) {
            let row = rows::of_interaction(interaction, digest, names);
            rows.add(row.iter().map(String::as_str)).map_err(|_| WorkError::Form)?;
        }
        counts.done += found.len() as u64;
        counts.skipped += (ids.len() - found.len()) as u64;
        place.index += ids.len() as u64;
        *ended = ids.is_empty() || place.index >= counts.total;
        Ok(())
    }

    /// Adds the contacts of the next part of the table. How many there are is known at the end.
    async fn gather_contacts(&self, names: &Names, gathered: &mut Gathered) -> Result<(), WorkError> {
        let Gathered { rows, counts, place, ended } = gathered;
        let (contacts, next) = self.records.contacts(place.after.as_deref()).await?;
        for contact in &contacts {
            let row = rows::of_contact(contact, names);
            rows.add(row.iter().map(String::as_str)).map_err(|_| WorkError::Form)?;
        }
        counts.done += contacts.len() as u64;
        counts.total = counts.done;
        place.index += 1;
        *ended = next.is_none();
        place.after = next;
        Ok(())
    }

    /// Writes what was gathered. The objects of the place before stay until the new place is saved.
    async fn keep(&self, key: &str, mut upload: Upload, gathered: Gathered) -> Result<Unit, WorkError> {
        let Gathered { rows, counts, mut place, ended } = gathered;
        let bytes = rows.finish().ok_or(WorkError::Form)?;
        let before = upload.clone();
        upload.rest = None;
        if !ended && bytes.len() < self.least_part {
            let rest = format!("{key}.{}", place.index);
            self.bucket.put(&rest, bytes).await?;
            upload.rest = Some(rest);
        } else {
            let number = i32::try_from(upload.tags.len() + 1).unwrap_or(i32::MAX);
            upload.size += bytes.len() as u64;
            match self.bucket.part(key, &upload.id, number, bytes).await? {
                Some(tag) => upload.tags.push(tag),
                None => return self.gone(key, counts, place).await,
            }
        }
        if ended {
            if !self.bucket.complete(key, &upload.id, &upload.tags).await? {
                return self.gone(key, counts, place).await;
            }
            self.forget_rest(&before).await?;
            let file = File { key: key.to_owned(), size: upload.size };
            return Ok(Unit { counts, place, then: Then::Done(Some(file)) });
        }
        place.upload = Some(upload);
        Ok(Unit { counts, place, then: Then::More })
    }

    /// The upload is gone: an earlier attempt completed it and could not say so, or it lay for more than a day and
    /// was removed. Then the export begins anew.
    async fn gone(&self, key: &str, counts: Counts, place: Place) -> Result<Unit, WorkError> {
        match self.bucket.size(key).await? {
            Some(size) => Ok(Unit { counts, place, then: Then::Done(Some(File { key: key.to_owned(), size })) }),
            None => {
                let counts = Counts { total: counts.total, ..Counts::default() };
                Ok(Unit { counts, place: Place { seek: place.seek, ..Place::default() }, then: Then::More })
            }
        }
    }

    async fn forget_rest(&self, upload: &Upload) -> Result<(), CallError> {
        match &upload.rest {
            // Earlier ones go with the bucket's rule for exports.
            Some(rest) => self.bucket.delete(rest).await,
            None => Ok(()),
        }
    }
}

/// What a unit has gathered.
struct Gathered {
    rows: Rows,
    counts: Counts,
    place: Place,
    ended: bool,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use domain::agent::Role;
    use domain::fixtures;
    use domain::interaction::Status;
    use domain::job::{Orderer, State};
    use engine::memory::VirtualWorld;
    use ulid::Ulid;

    use super::*;

    /// Interactions of which every seventh was deleted meanwhile, and a bucket in which calls can go wrong.
    struct Fakes {
        world: VirtualWorld,
        ids: Vec<InteractionId>,
        uploads: Mutex<BTreeMap<String, BTreeMap<i32, Vec<u8>>>>,
        objects: Mutex<BTreeMap<String, Vec<u8>>>,
        calls: Mutex<u32>,
        /// The number of the bucket's call that goes wrong, and whether it was done nevertheless.
        fails_at: Option<(u32, bool)>,
    }

    const TOTAL: u128 = 1_000;
    const LEAST: usize = 100_000;

    fn id(number: u128) -> InteractionId {
        InteractionId::from_ulid(Ulid::from_parts(1, number))
    }

    fn job(total: u128) -> Job {
        let by = Orderer { who: "agt_1".to_owned(), role: Role::Supervisor };
        let id = JobId::from_ulid(Ulid::from_parts(1, 1));
        Job::new(id, Task::ExportInteractions { raw: false }, by, u64::try_from(total).unwrap(), Timestamp::UNIX_EPOCH)
    }

    impl Fakes {
        fn new(fails_at: Option<(u32, bool)>) -> Self {
            Self {
                world: VirtualWorld::new(Timestamp::UNIX_EPOCH, 1),
                ids: (0..TOTAL).map(id).collect(),
                uploads: Mutex::default(),
                objects: Mutex::default(),
                calls: Mutex::default(),
                fails_at,
            }
        }

        fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, CallError> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            match self.fails_at {
                Some((at, done)) if at == *calls => {
                    if done {
                        call();
                    }
                    Err(CallError::NoAnswer { service: "s3" })
                }
                _ => Ok(call()),
            }
        }

        /// Carries out units until the job has ended; failed ones again.
        async fn play(&self, mut job: Job) -> Job {
            let exporter = Exporter { records: self, bucket: self, world: self.world.clone(), least_part: LEAST };
            for _ in 0..200 {
                let Ok(unit) = exporter.unit(&job).await else { continue };
                (job.counts, job.place) = (unit.counts, unit.place);
                if let Then::Done(file) = unit.then {
                    job.file = file;
                    job.end(State::Done, self.world.now());
                    return job;
                }
            }
            panic!("the export does not end");
        }

        fn file(&self) -> String {
            String::from_utf8(self.objects.lock().unwrap()[&key(&job(0).id)].clone()).unwrap()
        }
    }

    impl Records for &Fakes {
        async fn frozen(&self, _: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
            Ok(self.ids.chunks(PART).nth(usize::try_from(part).unwrap()).unwrap_or_default().to_vec())
        }

        async fn interactions(&self, ids: &[InteractionId]) -> Result<Vec<Interaction>, PortError> {
            let all = self.ids.iter().enumerate().filter(|(index, id)| index % 7 != 0 && ids.contains(id));
            let interaction =
                |id: &InteractionId| Interaction { id: id.clone(), ..fixtures::interaction(Status::Closed, Timestamp::UNIX_EPOCH) };
            Ok(all.rev().map(|(_, id)| interaction(id)).collect())
        }

        /// A batch takes 13 s, so that some units end before their part is long enough.
        async fn digest(&self, _: &Interaction) -> Result<Digest, PortError> {
            self.world.advance(SignedDuration::from_millis(150));
            let mut digest = Digest::default();
            digest.add(&fixtures::message(Timestamp::UNIX_EPOCH));
            Ok(digest)
        }

        async fn contacts(&self, _: Option<&str>) -> Result<(Vec<Contact>, Option<String>), PortError> {
            Ok((Vec::new(), None))
        }

        async fn names(&self) -> Result<Names, PortError> {
            Ok(crate::rows::tests::names())
        }
    }

    impl Bucket for &Fakes {
        async fn begin(&self, _: &str) -> Result<String, CallError> {
            self.call(|| {
                let mut uploads = self.uploads.lock().unwrap();
                let id = format!("upload-{}", uploads.len());
                uploads.insert(id.clone(), BTreeMap::new());
                id
            })
        }

        async fn part(&self, _: &str, upload: &str, number: i32, bytes: Vec<u8>) -> Result<Option<String>, CallError> {
            self.call(|| Some(self.uploads.lock().unwrap().get_mut(upload)?.insert(number, bytes)).map(|_| format!("tag-{number}")))
        }

        async fn complete(&self, key: &str, upload: &str, tags: &[String]) -> Result<bool, CallError> {
            self.call(|| {
                let Some(parts) = self.uploads.lock().unwrap().remove(upload) else { return false };
                assert_eq!(parts.keys().map(|number| format!("tag-{number}")).collect::<Vec<_>>(), tags);
                let short = parts.values().rev().skip(1).find(|part| part.len() < LEAST);
                assert!(short.is_none(), "S3 refuses a short part that is not the last");
                self.objects.lock().unwrap().insert(key.to_owned(), parts.into_values().flatten().collect());
                true
            })
        }

        async fn abort(&self, _: &str, upload: &str) -> Result<(), CallError> {
            self.call(|| drop(self.uploads.lock().unwrap().remove(upload)))
        }

        async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CallError> {
            self.call(|| drop(self.objects.lock().unwrap().insert(key.to_owned(), bytes)))
        }

        async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
            self.call(|| self.objects.lock().unwrap().get(key).cloned())
        }

        async fn size(&self, key: &str) -> Result<Option<u64>, CallError> {
            self.call(|| self.objects.lock().unwrap().get(key).map(|bytes| bytes.len() as u64))
        }

        async fn delete(&self, key: &str) -> Result<(), CallError> {
            self.call(|| drop(self.objects.lock().unwrap().remove(key)))
        }
    }

    #[tokio::test]
    async fn every_interaction_that_is_there_has_one_row_in_the_order_of_the_selection() {
        let fakes = Fakes::new(None);
        let job = fakes.play(job(TOTAL)).await;
        let file = fakes.file();
        assert!(file.starts_with("\u{feff}interaction,account,"));
        let rows: Vec<&str> = file.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
        let expected: Vec<String> = (0..TOTAL).filter(|number| number % 7 != 0).map(|number| id(number).to_string()).collect();
        assert_eq!(rows, expected);
        assert_eq!((job.counts.done, job.counts.skipped), (rows.len() as u64, 143));
        assert_eq!(job.file.unwrap().size, file.len() as u64);
        let rests = fakes.objects.lock().unwrap().len() - 1;
        assert!(rests >= 1 && *fakes.calls.lock().unwrap() >= 8, "it has several parts, and rests: {rests}");
    }

    #[tokio::test]
    async fn a_call_to_the_bucket_that_fails_changes_nothing_of_the_file() {
        let whole = Fakes::new(None);
        whole.play(job(TOTAL)).await;
        let calls = *whole.calls.lock().unwrap();
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = Fakes::new(Some(fails_at));
            let job = fakes.play(job(TOTAL)).await;
            assert_eq!(fakes.file(), whole.file(), "{fails_at:?}");
            assert_eq!(job.file.unwrap().size, whole.file().len() as u64, "{fails_at:?}");
        }
    }

    /// Interactions that are made up when they are read, and a bucket that keeps nothing but sizes.
    struct Many {
        world: VirtualWorld,
        total: u128,
        /// The bytes of the object that was set aside, of all parts, and the most that were in one call.
        rest: Mutex<usize>,
        parts: Mutex<Vec<usize>>,
        largest: Mutex<usize>,
        /// The most interactions that were read at once.
        at_once: Mutex<usize>,
    }

    impl Many {
        fn sees(&self, bytes: usize) -> usize {
            let mut largest = self.largest.lock().unwrap();
            *largest = (*largest).max(bytes);
            bytes
        }
    }

    impl Records for &Many {
        async fn frozen(&self, _: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
            let first = u128::from(part) * PART as u128;
            Ok((first..self.total.min(first + PART as u128)).map(id).collect())
        }

        /// A hundred take a second.
        async fn interactions(&self, ids: &[InteractionId]) -> Result<Vec<Interaction>, PortError> {
            self.world.advance(SignedDuration::from_secs(1));
            let mut at_once = self.at_once.lock().unwrap();
            *at_once = (*at_once).max(ids.len());
            let interaction =
                |id: &InteractionId| Interaction { id: id.clone(), ..fixtures::interaction(Status::Closed, Timestamp::UNIX_EPOCH) };
            Ok(ids.iter().map(interaction).collect())
        }

        async fn digest(&self, _: &Interaction) -> Result<Digest, PortError> {
            let mut digest = Digest::default();
            digest.add(&fixtures::message(Timestamp::UNIX_EPOCH));
            Ok(digest)
        }

        async fn contacts(&self, _: Option<&str>) -> Result<(Vec<Contact>, Option<String>), PortError> {
            Ok((Vec::new(), None))
        }

        async fn names(&self) -> Result<Names, PortError> {
            Ok(crate::rows::tests::names())
        }
    }

    impl Bucket for &Many {
        async fn begin(&self, _: &str) -> Result<String, CallError> {
            Ok("upload".to_owned())
        }

        async fn part(&self, _: &str, _: &str, number: i32, bytes: Vec<u8>) -> Result<Option<String>, CallError> {
            self.parts.lock().unwrap().push(self.sees(bytes.len()));
            Ok(Some(number.to_string()))
        }

        async fn complete(&self, _: &str, _: &str, _: &[String]) -> Result<bool, CallError> {
            Ok(true)
        }

        async fn abort(&self, _: &str, _: &str) -> Result<(), CallError> {
            Ok(())
        }

        async fn put(&self, _: &str, bytes: Vec<u8>) -> Result<(), CallError> {
            *self.rest.lock().unwrap() = self.sees(bytes.len());
            Ok(())
        }

        async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, CallError> {
            Ok(Some(vec![b'x'; *self.rest.lock().unwrap()]))
        }

        async fn size(&self, _: &str) -> Result<Option<u64>, CallError> {
            Ok(None)
        }

        async fn delete(&self, _: &str) -> Result<(), CallError> {
            Ok(())
        }
    }

    /// 30,000, or as many as `MANY` says: `MANY=1000000 cargo test -p worker --lib however_many -- --nocapture`.
    #[tokio::test]
    async fn however_many_rows_there_are_an_export_holds_one_part_at_a_time() {
        let total = std::env::var("MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(30_000);
        let world = VirtualWorld::new(Timestamp::UNIX_EPOCH, 1);
        let (rest, parts, largest, at_once) = (Mutex::default(), Mutex::default(), Mutex::default(), Mutex::default());
        let many = Many { world: world.clone(), total, rest, parts, largest, at_once };
        let exporter = Exporter::new(&many, &many, world);
        let mut job = job(total);
        let mut units = 0;
        let file = loop {
            let unit = exporter.unit(&job).await.unwrap();
            (job.counts, job.place) = (unit.counts, unit.place);
            units += 1;
            if let Then::Done(file) = unit.then {
                break file.unwrap();
            }
        };
        let parts = many.parts.lock().unwrap().clone();
        let (size, largest) = (parts.iter().sum::<usize>(), *many.largest.lock().unwrap());
        eprintln!("{total} rows: {units} units, {} parts, {size} bytes, {largest} at once", parts.len());
        assert_eq!((job.counts.done, file.size), (u64::try_from(total).unwrap(), size as u64));
        assert!(parts.len() >= 2 && parts.iter().rev().skip(1).all(|part| *part >= LEAST_PART), "{parts:?}");
        // A part ends with the batch that makes it long enough.
        assert!(largest < LEAST_PART + 200_000, "{largest} bytes");
        assert_eq!(*many.at_once.lock().unwrap(), BATCH);
    }

    #[tokio::test]
    async fn an_export_of_nothing_has_its_header_and_a_cancelled_one_leaves_nothing() {
        let fakes = Fakes { ids: Vec::new(), ..Fakes::new(None) };
        fakes.play(job(0)).await;
        assert_eq!(fakes.file().lines().count(), 1);
        let fakes = Fakes::new(None);
        let exporter = Exporter { records: &fakes, bucket: &fakes, world: fakes.world.clone(), least_part: LEAST };
        let mut job = job(TOTAL);
        for _ in 0..2 {
            job.place = exporter.unit(&job).await.unwrap().place;
        }
        job.cancelled = true;
        assert_eq!(exporter.unit(&job).await.unwrap().then, Then::Stopped);
        assert!(fakes.uploads.lock().unwrap().is_empty() && fakes.objects.lock().unwrap().is_empty());
    }
}
