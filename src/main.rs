//! shardfleet's one binary: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use shardfleet::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli::run(cli),
        Err(told) => {
            _ = told.print();
            if told.use_stderr() {
                cli::BAD_USAGE.into()
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}

#[test]
fn verify_cli() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
