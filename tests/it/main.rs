//! The whole, from outside: real processes, real nats-servers, real signals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod choice;
mod cli;
mod cluster;
mod commands;
mod config;
mod discord;
mod failover;
mod full;
mod glance;
mod halt;
mod handover;
mod identify;
mod interruptions;
mod layers;
mod log;
mod manual;
mod memory;
mod operator;
mod outage;
mod oversize;
mod permissions;
mod process;
mod publisher;
mod queue;
mod refusal;
mod replay;
mod secrets;
mod start;
mod stream;
mod support;
mod tether;
mod tls;
mod upgrade;
mod wiped;
mod wire;
