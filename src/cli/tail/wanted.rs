//! Pure: whether anything can come of what is waited for.

use anyhow::{Result, ensure};

use crate::config::events;

/// Shards and events that were asked for, by option or by subject.
pub(super) struct Wanted {
    shards: Vec<u32>,
    events: Vec<String>,
}

impl Wanted {
    /// What `subject` and the options ask for.
    pub(super) fn new(subject: &str, shards: &[u32], events: &[String]) -> Self {
        let (mut shards, mut events) = (shards.to_vec(), events.to_vec());
        let mut tokens = subject.split('.').skip(1);
        let shard: Option<u32> = tokens.next().and_then(|token| token.parse().ok());
        shards.extend(shard);
        let event = tokens.next().filter(|token| !["*", ">"].contains(token));
        events.extend(event.map(str::to_owned));
        Self { shards, events }
    }

    /// True if it asks for some shards alone.
    pub(super) fn names_shards(&self) -> bool {
        !self.shards.is_empty()
    }

    /// What to tell of names that this release does not know. Discord may have made them since.
    ///
    /// # Errors
    /// Where one can be no event's name at all.
    pub(super) fn events(&self) -> Result<Option<String>> {
        for name in &self.events {
            ensure!(
                events::could_be(name),
                "{name:?} is not the name of an event, such as MESSAGE_CREATE"
            );
        }
        // The fleet's own begin so.
        let unknown = |name: &&String| !name.starts_with("FLEET_") && !events::is_known(name);
        let unknown: Vec<_> = self.events.iter().filter(unknown).cloned().collect();
        Ok((!unknown.is_empty()).then(|| {
            let names = unknown.join(", ");
            format!("Discord documents no event {names}: waiting for it all the same")
        }))
    }

    /// Of a fleet with so many shards.
    ///
    /// # Errors
    /// Names a shard that is none of them.
    pub(super) fn shards(&self, count: u32) -> Result<()> {
        let beyond = self.shards.iter().find(|shard| **shard >= count);
        ensure!(
            beyond.is_none(),
            "there is no shard {}: the fleet has {count}, from 0 on",
            beyond.copied().unwrap_or_default()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(subject: &str, shards: &[u32], events: &[&str]) -> Wanted {
        let events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
        Wanted::new(subject, shards, &events)
    }

    #[test]
    fn a_name_that_no_event_has_is_told() {
        let told = |events: &[&str]| wanted("discord.>", &[], events).events();
        assert_eq!(
            told(&["MESSAGE_CREATE", "FLEET_GAP", "READY"]).unwrap(),
            None
        );
        let unlikely = told(&["MESAGE_CREATE", "READY"]).unwrap().unwrap();
        assert!(unlikely.contains("no event MESAGE_CREATE:"), "{unlikely}");
        assert!(told(&["message_create"]).is_err());
        let by_subject = wanted("discord.*.MESAGE_CREATE", &[], &[]);
        assert!(by_subject.events().unwrap().is_some());
    }

    #[test]
    fn a_shard_that_is_not_there_is_told() {
        assert!(!wanted("discord.*.READY", &[], &[]).names_shards());
        assert!(wanted("discord.>", &[3], &[]).shards(4).is_ok());
        let error = wanted("discord.4.>", &[3], &[]).shards(4).unwrap_err();
        assert!(error.to_string().contains("no shard 4"), "{error}");
    }
}
