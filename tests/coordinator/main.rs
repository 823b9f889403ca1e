//! The coordinator against a real nats-server and a Discord that only knows its limits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod budget;
mod cold_start;
mod failover;
mod http;
mod limits;
mod world;
