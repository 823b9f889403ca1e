//! Two releases in one fleet: an upgrade process by process, and the way back.
//!
//! `tests/extra/45-upgrade.sh` builds the next release, whose messages carry the next version and a
//! field that this one has never heard of, and names its binary in `NEXT_RELEASE`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shardfleet::{
    broker::{Broker, bucket::Bucket},
    fleet::{GroupId, ShardId},
    subject::{COORDINATOR_LEASE, LEDGER, group_lease, session},
    wire::VERSION,
};

use crate::support::{
    figure,
    fleet::{
        Fleet, TOKEN,
        wait::{LIMIT, eventually},
    },
    process::{BIN, command_of, output},
};

const SHARDS: u32 = 8;

fn next_release() -> PathBuf {
    std::env::var_os("NEXT_RELEASE")
        .expect("NEXT_RELEASE names a binary; tests/extra/45-upgrade.sh builds it")
        .into()
}

async fn fleet() -> Fleet {
    let start = Fleet::start().shards(SHARDS).group_size(2);
    let start = start.gateways(2).coordinators(2);
    let mut fleet = start.events_per_second(400).await;
    fleet.shards_of(0, 4).await;
    fleet.flow(400).await;
    fleet
}

/// A value of a bucket as it lies there: its version, and whether it has the next release's field.
async fn written(broker: &Broker, bucket: &str, key: &str) -> Option<(u64, bool)> {
    let bucket = Bucket::open(broker, bucket).await.unwrap();
    let value: Value = serde_json::from_slice(&bucket.get(key).await.unwrap()?.value).unwrap();
    Some((value["v"].as_u64()?, value["unheard_of"].is_object()))
}

impl Fleet {
    /// The coordinators become this build, one by one.
    async fn coordinators_become(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
        for at in 0..2 {
            assert_eq!(self.stop_coordinator(at).await, Some(0));
            self.leader().await;
            self.restart_coordinator(at);
            let name = format!("coordinator-{at}");
            self.wait_until("the coordinator is back", LIMIT, |state| {
                let mut processes = state.fleet.processes.iter();
                processes.any(|it| it.process == name && !it.draining)
            })
            .await;
        }
        self.leader().await;
    }

    /// So do the gateways.
    async fn gateways_become(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
        for at in 0..2 {
            let before = self.discord.figures().await;
            assert_eq!(self.stop_gateway(at).await, Some(0));
            self.restart_gateway(at);
            self.resumed_since(&before, 4).await;
            self.shards_of(at, 4).await;
            self.flow(200).await;
        }
    }

    /// Everything that the fleet keeps is of this version.
    async fn speaks(&self, version: u32) {
        let names = &self.broker.names;
        let wanted = Some((u64::from(version), version > VERSION));
        let mut keys = vec![
            (names.lease_bucket(), COORDINATOR_LEASE.to_owned()),
            (names.state_bucket(), LEDGER.to_owned()),
        ];
        keys.extend((0..4).map(|n| (names.lease_bucket(), group_lease(1, GroupId(n)))));
        keys.extend((0..SHARDS).map(|n| (names.state_bucket(), session(1, ShardId(n)))));
        for (bucket, key) in keys {
            eventually(
                &format!("{key} is of version {version}"),
                LIMIT,
                async || (written(&self.broker, &bucket, &key).await == wanted).then_some(()),
            )
            .await;
        }
    }

    /// One session ends for good, and its shard is granted another.
    async fn shard_identifies(&mut self, shard: u32) {
        let before = self.discord.figures().await.identifies;
        let fault = json!({ "fault": "invalidate", "resumable": false, "shards": [shard] });
        assert_eq!(self.fault(fault).await, 1);
        self.wait_until("the shard identified again", LIMIT, |state| {
            let now = &state.discord;
            now.identifies == before + 1 && now.ready == SHARDS && now.connected == SHARDS
        })
        .await;
    }

    /// A command of a build, to a fleet that may be another's.
    fn tell(&self, program: &Path, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (code, text) = output(
            command_of(program, &folder)
                .env("NATS_URL", self.nats.url())
                .env("DISCORD_TOKEN", TOKEN)
                .args(arguments),
        );
        assert_eq!(code, 0, "{} {arguments:?}: {text}", program.display());
        text
    }

    /// Nobody met a message that it could not read.
    fn all_was_understood(&self) {
        for role in ["gateway", "coordinator"] {
            for log in [0, 1].map(|at| self.log(&format!("{role}-{at}"))) {
                for word in ["not understood", "malformed", "unreadable"] {
                    assert!(!log.contains(word), "{word}: {log}");
                }
            }
        }
    }
}

/// Coordinators first, on both ways: old gateways ask new coordinators, then new ones old ones.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/extra/45-upgrade.sh builds what it needs"]
async fn an_upgrade_and_its_way_back_lose_nothing_and_cost_no_identify() {
    let mut fleet = fleet().await;
    fleet.speaks(VERSION).await;
    for (program, version) in [(next_release(), VERSION + 1), (BIN.into(), VERSION)] {
        fleet.coordinators_become(&program).await;
        fleet.gateways_become(&program).await;
        fleet.speaks(version).await;
    }
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 0);
    fleet.all_was_understood();
    let figures = fleet.discord.figures().await;
    assert_eq!(figures.identifies, u64::from(SHARDS));
    figure("stored across two releases", (report.stored, figures));
}

/// What one release asks of the other is answered: leave to identify, an operator's words, commands.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/extra/45-upgrade.sh builds what it needs"]
async fn two_releases_understand_each_other() {
    let mut fleet = fleet().await;
    let (this, next) = (PathBuf::from(BIN), next_release());
    for (program, shard) in [(&next, 0), (&this, 1)] {
        fleet.coordinators_become(program).await;
        fleet.shard_identifies(shard).await;
        fleet.gateways_become(program).await;
    }
    // One of each: this release's gateway and leader beside the next one's gateway.
    fleet.program.clone_from(&next);
    assert_eq!(fleet.stop_gateway(1).await, Some(0));
    fleet.restart_gateway(1);
    fleet.shards_of(1, 4).await;
    for (program, denied) in [(&this, "INVITE_CREATE"), (&next, "INVITE_DELETE")] {
        let told = fleet.tell(program, &["status"]);
        let both = ["gateway-0", "gateway-1"];
        assert!(both.iter().all(|name| told.contains(name)), "{told}");
        // Without its intent Discord sends none: the audit below still misses nothing.
        fleet.tell(program, &["set", "deny", denied]);
        fleet.tell(program, &["spend-reserve", "1"]);
        fleet.tell(program, &["resume-fleet"]);
    }
    // Each is told by the other's command.
    for (program, at) in [(&this, 1), (&next, 0)] {
        fleet.tell(program, &["drain", &format!("gateway-{at}")]);
        fleet.shards_of(1 - at, 8).await;
        fleet
            .program
            .clone_from(if at == 1 { &next } else { &this });
        assert_eq!(fleet.stop_gateway(at).await, Some(0));
        fleet.restart_gateway(at);
        fleet.shards_of(at, 4).await;
    }
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 2, "the two that identified");
    fleet.all_was_understood();
}
