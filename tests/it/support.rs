//! What the proof is run with: a fleet of real processes, and who judges it.

pub(crate) mod chaos;
pub(crate) mod discord;
pub(crate) mod fleet;
pub(crate) mod folder;
pub(crate) mod judge;
pub(crate) mod nats;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod tls;
pub(crate) mod wait;

pub(crate) use self::{fleet::Fleet, wait::eventually};

/// The bot token of every test: nothing but a search for it may ever find it.
pub(crate) const TOKEN: &str = "it.bot-token.that-nobody.may-see-7d31f0c2";
