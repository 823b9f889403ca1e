//! Close codes that end a bot.

use std::time::Duration;

use serde_json::json;

use crate::bot::Bot;
use crate::sim::{Failure, Sim, until};

/// Fatal close codes at which serenity 0.12.5 stops; it connects again, or hangs, after 4010, 4011 and 4012.
const GIVES_UP: &[u16] = &[4004, 4013, 4014];

pub(crate) async fn refusals(sim: &Sim, token: &str) -> Result<(), Failure> {
    for code in [4004, 4010, 4011, 4012, 4013, 4014] {
        let bot = Bot::start(&sim.base, token).await?;
        until("all guilds", async || {
            bot.seen(|seen| seen.guilds.len()) == 6
        })
        .await?;
        let before = sim.state("connections").await?;
        sim.post("/sim/fault", json!({ "fault": "close", "code": code }))
            .await?;
        let ended = tokio::time::timeout(Duration::from_secs(15), bot.running).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let after = sim.state("connections").await?;
        let gave_up = ended.is_ok() && after == before;
        if gave_up != GIVES_UP.contains(&code) {
            let new = after - before;
            return Err(format!("{code}: ended {}, {new} new connections", ended.is_ok()).into());
        }
        bot.shards.shutdown_all().await;
    }
    println!("  fatal close codes {GIVES_UP:?}: gave up; not at the others, see docs/SIMULATOR.md");
    Ok(())
}

/// Its own token and intents refused, without a fault; 4010 and 4011 it does not stop at, see above. It asks
/// REST for nothing that needs the token, so the gateway refuses that too.
pub(crate) async fn of_its_own(token: &str) -> Result<(), Failure> {
    for (code, rule) in [(401, "wrong_token"), (4014, "disallowed_intents")] {
        let base = std::env::var(format!("SIM_{code}_URL"))?;
        if let Ok(bot) = Bot::start(&base, token).await {
            let ended = tokio::time::timeout(Duration::from_secs(15), bot.running).await;
            if !matches!(ended, Ok(Ok(Err(_)))) {
                return Err(format!("{code}: it does not give up").into());
            }
            bot.shards.shutdown_all().await;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let sim = Sim::new(base, token);
        let verdict = sim.get("/sim/verdict").await?;
        let broken = verdict["violations"].as_array().ok_or("no violations")?;
        let as_expected = !broken.is_empty()
            && broken.iter().all(|one| one["rule"] == rule)
            && verdict["connections"].as_u64() <= Some(2);
        if !as_expected {
            return Err(format!("{code}: {verdict}").into());
        }
    }
    println!("  its own token and intents refused (4004, 4014): gave up");
    Ok(())
}
