//! The end-to-end proof: real processes, a real nats-server, a simulated Discord, and a wire-cutter.

mod stream;
mod support;
