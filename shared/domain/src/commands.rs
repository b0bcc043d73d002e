//! Commands of the APIs that may come again, and those that an interaction remembers.
//!
//! An interaction remembers its first commands in its own item, so that they need no mark. A command that finds no
//! room, or that may have a mark, gets a mark: an item of its own, which a repetition meets.

use jiff::{SignedDuration, Timestamp};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::ids::MessageId;
use crate::interaction::Interaction;

/// How long a command is recognised: longer than any client retries.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The most commands that an interaction remembers. A conversation of five answers has eight: accept, open the tab,
/// five messages, close. More would let its item grow beyond a kilobyte, and then each of its versions costs more
/// than the marks.
const MOST: usize = 8;

/// A command with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The hash of caller, method, path and key: the same for every request of the command.
    pub id: String,
    /// A fingerprint of the body. A key that comes again with another body is a mistake of the client.
    pub body: u32,
}

impl Keyed {
    /// 64 bits of FNV-1a, by which an interaction tells its few commands apart.
    fn short(&self) -> u64 {
        self.id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}

/// A command that came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// It was the same.
    Same {
        /// The message that it wrote.
        made: Option<MessageId>,
    },
    /// It had the same key, and another body.
    OtherBody,
}

/// The commands that an interaction remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    kept: Vec<Kept>,
    /// When the latest command got a mark.
    marked_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    key: u64,
    body: u32,
    /// To the second.
    at: Timestamp,
    made: Option<Ulid>,
}

impl Interaction {
    /// What this interaction remembers of a command.
    pub fn earlier(&self, keyed: &Keyed) -> Option<Earlier> {
        let short = keyed.short();
        let kept = self.commands.iter().flat_map(|known| &known.kept).find(|kept| kept.key == short)?;
        Some(if kept.body == keyed.body { Earlier::Same { made: kept.made.map(MessageId::from_ulid) } } else { Earlier::OtherBody })
    }

    /// Remembers a command that the interaction does not know, and the message that it wrote. If it can't, the command
    /// needs a mark, and the answer is false. Commands of the version before all have one.
    pub fn remember(&mut self, keyed: &Keyed, made: Option<&MessageId>, at: Timestamp) -> bool {
        self.remember_among(keyed, made, at, MOST)
    }

    fn remember_among(&mut self, keyed: &Keyed, made: Option<&MessageId>, at: Timestamp, most: usize) -> bool {
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let is_recent = |then: Timestamp| at.duration_since(then) < REMEMBERED;
        let known = self.commands.get_or_insert_with(|| Commands { kept: Vec::new(), marked_at: Some(at) });
        known.kept.retain(|kept| is_recent(kept.at));
        let made = made.map(MessageId::ulid);
        // An id that is no ULID can't be packed.
        let fits = known.kept.len() < most && made != Some(None);
        if !fits || known.marked_at.is_some_and(is_recent) {
            known.marked_at = Some(at);
            return false;
        }
        known.kept.push(Kept { key: keyed.short(), body: keyed.body, at, made: made.flatten() });
        true
    }
}

/// The form of the packed bytes.
const FORM: u8 = 1;

impl Commands {
    /// The form, the time of the latest mark (0: none), then each command: its key, its body, its time, and whether
    /// it wrote a message, with its id. Times are in seconds. An item is charged by its size, so nothing is spelt out.
    fn packed(&self) -> Vec<u8> {
        let seconds = |at: Timestamp| u32::try_from(at.as_second().max(0)).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = vec![FORM];
        bytes.extend(self.marked_at.map_or([0; 4], seconds));
        for Kept { key, body, at, made } in &self.kept {
            bytes.extend(key.to_be_bytes());
            bytes.extend(body.to_be_bytes());
            bytes.extend(seconds(*at));
            bytes.push(u8::from(made.is_some()));
            bytes.extend(made.iter().flat_map(|made| made.to_bytes()));
        }
        bytes
    }

    fn unpacked(bytes: &[u8]) -> Option<Self> {
        let seconds = |bytes: [u8; 4]| Timestamp::from_second(i64::from(u32::from_be_bytes(bytes))).ok();
        let (form, bytes) = bytes.split_first()?;
        let (marked, mut bytes) = bytes.split_first_chunk::<4>()?;
        let marked_at = seconds(*marked).filter(|at| *at > Timestamp::UNIX_EPOCH);
        let mut kept = Vec::new();
        while !bytes.is_empty() {
            let (key, rest) = bytes.split_first_chunk::<8>()?;
            let (body, rest) = rest.split_first_chunk::<4>()?;
            let (at, rest) = rest.split_first_chunk::<4>()?;
            let (wrote, rest) = rest.split_first()?;
            let (made, rest) = match wrote {
                0 => (None, rest),
                _ => rest.split_first_chunk::<16>().map(|(made, rest)| (Some(Ulid::from_bytes(*made)), rest))?,
            };
            kept.push(Kept { key: u64::from_be_bytes(*key), body: u32::from_be_bytes(*body), at: seconds(*at)?, made });
            bytes = rest;
        }
        (*form == FORM).then_some(Self { kept, marked_at })
    }
}

impl Serialize for Commands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.packed())
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Commands;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("packed commands")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Commands, E> {
                Commands::unpacked(bytes).ok_or_else(|| E::custom("packed commands of an unknown form"))
            }

            /// JSON has no bytes.
            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Commands, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::interaction::Status;

    fn opened() -> Interaction {
        Interaction { commands: Some(Commands::default()), ..fixtures::interaction(Status::Open, at(0)) }
    }

    fn remember(interaction: &mut Interaction, number: u32, made: Option<&MessageId>, second: i64) -> bool {
        interaction.remember_among(&command(number), made, at(second), MOST)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn command(number: u32) -> Keyed {
        Keyed { id: format!("command {number}"), body: number }
    }

    fn message(number: u32) -> MessageId {
        MessageId::from_ulid(Ulid::from_parts(1_790_000_000_000, number.into()))
    }

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn the_first_eight_commands_are_known_again_with_what_they_wrote() {
        let mut interaction = opened();
        for number in 0..8 {
            let made = (number % 2 == 0).then(|| message(number));
            assert!(remember(&mut interaction, number, made.as_ref(), number.into()));
        }
        assert!(!remember(&mut interaction, 8, None, 8), "there is no room");
        for number in 0..8 {
            let made = (number % 2 == 0).then(|| message(number));
            assert_eq!(interaction.earlier(&command(number)), Some(Earlier::Same { made }));
            assert_eq!(interaction.earlier(&Keyed { body: 99, ..command(number) }), Some(Earlier::OtherBody));
        }
        assert_eq!(interaction.earlier(&command(8)), None);
    }

    #[test]
    fn room_comes_back_a_day_after_the_latest_mark() {
        let mut interaction = opened();
        (0..8).for_each(|number| assert!(remember(&mut interaction, number, None, 0)));
        assert!(!remember(&mut interaction, 8, None, DAY - 1));
        // The eight are forgotten, but command 8 has a mark, which only another mark would meet.
        assert!(!remember(&mut interaction, 9, None, DAY));
        assert!(remember(&mut interaction, 10, None, 2 * DAY));
        assert_eq!(interaction.earlier(&command(0)), None);
    }

    #[test]
    fn an_interaction_of_the_version_before_may_have_marks() {
        let mut interaction = fixtures::interaction(Status::Open, at(0));
        assert!(!remember(&mut interaction, 1, None, 0));
        assert!(!remember(&mut interaction, 2, None, DAY - 1));
        assert!(remember(&mut interaction, 3, None, 2 * DAY - 1));
    }

    #[test]
    fn an_unknown_form_is_refused_and_the_item_of_eight_commands_stays_small() {
        let mut interaction = opened();
        (0..8).for_each(|number| assert!(remember(&mut interaction, number, Some(&message(number)), 0)));
        let packed = interaction.commands.unwrap().packed();
        assert!(packed.len() <= 5 + 8 * 33, "{}", packed.len());
        for broken in [&packed[..packed.len() - 1], &[&[FORM + 1], &packed[1..]].concat(), &[]] {
            assert!(serde_json::from_value::<Commands>(serde_json::json!(broken)).is_err());
        }
    }

    proptest! {
        /// A command is known again within a day, by the interaction or because it has a mark: a repetition that the
        /// interaction does not know always looks for one.
        #[test]
        fn a_command_within_a_day_is_remembered_or_meets_its_mark(
            acts in prop::collection::vec((0_i64..DAY / 4, prop::bool::weighted(0.1)), 1..60)
        ) {
            let (mut interaction, mut now) = (opened(), 0);
            let (mut remembered, mut marked) = (Vec::new(), Vec::new());
            for (number, (pause, only_reads)) in (0_u32..).zip(acts) {
                now += pause;
                // A version that reads what is remembered, and writes marks, runs side by side with this one.
                let kept = interaction.remember_among(&command(number), None, at(now), if only_reads { 0 } else { MOST });
                if kept { remembered.push((number, now)) } else { marked.push((number, now)) }
                let within = |then: i64| now - then < DAY;
                for (known, _) in remembered.iter().filter(|(_, then)| within(*then)) {
                    prop_assert_eq!(interaction.earlier(&command(*known)), Some(Earlier::Same { made: None }));
                }
                for (known, _) in marked.iter().filter(|(_, then)| within(*then)) {
                    // A repetition would be given a mark, and meet the first one.
                    prop_assert!(!remember(&mut interaction.clone(), *known, None, now));
                }
            }
            let json = serde_json::to_string(&interaction).unwrap();
            prop_assert_eq!(serde_json::from_str::<Interaction>(&json).unwrap(), interaction);
        }
    }
}
