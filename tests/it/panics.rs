//! A panic in each long-lived task in turn: nothing dies unseen, and what it held goes on elsewhere.
//!
//! The hook that makes a task panic is compiled into debug builds alone (`src/supervise/inject.rs`).
#![cfg(debug_assertions)]

use std::time::Duration;

use shardfleet::clock;

use crate::support::{
    fleet::{Fleet, plan::Plan, wait::LIMIT},
    http::{client, get},
};

/// What goes on elsewhere before this was given up, not lost with its time.
const LEASE: Duration = Duration::from_secs(40);
/// What the hook says, and nobody may see.
const SECRET: &str = "a secret";

fn plan() -> Plan {
    let plan = Fleet::start().gateways(2).panics().events_per_second(200);
    plan.set("lease.ttl", "\"40s\"")
}

/// The process lives on; the group does elsewhere, by RESUME, with nothing lost.
async fn breaks_its_group(task: &str) {
    let mut fleet = plan().await;
    fleet.shards_of(0, 2).await;
    fleet.shards_of(1, 2).await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    let at = clock::now();
    fleet.panic("gateway-0", task);
    fleet.shards_of(1, 4).await;
    fleet.resumed_since(&before, 2).await;
    assert!(clock::now() - at < LEASE / 2, "it waited for the lease");
    let log = fleet.log("gateway-0");
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    let panicked = format!("the task {task} panicked at ");
    assert_eq!(
        (told(&panicked), told("cannot go on here")),
        (1, 1),
        "{log}"
    );
    assert_eq!(told("panicked"), 2, "{log}");
    assert!(!log.contains(SECRET), "{log}");
    let page = fleet.page("gateway-0").await;
    let (_, metrics) = get(&format!("{page}/metrics")).await;
    let count = format!("shardfleet_task_failures_total{{fleet=\"discord\",task=\"{task}\"}} 1");
    assert!(metrics.contains(&count), "{metrics}");
    // Later it takes its share again.
    fleet.shards_of(0, 2).await;
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

macro_rules! breaks_its_group {
    ($($test:ident: $task:literal),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            breaks_its_group($task).await;
        }
    )*};
}

breaks_its_group! {
    a_publisher_that_panics_breaks_its_group: "publisher",
    a_session_keeper_that_panics_breaks_its_group: "session",
    a_batch_that_panics_breaks_its_group: "batch",
    a_shard_that_panics_breaks_its_group: "shard",
    a_lease_keeper_that_panics_breaks_its_group: "lease",
    a_group_that_panics_is_given_up: "group",
}

/// Whether `/live` of a process said 503 and this task before it was gone.
async fn live_said(page: String, task: &str) -> bool {
    let mut said = false;
    while let Ok(answer) = client().get(format!("{page}/live")).send().await {
        if answer.status() == 503 {
            said |= answer.text().await.unwrap().contains(task);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    said
}

/// What is not mended in place ends the process with 1, and `/live` says why before; its groups go on
/// elsewhere.
async fn end_the_gateway(plan: Plan, tasks: &[&str]) {
    let mut fleet = plan.await;
    for task in tasks {
        fleet.shards_of(0, 2).await;
        fleet.shards_of(1, 2).await;
        fleet.flow(100).await;
        let page = fleet.page("gateway-0").await;
        let before = fleet.discord.figures().await;
        let at = clock::now();
        fleet.panic("gateway-0", task);
        let (said, code) = tokio::join!(live_said(page, task), fleet.gateway_ends(0, LIMIT));
        assert_eq!(code, Some(1), "{task}");
        assert!(said || *task == "web", "{task}: /live did not say so");
        let log = fleet.log("gateway-0");
        assert!(log.contains(&format!("its task {task} panicked")), "{log}");
        fleet.shards_of(1, 4).await;
        fleet.resumed_since(&before, 2).await;
        assert!(
            clock::now() - at < LEASE / 2,
            "{task}: it waited for the lease"
        );
        fleet.restart_gateway(0);
    }
    assert!(!fleet.log("gateway-0").contains(SECRET));
    fleet.shards_of(0, 2).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_panics_ends_the_gateway() {
    end_the_gateway(plan(), &["lane", "leader-watch", "inbox"]).await;
}

/// What runs on the other lane is handed over, and what ran on this one is given up in its name.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_lanes_that_panics_ends_the_gateway() {
    let plan = plan().group_size(1).set("gateway.lanes", "2");
    end_the_gateway(plan, &["lane", "inbox"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_gateway_that_panics_ends_it() {
    end_the_gateway(
        plan(),
        &[
            "supervisor",
            "topology",
            "streams",
            "drain-orders",
            "commands",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_process_that_panics_ends_it() {
    let tasks = [
        "roster",
        "status",
        "page",
        "metrics",
        "web",
        "drain",
        "signals",
        "nats-leave",
        "buckets",
        "watch",
        "process",
    ];
    end_the_gateway(plan(), &tasks).await;
}

/// Another leads at once, and grants what is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_leader_that_panics_makes_way_for_another() {
    let tasks = [
        "leader",
        "lease",
        "ledger",
        "identify-requests",
        "discord-limits",
        "unheld",
        "ledger-watch",
        "halt-watch",
        "topology-watch",
        "state-losses",
        "answers",
        "gateway-queue",
    ];
    let plan = plan().coordinators(2);
    let mut fleet = plan.set("coordinator.http", "\"127.0.0.1:0\"").await;
    for task in tasks {
        let leader = fleet.leader().await;
        let name = format!("coordinator-{leader}");
        let page = fleet.page(&name).await;
        let at = clock::now();
        fleet.panic(&name, task);
        let (said, code) =
            tokio::join!(live_said(page, task), fleet.coordinator_ends(leader, LIMIT));
        assert_eq!((said, code), (true, Some(1)), "{task}");
        let other = 1 - leader;
        fleet
            .wait_until("the other leads", LIMIT, |state| {
                let leader = state.fleet.leader.as_ref();
                leader.is_some_and(|leader| leader.process == format!("coordinator-{other}"))
            })
            .await;
        assert!(
            clock::now() - at < LEASE / 2,
            "{task}: it waited for the lease"
        );
        fleet.restart_coordinator(leader);
    }
    fleet.flow(100).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}
