//! `tether`: a program that ends when its parent does, even after kill -9 of that parent.
//!
//! It asks the kernel for a signal at the parent's death, then becomes the program, so that the
//! program keeps the process id that the parent knows. The kernel means the *thread* that
//! started it: start tethered children from a thread that lives as long as the process.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result, bail};
use clap::Args;

/// Options of `tether`.
#[derive(Args)]
pub(super) struct TetherOptions {
    /// The process whose end ends this one; it must be the parent
    #[arg(long, value_name = "PID")]
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the program; returns only if it cannot.
pub(super) fn run(options: &TetherOptions) -> Result<()> {
    let Some((program, arguments)) = options.command.split_first() else {
        bail!("no program was named");
    };
    // A group of its own: Ctrl-C on the terminal asks the parent alone, which then ends its
    // children in the right order.
    rustix::process::setpgid(None, None).context("cannot leave the process group")?;
    die_with_parent()?;
    // The parent may have ended before the signal was asked for.
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    if parent != Some(options.parent) {
        bail!("process {} is not the parent, or has ended", options.parent);
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_parent() -> Result<()> {
    let signal = rustix::process::Signal::KILL;
    rustix::process::set_parent_process_death_signal(Some(signal))
        .context("cannot ask for a signal at the parent's death")
}

/// Elsewhere the kernel has no such signal: a child outlives a parent that is killed with -9.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> Result<()> {
    Ok(())
}
