//! Timers: the end of waits.

use jiff::{SignedDuration, Timestamp};

use super::change::Change;
use super::{AiEscalation, CLOSED_FOR_INACTIVITY, Refusal};
use crate::effect::{Audience, Effect, Target, Timer};
use crate::history::{Escalated, Fact, WaitEnd};
use crate::interaction::{Inactivity, Missed, Offer, Stage, Wait};

impl Change<'_> {
    pub(super) fn timer(&mut self, timer: &Timer) -> Result<(), Refusal> {
        if !self.next.is_open() {
            return Err(Refusal::Stale);
        }
        let due = |at: Timestamp| if self.context.now < at { Err(Refusal::Early(at)) } else { Ok(()) };
        match timer {
            Timer::Wait { wait: id } => {
                let wait = self.next.wait.as_ref().filter(|wait| wait.id == *id).ok_or(Refusal::Stale)?;
                due(wait.until.ok_or(Refusal::Stale)?)?;
                if self.next.ai_wait().is_some() {
                    self.ai_escalates(AiEscalation { name: None, why: Escalated::Late, said: None, farewell: None });
                    return Ok(());
                }
                if self.next.offer().is_some() {
                    self.missed();
                }
                self.advance(WaitEnd::TimedOut);
            }
            Timer::Offer { offer: id } => {
                let offer = self.next.offer().filter(|offer| offer.id == *id).ok_or(Refusal::Stale)?;
                due(offer.until.ok_or(Refusal::Stale)?)?;
                let audience = offer.audience.clone();
                self.fact(Fact::OfferMissed { audience });
                self.missed();
                self.withdraw_offer(None);
                self.wake_targets();
            }
            Timer::Again { wait: id } => {
                let wait = self.next.wait.as_mut().filter(|wait| wait.id == *id).ok_or(Refusal::Stale)?;
                let over = |missed: &Missed| missed.at.saturating_add(Missed::LEFT_ALONE).unwrap_or(Timestamp::MAX);
                let earliest = wait.missed.iter().map(over).min().ok_or(Refusal::Stale)?;
                due(earliest)?;
                let now = self.context.now;
                wait.missed.retain(|missed| now < over(missed));
                self.wake_targets();
            }
            Timer::Inactivity { armed } => {
                if self.next.inactivity.armed != Some(*armed) {
                    return Err(Refusal::Stale);
                }
                match self.next.inactivity.deadline {
                    // The timeout was switched off since.
                    Some(_) if self.context.account.settings.inactivity_timeout.is_none() => self.next.inactivity = Inactivity::default(),
                    Some(deadline) if self.context.now < deadline => {
                        self.next.inactivity.armed = None;
                        self.arm_inactivity(deadline);
                    }
                    // Nothing closes during an offer: the end of that wait is early enough to look again. An
                    // interaction that waits for an agent to come is not being offered.
                    Some(_) if self.next.wait.as_ref().is_some_and(|wait| wait.until.is_some() || wait.offer.is_some()) => {
                        let until = self.next.wait.as_ref().and_then(|wait| wait.until);
                        let again = until.unwrap_or(self.context.now).max(self.context.now + SignedDuration::from_mins(1));
                        self.next.inactivity.armed = None;
                        self.arm_inactivity(again);
                    }
                    Some(_) => self.close(None, Some(CLOSED_FOR_INACTIVITY.to_owned())),
                    None => self.next.inactivity.armed = None,
                }
            }
        }
        Ok(())
    }

    /// Notes the single agent who let the current offer ring out. The queue may count it, and an interaction whose
    /// plan has run out leaves that agent alone for a while.
    fn missed(&mut self) {
        let now = self.context.now;
        let Some(Wait { id, stage, missed, offer: Some(Offer { target, audience: Audience::Agents(agents), .. }), .. }) =
            &mut self.next.wait
        else {
            return;
        };
        let [agent] = agents.as_slice() else { return };
        if *stage == Stage::AssignedAgent {
            return;
        }
        if *stage == Stage::Exhausted {
            missed.retain(|missed| missed.agent != *agent);
            missed.push(Missed { agent: agent.clone(), at: now });
            let again = now.saturating_add(Missed::LEFT_ALONE).unwrap_or(Timestamp::MAX);
            self.effects.push(Effect::Timer { at: again, timer: Timer::Again { wait: *id } });
        }
        if let Target::Queue(queue) = target
            && let Some(limit) = self.context.queues.get(queue).and_then(|queue| queue.pause_after_missed)
        {
            self.effects.push(Effect::Missed { agent: agent.clone(), limit });
        }
    }
}
