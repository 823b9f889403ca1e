//! A fleet on several nats-servers: who leads what, and who is connected where.

use std::time::Duration;

use async_nats::jetstream::stream::{ClusterInfo, PeerInfo};
use serde_json::Value;

use super::{
    Fleet,
    discord::client,
    server::Node,
    wait::{LIMIT, SOON, eventually},
};

/// The stream of the events.
pub(crate) const EVENTS: &str = "DISCORD";
/// The stream of the state bucket: ledger, topology, sessions.
pub(crate) const STATE: &str = "KV_discord_state";

impl Fleet {
    /// The node that leads a stream, once one does.
    pub(crate) async fn leader_of(&self, stream: &str) -> usize {
        let what = format!("a node leads {stream}");
        eventually(&what, LIMIT, async || {
            let leader = self.cluster_of(stream).await?.leader?;
            let mut nodes = self.nats.nodes().iter();
            nodes.position(|node| node.name == leader)
        })
        .await
    }

    /// Who has a stream, by the servers' own word; none while they do not say.
    async fn cluster_of(&self, stream: &str) -> Option<ClusterInfo> {
        let jetstream = &self.broker.jetstream;
        let stream = jetstream.get_stream_no_info(stream).await.ok()?;
        stream.get_info().await.ok()?.cluster
    }

    /// The leader of a stream lays its office down; another node takes it.
    pub(crate) async fn step_down(&self, stream: &str) {
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
        let request = self.broker.client.request(subject, "".into());
        let answer = tokio::time::timeout(SOON, request).await.unwrap().unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// The node that a connection of this name is at, by the servers' own word, once it is at one.
    /// A gateway's events go over `gateway-0-lane-0`.
    pub(crate) async fn node_of(&self, connection: &str) -> usize {
        let what = format!("{connection} is connected");
        eventually(&what, LIMIT, async || {
            for (at, node) in self.nats.nodes().iter().enumerate() {
                let Some(told) = tell(node, "connz?limit=1024").await else {
                    continue;
                };
                let mut connections = told["connections"].as_array().into_iter().flatten();
                if connections.any(|known| known["name"] == connection) {
                    return Some(at);
                }
            }
            None
        })
        .await
    }

    /// Waits until every replica of a stream has what its leader has.
    pub(crate) async fn replicas_current(&self, stream: &str) {
        let what = format!("the replicas of {stream} are current");
        let others = self.nats.nodes().len() - 1;
        eventually(&what, LIMIT, async || {
            let cluster = self.cluster_of(stream).await?;
            let current = |peer: &&PeerInfo| peer.current && !peer.offline;
            let current = cluster.replicas.iter().filter(current).count();
            (cluster.leader.is_some() && current == others).then_some(())
        })
        .await;
    }

    /// Waits until a cluster has elected who leads, and every node is in it.
    pub(super) async fn cluster_formed(&self) {
        let nodes = self.nats.nodes();
        if nodes.len() == 1 {
            return;
        }
        eventually("the servers are one cluster", LIMIT, async || {
            for node in nodes {
                let told = tell(node, "jsz").await?;
                let meta = &told["meta_cluster"];
                let whole = meta["cluster_size"] == nodes.len() && meta["leader"].is_string();
                if !whole {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

/// What a node tells of itself; a frozen one says nothing.
async fn tell(node: &Node, what: &str) -> Option<Value> {
    let url = format!("http://{}/{what}", node.monitor);
    let request = client(None).get(url).timeout(Duration::from_secs(1));
    request.send().await.ok()?.json().await.ok()
}
