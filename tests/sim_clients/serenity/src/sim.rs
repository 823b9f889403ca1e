//! The simulator's own endpoints, and waiting for something.

use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Sim {
    http: reqwest::Client,
    pub(crate) base: String,
    token: String,
}

impl Sim {
    pub(crate) fn new(base: String, token: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            base,
            token: token.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.http.get(format!("{}{path}", self.base));
        let answer = request
            .header("authorization", format!("Bot {}", self.token))
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).json(&body);
        let answer = request
            .header("authorization", format!("Bot {}", self.token))
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(crate) async fn state(&self, key: &str) -> Result<u64, Failure> {
        Ok(self.get("/sim/state").await?[key].as_u64().unwrap_or(0))
    }
}

pub(crate) async fn until(
    what: &str,
    mut wanted: impl AsyncFnMut() -> bool,
) -> Result<(), Failure> {
    let start = Instant::now();
    while !wanted().await {
        if start.elapsed() > Duration::from_secs(60) {
            return Err(format!("never: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
