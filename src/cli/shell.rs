//! `completions` and `man`: what a package installs beside the binary, made from the commands
//! themselves.

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, say};

/// Options of `completions`.
#[derive(Args)]
pub(super) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  shardfleet completions bash > /usr/share/bash-completion/completions/shardfleet
  shardfleet completions zsh > /usr/share/zsh/site-functions/_shardfleet";

pub(super) fn completions(options: &CompletionsOptions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut Cli::command(),
        "shardfleet",
        &mut script,
    );
    say(&String::from_utf8(script).context("a completion is text")?)
}

/// One page: the whole, then every command that is shown.
pub(super) fn man() -> Result<()> {
    let mut whole = Cli::command();
    whole.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(whole.clone()).render(&mut page)?;
    for command in whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let man = clap_mangen::Man::new(command.clone());
        let name = command.get_name().to_uppercase();
        page.extend_from_slice(format!(".SH \"SHARDFLEET {name}\"\n").as_bytes());
        man.render_description_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    say(&String::from_utf8(page).context("a manual is text")?)
}
