//! May this user do in NATS what its role does. Tries it, and changes nothing.

use anyhow::Result;
use bytes::Bytes;
use clap::ValueEnum;

use super::{Finding, Report};
use crate::{
    broker::rights::{self, Probe},
    config::Config,
    fleet::{GroupId, ShardId},
    subject::{COORDINATOR_LEASE, HALT, LEDGER, Names, TOPOLOGY, group_lease, ingest, session},
    wire::{
        self,
        identify::{Request, Withdraw},
    },
};

/// Whose rights are tried: a user of `deploy/nats-accounts.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    Gateway,
    Coordinator,
    /// `up`: both
    Up,
    /// Your code
    Worker,
    /// status, check, tail
    Monitor,
    /// drain, set, spend-reserve, resume-fleet
    Operator,
}

/// No shard has this number, no cut this generation, no process this name.
const NOBODY: &str = "nobody-checks";
const HINT: &str =
    "add it to this user's permissions; deploy/nats-accounts.conf has the whole list of each role";

/// Tells what a role may not do.
pub(super) async fn look(config: &Config, role: Role, report: &mut Report) -> Result<()> {
    let names = Names::new(config.fleet.name.0.clone());
    let probes = probes(role, &names, config.stream.partitions.0);
    let tried = probes.len();
    let refused = match rights::refused(&config.nats, probes).await {
        Ok(refused) => refused,
        Err(error) => {
            let hint = "mend what is wrong with NATS first";
            return report.tell(&Finding::wrong("rights", format!("{error:#}"), hint));
        }
    };
    for probe in &refused {
        let act = match probe {
            Probe::Subscribe(_) => "subscribe",
            Probe::Publish(..) => "publish",
        };
        let told = format!("this user may not {act} to {}", probe.subject());
        report.tell(&Finding::wrong("rights", told, HINT))?;
    }
    if refused.is_empty() {
        let role = role.to_possible_value().unwrap_or_default();
        let told = format!(
            "this user may do all that {} does: {tried} tried",
            role.get_name()
        );
        report.tell(&Finding::fine("rights", told))?;
    }
    Ok(())
}

fn probes(role: Role, names: &Names, partitions: u32) -> Vec<Probe> {
    let mut wanted = Wanted::new(names, partitions);
    match role {
        Role::Gateway => wanted.gateway(),
        Role::Coordinator => wanted.coordinator(),
        Role::Up => {
            wanted.gateway();
            wanted.coordinator();
        }
        Role::Worker => wanted.worker(),
        Role::Monitor => wanted.monitor(),
        Role::Operator => {
            wanted.monitor();
            wanted.operator();
        }
    }
    wanted.probes
}

/// The rights that a role wants, one by one.
struct Wanted<'a> {
    names: &'a Names,
    streams: Vec<String>,
    probes: Vec<Probe>,
}

impl<'a> Wanted<'a> {
    fn new(names: &'a Names, partitions: u32) -> Self {
        let streams = (0..partitions)
            .map(|p| names.stream(p, partitions))
            .collect();
        let mut wanted = Self {
            names,
            streams,
            probes: Vec::new(),
        };
        wanted.subscribe(format!("_INBOX.{NOBODY}"));
        wanted.publish("$JS.API.INFO".to_owned());
        wanted
    }

    fn gateway(&mut self) {
        self.buckets();
        for stream in self.streams.clone() {
            self.api(&["STREAM.INFO", "STREAM.CREATE", "STREAM.MSG.GET"], &stream);
        }
        self.publish(self.names.event(ShardId(0), "FLEET_CHECK"));
        self.lease(&group_lease(0, GroupId(0)));
        self.state(&session(0, ShardId(0)));
        self.state(&ingest(0, GroupId(0)));
        self.state(HALT);
        self.identify();
        // A command that it hears for another's shard, and its worker's answer.
        self.publish(self.names.command(ShardId(u32::MAX)));
        self.publish(format!("_INBOX.{NOBODY}"));
        for subject in [
            self.names.leader(),
            self.names.statuses(),
            self.names.drain(NOBODY),
            self.names.reconnect(NOBODY),
            self.names.commands(),
            self.names.command(ShardId(0)),
        ] {
            self.subscribe(subject);
        }
    }

    fn coordinator(&mut self) {
        self.buckets();
        self.lease(COORDINATOR_LEASE);
        self.state(LEDGER);
        self.state(TOPOLOGY);
        // A grant goes to the asker's inbox.
        self.publish(format!("_INBOX.{NOBODY}"));
        // Whoever asks asks again: that costs nothing.
        self.publish(self.names.leader());
        self.identify();
        for subject in [
            self.names.identify(),
            self.names.leader(),
            self.names.statuses(),
        ] {
            self.subscribe(subject);
        }
    }

    fn worker(&mut self) {
        self.publish(self.names.command(ShardId(u32::MAX)));
        self.subscribe(self.names.events());
        for stream in self.streams.clone() {
            self.api(&["STREAM.INFO", "CONSUMER.CREATE"], &stream);
            self.api(
                &["CONSUMER.DURABLE.CREATE", "CONSUMER.MSG.NEXT"],
                &format!("{stream}.{NOBODY}"),
            );
            self.publish(format!("$JS.ACK.{stream}.{NOBODY}.1.1.1.1.1"));
        }
    }

    fn monitor(&mut self) {
        self.subscribe(self.names.statuses());
        self.subscribe(self.names.events());
        for stream in self.streams.clone() {
            self.api(&["STREAM.INFO"], &stream);
        }
        let (lease, state) = self.bucket_streams();
        self.api(&["STREAM.INFO"], &lease);
        self.api(&["STREAM.INFO", "STREAM.MSG.GET"], &state);
    }

    fn operator(&mut self) {
        self.publish(self.names.drain(NOBODY));
        self.publish(self.names.reconnect(NOBODY));
        self.identify();
        self.state(TOPOLOGY);
        self.state(HALT);
    }

    fn buckets(&mut self) {
        let (lease, state) = self.bucket_streams();
        let wanted = [
            "STREAM.INFO",
            "STREAM.CREATE",
            "STREAM.MSG.GET",
            "CONSUMER.CREATE",
        ];
        for stream in [lease, state] {
            self.api(&wanted, &stream);
        }
    }

    fn bucket_streams(&self) -> (String, String) {
        let [lease, state] = [self.names.lease_bucket(), self.names.state_bucket()];
        (format!("KV_{lease}"), format!("KV_{state}"))
    }

    /// Without a reply subject the server does nothing of it.
    fn api(&mut self, calls: &[&str], of: &str) {
        for call in calls {
            self.publish(format!("$JS.API.{call}.{of}"));
        }
    }

    fn lease(&mut self, key: &str) {
        self.publish(format!("$KV.{}.{key}", self.names.lease_bucket()));
    }

    fn state(&mut self, key: &str) {
        self.publish(format!("$KV.{}.{key}", self.names.state_bucket()));
    }

    /// Somebody who never asked goes away.
    fn identify(&mut self) {
        let request = Request::Withdraw(Withdraw {
            v: wire::VERSION,
            shard: 0,
            nonce: NOBODY.to_owned(),
        });
        let probe = Probe::Publish(self.names.identify(), wire::encode(&request));
        self.probes.push(probe);
    }

    fn publish(&mut self, subject: String) {
        self.probes.push(Probe::Publish(subject, Bytes::new()));
    }

    fn subscribe(&mut self, subject: String) {
        self.probes.push(Probe::Subscribe(subject));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_tried() {
        let probes = probes(Role::Gateway, &Names::new("discord"), 2);
        for stream in ["DISCORD_0", "DISCORD_1"] {
            let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
            assert!(probes.iter().any(|probe| probe.subject() == subject));
        }
        let subjects = probes.iter().map(Probe::subject);
        assert!(subjects.clone().any(|it| it == "discord.0.FLEET_CHECK"));
        assert!(subjects.clone().all(|it| !it.ends_with("READY")));
    }
}
