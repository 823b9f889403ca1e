//! Pure: sizes that do not fit together, from what is configured and what was measured.

use std::time::Duration;

use super::Finding;
use crate::{config::Config, files, fleet::Layout, wire::status::Status};

/// What the streams have taken lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Bytes that they hold, of one replica.
    pub(super) bytes: u64,
    /// Messages that they hold.
    pub(super) messages: u64,
    /// From the oldest to the latest.
    pub(super) span: Duration,
}

/// Less than this says nothing about a day.
const ENOUGH: Duration = Duration::from_secs(600);
/// Events that one shard may miss during a lease time. Discord does not say how many it keeps for a
/// RESUME; a takeover that asks for more is a risk.
const MANY_EVENTS: f64 = 5_000.0;

/// Does the stream hold `max_age` of what comes; is a takeover fast enough for what a shard receives.
pub(super) fn stream(config: &Config, layout: &Layout, taken: Taken) -> Vec<Finding> {
    let stream = &config.stream;
    if taken.span < ENOUGH || taken.bytes == 0 {
        let told = "not measured yet: the stream is younger than ten minutes".to_owned();
        return vec![Finding::fine("sizes", told)];
    }
    let seconds = taken.span.as_secs_f64();
    let rate = taken.bytes as f64 / seconds;
    let room = stream.max_bytes.0 as f64 * f64::from(stream.partitions.0);
    let lasts = Duration::from_secs_f64((room / rate).min(1e9));
    let mut found = Vec::new();
    let told = format!(
        "{:.0} KiB/s of events: stream.max_bytes holds {}, stream.max_age is {}",
        rate / 1024.0,
        hours(lasts),
        hours(stream.max_age.0)
    );
    found.push(if lasts < stream.max_age.0 {
        let wanted = (rate * stream.max_age.0.as_secs_f64() / f64::from(1 << 30)).ceil();
        let hint =
            format!("stream.max_bytes = \"{wanted:.0}GiB\" or more, or a smaller stream.max_age");
        Finding::odd("sizes", told, &hint)
    } else {
        Finding::fine("sizes", told)
    });
    let each = taken.messages as f64 / seconds / f64::from(layout.shards.max(1));
    let missed = each * config.lease.ttl.0.as_secs_f64();
    if missed > MANY_EVENTS {
        let told = format!(
            "a shard receives {missed:.0} events in one lease.ttl: Discord may not keep as many until \
             another gateway resumes it"
        );
        let hint = "more shards, a shorter lease.ttl, or fewer intents";
        found.push(Finding::odd("sizes", told, hint));
    }
    found
}

/// May a gateway of this machine open a file for each shard that it may run.
pub(super) fn files(config: &Config, layout: &Layout, most: Option<u64>) -> Finding {
    let groups = config.gateway.max_groups.0.min(layout.groups());
    let shards = u64::from(groups) * u64::from(layout.group_size);
    let wanted = shards + files::BESIDE;
    let Some(most) = most else {
        return Finding::fine("files", "a process may open any number of files".to_owned());
    };
    let told = format!(
        "a process may open {most} files here; a gateway of gateway.max_groups needs {wanted}, one for each of \
         {shards} shards and {} beside",
        files::BESIDE
    );
    if most < wanted {
        let hint = "a higher hard limit (LimitNOFILE of systemd, --ulimit nofile of docker), or a smaller \
                    gateway.max_groups";
        return Finding::wrong("files", told, hint);
    }
    Finding::fine("files", told)
}

/// Is there a gateway for every group, also when one is lost.
pub(super) fn capacity(config: &Config, layout: &Layout, processes: &[Status]) -> Finding {
    let groups = layout.groups();
    let gateways = processes.iter().filter(|process| !process.draining);
    let rooms: Vec<u32> = gateways
        .filter_map(|process| process.gateway.as_ref())
        .map(|gateway| gateway.capacity)
        .collect();
    let (room, largest) = (rooms.iter().sum::<u32>(), rooms.iter().max().copied());
    let Some(largest) = largest else {
        let each = config.gateway.max_groups.0;
        let told = format!(
            "no gateway runs; {groups} groups need {} such as this one, and one to spare",
            groups.div_ceil(each.max(1))
        );
        return Finding::fine("capacity", told);
    };
    let told = match rooms.len() {
        1 => format!("one gateway has room for {room} groups"),
        many => format!("{many} gateways have room for {room} groups"),
    };
    let told = format!("{told}; the fleet has {groups}");
    if room < groups {
        let hint = "start another gateway, or raise gateway.max_groups: some shards do not run";
        Finding::wrong("capacity", told, hint)
    } else if room - largest < groups {
        let told = format!("{told}. Without the largest there is not room for all");
        Finding::odd(
            "capacity",
            told,
            "one gateway more, or a larger gateway.max_groups",
        )
    } else {
        Finding::fine("capacity", told)
    }
}

fn hours(span: Duration) -> String {
    format!("{:.1} h", span.as_secs_f64() / 3_600.0)
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};
    use crate::wire::status::GatewayStatus;

    const LAYOUT: Layout = Layout {
        generation: 1,
        shards: 32,
        group_size: 16,
    };

    #[test]
    fn each_shard_is_a_file() {
        let config = Config::default();
        let outcome = |most| super::files(&config, &LAYOUT, most).outcome;
        assert_eq!(outcome(None), Outcome::Fine);
        assert_eq!(outcome(Some(32 + files::BESIDE)), Outcome::Fine);
        assert_eq!(outcome(Some(31 + files::BESIDE)), Outcome::Wrong);
    }

    fn outcomes(bytes: u64, messages: u64) -> Vec<Outcome> {
        let span = Duration::from_secs(3_600);
        let taken = Taken {
            bytes,
            messages,
            span,
        };
        let found = stream(&Config::default(), &LAYOUT, taken);
        found.iter().map(|finding| finding.outcome).collect()
    }

    #[test]
    fn what_comes_is_held_against_what_the_stream_may_hold() {
        // 8 GiB for 6 h: up to 1.3 GiB an hour.
        assert_eq!(outcomes(1 << 30, 1_000), [Outcome::Fine]);
        assert_eq!(outcomes(2 << 30, 1_000), [Outcome::Odd]);
        assert_eq!(outcomes(1 << 30, 50_000_000), [Outcome::Fine, Outcome::Odd]);
        assert_eq!(
            stream(&Config::default(), &LAYOUT, Taken::default()).len(),
            1
        );
    }

    #[test]
    fn a_gateway_may_be_lost() {
        let fleet = |rooms: &[u32]| -> Vec<Status> {
            let gateway = |capacity: &u32| Status {
                gateway: Some(GatewayStatus {
                    capacity: *capacity,
                    ..GatewayStatus::default()
                }),
                ..Status::default()
            };
            rooms.iter().map(gateway).collect()
        };
        let outcome = |rooms: &[u32]| capacity(&Config::default(), &LAYOUT, &fleet(rooms)).outcome;
        assert_eq!(outcome(&[1]), Outcome::Wrong);
        assert_eq!(outcome(&[1, 1]), Outcome::Odd);
        assert_eq!(outcome(&[2, 2]), Outcome::Fine);
        assert_eq!(outcome(&[]), Outcome::Fine);
    }
}
