//! The simulated Discord, judged from outside: by a client that speaks the protocol raw, and by twilight.

// `cfg(test)` holds here anyway; written out, clippy counts the helpers as tests too.
#[cfg(test)]
mod bots;
#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod knobs;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod rest_faults;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod support;
#[cfg(test)]
mod twilight;
