//! serenity, two shards, its default transport (payload compression), through the same story as the
//! other libraries; and which of the 79 dispatches its models read.

use bot::Bot;
use sim::{Failure, Sim, until};

mod bot;
mod refusals;
mod sim;
mod story;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let token = std::env::var("SIM_TOKEN")?;
    let sim = |name: &str| -> Result<Sim, Failure> { Ok(Sim::new(std::env::var(name)?, &token)) };
    let (strict, lenient) = (sim("SIM_URL")?, sim("SIM_REFUSALS_URL")?);
    let bot = Bot::start(&strict.base, &token).await?;
    until("all guilds", async || {
        bot.seen(|seen| seen.guilds.len()) == 6
    })
    .await?;
    println!("  logged in, 2 shards ready, 6 guilds");
    story::story(&strict, &bot).await?;
    bot.shards.shutdown_all().await;
    refusals::refusals(&lenient, &token).await?;
    refusals::of_its_own(&token).await
}
