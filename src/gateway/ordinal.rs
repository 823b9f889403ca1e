//! Groups by the number at the end of the host name, as pods of a `StatefulSet` have it.

use std::time::Duration;

use crate::{
    clock::Instant,
    config::{Assignment, Config, Fault, Faults},
    fleet::Layout,
    telemetry::seldom::Seldom,
};

/// A process that can hold nothing says so this often: it may be there before the fleet has grown.
const SAY_EVERY: Duration = Duration::from_secs(300);

/// The number of this host; none where groups are not chosen by it.
///
/// # Errors
/// A host name without a number: such a process would hold nothing, for ever.
pub fn of(config: &Config) -> Result<Option<u32>, Faults> {
    if config.gateway.assignment == Assignment::Elastic {
        return Ok(None);
    }
    let host = host();
    number(&host).map(Some).ok_or_else(|| {
        Faults(vec![Fault {
            key: "gateway.assignment".to_owned(),
            value: Some("\"ordinal\"".to_owned()),
            origin: "configuration".to_owned(),
            reason: format!(
                "the host is called {host:?}, which ends in no number: this process would hold no group"
            ),
            hint: "\"elastic\"; or a host name such as gateway-0, as pods of a StatefulSet have it"
                .to_owned(),
        }])
    })
}

fn host() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

/// The number that ends a name. One that is too large is beyond every group.
fn number(host: &str) -> Option<u32> {
    let digits = host.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Says what an operator has to know of a number that no group has.
pub struct Beyond(Seldom);

impl Default for Beyond {
    fn default() -> Self {
        Self(Seldom::once_in(SAY_EVERY))
    }
}

impl Beyond {
    /// The number, where the fleet has no group of it.
    pub fn look(&self, ordinal: Option<u32>, layout: Layout, now: Instant) -> Option<u32> {
        let groups = layout.groups();
        let ordinal = ordinal.filter(|ordinal| *ordinal >= groups)?;
        if self.0.one_more(now).is_some() {
            tracing::warn!(
                ordinal,
                "this process holds nothing: its host name ends in {ordinal}, and the fleet has {groups} groups, \
                 counted from 0 (gateway.assignment = \"ordinal\"). Run as many replicas as there are groups"
            );
        }
        Some(ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_host_name_ends_in_a_number_or_does_not() {
        for (host, ordinal) in [
            ("gateway-0", Some(0)),
            ("gateway-07", Some(7)),
            ("web12", Some(12)),
            ("n1-gateway", None),
            ("", None),
            ("gateway-99999999999", Some(u32::MAX)),
        ] {
            assert_eq!(number(host), ordinal, "{host}");
        }
    }

    #[test]
    fn a_number_beyond_the_groups_is_told() {
        let layout = Layout {
            generation: 1,
            shards: 8,
            group_size: 2,
        };
        let (beyond, now) = (Beyond::default(), clock::now());
        assert_eq!(beyond.look(Some(4), layout, now), Some(4));
        assert_eq!(beyond.look(Some(3), layout, now), None);
        assert_eq!(beyond.look(None, layout, now), None);
        // The first was said: the next is due after a while.
        assert!(beyond.0.one_more(now).is_none());
        assert!(beyond.0.one_more(now + SAY_EVERY).is_some());
    }
}
