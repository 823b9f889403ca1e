//! How Discord is reached, and as whom.

use serde::{Deserialize, Deserializer, de};
use twilight_model::gateway::Intents as Flags;

use super::{
    events::{none_of, words},
    fleet::Count,
    section::section,
    value::Secret,
};

section! {
    /// Discord.
    pub struct Discord in "discord" {
        /// The bot's token; or `token_file`, or the variable `DISCORD_TOKEN`.
        token: Secret = Secret::default(), secret "the bot's token as a string";
        /// A file that holds the token alone.
        token_file: String = String::new(), plain "the path of a file that holds the token alone";
        /// Which events Discord sends.
        intents: Intents = Intents::default(), plain "names such as [\"GUILDS\", \"GUILD_MESSAGES\"], or the number";
        /// Members above which a guild's offline ones are left out.
        large_threshold: Count<50, 250> = Count(50), plain "a number from 50 to 250";
        /// JSON of an initial presence.
        presence: String = String::new(), plain "{\"since\":null,\"activities\":[],\"status\":\"online\",\"afk\":false}";
        /// The base of REST.
        api: String = "https://discord.com/api/v10".to_owned(), plain "https://discord.com/api/v10";
        /// The gateway; empty: the url that `GET /gateway/bot` answers.
        gateway: String = String::new(), plain "wss://gateway.discord.gg, or nothing";
    }
}

/// Discord's intents, all of them known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intents(pub Flags);

impl Default for Intents {
    fn default() -> Self {
        Self(Flags::GUILDS | Flags::GUILD_MESSAGES)
    }
}

impl<'de> Deserialize<'de> for Intents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "neither names nor a number")]
        enum Given {
            Bits(u64),
            #[serde(deserialize_with = "words")]
            Names(Vec<String>),
        }
        let names = match Given::deserialize(deserializer)? {
            Given::Bits(bits) => return of_bits(bits).map_err(de::Error::custom),
            Given::Names(names) => names,
        };
        // A variable's number is a word, too.
        if let [number] = names.as_slice()
            && let Ok(bits) = number.parse()
        {
            return of_bits(bits).map_err(de::Error::custom);
        }
        let names: Vec<_> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        let unknown = |name: &&String| Flags::from_name(name).is_none();
        let known: Vec<_> = Flags::all().iter_names().map(|(name, _)| name).collect();
        none_of(&names, unknown, "an intent", &known).map_err(de::Error::custom)?;
        let flags = names.iter().filter_map(|name| Flags::from_name(name));
        Ok(Self(flags.collect()))
    }
}

fn of_bits(bits: u64) -> Result<Intents, String> {
    Flags::from_bits(bits)
        .map(Intents)
        .ok_or_else(|| format!("{bits} has bits that no intent has"))
}
