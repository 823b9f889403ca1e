//! shardfleet: a NATS-native fleet of Discord gateway shards.

pub mod alarm;
pub mod app;
pub mod audit;
pub mod backoff;
pub mod bot;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod files;
pub mod fleet;
pub mod gateway;
pub mod identify;
pub mod lease;
pub mod rest;
pub mod roster;
pub mod shutdown;
pub mod sim;
pub mod subject;
pub mod supervise;
pub mod telemetry;
pub mod web;
pub mod wire;
