//! Sends one command upstream, and tells what the fleet answers.
//!
//! ```sh
//! cargo run --example command -- '{"op":43,"d":{"guild_id":"41771983423143937","fields":["status"]}}'
//! ```
//!
//! With a number before it the command goes to that shard; without, to the shard of its guild. Waits
//! and tries again where the fleet says when; ends with 1 where it refuses for good.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{env, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

const TRIES: u32 = 5;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let url = env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let client = async_nats::connect(url)
        .await
        .context("no NATS lets us in: is it up, and is it what NATS_URL names?")?;
    let mut arguments = env::args().skip(1);
    let first = arguments
        .next()
        .context("no command given: a JSON payload")?;
    let (subject, payload) = match arguments.next() {
        Some(payload) => (format!("fleet.discord.command.{first}"), payload),
        None => ("fleet.discord.command".to_owned(), first),
    };
    for _ in 0..TRIES {
        let answer = client.request(subject.clone(), payload.clone().into());
        let answer = answer.await.with_context(|| {
            format!(
                "nobody answers on {subject}: does a gateway run, and is the fleet's name discord?"
            )
        })?;
        let reply: Value = serde_json::from_slice(&answer.payload)?;
        println!("{reply}");
        if reply["kind"] != "refused" {
            return Ok(ExitCode::SUCCESS);
        }
        let Some(wait) = reply["retry_after_ms"].as_u64() else {
            return Ok(ExitCode::FAILURE);
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    Ok(ExitCode::FAILURE)
}
