//! What one key alone cannot tell: limits, pairs, formats.

mod discord;
mod events;
mod nats;
mod ranges;

use super::{
    Config, level,
    section::{Reader, show},
    value::LONGEST_NAME,
};

/// Adds the faults that stand between keys.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    ranges::check(config, reader);
    pairs(config, reader);
    discord::check(&config.discord, reader);
    nats::check(&config.nats, reader);
    events::check(config, reader);
    process(config, reader);
    if let Err(reason) = level::unheard(&config.log.level) {
        fault(reader, "log.level", &reason, level::HINT);
    }
}

fn pairs(config: &Config, reader: &mut Reader<'_>) {
    if config.stream.duplicate_window > config.stream.max_age {
        fault(
            reader,
            "stream.duplicate_window",
            "longer than stream.max_age",
            "30s",
        );
    }
    if config.stream.replicas.0.is_multiple_of(2) {
        fault(
            reader,
            "stream.replicas",
            "an even number has no majority to spare",
            "1, 3 or 5",
        );
    }
    let (page, queue) = (config.web.listen.0, config.coordinator.http.0);
    if page.is_some_and(|page| page.port() != 0 && queue == Some(page)) {
        fault(
            reader,
            "coordinator.http",
            "web.listen listens there already",
            "another port",
        );
    }
}

fn process(config: &Config, reader: &mut Reader<'_>) {
    let name = &config.process.name;
    let letter = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !name.chars().all(letter) || name.len() > LONGEST_NAME {
        fault(
            reader,
            "process.name",
            "not one token of a subject",
            &format!("up to {LONGEST_NAME} letters, digits, _ and -"),
        );
    }
}

/// A fault of a key whose value may be shown.
fn fault(reader: &mut Reader<'_>, key: &str, reason: &str, hint: &str) {
    let value = reader.figment.find_value(key).ok();
    reader.fault(
        key,
        value.map(|value| show(&value)),
        reason.to_owned(),
        hint,
    );
}
