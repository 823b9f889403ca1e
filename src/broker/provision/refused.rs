//! Pure: what JetStream refuses for good when a stream is made, and what mends it. Nothing of this passes by
//! itself: a start that waited for it would wait in vain.

use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind},
    stream::Config,
};

/// The way out, by the server's `err_code`. Not among them: what a cluster says while it forms.
///
/// <https://github.com/nats-io/nats-server/blob/main/server/errors.json>
const WAYS_OUT: &[(ErrorCode, &str)] = &[
    (ErrorCode::STORAGE_RESOURCES_EXCEEDED, ROOM),
    (
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        "the account's storage is taken or smaller: give it a larger `max_file`, or set a smaller stream.max_bytes",
    ),
    (
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
        "the server's memory for streams is too small: a larger `max_memory_store`, a smaller stream.max_bytes, \
         or stream.storage = \"file\"",
    ),
    (
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED,
        "one server alone keeps no copies: stream.replicas = 1, or nats.url of a cluster",
    ),
    (
        ErrorCode::MAXIMUM_STREAMS_LIMIT,
        "the account has as many streams as it may: raise its `max_streams`, or delete one. The fleet needs two \
         for its buckets and stream.partitions for events",
    ),
    (
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
        "give the account `jetstream: enabled` in the server's configuration, or log in to another one",
    ),
    (
        ErrorCode::JETSTREAM_NOT_ENABLED,
        "start the servers with `jetstream {}` in their configuration, or with -js",
    ),
    (
        ErrorCode::STREAM_MAX_BYTES_REQUIRED,
        "the account wants a limit of bytes for each stream: set stream.max_bytes",
    ),
    (
        ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
        "the account allows no stream so large: set a smaller stream.max_bytes",
    ),
    (
        ErrorCode::STREAM_SUBJECT_OVERLAP,
        "another stream has subjects of the fleet: delete it, or choose another fleet.name",
    ),
    (
        ErrorCode::STREAM_INVALID_CONFIG,
        "NATS does not take such a stream: look at [stream]",
    ),
];

const ROOM: &str = "a server's limit is its `max_file_store`, or three quarters of the disk that was free when it \
                    started: free the disk and restart it, or set a smaller stream.max_bytes";

/// Why no such stream can be made here, whoever waits how long; none: it may pass.
pub(super) fn for_good(error: &CreateStreamError, wanted: &Config) -> Option<String> {
    let CreateStreamErrorKind::JetStream(refusal) = error.kind() else {
        return None;
    };
    let code = refusal.error_code();
    let (_, way_out) = WAYS_OUT.iter().find(|(known, _)| *known == code)?;
    let name = &wanted.name;
    let size = match u64::try_from(wanted.max_bytes) {
        Ok(bytes) if bytes > 0 => format!(" of {:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        _ => String::new(),
    };
    Some(format!(
        "NATS refuses the stream {name}{size}: {refusal}. Waiting does not mend it: {way_out}"
    ))
}
