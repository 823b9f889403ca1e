//! `set`: changes what the whole fleet shares, in its topology.

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use super::{
    note,
    operator::{ATTEMPTS, reach, state},
    say,
};
use crate::{
    broker::bucket::KvError,
    config::{Config, events},
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

/// Options of `set`.
#[derive(Args)]
pub(super) struct SetOptions {
    /// What to change
    #[arg(value_name = "KEY")]
    key: Key,
    /// Events with commas between them, or "" for none; a number of shards; a bot's user id
    #[arg(value_name = "VALUE")]
    value: String,
    /// Takes events that this release does not know, such as one that Discord has made since
    #[arg(long)]
    force: bool,
}

/// Keys of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    /// Events forwarded; "": all
    Allow,
    /// Events never forwarded. READY and RESUMED always are
    Deny,
    /// How many shards the bot runs: fixed while the fleet runs, so that this only tells
    Shards,
    /// Whose fleet this is: the bot's user id; "": whoever leads next says so
    Application,
}

impl Key {
    fn names_events(self) -> bool {
        matches!(self, Self::Allow | Self::Deny)
    }
}

pub(super) const EXAMPLES: &str = "\
Examples:
  shardfleet set deny TYPING_START,PRESENCE_UPDATE
  shardfleet set deny ''                          forward everything again

Every gateway follows within a second; no process is started anew.";

pub(super) async fn run(config: &Config, options: &SetOptions) -> Result<()> {
    if options.key.names_events() {
        known(options)?;
    }
    let broker = reach(config, "shardfleet set").await?;
    let state = state(&broker).await?;
    for _ in 0..ATTEMPTS {
        let Some(entry) = state.get(TOPOLOGY).await? else {
            bail!("there is no topology yet: a coordinator writes it once it leads");
        };
        let before: Topology = wire::decode(&entry.value)?;
        let after = changed(&before, options.key, &options.value)?;
        if after == before {
            return say("it is so already\n");
        }
        match state
            .update(TOPOLOGY, wire::encode(&after), entry.revision)
            .await
        {
            Ok(_) => return say(&told(&after)),
            // Somebody else was faster: what stands now is looked at anew.
            Err(KvError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("others change the topology all the time: try again")
}

fn told(topology: &Topology) -> String {
    let list = |events: &[String], none: &str| match events {
        [] => none.to_owned(),
        events => events.join(", "),
    };
    let allow = list(&topology.allow, "all events");
    let deny = list(&topology.deny, "none");
    let bot = topology
        .application
        .as_deref()
        .unwrap_or("a bot not named yet");
    format!("the fleet of {bot} forwards {allow}; never: {deny}\n")
}

fn changed(topology: &Topology, key: Key, value: &str) -> Result<Topology> {
    let mut topology = topology.clone();
    match key {
        Key::Allow => topology.allow = names(value)?,
        Key::Deny => topology.deny = names(value)?,
        Key::Application => topology.application = application(value)?,
        Key::Shards => {
            let runs = topology.layout.shards;
            ensure!(
                value.parse() == Ok(runs),
                "the fleet runs {runs} shards, and this release cannot change that while it runs: all \
                 sessions would begin anew. Start a second fleet with another fleet.name and \
                 fleet.shards = {value} beside it, and end this one"
            );
        }
    }
    Ok(topology)
}

fn application(value: &str) -> Result<Option<String>> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(
        digits && (value.is_empty() || value.parse::<u64>().is_ok()),
        "{value:?} is no user id, such as 1047654321098765432"
    );
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// A letter too few in `allow`, and from then on nothing is stored: such a name is taken by `--force` alone.
fn known(options: &SetOptions) -> Result<()> {
    let names = names(&options.value)?;
    if options.key == Key::Deny
        && let Some(reason) = events::undeniable(&names)
    {
        bail!("{reason}. Leave it out of the list");
    }
    let unknown = events::unknown(&names);
    ensure!(
        unknown.is_empty() || options.force,
        "{}. --force takes it all the same, for an event that is newer than this release",
        unknown.join("; ")
    );
    for unknown in unknown {
        note(&format!("{unknown}: taken all the same"));
    }
    Ok(())
}

fn names(value: &str) -> Result<Vec<String>> {
    let names = value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut events = Vec::new();
    for name in names {
        ensure!(
            events::could_be(name),
            "{name:?} is not the name of an event, such as MESSAGE_CREATE"
        );
        if !events.iter().any(|known| known == name) {
            events.push(name.to_owned());
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Layout;

    #[test]
    fn the_choice_of_events_changes_and_the_cut_does_not() {
        let topology = Topology {
            v: 1,
            layout: Layout {
                generation: 1,
                shards: 4,
                group_size: 2,
            },
            application: None,
            allow: Vec::new(),
            deny: vec!["A".to_owned()],
        };
        let after = changed(&topology, Key::Deny, "TYPING_START, B,B").unwrap();
        assert_eq!(after.deny, ["TYPING_START", "B"]);
        assert!(changed(&after, Key::Deny, "").unwrap().deny.is_empty());
        assert!(changed(&topology, Key::Allow, "message_create").is_err());
        let named = changed(&topology, Key::Application, "7").unwrap();
        assert_eq!(named.application.as_deref(), Some("7"));
        assert_eq!(changed(&named, Key::Application, "").unwrap(), topology);
        assert!(changed(&topology, Key::Application, "a bot").is_err());
        assert_eq!(changed(&topology, Key::Shards, "4").unwrap(), topology);
        assert!(changed(&topology, Key::Shards, "8").is_err());
    }

    #[test]
    fn an_event_that_discord_does_not_have_is_taken_by_force_alone() {
        let options = |key, value: &str, force| SetOptions {
            key,
            value: value.to_owned(),
            force,
        };
        let told = |key, value| known(&options(key, value, false)).unwrap_err().to_string();
        let typo = told(Key::Allow, "MESSAGE_CRATE,GUILD_CREATE");
        assert!(
            typo.contains("no event MESSAGE_CRATE; MESSAGE_CREATE is near"),
            "{typo}"
        );
        assert!(typo.contains("--force"), "{typo}");
        assert!(known(&options(Key::Allow, "MESSAGE_CRATE", true)).is_ok());
        assert!(known(&options(Key::Allow, "READY,MESSAGE_CREATE", false)).is_ok());
        let refused = known(&options(Key::Deny, "READY", true))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("always forwarded"), "{refused}");
    }
}
