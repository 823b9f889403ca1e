//! The log: one JSON object a line, each line understood alone, as much of it as was asked for.

use serde_json::{Value, json};

use crate::support::{fleet::Fleet, http::client, process::Process, until};

/// What names the thing that a line is about. A number among many lines is looked for by these.
const NAMES: [&str; 7] = [
    "shard",
    "group",
    "process",
    "connection",
    "key",
    "address",
    "url",
];

fn lines(written: &str) -> Vec<Value> {
    let objects = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    objects.collect()
}

/// A fleet with troubles: whoever reads one line out of thousands knows what it is about.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_and_reads_alone() {
    let mut fleet = Fleet::start().gateways(2).coordinators(2).await;
    fleet.shards_of(0, 2).await;
    fleet
        .fault(json!({ "fault": "close", "shards": [0] }))
        .await;
    fleet.fault(json!({ "fault": "drop", "shards": [1] })).await;
    fleet.ready().await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet.nats.restart().await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    fleet.resumed_since(&before, 2).await;
    let leader = fleet.leader().await;
    assert_eq!(fleet.stop_coordinator(leader).await, Some(0));
    fleet.leader().await;
    let mut seen = 0;
    for name in ["gateway-0", "gateway-1", "coordinator-0", "coordinator-1"] {
        for line in lines(&fleet.log(name)) {
            let message = line["message"].as_str().unwrap_or_default();
            let known = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
            assert!(known.contains(&line["level"].as_str().unwrap()), "{line}");
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
            assert!(message.len() > 4, "it says nothing: {line}");
            for field in NAMES {
                let named = match &line[field] {
                    Value::Null => continue,
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert!(
                    message.contains(&named),
                    "{field} is not in the message: {line}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} lines");
}

/// `RUST_LOG` is stronger than `log.level`, and `PUT /log` than both.
#[tokio::test]
async fn the_level_is_obeyed_and_changes_while_running() {
    let folder = || tempfile::tempdir().unwrap();
    let quiet = ["up", "--set", "log.level=warn"];
    let loud = Process::start_in(folder(), &quiet, &[("RUST_LOG", "info")]);
    let page = loud.reached().await;
    let levels = |written: &str, level: &str| {
        // The first lines are for people: where things are.
        let objects = written
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        objects
            .filter(|line: &Value| line["level"] == level)
            .count()
    };
    assert!(levels(&loud.written(), "INFO") > 0 && levels(&loud.written(), "DEBUG") == 0);

    let put = async |directives: &'static str| {
        let asked = client().put(format!("{page}/log")).body(directives).send();
        assert_eq!(asked.await.unwrap().status().as_u16(), 200);
    };
    put("trace").await;
    until("more is told", async || {
        (levels(&loud.written(), "TRACE") + levels(&loud.written(), "DEBUG") > 0).then_some(())
    })
    .await;
    put("info").await;
    let settled = loud.written().len();
    put("info,shardfleet=debug").await;
    loud.logged("the log level is info,shardfleet=debug now")
        .await;
    let later = loud.written();
    assert_eq!(
        levels(&later[settled..], "TRACE"),
        0,
        "{}",
        &later[settled..]
    );
}
