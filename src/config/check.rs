//! What one key alone cannot tell: limits, pairs, formats.

use std::time::Duration;

use super::{Config, section::Reader, value::Span};

/// Adds the faults that stand between keys.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    span(reader, "lease.ttl", config.lease.ttl, 6_000, 300_000);
    span(reader, "gateway.gather", config.gateway.gather, 0, 50);
    span(
        reader,
        "coordinator.margin",
        config.coordinator.margin,
        0,
        10_000,
    );
    span(
        reader,
        "process.start",
        config.process.start,
        1_000,
        3_600_000,
    );
    span(
        reader,
        "process.drain",
        config.process.drain,
        1_000,
        600_000,
    );
    span(
        reader,
        "stream.duplicate_window",
        config.stream.duplicate_window,
        100,
        3_600_000,
    );
    span(
        reader,
        "stream.max_age",
        config.stream.max_age,
        60_000,
        31_536_000_000,
    );
    pairs(config, reader);
    formats(config, reader);
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
    if config.gateway.buffer.0 < 1 << 20 {
        fault(
            reader,
            "gateway.buffer",
            "smaller than one large event",
            "at least 1MiB",
        );
    }
    if config.nats.tls_cert.is_empty() != config.nats.tls_key.is_empty() {
        fault(
            reader,
            "nats.tls_cert",
            "certificate and key go together",
            "set both or none",
        );
    }
}

fn formats(config: &Config, reader: &mut Reader<'_>) {
    token(config, reader);
    let presence = &config.discord.presence;
    if !presence.is_empty()
        && let Err(error) = serde_json::from_str::<
            twilight_model::gateway::payload::outgoing::update_presence::UpdatePresencePayload,
        >(presence)
    {
        fault(
            reader,
            "discord.presence",
            &format!("not a presence: {error}"),
            PRESENCE,
        );
    }
    url(
        reader,
        "discord.api",
        &config.discord.api,
        &["https://", "http://"],
    );
    if !config.discord.gateway.is_empty() {
        url(
            reader,
            "discord.gateway",
            &config.discord.gateway,
            &["wss://", "ws://"],
        );
    }
    nats_url(config, reader);
    let name = &config.process.name;
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    {
        fault(
            reader,
            "process.name",
            "not one token of a subject",
            "letters, digits, _ and -",
        );
    }
}

/// A login may stand in it: it is never shown.
fn nats_url(config: &Config, reader: &mut Reader<'_>) {
    if config.nats.url.is_empty() {
        return;
    }
    let faults = config
        .nats
        .url
        .split(',')
        .filter_map(|url| nats_server(url.trim()));
    for reason in faults.collect::<Vec<_>>() {
        reader.fault("nats.url", None, reason, NATS_URL);
    }
}

/// What is wrong with the address of one server.
fn nats_server(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    if !["nats", "tls", "ws", "wss"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Some(format!("NATS is not reached by {scheme}://"));
    }
    let server = rest.rsplit_once('@').map_or(rest, |(_, server)| server);
    let parsed = format!("http://{server}").parse::<axum::http::Uri>().ok();
    let host = parsed.as_ref().and_then(|uri| uri.host());
    host.is_none_or(str::is_empty)
        .then(|| format!("{server:?} is no server's address"))
}

const NATS_URL: &str = "nats://host:4222, or several with commas; tls://, ws:// and wss:// too";

/// Pasted badly, it would fail much later and look like a wrong one. Its value is never shown.
fn token(config: &Config, reader: &mut Reader<'_>) {
    let token = config.discord.token.expose();
    let (reason, hint) = if token.starts_with("Bot ") {
        ("begins with \"Bot \"", "the token alone, without \"Bot \"")
    } else if token.chars().any(|c| !c.is_ascii_graphic()) {
        (
            "holds a space or another character that no token has",
            "the token alone, on one line",
        )
    } else {
        return;
    };
    reader.fault("discord.token", None, reason.to_owned(), hint);
}

const PRESENCE: &str = r#"{"since":null,"activities":[],"status":"online","afk":false}"#;

fn fault(reader: &mut Reader<'_>, key: &str, reason: &str, hint: &str) {
    let value = reader
        .figment
        .find_value(key)
        .ok()
        .map(|value| super::section::show(&value));
    reader.fault(key, value, reason.to_owned(), hint);
}

fn span(reader: &mut Reader<'_>, key: &str, span: Span, min_ms: u64, max_ms: u64) {
    let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
    if !(min..=max).contains(&span.0) {
        fault(
            reader,
            key,
            "out of range",
            &format!("from {min:?} to {max:?}"),
        );
    }
}

fn url(reader: &mut Reader<'_>, key: &str, url: &str, schemes: &[&str]) {
    let scheme = schemes.iter().find(|scheme| url.starts_with(**scheme));
    // twilight panics inside `next()` on a URL that does not parse, so that none gets there.
    let parsed = url
        .parse::<axum::http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::len));
    if scheme.is_none() || parsed.is_none() {
        let hint = format!("an address that begins with {}", schemes.join(" or "));
        fault(reader, key, "not an address", &hint);
    }
}
