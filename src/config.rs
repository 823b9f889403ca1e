//! What an operator decides.

pub mod sim;
