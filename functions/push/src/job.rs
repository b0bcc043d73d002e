//! A job of the queue, read as the event that agents get.

use domain::effect::Audience;
use domain::ids::AccountId;
use domain::news::News;
use domain::note::Note;
use engine::jobs::{PushJob, Recipients};
use jiff::Timestamp;
use serde::Deserialize;
use views::AgentEvent;

/// A [`PushJob`] with the view of its news.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) committed_at: Option<Timestamp>,
    pub(crate) to: Recipients,
    pub(crate) account: Option<AccountId>,
    pub(crate) event: AgentEvent,
    /// What is kept for the agent until it is read.
    pub(crate) note: Option<Note>,
}

/// The note that the news leave. Its time is that of the push, so that a client which has read all up to a moment has
/// seen every note of before.
fn note_of(news: &News) -> Option<Note> {
    let now = cloud::time::now();
    match news {
        News::Interaction { interaction, note: Some(kind) } => Some(Note::of_interaction(*kind, interaction, now)),
        News::Alert { account, alert, at } => Some(Note::of_alert(account.clone(), alert.clone(), *at, now)),
        News::TriggerDisabled { trigger, at } => Some(Note::of_trigger(trigger.clone(), *at, now)),
        _ => None,
    }
}

/// The accepted forms of a body.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    News(PushJob),
    /// The form of the version before, whose jobs carried the view itself.
    View {
        id: String,
        to: Audience,
        #[serde(default)]
        account: Option<AccountId>,
        event: Box<AgentEvent>,
    },
}

impl From<Written> for Job {
    fn from(written: Written) -> Self {
        match written {
            Written::News(PushJob { id, committed_at, to, account, news }) => {
                Self { id, committed_at, to, account, event: (&news).into(), note: note_of(&news) }
            }
            Written::View { id, to, account, event } => Self { id, committed_at: None, to: to.into(), account, event: *event, note: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::envelope::Envelope;
    use domain::agent::{Presence, PresenceWord};
    use domain::fixtures;
    use domain::ids::{AgentId, QueueId};
    use domain::interaction::Status;
    use domain::screens::Screens;
    use serde_json::Value;
    use ulid::Ulid;

    use super::*;

    /// One body for each kind of event, as the version before wrote it.
    const BEFORE: &str = include_str!("before.jsonl");

    fn job(news: News) -> PushJob {
        let to = Audience::Members { queue: QueueId::from_ulid(Ulid::from_parts(1, 8)), except: Vec::new() };
        PushJob {
            id: "int_1-2-0".to_owned(),
            committed_at: Some(Timestamp::UNIX_EPOCH),
            to: to.into(),
            account: Some(fixtures::account().id),
            news,
        }
    }

    fn news() -> Vec<News> {
        let at = Timestamp::UNIX_EPOCH;
        let interaction = Box::new(fixtures::interaction(Status::Open, at));
        let message = Box::new(fixtures::message(at));
        vec![
            News::Offered { interaction: interaction.clone(), offer: 3, until: Some(at), notification: None },
            News::Withdrawn { interaction: interaction.id.clone(), offer: 3, taken_by: Some(AgentId::from_ulid(Ulid::from_parts(1, 7))) },
            News::Message { message: message.clone() },
            News::MessageState { message },
            News::Interaction { interaction, note: None },
            News::Presence { state: PresenceWord::Paused },
        ]
    }

    fn read(body: &str) -> Job {
        Envelope::parse(body).unwrap()
    }

    #[test]
    fn a_job_is_read_with_the_view_of_its_news() {
        for news in news() {
            let body = serde_json::to_string(&Envelope::new(job(news.clone()))).unwrap();
            let PushJob { id, committed_at, to, account, .. } = job(news.clone());
            assert_eq!(read(&body), Job { id, committed_at, to, account, event: AgentEvent::from(&news), note: None });
        }
    }

    #[test]
    fn a_job_for_whoever_has_an_interaction_is_read_and_was_a_failure_in_the_version_before() {
        let interaction = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH);
        let to = Recipients::Holder { holder_of: interaction.key() };
        let job = PushJob { to: to.clone(), ..job(news().remove(3)) };
        let body = serde_json::to_string(&Envelope::new(job.clone())).unwrap();
        assert_eq!(read(&body).to, to);
        // A failure leaves the job in the queue.
        assert!(serde_json::from_value::<Audience>(serde_json::to_value(&job.to).unwrap()).is_err());
    }

    #[test]
    fn a_job_about_the_configuration_is_read_with_whom_it_concerns() {
        let left = vec![AgentId::from_ulid(Ulid::from_parts(1, 7))];
        let account = Screens::Account { account: fixtures::account().id, left: left.clone() };
        for screens in [Screens::Everybody, Screens::Agents(left), account] {
            let made = PushJob::configuration(&Ulid::from_parts(1_800_000_000_000, 1).to_string(), screens.clone());
            assert_eq!(made.committed_at, Timestamp::from_second(1_800_000_000).ok());
            let read = read(&serde_json::to_string(&Envelope::new(made)).unwrap());
            assert_eq!((read.to, read.event), (Recipients::Configured { configured: screens }, AgentEvent::Configuration));
        }
    }

    #[test]
    fn a_job_of_the_version_before_tells_no_time() {
        let before = PushJob { committed_at: None, ..job(News::Presence { state: PresenceWord::Ready }) };
        let body = serde_json::to_string(&Envelope::new(before)).unwrap();
        assert!(!body.contains("committed_at"), "{body}");
        assert_eq!(read(&body).committed_at, None);
    }

    #[test]
    fn a_job_of_the_version_before_is_read() {
        assert_eq!(BEFORE.lines().count(), news().len());
        for (body, news) in BEFORE.lines().zip(news()) {
            let PushJob { id, to, account, .. } = job(news.clone());
            assert_eq!(read(body), Job { id, committed_at: None, to, account, event: AgentEvent::from(&news), note: None }, "{body}");
        }
    }

    #[test]
    fn a_presence_names_its_state_as_the_agents_presence_does() {
        let agent = AgentId::from_ulid(Ulid::from_parts(1, 7));
        let presence = Presence::logged_out(agent, domain::agent::Capacity::default(), Timestamp::UNIX_EPOCH);
        let AgentEvent::Presence { state, .. } = AgentEvent::of_presence(&presence) else { panic!("another event") };
        let told: Value = serde_json::to_value(News::Presence { state }).unwrap();
        assert_eq!((&told["state"], state), (&"logged_out".into(), PresenceWord::LoggedOut));
    }
}
