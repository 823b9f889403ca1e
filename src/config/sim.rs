//! Options of the simulated Discord.
