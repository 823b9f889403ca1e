//! What is in NATS, key by key, and an old copy of it; what a process counts of its loss.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt};

use super::{super::http::get, Fleet};

impl Fleet {
    /// The keys of a bucket; none while it is not there.
    pub(crate) async fn keys_of(&self, bucket: &str) -> Option<Vec<String>> {
        let prefix = format!("$KV.{bucket}.");
        let (stream, filter) = (format!("KV_{bucket}"), format!("{prefix}>"));
        let subjects = self.subjects_of(&stream, &filter).await?;
        let key = |subject: &String| subject.strip_prefix(&prefix).map(str::to_owned);
        Some(subjects.iter().filter_map(key).collect())
    }

    /// The subjects of which a stream holds something; none while it is not there.
    pub(crate) async fn subjects_of(&self, stream: &str, filter: &str) -> Option<Vec<String>> {
        let stream = self.broker.jetstream.get_stream(stream).await.ok()?;
        let subjects = stream.info_with_subjects(filter).await.ok()?;
        let subjects = subjects.map(|subject| subject.map(|(subject, _)| subject));
        subjects.try_collect().await.ok()
    }

    /// Writes keys of a bucket again as they stand, those that begin so: how many there are.
    pub(crate) async fn write_again(&self, bucket: &str, begin: &str) -> usize {
        let keys = self.keys_of(bucket).await.unwrap();
        let store = self.broker.jetstream.get_key_value(bucket).await.unwrap();
        let keys: Vec<_> = keys.iter().filter(|key| key.starts_with(begin)).collect();
        for key in &keys {
            let value = store.get(key.as_str()).await.unwrap().unwrap();
            store.put(key.as_str(), value).await.unwrap();
        }
        keys.len()
    }

    /// The lines of `/metrics` that tell of one metric of a process.
    pub(crate) async fn metric(&self, process: &str, metric: &str) -> Vec<String> {
        let state = self.state().await;
        let mut processes = state.fleet.processes.iter();
        let status = processes.find(|status| status.process == process).unwrap();
        let page = status.page.as_ref().unwrap().trim_end_matches('/');
        let (_, text) = get(&format!("{page}/metrics")).await;
        let lines = text.lines().filter(|line| line.starts_with(metric));
        lines.map(str::to_owned).collect()
    }

    /// The server is stopped for a moment, and what it has of a stream is copied.
    pub(crate) async fn copy_of(&mut self, stream: &str) -> PathBuf {
        let (from, to) = (self.store_of(stream), self.folder.path().join("copy"));
        self.nats.kill();
        copy(&from, &to);
        self.nats.restart().await;
        to
    }

    /// The server is stopped for a moment, and gets an old copy in place of what it has of a stream.
    pub(crate) async fn restore(&mut self, stream: &str, from: &Path) {
        let to = self.store_of(stream);
        self.nats.kill();
        std::fs::remove_dir_all(&to).unwrap();
        copy(from, &to);
        self.nats.restart().await;
    }

    /// Every gateway and coordinator is stopped, and started again as one that may make nothing in NATS.
    pub(crate) async fn forbid_creating(&mut self) {
        let path = self.folder.path().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("stream.create = false\n{text}")).unwrap();
        for at in 0..self.plan.gateways {
            assert_eq!(self.stop_gateway(at).await, Some(0));
            self.restart_gateway(at);
        }
        for at in 0..self.plan.coordinators {
            assert_eq!(self.stop_coordinator(at).await, Some(0));
            self.restart_coordinator(at);
        }
        self.ready().await;
    }

    fn store_of(&self, stream: &str) -> PathBuf {
        let streams = self.folder.path().join("store/jetstream/$G/streams");
        streams.join(stream)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
