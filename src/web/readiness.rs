//! Pure: whether a process should be counted on, and if not, why. A rollout goes on to the next process when
//! this one is ready: so one that cannot reach Discord, or can hold nothing, never is.

use std::time::Duration;

use crate::{
    roster::Footing,
    wire::status::{GatewayStatus, Status},
};

/// JetStream is asked every second and a half; an election takes up to nine seconds.
const SILENT_AFTER: Duration = Duration::from_secs(20);

/// What decides.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process hands over what it holds.
    pub draining: bool,
    /// How long JetStream has not answered; none: it never has.
    pub silent: Option<Duration>,
    /// The roles that it was started with.
    pub roles: Roles,
    /// What they say of themselves.
    pub status: Status,
    /// What only this process needs to know of its gateway role.
    pub footing: Footing,
}

/// The roles of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roles {
    /// It runs shards.
    pub gateway: bool,
    /// It may lead.
    pub coordinator: bool,
}

/// Why the process is not ready; none if it is.
pub fn wanting(facts: &Facts) -> Option<String> {
    if facts.draining {
        return Some("draining".to_owned());
    }
    match facts.silent {
        None => return Some("waiting for NATS".to_owned()),
        Some(silent) if silent > SILENT_AFTER => {
            let seconds = silent.as_secs();
            return Some(format!("JetStream has not answered for {seconds} s"));
        }
        Some(_) => {}
    }
    let status = &facts.status;
    if facts.roles.coordinator && status.coordinator.is_none() {
        return Some("the coordinator role has not begun".to_owned());
    }
    if !facts.roles.gateway {
        return None;
    }
    let Some(gateway) = &status.gateway else {
        return Some(
            "the gateway role has not begun: it waits for a leader to say how many shards there are, and for \
             the streams"
                .to_owned(),
        );
    };
    stands(gateway, facts.footing)
}

/// Why a gateway cannot be counted on.
fn stands(gateway: &GatewayStatus, footing: Footing) -> Option<String> {
    let held = gateway.groups.len();
    if held == 0 && gateway.ordinal {
        Some("holds no group: another process has that of its number, or there is none".to_owned())
    } else if held == 0 && footing.free > 0 {
        let free = footing.free;
        Some(format!("holds no group, though nobody holds {free}"))
    } else if held > 0 && !footing.proven {
        let shards = gateway.shards.len();
        Some(format!(
            "none of its {shards} shards has been live since it started"
        ))
    } else {
        // Where all groups are held by others it is a spare.
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::status::{CoordinatorStatus, ShardState, ShardStatus};

    fn gateway(groups: u32, state: ShardState) -> GatewayStatus {
        let shard = ShardStatus {
            shard: 0,
            state,
            events: 0,
            gaps: 0,
            quiet_ms: 0,
        };
        GatewayStatus {
            shards: vec![shard; groups as usize],
            ..GatewayStatus::holding(groups)
        }
    }

    fn facts(gateway: GatewayStatus) -> Facts {
        Facts {
            silent: Some(Duration::ZERO),
            roles: Roles {
                gateway: true,
                coordinator: false,
            },
            status: Status {
                gateway: Some(gateway),
                ..Status::default()
            },
            ..Facts::default()
        }
    }

    fn told(facts: &Facts) -> String {
        wanting(facts).unwrap_or_default()
    }

    #[test]
    fn a_gateway_is_ready_once_a_shard_was_live() {
        let mut given = facts(gateway(2, ShardState::Connecting));
        assert!(told(&given).contains("none of its 2 shards has been live"));
        given.footing.saw(&gateway(2, ShardState::Ready));
        assert_eq!(wanting(&given), None);
        given.footing.saw(&gateway(2, ShardState::Parked));
        assert_eq!(
            wanting(&given),
            None,
            "what Discord does later is no rollout's"
        );
    }

    #[test]
    fn who_holds_nothing_is_a_spare_unless_something_is_free_or_its_own() {
        let mut given = facts(gateway(0, ShardState::Waiting));
        assert_eq!(wanting(&given), None);
        given.footing.free = 3;
        assert!(told(&given).contains("nobody holds 3"));
        let ordinal = GatewayStatus {
            ordinal: true,
            ..GatewayStatus::default()
        };
        assert!(told(&facts(ordinal)).contains("of its number"));
    }

    #[test]
    fn jetstream_a_role_that_has_not_begun_and_a_drain_are_named() {
        let mut given = facts(gateway(0, ShardState::Waiting));
        given.silent = None;
        assert_eq!(told(&given), "waiting for NATS");
        given.silent = Some(Duration::from_secs(21));
        assert!(told(&given).contains("JetStream has not answered for 21 s"));
        given.silent = Some(SILENT_AFTER);
        assert_eq!(wanting(&given), None);
        given.roles.coordinator = true;
        assert!(told(&given).contains("coordinator"));
        given.status.coordinator = Some(CoordinatorStatus::default());
        given.status.gateway = None;
        assert!(told(&given).contains("gateway role"));
        given.draining = true;
        assert_eq!(told(&given), "draining");
    }
}
