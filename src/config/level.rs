//! Directives of the log: those that would silence it are told, not obeyed.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What to write instead.
pub const HINT: &str = "\"info\", or directives such as \"warn,shardfleet=debug\"";

/// Crates of this program that log. A directive for another one does nothing.
const SPEAKERS: &[&str] = &[
    "async_nats",
    "axum",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "reqwest",
    "rustls",
    "rustls_native_certs",
    "shardfleet",
    "tokio",
    "tower",
    "want",
];

/// Why directives would not be heard as they are meant.
///
/// # Errors
/// A word that is no level would name a target that does not exist, and silence everything else.
pub fn unheard(directives: &str) -> Result<(), String> {
    if directives.trim().is_empty() {
        return Err("it names no level".to_owned());
    }
    for directive in directives.split(',').map(str::trim) {
        let bare = !directive.is_empty() && !directive.contains(['=', '[']);
        if bare && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{directive} is no level: off, error, warn, info, debug or trace; of one target it is \
                 {directive}=debug"
            ));
        }
    }
    let named = directives.split(',').filter(|it| !it.trim().is_empty());
    let strangers = strangers(directives);
    if strangers.len() == named.count() {
        return Err(format!(
            "nothing in this program logs as {}: no line would be logged",
            strangers.join(" or ")
        ));
    }
    EnvFilter::try_new(directives)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Targets of directives that nothing in this program logs to.
pub fn strangers(directives: &str) -> Vec<String> {
    let targets = directives.split(',').filter_map(|directive| {
        let target = directive.split(['=', '[']).next()?.trim();
        let names = directive.contains('=') && !target.is_empty();
        names.then_some(target)
    });
    let stranger = |target: &&str| {
        let name = target.split("::").next().unwrap_or_default();
        // A directive holds for every target that begins with it.
        !SPEAKERS.iter().any(|speaker| speaker.starts_with(name))
    };
    targets.filter(stranger).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_silence_the_log_is_told() {
        for good in [
            "info",
            "WARN",
            "warn,shardfleet=debug",
            "shardfleet::gateway=trace,off",
            "info,",
        ] {
            assert_eq!(unheard(good), Ok(()), "{good}");
        }
        for bad in [
            "verbose",
            "warning",
            "info,loud",
            "",
            " ",
            "shardfleet=verbose",
            "a=b=c",
            "shardflet=debug",
            "x=info,y=info",
        ] {
            assert!(unheard(bad).is_err(), "{bad}");
        }
        assert!(
            unheard("verbose")
                .unwrap_err()
                .contains("off, error, warn, info, debug or trace")
        );
    }

    #[test]
    fn a_target_that_nothing_logs_to_is_a_stranger() {
        assert_eq!(
            strangers("info,shardflet=debug,x::y[z]=info"),
            ["shardflet", "x::y"]
        );
        assert!(strangers("info,shardfleet::gateway=debug,async_nats=info,hyper=off").is_empty());
    }

    #[test]
    fn whoever_may_log_is_a_part_of_this_program() {
        let lock = include_str!("../../Cargo.lock");
        for speaker in SPEAKERS {
            let name = format!("name = \"{}\"", speaker.replace('_', "-"));
            assert!(lock.contains(&name), "{speaker}");
        }
    }
}
