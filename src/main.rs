//! shardfleet's one binary: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use shardfleet::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // mimalloc asks for them, and a shard's small pieces lie far apart. Where the kernel knows no such word,
    // it costs memory, nothing else.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
