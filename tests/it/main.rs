//! The whole, from outside: real processes, real nats-servers, real signals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod config;
mod layers;
mod process;
mod support;
mod tether;
