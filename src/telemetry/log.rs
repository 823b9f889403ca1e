//! The log: text on a terminal, JSON elsewhere, to standard error; its level can be changed while running.

use std::{fmt::Debug, io::IsTerminal};

use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::format::{Writer, debug_fn},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use crate::config::{Format, Log, level};

/// What async-nats says below this repeats our own lines, and holds the URL with its password.
/// Directives that name it win.
const QUIET: &str = "async_nats=warn";

/// Changes the level of a running process.
#[derive(Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Sets the level, or directives as `RUST_LOG` takes them.
    ///
    /// # Errors
    /// Says what is wrong with the directives; the level stays.
    pub fn set(&self, directives: &str) -> Result<(), String> {
        let filter = filter(directives)?;
        self.0.reload(filter).map_err(|e| e.to_string())
    }
}

/// Installs the log of this process. Call it once; a second call changes nothing.
///
/// # Errors
/// Says what is wrong with the level's directives.
pub fn install(config: &Log) -> Result<Level, String> {
    let given = from_variable();
    let wanted = given.clone().unwrap_or_else(|| config.level.clone());
    let filter = filter(&wanted).map_err(|e| format!("{wanted:?}: {e}"))?;
    let strangers = level::strangers(&wanted);
    let (filter, handle) = reload::Layer::new(filter);
    let text = match config.format {
        Format::Text => true,
        Format::Json => false,
        Format::Auto => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if text {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed()
    };
    // A test process may have one already.
    _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    if given.is_some() {
        for target in strangers {
            tracing::warn!("RUST_LOG: nothing in this program logs as {target}");
        }
    }
    Ok(Level(handle))
}

/// Installs the log of a command that a person typed: the words alone, of what went wrong. `RUST_LOG` wins.
/// Call it once; a second call changes nothing.
///
/// # Errors
/// Says what is wrong with the directives of `RUST_LOG`.
pub fn install_plain(level: &str) -> Result<(), String> {
    let given = from_variable();
    let wanted = given
        .clone()
        .unwrap_or_else(|| format!("async_nats=off,{level}"));
    let filter = filter(&wanted).map_err(|e| format!("{wanted:?}: {e}"))?;
    let words = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        if field.name() == "message" {
            write!(writer, "{value:?}")
        } else {
            Ok(())
        }
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .fmt_fields(debug_fn(words));
    _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    Ok(())
}

fn filter(directives: &str) -> Result<EnvFilter, String> {
    level::unheard(directives)?;
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|e| e.to_string())
}

/// `RUST_LOG`; an empty one is none.
pub fn from_variable() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|it| !it.is_empty())
}
