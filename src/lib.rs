//! shardfleet: a NATS-native fleet of Discord gateway shards.

pub mod clock;
pub mod config;
pub mod sim;
