//! Deletions: the tombstone, then what lies in the bucket, the items, and the agents' feeds once for all; a quarter of
//! an hour later once more, for what was on its way. Each piece may be deleted twice, so that a unit may be done
//! twice.

use std::future::Future;

use cloud::aws::CallError;
use domain::effect::InteractionKey;
use domain::ids::{AgentId, ContactId, InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::{Counts, Job, PART, Place};
use domain::removal::{Gone, SECOND_PASS};
use engine::ports::{PortError, World};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use store::Entombed;
use views::transcript::objects_of;

use crate::steps::{Then, Unit, WorkError};

/// How many interactions a unit deletes, all at once. Each waits for the table most of the time.
const AT_ONCE: usize = 8;

/// How often an interaction is read anew because somebody changes it. A closed one has hardly any rivals.
const ATTEMPTS: u32 = 5;

/// How long a unit goes through feeds.
const SCRUBS: SignedDuration = SignedDuration::from_secs(20);

/// The tables, as far as deletions need them.
pub(crate) trait Remains: Sync {
    /// A part of the job's ids.
    fn frozen(&self, job: &JobId, part: u64) -> impl Future<Output = Result<Vec<InteractionId>, PortError>> + Send;
    /// An interaction that is there.
    fn interaction(&self, id: &InteractionId) -> impl Future<Output = Result<Option<Interaction>, PortError>> + Send;
    /// The tombstone of one that is not.
    fn gone(&self, id: &InteractionId) -> impl Future<Output = Result<Option<Gone>, PortError>> + Send;
    /// All contacts of an interaction's customer.
    fn customer(&self, interaction: &Interaction) -> impl Future<Output = Result<Vec<ContactId>, PortError>> + Send;
    /// Whether an owner holds it or its customer.
    fn is_held(&self, interaction: &Interaction, customer: &[ContactId]) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Closes an open interaction. False if that was refused.
    fn close(&self, key: &InteractionKey) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Replaces a closed interaction by its tombstone.
    fn entomb(&self, interaction: &Interaction, customer: &[ContactId]) -> impl Future<Output = Result<Entombed, PortError>> + Send;
    /// Deletes what belonged to it in the tables.
    fn purge(&self, gone: &Gone) -> impl Future<Output = Result<(), PortError>> + Send;
    /// All agents, in order.
    fn agents(&self) -> impl Future<Output = Result<Vec<AgentId>, PortError>> + Send;
    /// Takes what is gone out of an agent's feed.
    fn scrub(&self, agent: &AgentId) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The bucket.
pub(crate) trait Shelf: Sync {
    /// The keys that begin with `prefix`.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, CallError>> + Send;
    /// Deletes an object. An absent one is a success.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Deletes interactions.
pub(crate) struct Remover<R, B, W> {
    pub(crate) remains: R,
    pub(crate) shelf: B,
    pub(crate) world: W,
}

/// What a job deletes too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thoroughly {
    /// Open interactions, which are closed first. Otherwise they are left out.
    pub(crate) close: bool,
    /// Those that were merged into another one. Otherwise they go with that one.
    pub(crate) merged: bool,
}

/// What became of one interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is gone. The feeds may show it still, or not any more.
    Deleted { shown: bool },
    /// It stays: it is open, held, or part of another one's thread. Or it never was.
    Skipped,
}

impl<R: Remains, B: Shelf, W: World> Remover<R, B, W> {
    /// Does the unit at the job's place.
    pub(crate) async fn unit(&self, job: &Job, thoroughly: Thoroughly) -> Result<Unit, WorkError> {
        let Job { counts, mut place, .. } = job.clone();
        // A cancelled job winds up what it has deleted.
        if !job.cancelled || place.round > 0 {
            let ids = self.remains.frozen(&job.id, place.index / PART as u64).await?;
            let ids: Vec<InteractionId> = ids.into_iter().skip(in_part(&place)).take(AT_ONCE).collect();
            if !ids.is_empty() {
                return self.delete(&ids, counts, place, thoroughly).await;
            }
        }
        if place.in_feeds && !self.scrub(&mut place).await? {
            return Ok(Unit { counts, place, then: Then::More });
        }
        let then = match (place.round, job.cancelled) {
            (0, _) if counts.done > 0 => {
                place = Place { round: 1, index: 0, after: None, ..place };
                Then::Later(self.world.now().saturating_add(SECOND_PASS).unwrap_or(Timestamp::MAX))
            }
            (_, true) if counts.done + counts.skipped < counts.total => Then::Stopped,
            _ => Then::Done(None),
        };
        Ok(Unit { counts, place, then })
    }

    async fn delete(&self, ids: &[InteractionId], mut counts: Counts, mut place: Place, thoroughly: Thoroughly) -> Result<Unit, WorkError> {
        let first = place.round == 0;
        let fates: Vec<_> = ids.iter().map(|id| self.delete_one(id, first, thoroughly)).collect();
        let fates: Vec<Fate> = stream::iter(fates).buffered(AT_ONCE).try_collect().await?;
        for fate in fates {
            match fate {
                Fate::Deleted { shown } => {
                    counts.done += u64::from(first);
                    place.in_feeds |= shown;
                }
                Fate::Skipped => counts.skipped += u64::from(first),
            }
        }
        place.index += ids.len() as u64;
        Ok(Unit { counts, place, then: Then::More })
    }

    /// Deletes one interaction, or what came late for one that is gone.
    async fn delete_one(&self, id: &InteractionId, first: bool, thoroughly: Thoroughly) -> Result<Fate, WorkError> {
        for _ in 0..ATTEMPTS {
            let living = match first {
                true => self.remains.interaction(id).await?,
                false => None,
            };
            let Some(interaction) = living else {
                let Some(gone) = self.remains.gone(id).await? else { return Ok(Fate::Skipped) };
                self.clear(&gone).await?;
                return Ok(Fate::Deleted { shown: gone.may_be_in_feeds() });
            };
            // Its messages are part of the thread into which it was merged.
            if interaction.merged_into.is_some() && !thoroughly.merged {
                return Ok(Fate::Skipped);
            }
            let customer = self.remains.customer(&interaction).await?;
            if interaction.is_open() {
                // What is held is not closed either.
                let stays = !thoroughly.close || self.remains.is_held(&interaction, &customer).await?;
                if stays || !self.remains.close(&interaction.key()).await? {
                    return Ok(Fate::Skipped);
                }
                continue;
            }
            match self.remains.entomb(&interaction, &customer).await? {
                Entombed::Held => return Ok(Fate::Skipped),
                // The next attempt finds the tombstone, or what has changed.
                Entombed::Done(_) | Entombed::Changed => {}
            }
        }
        let reason = format!("{id} changed {ATTEMPTS} times while it was deleted");
        Err(PortError { operation: "delete an interaction", reason }.into())
    }

    /// Deletes what belongs to an interaction that is gone, and those that were merged into it.
    async fn clear(&self, gone: &Gone) -> Result<(), WorkError> {
        for key in &gone.absorbed {
            if let Some(absorbed) = self.remains.interaction(&key.interaction).await? {
                // Whoever holds it was asked with the one that absorbed it.
                if self.remains.entomb(&absorbed, &[]).await? == Entombed::Changed {
                    let reason = format!("{} changed while it was deleted", key.interaction);
                    return Err(PortError { operation: "delete an interaction", reason }.into());
                }
            }
            if let Some(absorbed) = self.remains.gone(&key.interaction).await? {
                self.clear_one(&absorbed).await?;
            }
        }
        self.clear_one(gone).await
    }

    /// The bucket first: when the last item is deleted, nothing is left anywhere.
    async fn clear_one(&self, gone: &Gone) -> Result<(), WorkError> {
        let InteractionKey { conversation, interaction } = &gone.key;
        for folder in ["media", "uploads"] {
            for key in self.shelf.list(&format!("{folder}/{}/{interaction}/", conversation.account)).await? {
                self.shelf.delete(&key).await?;
            }
        }
        for key in objects_of(gone) {
            self.shelf.delete(&key).await?;
        }
        Ok(self.remains.purge(gone).await?)
    }

    /// Goes through the feeds for a while. True once it was through all of them.
    async fn scrub(&self, place: &mut Place) -> Result<bool, WorkError> {
        let until = self.world.now().saturating_add(SCRUBS).unwrap_or(Timestamp::MAX);
        for agent in self.remains.agents().await? {
            if place.after.as_deref().is_some_and(|after| agent.as_str() <= after) {
                continue;
            }
            if self.world.now() >= until {
                return Ok(false);
            }
            self.remains.scrub(&agent).await?;
            place.after = Some(agent.to_string());
        }
        Ok(true)
    }
}

fn in_part(place: &Place) -> usize {
    usize::try_from(place.index % PART as u64).unwrap_or(PART)
}
