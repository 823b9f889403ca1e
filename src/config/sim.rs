//! Options of the simulated Discord. Their help text is the reference of the simulator's knobs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

/// How the simulated Discord behaves. Every default is what Discord documents or was seen to do.
#[derive(Clone, Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the command line"
)]
pub struct SimOptions {
    /// Address to serve REST, gateway and /sim on; port 0 takes any free one (the first line on
    /// stdout says which)
    #[arg(long, default_value_t = SimOptions::default().listen, help_heading = "Serving")]
    pub listen: SocketAddr,
    /// PEM certificate chain; with --tls-key the port speaks https and wss
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        help_heading = "Serving"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM private key of --tls-cert
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        help_heading = "Serving"
    )]
    pub tls_key: Option<PathBuf>,
    /// The one bot token that is right (`simulated` unless given); another answers 401 over REST and
    /// 4004 on the gateway
    #[arg(long, default_value = "simulated", value_parser = secret, hide_default_value = true,
          help_heading = "Serving")]
    pub token: SecretString,
    /// The token of a second bot, which has limits and sessions of its own and sees the same guilds
    #[arg(long, value_parser = secret, value_name = "TOKEN", help_heading = "Serving")]
    pub other_token: Option<SecretString>,
    /// User and application id of that bot; the first one's is 700000000000000001
    #[arg(long, value_name = "ID", default_value_t = SimOptions::default().other_bot_id, help_heading = "Serving")]
    pub other_bot_id: u64,

    /// Shard count that /gateway/bot recommends
    #[arg(long, default_value_t = SimOptions::default().shards, help_heading = "Limits")]
    pub shards: u32,
    /// Identify buckets: a shard belongs to bucket `shard_id % max_concurrency`
    #[arg(long, default_value_t = SimOptions::default().max_concurrency, help_heading = "Limits",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrency: u32,
    /// Identifies a day. One more ends every session and resets the token, as Discord does
    #[arg(long, default_value_t = SimOptions::default().session_start_total, help_heading = "Limits")]
    pub session_start_total: u32,
    /// Identifies left at the start [default: all]
    #[arg(long, help_heading = "Limits")]
    pub session_start_remaining: Option<u32>,
    /// Length of the "day" after which the identifies are full again
    #[arg(long, default_value_t = SimOptions::default().session_start_reset, help_heading = "Limits")]
    pub session_start_reset: Span,
    /// Time in which one bucket may identify once
    #[arg(long, default_value_t = SimOptions::default().identify_window, help_heading = "Limits")]
    pub identify_window: Span,
    /// Whether that time runs from the bucket's last identify, or in windows fixed to the clock
    #[arg(long, value_enum, default_value_t = WindowKind::Sliding, help_heading = "Limits")]
    pub identify_window_kind: WindowKind,
    /// Also count refused identifies against the day (Discord counts successful ones)
    #[arg(long, help_heading = "Limits")]
    pub count_failed_identifies: bool,
    /// Refuse fewer shards than this with 4011, as Discord does above 2,500 guilds a shard
    #[arg(long, default_value_t = 1, help_heading = "Limits")]
    pub min_shards: u32,
    /// Refuse shard counts that are not a multiple of this with 4010 (large-bot sharding)
    #[arg(long, default_value_t = 1, help_heading = "Limits",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub shard_multiple: u32,
    /// Intents that this bot is not approved for, as a number: identifying with one closes 4014
    #[arg(
        long,
        default_value_t = 0,
        value_name = "BITS",
        help_heading = "Limits"
    )]
    pub disallow_intents: u64,

    /// Dispatches a second in all, spread over the ready sessions; POST /sim/traffic changes it
    #[arg(long, default_value_t = SimOptions::default().events_per_second, help_heading = "World")]
    pub events_per_second: u32,
    /// Length of a day in which --events-per-second is the mean: from 42 % at night, three hours after the
    /// start, to 160 % in the evening, nineteen hours after it. 24h is a real one; 0s: always the same rate
    #[arg(long, default_value_t = SimOptions::default().daily_rhythm, help_heading = "World")]
    pub daily_rhythm: Span,
    /// Guilds of each shard; their ids obey `(guild_id >> 22) % num_shards`
    #[arg(long, default_value_t = SimOptions::default().guilds_per_shard, help_heading = "World")]
    pub guilds_per_shard: u32,
    /// Traffic of a bot that asked for presences: 93 % are presence updates (needs the intent)
    #[arg(long, help_heading = "World")]
    pub presences: bool,
    /// Everything that a session is sent follows from this number, session ids too: a client of an earlier
    /// run can resume in this one. Without it guilds and traffic are those of 1, session ids are new in
    /// every run
    #[arg(long, help_heading = "World")]
    pub seed: Option<u64>,
    /// For load: write this many bodies a session (32 unless given), then send them over and over with a
    /// new sequence and id. zstd-stream becomes a frame or two a message, compressed beforehand; 0 writes
    /// every event anew
    #[arg(long, value_name = "BODIES", num_args = 0..=1, require_equals = true, default_value_t = 0,
          default_missing_value = "32", hide_default_value = true, help_heading = "World")]
    pub pre_encoded: u32,
    /// What happens when, as TOML: `[[step]]` with `at`, perhaps `every`, and `fault`, `event` or
    /// `events_per_second`
    #[arg(long, value_name = "FILE", help_heading = "World")]
    pub script: Option<PathBuf>,
    /// Put undocumented keys into messages: a client has to ignore them
    #[arg(long, help_heading = "World")]
    pub extra_keys: bool,

    /// Heartbeat interval announced in HELLO, in milliseconds
    #[arg(long, default_value_t = SimOptions::default().heartbeat_interval_ms, help_heading = "Sessions",
          value_parser = clap::value_parser!(u64).range(10..))]
    pub heartbeat_interval_ms: u64,
    /// How late a heartbeat may be, in percent of the interval (Discord was seen to wait one more)
    #[arg(
        long,
        default_value_t = 100,
        value_name = "PERCENT",
        help_heading = "Sessions"
    )]
    pub heartbeat_grace: u32,
    /// Close code for a late heartbeat: 4009 is documented, 1000 was seen
    #[arg(
        long,
        default_value_t = 4009,
        value_name = "CODE",
        help_heading = "Sessions"
    )]
    pub late_heartbeat_code: u16,
    /// How long a session without a socket can be resumed
    #[arg(long, default_value_t = SimOptions::default().session_ttl, help_heading = "Sessions")]
    pub session_ttl: Span,
    /// Dispatches kept for replay, per session
    #[arg(long, default_value_t = SimOptions::default().replay_buffer, value_name = "EVENTS",
          help_heading = "Sessions")]
    pub replay_buffer: usize,
    /// Bytes kept for replay, per session: the bound on memory beside --replay-buffer
    #[arg(long, default_value_t = SimOptions::default().replay_bytes, value_name = "BYTES",
          help_heading = "Sessions")]
    pub replay_bytes: usize,
    /// Forget dispatches that a heartbeat acknowledged: a RESUME from before them gets op 9
    #[arg(long, help_heading = "Sessions")]
    pub replay_trim_at_heartbeat: bool,
    /// Close the socket after op 9 with d:false, instead of leaving it open for an IDENTIFY
    #[arg(long, help_heading = "Sessions")]
    pub invalid_session_closes: bool,
    /// Closing a session that lives with 1000 or 1001 breaks the rule `session_closed`: for clients that
    /// mean to keep their sessions (a client that logs out may close so)
    #[arg(long, help_heading = "Sessions")]
    pub keep_sessions: bool,
    /// Answer to a RESUME with the wrong token: close 4004, or op 9
    #[arg(long, value_enum, default_value_t = Answer::Close, help_heading = "Sessions")]
    pub resume_wrong_token: Answer,
    /// Answer to a RESUME from a sequence that was never sent: close 4007, or op 9
    #[arg(long, value_enum, default_value_t = Answer::Close, help_heading = "Sessions")]
    pub resume_ahead: Answer,
    /// A RESUME while the session's old socket lives: close the old one, or answer op 9
    #[arg(long, value_enum, default_value_t = Takeover::CloseOld, help_heading = "Sessions")]
    pub resume_while_live: Takeover,
    /// More than five presence updates in 20 s: ignore them, or close 4008
    #[arg(long, value_enum, default_value_t = Excess::Ignore, help_heading = "Sessions")]
    pub presence_over_limit: Excess,
    /// Asking for all members without the members intent: ignore it, or close 4014
    #[arg(long, value_enum, default_value_t = Excess::Ignore, help_heading = "Sessions")]
    pub members_without_intent: Excess,
    /// Send op 7 to every connection after about this long; 0s never
    #[arg(long, default_value_t = SimOptions::default().reconnect_every, help_heading = "Sessions")]
    pub reconnect_every: Span,
    /// Split zlib-stream messages over two WebSocket messages
    #[arg(long, help_heading = "Sessions")]
    pub split_zlib: bool,

    /// Dispatches kept in the record, 32 bytes each; past it the verdict says `record_full`
    #[arg(long, default_value_t = SimOptions::default().record_limit, value_name = "ROWS",
          help_heading = "Record")]
    pub record_limit: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            tls_cert: None,
            tls_key: None,
            token: SecretString::from("simulated"),
            other_token: None,
            other_bot_id: 700_000_000_000_000_002,
            shards: 32,
            max_concurrency: 16,
            session_start_total: 1000,
            session_start_remaining: None,
            session_start_reset: Span(Duration::from_secs(24 * 3600)),
            identify_window: Span(Duration::from_secs(5)),
            identify_window_kind: WindowKind::Sliding,
            count_failed_identifies: false,
            min_shards: 1,
            shard_multiple: 1,
            disallow_intents: 0,
            events_per_second: 2000,
            daily_rhythm: Span(Duration::ZERO),
            guilds_per_shard: 8,
            presences: false,
            seed: None,
            pre_encoded: 0,
            script: None,
            extra_keys: false,
            heartbeat_interval_ms: 41_250,
            heartbeat_grace: 100,
            late_heartbeat_code: 4009,
            session_ttl: Span(Duration::from_secs(120)),
            replay_buffer: 3500,
            replay_bytes: 64 << 20,
            replay_trim_at_heartbeat: false,
            invalid_session_closes: false,
            keep_sessions: false,
            resume_wrong_token: Answer::Close,
            resume_ahead: Answer::Close,
            resume_while_live: Takeover::CloseOld,
            presence_over_limit: Excess::Ignore,
            members_without_intent: Excess::Ignore,
            reconnect_every: Span(Duration::ZERO),
            split_zlib: false,
            record_limit: 20_000_000,
        }
    }
}

impl SimOptions {
    /// What guilds and traffic follow from.
    pub fn world_seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }
}

/// How the five seconds of an identify bucket are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WindowKind {
    /// From the bucket's last accepted identify.
    Sliding,
    /// In windows fixed to the clock.
    Fixed,
}

/// The two answers to a RESUME that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// Close the connection with the documented code.
    Close,
    /// Op 9 with `d:false`.
    Invalid,
}

/// Who wins when a session is resumed while its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Takeover {
    /// The newcomer; the old socket is closed.
    CloseOld,
    /// The old socket; the newcomer gets op 9.
    Refuse,
}

/// What happens to a request that Discord does not say what it does with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Excess {
    /// Nothing.
    Ignore,
    /// The connection is closed.
    Close,
}

/// A length of time as an operator writes it: `120s`, `500ms`, `5m`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if ms.is_multiple_of(1000) {
            write!(f, "{}s", ms / 1000)
        } else {
            write!(f, "{ms}ms")
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("`{text}` is no length of time; write it like 500ms, 120s, 5m or 24h");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| fault())?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(fault()),
        };
        number
            .checked_mul(factor)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(fault)
    }
}

fn secret(text: &str) -> Result<SecretString, String> {
    if text.is_empty() {
        Err("the token is empty".to_owned())
    } else {
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        sim: SimOptions,
    }

    #[test]
    fn no_flags_is_the_default() {
        let parsed = Cli::try_parse_from(["sim"]).unwrap().sim;
        assert_eq!(
            format!("{parsed:?}"),
            format!("{:?}", SimOptions::default())
        );
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("120s", 120_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))));
        }
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            "-1s",
            "1.5s",
            "5d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(
                wrong
                    .parse::<Span>()
                    .unwrap_err()
                    .contains("no length of time"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let options = Cli::try_parse_from(["sim", "--token", "hush"]).unwrap().sim;
        assert!(!format!("{options:?}").contains("hush"));
    }
}
