//! What is posted over REST, and what is asked for by hand, comes out of the gateway.

use serde_json::json;

use crate::client::Client;
use crate::support::Sim;

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_message_comes_out_on_its_shard_alone() {
    let sim = Sim::start("--events-per-second 0 --shards 2").await;
    let mut clients = [
        Client::ready(sim.address, "", (0, 2)).await,
        Client::ready(sim.address, "", (1, 2)).await,
    ];
    for client in &mut clients {
        client.read(2).await;
    }
    let token = Some("Bot simulated");
    let guilds = sim.get("/api/v10/users/@me/guilds", token).await.1;
    assert_eq!(guilds.as_array().unwrap().len(), 4);
    for guild in guilds.as_array().unwrap() {
        let guild = guild["id"].as_str().unwrap();
        let channels = sim
            .get(&format!("/api/v10/guilds/{guild}/channels"), token)
            .await
            .1;
        let channel = channels[1]["id"].as_str().unwrap();
        let path = format!("/api/v10/channels/{channel}/typing");
        assert_eq!(sim.post(&path, "").await.0, 401);
        let (status, _) = sim.post_as(&path, "", "Bot simulated").await;
        assert_eq!(status, 204);
        let shard = usize::try_from((guild.parse::<u64>().unwrap() >> 22) % 2).unwrap();
        let heard = clients[shard].payload().await;
        assert_eq!(heard["t"], "TYPING_START");
        assert_eq!(heard["d"]["guild_id"], guild);
    }
    for client in &mut clients {
        client.send(&json!({ "op": 1, "d": null })).await;
        assert_eq!(client.payload().await["op"], 11, "nothing else was heard");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_can_be_asked_for_and_outages_end() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(2).await;
    let (_, answer) = sim.post("/sim/event", r#"{"event":"all"}"#).await;
    let count = usize::try_from(answer["dispatched"].as_u64().unwrap()).unwrap();
    assert!(
        count > 80,
        "79 names less two, and eleven in direct messages: {count}"
    );
    client.read(count).await;
    sim.fault(r#"{"fault":"outage","guilds":1,"for_ms":200}"#)
        .await;
    let gone = client.until("GUILD_DELETE").await;
    assert_eq!(gone["d"]["unavailable"], true);
    let back = client.until("GUILD_CREATE").await;
    assert_eq!(back["d"]["id"], gone["d"]["id"]);
}
