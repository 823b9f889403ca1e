//! What in a stream's configuration discards, refuses, alters or unsays what the fleet stores there.
//!
//! What does none of that is nobody's business: placement, compression, what is republished, limits of
//! workers' consumers. What a server fills in by itself is no difference either.

use std::fmt::Debug;

use async_nats::jetstream::stream::{Config, PersistenceMode};

use crate::broker::upkeep::Kind;

/// A server takes no message larger than this: such a limit refuses nothing.
const LARGEST_MESSAGE: i32 = 64 << 20;
/// More subjects than these are counted, not named.
const NAMED: usize = 4;

/// What differs between a stream as wanted and as found, each with the key that wants it so, or with what it
/// should be where no key says. Empty: nothing that matters.
pub(in crate::broker) fn differences(kind: Kind, wanted: &Config, found: &Config) -> Vec<String> {
    let mut list = Differences(Vec::new());
    list.of_both(kind, wanted, found);
    match kind {
        Kind::Stream => list.of_events(wanted, found),
        Kind::Lease | Kind::State => list.of_bucket(wanted, found),
    }
    list.0
}

struct Differences(Vec<String>);

impl Differences {
    fn of_both(&mut self, kind: Kind, wanted: &Config, found: &Config) {
        let is_stream = kind == Kind::Stream;
        let keyed = |key| if is_stream { key } else { "" };
        // Of more partitions than groups some have no shard: the server gives those a subject.
        let alone = [wanted.name.clone()];
        let is_given = wanted.subjects.is_empty() && !found.subjects.is_empty();
        self.subjects(
            if is_given { &alone } else { &wanted.subjects },
            &found.subjects,
            keyed("fleet.name, stream.partitions"),
        );
        let (ours, theirs) = (&wanted.retention, &found.retention);
        self.field("retention", ours, theirs, "");
        self.field("discard", &wanted.discard, &found.discard, "");
        let key = match kind {
            Kind::Stream => "stream.max_age",
            Kind::Lease => "lease.ttl",
            Kind::State => "",
        };
        self.field("max_age", &wanted.max_age, &found.max_age, key);
        let (ours, theirs) = (wanted.max_bytes, found.max_bytes);
        self.limit("max_bytes", ours, theirs, keyed("stream.max_bytes"));
        self.limit("max_msgs", wanted.max_messages, found.max_messages, "");
        let per_subject = if is_stream {
            "max_msgs_per_subject"
        } else {
            "history"
        };
        let ours = wanted.max_messages_per_subject;
        self.limit(per_subject, ours, found.max_messages_per_subject, "");
        if found.max_message_size < LARGEST_MESSAGE {
            let (ours, theirs) = (wanted.max_message_size, found.max_message_size);
            self.limit("max_msg_size", ours.into(), theirs.into(), "");
        }
        let (ours, theirs) = (&wanted.num_replicas, &found.num_replicas);
        self.field("replicas", ours, theirs, "stream.replicas");
        let (ours, theirs) = (&wanted.storage, &found.storage);
        self.field("storage", ours, theirs, keyed("stream.storage"));
        self.must_not("sealed", found.sealed);
        self.must_not("no_ack", found.no_ack);
        self.must_not("discard_new_per_subject", found.discard_new_per_subject);
        // Every message without a number to add is refused.
        self.must_not("allow_msg_counter", found.allow_message_counter);
        let (ours, theirs) = (&wanted.allow_direct, &found.allow_direct);
        self.field("allow_direct", ours, theirs, "");
        let (ours, theirs) = (&wanted.deny_delete, &found.deny_delete);
        self.field("deny_delete", ours, theirs, "");
        // It says so before it is stored, and is lost with the server's memory.
        let is_async = found.persist_mode == Some(PersistenceMode::Async);
        self.must_not("persist_mode async", is_async);
        let transform = found.subject_transform.as_ref();
        let transform = transform.map(|to| format!("{} to {}", to.source, to.destination));
        self.must_be_none("subject_transform", transform);
        let mirror = found.mirror.as_ref().map(|of| of.name.clone());
        self.must_be_none("mirror", mirror);
        let sources = found.sources.iter().flatten();
        let sources: Vec<_> = sources.map(|of| of.name.as_str()).collect();
        let sources = (!sources.is_empty()).then(|| sources.join(", "));
        self.must_be_none("sources", sources);
    }

    fn of_events(&mut self, wanted: &Config, found: &Config) {
        let (ours, theirs) = (&wanted.duplicate_window, &found.duplicate_window);
        self.field("duplicate_window", ours, theirs, "stream.duplicate_window");
        let (ours, theirs) = (&wanted.deny_purge, &found.deny_purge);
        self.field("deny_purge", ours, theirs, "");
        // One header of anybody's takes all out that was there before.
        self.must_not("allow_rollup_hdrs", found.allow_rollup);
        // What ages leaves a message that Discord never sent behind.
        let marker = found.subject_delete_marker_ttl.filter(|ttl| !ttl.is_zero());
        let marker = marker.map(|ttl| format!("{ttl:?}"));
        self.must_be_none("subject_delete_marker_ttl", marker);
    }

    fn of_bucket(&mut self, wanted: &Config, found: &Config) {
        // Whoever follows a bucket is a consumer of it.
        let (ours, theirs) = (wanted.max_consumers, found.max_consumers);
        self.limit("max_consumers", ours.into(), theirs.into(), "");
        let limits = found.consumer_limits.as_ref();
        let limits = limits.map(|limits| format!("{limits:?}"));
        self.must_be_none("consumer_limits", limits);
    }

    fn subjects(&mut self, wanted: &[String], found: &[String], key: &str) {
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            let only = these.iter().filter(|subject| !those.contains(subject));
            only.cloned().collect()
        };
        let (lacks, beside) = (only(wanted, found), only(found, wanted));
        if lacks.is_empty() && beside.is_empty() {
            return;
        }
        let mut told = Vec::new();
        if !lacks.is_empty() {
            told.push(format!("should also have {}", named(&lacks)));
        }
        if !beside.is_empty() {
            told.push(format!("should not have {}", named(&beside)));
        }
        self.0
            .push(format!("subjects {}{}", told.join(" and "), of_key(key)));
    }

    /// A limit; the server writes -1 for none where nothing was said.
    fn limit(&mut self, field: &str, wanted: i64, found: i64, key: &str) {
        let none = |limit: i64| if limit <= 0 { -1 } else { limit };
        self.field(field, &none(wanted), &none(found), key);
    }

    fn field<T: PartialEq + Debug>(&mut self, field: &str, wanted: &T, found: &T, key: &str) {
        if wanted == found {
            return;
        }
        self.0.push(if key.is_empty() {
            format!("{field} is {found:?} and should be {wanted:?}")
        } else {
            format!(
                "{field} is {found:?}, this configuration wants {wanted:?}{}",
                of_key(key)
            )
        });
    }

    fn must_not(&mut self, field: &str, found: bool) {
        self.field(field, &false, &found, "");
    }

    fn must_be_none(&mut self, field: &str, found: Option<String>) {
        if let Some(found) = found {
            self.0
                .push(format!("{field} is {found} and should be none"));
        }
    }
}

fn of_key(key: &str) -> String {
    if key.is_empty() {
        return String::new();
    }
    let plural = if key.contains(',') { "s" } else { "" };
    format!(" (key{plural} {key})")
}

fn named(subjects: &[String]) -> String {
    let more = subjects.len().saturating_sub(NAMED);
    let named = subjects[..subjects.len() - more].join(", ");
    if more == 0 {
        named
    } else {
        format!("{named} and {more} more")
    }
}

#[cfg(test)]
mod tests;
