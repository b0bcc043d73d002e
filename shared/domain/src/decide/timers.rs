//! Timers: what happens when a wait is over.

use super::*;

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
                self.advance(WaitEnd::TimedOut);
            }
            Timer::Offer { offer: id } => {
                let offer = self.next.offer().filter(|offer| offer.id == *id).ok_or(Refusal::Stale)?;
                due(offer.until.ok_or(Refusal::Stale)?)?;
                let audience = offer.audience.clone();
                self.fact(Fact::OfferMissed { audience });
                self.withdraw_offer(None);
                self.wake_targets();
            }
            Timer::Inactivity { armed } => {
                if self.next.inactivity.armed != Some(*armed) {
                    return Err(Refusal::Stale);
                }
                match self.next.inactivity.deadline {
                    // Switched off since.
                    Some(_) if self.context.account.settings.inactivity_timeout.is_none() => self.next.inactivity = Inactivity::default(),
                    Some(deadline) if self.context.now < deadline => {
                        self.next.inactivity.armed = None;
                        self.arm_inactivity(deadline);
                    }
                    // Nothing closes while somebody is being asked to take it: the end of that wait is early enough to look again.
                    Some(_) if self.next.wait.is_some() => {
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
}
