//! Which bot a token is: read from the token's own first part, else asked of Discord.
//!
//! A fleet is one bot's. A process with another bot's token would take that bot's sessions for its own, and
//! store a second bot's events in the stream: it ends before it holds anything. Strict only where both are
//! known: a topology of an older release names no bot, and not every token names one.

use std::{fmt, time::Duration};

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    config::{Discord, Secret},
    rest::Rest,
    wire::topology::Topology,
};

/// A bot's user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BotId(pub u64);

impl fmt::Display for BotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What REST says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is this bot's, of this name.
    Is(BotId, String),
    /// It is nobody's: 401.
    Refused,
    /// Nothing: why.
    Nothing(String),
}

/// `GET /users/@me` with this process's token.
///
/// <https://discord.com/developers/docs/resources/user#get-current-user>
pub async fn ask(discord: &Discord) -> Said {
    #[derive(Deserialize)]
    struct User {
        id: String,
        #[serde(default)]
        username: String,
    }
    let said = async {
        let Some(body) = get(discord, "users/@me").await? else {
            return Ok(Said::Refused);
        };
        let user: User = serde_json::from_slice(&body)?;
        let id = user.id.parse()?;
        Ok(Said::Is(BotId(id), user.username))
    };
    let said: Result<Said> = said.await;
    said.unwrap_or_else(|error| Said::Nothing(format!("{error:#}")))
}

/// The same, where the token says itself which bot it is: only whether Discord takes it is asked.
///
/// <https://discord.com/developers/docs/events/gateway#get-gateway-bot>
async fn ask_of(discord: &Discord, named: BotId) -> Said {
    match get(discord, "gateway/bot").await {
        Ok(Some(_)) => Said::Is(named, String::new()),
        Ok(None) => Said::Refused,
        Err(error) => Said::Nothing(format!("{error:#}")),
    }
}

/// What Discord answers; none: 401.
async fn get(discord: &Discord, path: &str) -> Result<Option<Vec<u8>>> {
    let rest = Rest::new(&discord.api, Some(&discord.token), LIMIT)?;
    let answer = rest.get(path).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        return Ok(None);
    }
    ensure!(answer.status.is_success(), "it answered {}", answer.status);
    Ok(Some(answer.body))
}

/// Which bot this process is, before it does anything; none where nobody can say.
///
/// # Errors
/// Where Discord refuses the token.
pub async fn learn(discord: &Discord) -> Result<Option<BotId>, Refused> {
    let named = of_token(&discord.token);
    let said = match named {
        Some(named) => ask_of(discord, named).await,
        None => ask(discord).await,
    };
    match (said, named) {
        (Said::Is(bot, _), _) => {
            tracing::info!(%bot, "this process is the bot {bot}");
            Ok(Some(bot))
        }
        (Said::Refused, _) => Err(Refused { closed: None }),
        (Said::Nothing(why), Some(bot)) => {
            tracing::warn!(%bot, "this process is the bot {bot}, by its token; Discord cannot be asked whether it takes it: {why}");
            Ok(Some(bot))
        }
        (Said::Nothing(why), None) => {
            tracing::warn!(
                "which bot this process is is not known: its token does not say so, and Discord cannot be asked: {why}"
            );
            Ok(None)
        }
    }
}

/// The bot that a token names in its first part: the user's id in base64.
pub fn of_token(token: &Secret) -> Option<BotId> {
    let first = token.expose().split('.').next()?;
    let digits = String::from_utf8(base64(first)?).ok()?;
    let plausible = (15..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plausible).map(BotId)
}

/// Decodes either alphabet of base64, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// That the fleet is this process's bot's, as far as both are known.
///
/// # Errors
/// Where it is another's.
pub fn check(mine: Option<BotId>, topology: &Topology) -> Result<(), Other> {
    match (mine, topology.bot()) {
        (Some(mine), Some(fleet)) if mine.0 != fleet => Err(Other {
            mine,
            fleet: BotId(fleet),
        }),
        _ => Ok(()),
    }
}

/// The error with which a process of another bot ends: exit code 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Whose token it has.
    pub mine: BotId,
    /// Whose fleet it is.
    pub fleet: BotId,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mine, fleet } = self;
        write!(
            f,
            "this process has the token of the bot {mine}, and the fleet is that of the bot {fleet}: it would \
             take that bot's sessions, and store another bot's events in its stream. Give it the token of \
             {fleet} (DISCORD_TOKEN, discord.token or discord.token_file), or a fleet of its own: another \
             fleet.name, or another NATS. Where the fleet is {mine}'s in truth: `shardfleet set application {mine}`"
        )
    }
}

impl std::error::Error for Other {}

/// The error with which a process ends whose token Discord refuses, alone: exit code 77.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The shard whose connection Discord closed with 4004; none: REST alone was asked.
    pub closed: Option<u32>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.closed {
            None => f.write_str("Discord refuses this process's token (401)")?,
            Some(shard) => write!(
                f,
                "Discord closed shard {shard} with 4004: it refuses this process's token, which is not known \
                 to be the fleet's"
            )?,
        }
        f.write_str(
            ": it is wrong or was reset. Give it the right one (DISCORD_TOKEN, discord.token or \
             discord.token_file; the developer portal shows it under Bot). This process ends alone, and halts \
             nobody: processes with another token go on, unless the fleet is halted already, which \
             `shardfleet status` tells",
        )
    }
}

impl std::error::Error for Refused {}

/// How long Discord may take to answer: whoever starts waits for it.
const LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Layout;

    fn token(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[test]
    fn a_token_names_its_bot() {
        let known = "MTA0NzY1NDMyMTA5ODc2NTQzMg.GjudgE.x";
        assert_eq!(
            of_token(&token(known)),
            Some(BotId(1_047_654_321_098_765_432))
        );
        let padded = "MTA0NzY1NDMyMTA5ODc2NTQzMg==.a.b";
        assert_eq!(
            of_token(&token(padded)),
            Some(BotId(1_047_654_321_098_765_432))
        );
        // No id, too short a one, too large a one, nothing.
        for strange in [
            "it.bot-token",
            "MTk4NjIyNDgzNDcx.a.b",
            "OTk5OTk5OTk5OTk5OTk5OTk5OTk.a.b",
            "",
            "é.a",
        ] {
            assert_eq!(of_token(&token(strange)), None, "{strange}");
        }
    }

    #[test]
    fn another_bots_process_is_told_so_only_where_both_are_known() {
        let topology = |application: Option<&str>| Topology {
            v: 1,
            layout: Layout {
                generation: 1,
                shards: 1,
                group_size: 1,
            },
            application: application.map(str::to_owned),
            allow: Vec::new(),
            deny: Vec::new(),
        };
        let (mine, fleet) = (BotId(7), BotId(8));
        assert_eq!(
            check(Some(mine), &topology(Some("8"))),
            Err(Other { mine, fleet })
        );
        assert_eq!(check(Some(fleet), &topology(Some("8"))), Ok(()));
        assert_eq!(check(None, &topology(Some("8"))), Ok(()));
        for unknown in [None, Some(""), Some("x")] {
            assert_eq!(check(Some(mine), &topology(unknown)), Ok(()));
        }
    }
}
