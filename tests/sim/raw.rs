//! Any text can be sent, and what belongs to the session is recorded as sent.

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{Sim, hash};

async fn raw(sim: &Sim, text: &str) {
    let fault = json!({ "fault": "raw", "text": text });
    assert_eq!(sim.fault(&fault.to_string()).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_of_any_name_is_numbered_recorded_and_replayed() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(2).await;
    client.lenient = true;
    let long = "Y".repeat(5000);
    let names = [
        json!("a.b *>"),
        json!("with space"),
        json!(long),
        json!("é😀"),
        json!(""),
        json!(">"),
        json!("a\nb\0"),
        json!("FLEET_GAP"),
        json!("MESSAGE_CREATE"),
        Value::Null,
        json!(7),
    ];
    let mut texts = Vec::new();
    for (index, name) in names.iter().enumerate() {
        raw(
            &sim,
            &format!(r#"{{"t":{name},"s":"next","op":0,"d":{{"id":"1"}}}}"#),
        )
        .await;
        texts.push(format!(
            r#"{{"t":{name},"s":{},"op":0,"d":{{"id":"1"}}}}"#,
            index + 4
        ));
    }
    raw(&sim, r#"{"s":"next","op":0,"d":{"op":7}}"#).await;
    texts.push(format!(
        r#"{{"s":{},"op":0,"d":{{"op":7}}}}"#,
        names.len() + 4
    ));
    for text in &texts {
        assert_eq!(
            client.payload().await,
            serde_json::from_str::<Value>(text).unwrap()
        );
    }
    let record = sim.record().await;
    for (index, text) in texts.iter().enumerate() {
        let row = &record[&(client.session.clone(), index as u64 + 4)];
        let name = names.get(index).and_then(Value::as_str).unwrap_or_default();
        assert_eq!(
            (row["event"].as_str(), row["hash"].as_str()),
            (Some(name), Some(hash(text.as_bytes()).as_str()))
        );
    }
    client.close(4000).await;
    let mut again = client.resume(sim.address, "").await;
    again.lenient = true;
    for text in &texts {
        assert_eq!(
            again.payload().await,
            serde_json::from_str::<Value>(text).unwrap()
        );
    }
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["ok"], &verdict["sent"]),
        (&json!(true), &json!(texts.len() + 4)),
        "READY, two guilds, RESUMED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_texts_go_to_the_socket_as_they_are() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "&compress=zstd-stream", (0, 1)).await;
    client.read(2).await;
    let texts = [
        r#"{"t":null,"s":null,"op":42,"d":{}}"#,
        r#"{"op":-1}"#,
        r#"{"op":"11","d":null}"#,
        "[]",
        "null",
        r#"{"d":{"op":7},"op":9}"#,
        r#"{"op":11,"d":null}"#,
    ];
    for text in texts {
        raw(&sim, text).await;
        assert_eq!(
            client.payload().await,
            serde_json::from_str::<Value>(text).unwrap()
        );
    }
    raw(&sim, "{").await;
    assert_eq!(client.payload().await, "garbage");
    assert_eq!(sim.record().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_sequence_is_no_fault_of_the_client() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(2).await;
    raw(
        &sim,
        &format!(r#"{{"t":"TYPING_START","s":{},"op":0,"d":{{}}}}"#, u64::MAX),
    )
    .await;
    assert_eq!(client.payload().await["s"], u64::MAX);
    client.send(&json!({ "op": 1, "d": u64::MAX })).await;
    assert_eq!(client.op().await["op"], 11);
    // The session goes on by its own count.
    sim.post("/sim/event", r#"{"event":"TYPING_START"}"#).await;
    assert_eq!(client.payload().await["s"], 4);
    client.close(4000).await;
    client.seq = u64::MAX;
    let end = client.resume(sim.address, "").await.end().await;
    assert_eq!(end, crate::client::Heard::Closed(Some(4007)));
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_comes_before_ready() {
    let sim = Sim::start("--events-per-second 0").await;
    let say = r#"{"t":"USER_UPDATE","s":"next","op":0,"d":{}}"#;
    let fault = json!({ "fault": "interrupt", "moment": "identify", "say": say, "then": "go_on", "count": 1 });
    sim.fault(&fault.to_string()).await;
    let mut client = Client::hello(sim.address, "").await;
    client.identify((0, 1)).await;
    let first = client.payload().await;
    assert_eq!(
        (&first["t"], &first["s"]),
        (&json!("USER_UPDATE"), &json!(1))
    );
    assert_eq!(client.payload().await["s"], 2);
    let record = sim.record().await;
    assert_eq!(record[&(client.session.clone(), 1)]["event"], "USER_UPDATE");
    assert_eq!(record[&(client.session.clone(), 2)]["event"], "READY");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_utf_8_is_said_byte_by_byte() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "&compress=zstd-stream", (0, 1)).await;
    client.read(2).await;
    client.lenient = true;
    for text in ["{}", "\"s\":\"next\"\u{100}"] {
        let fault = json!({ "fault": "raw", "text": text, "latin1": true });
        assert_eq!(sim.post("/sim/fault", &fault.to_string()).await.0, 400);
    }
    let text = "{\"t\":\"A\",\"s\":\"next\",\"op\":0,\"d\":\"\u{ff}\"}";
    let fault = json!({ "fault": "raw", "text": text, "latin1": true });
    assert_eq!(sim.fault(&fault.to_string()).await, 1);
    let record = sim.record().await;
    let sent = b"{\"t\":\"A\",\"s\":4,\"op\":0,\"d\":\"\xff\"}";
    let row = &record[&(client.session.clone(), 4)];
    assert_eq!(row["hash"].as_str(), Some(hash(sent).as_str()));
}
