//! What works as it is written, and is hardly meant so: said by `check` and at every start.

use std::net::IpAddr;

use super::{Config, events, level};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What will happen.
    pub text: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl Config {
    /// All of them.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut note = |text: String, hint: &'static str| notes.push(Note { text, hint });
        if self.discord.intents.0.is_empty() {
            note(
                "discord.intents is 0: Discord sends hardly any event, not even those of guilds and messages"
                    .to_owned(),
                "names such as [\"GUILDS\", \"GUILD_MESSAGES\"]",
            );
        }
        let (fleet, shed) = (&self.fleet, &self.gateway.shed.0);
        let lists = [&fleet.allow.0, &fleet.deny.0, shed];
        for unknown in lists.into_iter().flat_map(|list| events::unknown(list)) {
            note(
                format!("{unknown}: taken all the same, since fleet.unknown_events is true"),
                "the name as Discord documents it, unless it is newer than this release",
            );
        }
        for target in level::strangers(&self.log.level) {
            note(
                format!("log.level: nothing in this program logs as {target}"),
                "shardfleet=debug, or async_nats=info",
            );
        }
        let api = &self.discord.api;
        if api.starts_with("https://discord.com") && !api.contains("/api/v10") {
            note(
                format!("discord.api is {api}, which is not version 10 of Discord's REST"),
                "https://discord.com/api/v10",
            );
        }
        for (key, url, plain) in [
            ("discord.api", &self.discord.api, "http://"),
            ("discord.gateway", &self.discord.gateway, "ws://"),
        ] {
            if url.starts_with(plain) && is_far(url) {
                note(
                    format!(
                        "{key} begins with {plain}: the token goes over the network in plain text"
                    ),
                    "https:// and wss://, unless it is a simulator",
                );
            }
        }
        notes
    }
}

/// Beyond this machine, as far as an address alone tells.
fn is_far(url: &str) -> bool {
    let uri = url.parse::<axum::http::Uri>().ok();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}
