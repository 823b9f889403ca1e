//! What the whole fleet shares; seeds `topology` once; afterwards `shardfleet set` changes the choice of events.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::{
    events::Events,
    section::section,
    value::{FleetName, Switch, text},
};
use crate::fleet::{LARGEST_GROUP, MOST_SHARDS};

section! {
    /// The fleet's own keys.
    pub struct Fleet in "fleet" {
        /// First token of event subjects, prefix of buckets, upper-cased the stream's name.
        name: FleetName = FleetName("discord".to_owned()), plain "a word of a-z, 0-9, _ and -, such as \"discord\"";
        /// How many shards the bot runs.
        shards: Shards = Shards::Auto, plain "\"auto\" or a number from 1 to 65536";
        /// Shards that one lease covers and one process runs together.
        group_size: Count<1, LARGEST_GROUP> = Count(16), plain "a number from 1 to 1024";
        /// Events forwarded; empty: all.
        allow: Events = Events::default(), plain "event names such as [\"MESSAGE_CREATE\"]";
        /// Events never forwarded. READY and RESUMED always are.
        deny: Events = Events::default(), plain "event names such as [\"TYPING_START\"]";
        /// Whether events may be named that this release does not know.
        unknown_events: Switch = Switch(false), plain "true or false";
    }
}

/// How many shards: as Discord recommends, or as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shards {
    /// Ask `GET /gateway/bot` once and keep the answer.
    Auto,
    /// This many.
    Fixed(u32),
}

impl FromStr for Shards {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.trim(), text.trim().parse::<u32>()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(shards @ 1..=MOST_SHARDS)) => Ok(Self::Fixed(shards)),
            _ => Err(format!("{text:?} is not a number of shards")),
        }
    }
}
super::value::from_text!(Shards);

/// A whole number within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer)?;
        match text.trim().parse() {
            Ok(count) if (MIN..=MAX).contains(&count) => Ok(Self(count)),
            _ => Err(de::Error::custom(format!(
                "{text} is not a number from {MIN} to {MAX}"
            ))),
        }
    }
}
