//! The simulated Discord, judged from outside: by a client that speaks the protocol raw, and by twilight.

mod client;
mod faults;
mod lifecycle;
mod refusals;
mod support;
mod twilight;
