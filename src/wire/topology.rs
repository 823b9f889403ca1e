//! What the whole fleet shares: its cut and its choice of events; and why it stands still.

use serde::{Deserialize, Serialize};

use crate::fleet::Layout;

/// Under [`crate::subject::TOPOLOGY`]: seeded once from the configuration; `shardfleet set` changes all but its cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Version.
    pub v: u32,
    /// Shards, groups and generation.
    #[serde(flatten)]
    pub layout: Layout,
    /// The bot whose fleet this is: its user id, in digits. None: nobody has said so yet, or an older
    /// release wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Events forwarded; empty: all.
    pub allow: Vec<String>,
    /// Events never forwarded.
    pub deny: Vec<String>,
}

/// Under [`crate::subject::HALT`]: a fault that no restart mends. Nobody connects until it is cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Version.
    pub v: u32,
    /// Discord's close code.
    pub code: u16,
    /// What it means and how to mend it.
    pub reason: String,
    /// The shard that met it.
    pub shard: u32,
    /// The process that wrote it.
    pub process: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The first half of the SHA-256 of the token in use: another token clears the halt. Not the token.
    pub token: String,
}

impl Topology {
    /// The bot whose fleet this is, where it is known.
    pub fn bot(&self) -> Option<u64> {
        self.application.as_ref()?.parse().ok()
    }

    /// False for an event that nobody wants stored. READY and RESUMED always are: they carry the
    /// resume point.
    pub fn forwards(&self, event: &str) -> bool {
        if matches!(event, "READY" | "RESUMED") {
            return true;
        }
        let named = |list: &[String]| list.iter().any(|name| name == event);
        (self.allow.is_empty() || named(&self.allow)) && !named(&self.deny)
    }
}

/// The error with which every role ends once the fleet is halted: exit code 77.
#[derive(Clone, Debug)]
pub struct Halted(pub Halt);

impl std::fmt::Display for Halted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Halt {
            code,
            reason,
            shard,
            process,
            ..
        } = &self.0;
        write!(
            f,
            "the fleet is halted: Discord closed shard {shard} of {process} with {code}: {reason}. \
             Mend it, then run `shardfleet resume-fleet`; a new token clears the halt by itself"
        )
    }
}

impl std::error::Error for Halted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resume_point_is_never_denied() {
        let topology = Topology {
            v: 1,
            layout: Layout {
                generation: 1,
                shards: 1,
                group_size: 1,
            },
            application: None,
            allow: vec!["MESSAGE_CREATE".to_owned(), "TYPING_START".to_owned()],
            deny: vec!["TYPING_START".to_owned(), "READY".to_owned()],
        };
        let forwarded = ["READY", "RESUMED", "MESSAGE_CREATE"];
        assert!(forwarded.iter().all(|event| topology.forwards(event)));
        assert!(!topology.forwards("TYPING_START") && !topology.forwards("GUILD_CREATE"));
        let golden = r#"{"v":1,"generation":1,"shards":1,"group_size":1,"allow":["MESSAGE_CREATE","TYPING_START"],"deny":["TYPING_START","READY"]}"#;
        assert_eq!(crate::wire::encode(&topology), golden);
        // A release that knows no application reads the one that does, and the other way round.
        let golden = r#"{"v":1,"generation":1,"shards":1,"group_size":1,"application":"7","allow":[],"deny":[]}"#;
        let named: Topology = crate::wire::decode(golden.as_bytes()).unwrap();
        assert_eq!(named.bot(), Some(7));
        assert_eq!(crate::wire::encode(&named), golden);
    }
}
