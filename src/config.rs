//! What an operator decides: typed sections, read once, every fault told at once.

mod check;
pub mod discord;
pub mod events;
pub mod fault;
mod files;
pub mod fleet;
pub mod gateway;
mod given;
pub mod identity;
pub mod level;
pub mod load;
pub mod login;
pub mod nats;
mod notes;
mod section;
pub mod sim;
pub mod value;
pub mod variables;

pub use self::{
    discord::Discord,
    events::Events,
    fault::{Fault, Faults},
    fleet::{Fleet, Shards},
    gateway::{Assignment, Coordinator, Format, Gateway, Log, Process, Web},
    identity::Identity,
    load::{Sources, load},
    nats::{Compression, Lease, Nats, Storage, Stream},
    notes::Note,
    value::{Secret, Size, Span, Switch},
};

/// The configuration of a process, whatever its role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[fleet]`
    pub fleet: Fleet,
    /// `[discord]`
    pub discord: Discord,
    /// `[nats]`
    pub nats: Nats,
    /// `[stream]`
    pub stream: Stream,
    /// `[lease]`
    pub lease: Lease,
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[coordinator]`
    pub coordinator: Coordinator,
    /// `[process]`
    pub process: Process,
    /// `[web]`
    pub web: Web,
    /// `[log]`
    pub log: Log,
}

impl Config {
    /// Every section with its keys, in the order of the file.
    pub const SECTIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (Fleet::SECTION, Fleet::KEYS),
        (Discord::SECTION, Discord::KEYS),
        (Nats::SECTION, Nats::KEYS),
        (Stream::SECTION, Stream::KEYS),
        (Lease::SECTION, Lease::KEYS),
        (Gateway::SECTION, Gateway::KEYS),
        (Coordinator::SECTION, Coordinator::KEYS),
        (Process::SECTION, Process::KEYS),
        (Web::SECTION, Web::KEYS),
        (Log::SECTION, Log::KEYS),
    ];

    fn read(reader: &mut section::Reader<'_>) -> Self {
        Self {
            fleet: Fleet::read(reader),
            discord: Discord::read(reader),
            nats: Nats::read(reader),
            stream: Stream::read(reader),
            lease: Lease::read(reader),
            gateway: Gateway::read(reader),
            coordinator: Coordinator::read(reader),
            process: Process::read(reader),
            web: Web::read(reader),
            log: Log::read(reader),
        }
    }
}

#[cfg(test)]
mod tests;
