//! Why Discord's limits were not read, and what that means for the fleet.

use std::{fmt, time::Duration};

use reqwest::StatusCode;

/// Why Discord's limits are not known.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Discord answered something else than its limits, and may have said when to ask again.
    Status(StatusCode, Option<Duration>),
    /// Its answer makes no sense.
    Malformed(String),
    /// No answer, or only a part of one.
    Unreachable(String),
}

impl Unread {
    /// How long Discord wants no question.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status(_, pause) => *pause,
            Self::Malformed(_) | Self::Unreachable(_) => None,
        }
    }

    /// The token is not one, or belongs to nobody: no repetition mends it.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Status(StatusCode::UNAUTHORIZED, _))
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(StatusCode::UNAUTHORIZED, _) => f.write_str(
                "Discord refuses the bot's token (401): check discord.token, discord.token_file or \
                 DISCORD_TOKEN; a token that was reset has to be replaced everywhere",
            ),
            Self::Status(StatusCode::FORBIDDEN, _) => f.write_str(
                "Discord refuses this machine (403): its address may be banned for a while, or a \
                 proxy stands between",
            ),
            Self::Status(StatusCode::TOO_MANY_REQUESTS, Some(pause)) => write!(
                f,
                "Discord's REST limit is reached (429): it takes no question of this machine for {}",
                spoken(*pause)
            ),
            Self::Status(StatusCode::TOO_MANY_REQUESTS, None) => f.write_str(
                "Discord's REST limit is reached (429), and it does not say for how long",
            ),
            Self::Status(status, _) if status.is_redirection() => write!(
                f,
                "Discord answered {status}, which is not followed: is discord.api right?"
            ),
            Self::Status(status, _) => write!(f, "Discord answered {status}"),
            Self::Malformed(reason) => {
                write!(
                    f,
                    "Discord's answer to GET /gateway/bot makes no sense: {reason}"
                )
            }
            Self::Unreachable(reason) => write!(f, "Discord does not answer: {reason}"),
        }
    }
}

/// Said with the first of several failures.
pub(crate) const MEANWHILE: &str = "Running shards and RESUMEs go on. Until the limits are read \
    again, shards without a session identify one at a time in the whole fleet, within what the \
    ledger knows to be left of the day; where no limits were ever read, none does";

/// A span for people.
fn spoken(span: Duration) -> String {
    let secs = span.as_secs();
    match (secs / 3_600, secs / 60 % 60, secs % 60) {
        (0, 0, _) => format!("{:.1} s", span.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_spoken() {
        for (secs, text) in [
            (0.25, "0.2 s"),
            (3.0, "3.0 s"),
            (90.0, "1 min 30 s"),
            (86_400.0, "24 h 0 min"),
        ] {
            assert_eq!(spoken(Duration::from_secs_f64(secs)), text);
        }
    }
}
