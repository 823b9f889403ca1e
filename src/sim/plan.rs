//! `--script FILE`: what happens when, as TOML. Times count from the start of the simulator.
//!
//! ```toml
//! [[step]]
//! at = "10s"
//! fault = "drop"          # as POST /sim/fault
//! shards = [0]
//!
//! [[step]]
//! at = "30s"
//! every = "60s"           # and again, for ever
//! event = "MESSAGE_CREATE" # as POST /sim/event
//! count = 100
//!
//! [[step]]
//! at = "45s"
//! events_per_second = 0   # as POST /sim/traffic
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Map, Value};
use tokio::time::sleep_until;

use super::emit::{self, Wish};
use super::fault::{self, Fault, Shards};
use super::hub::Hub;
use crate::clock;
use crate::config::sim::Span;

/// What happens when.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Step>);

#[derive(Debug)]
struct Step {
    at: Duration,
    every: Option<Duration>,
    act: Act,
}

#[derive(Debug)]
enum Act {
    Fault(Fault, Shards),
    Event(Wish),
    Traffic(u32),
}

impl Plan {
    /// Reads the file; what is wrong with it is said with the step's number.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the script {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the script {}", path.display()))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut file: Map<String, Value> = toml::from_str(text).context("it is no TOML")?;
        let steps = file.remove("step").unwrap_or_default();
        if let Some(other) = file.keys().next() {
            return Err(anyhow!("`{other}` is not known, only [[step]]"));
        }
        let steps: Vec<Map<String, Value>> =
            serde_json::from_value(steps).context("steps are written [[step]]")?;
        let numbered = steps.into_iter().enumerate();
        let steps = numbered.map(|(index, step)| {
            self::step(step).with_context(|| format!("in step {}", index + 1))
        });
        steps.collect::<Result<_>>().map(Self)
    }

    /// What is next after `done`, and when: the earliest, of equals the first in the file.
    pub(super) fn next(&mut self) -> Option<(Duration, usize)> {
        let steps = self.0.iter().enumerate();
        steps
            .map(|(index, step)| (step.at, index))
            .min()
            .filter(|(at, _)| *at < Duration::MAX)
    }

    /// The step at `index` was carried out.
    pub(super) fn advance(&mut self, index: usize) {
        if let Some(step) = self.0.get_mut(index) {
            let next = step.every.and_then(|every| step.at.checked_add(every));
            // Never again.
            step.at = next.unwrap_or(Duration::MAX);
        }
    }
}

/// Carries the plan out until shutdown.
pub(super) async fn run(hub: Arc<Hub>, mut plan: Plan) {
    let start = clock::now();
    while let Some((at, index)) = plan.next() {
        // Later than the clock can say is later than anybody waits.
        let Some(due) = start.checked_add(at) else {
            return;
        };
        tokio::select! {
            () = hub.shutdown.cancelled() => return,
            () = sleep_until(due) => {}
        }
        if let Some(step) = plan.0.get(index) {
            tracing::info!(?at, "the script: {:?}", step.act);
            match &step.act {
                Act::Fault(fault, shards) => drop(hub.apply(fault, shards)),
                Act::Event(wish) => drop(hub.emit(wish)),
                Act::Traffic(rate) => hub.rate.store(*rate, Ordering::Relaxed),
            }
        }
        plan.advance(index);
    }
}

fn step(mut fields: Map<String, Value>) -> Result<Step> {
    let mut span = |key: &str| match fields.remove(key) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_str().unwrap_or_default();
            let span: Result<Span, String> = text.parse();
            span.map(|Span(span)| Some(span))
                .map_err(|error| anyhow!("{key}: {error}"))
        }
    };
    let at = span("at")?.ok_or_else(|| anyhow!("`at` is missing"))?;
    let every = span("every")?;
    ensure!(every != Some(Duration::ZERO), "every: longer than 0s");
    let body = Value::Object(fields.clone()).to_string();
    let act = if fields.contains_key("fault") {
        fault::parse(body.as_bytes()).map(|(fault, shards)| Act::Fault(fault, shards))
    } else if fields.contains_key("event") {
        emit::parse(body.as_bytes()).map(Act::Event)
    } else {
        let rate = fields.get("events_per_second").and_then(Value::as_u64);
        let rate = rate.and_then(|rate| u32::try_from(rate).ok());
        rate.filter(|_| fields.len() == 1)
            .map(Act::Traffic)
            .ok_or_else(|| "one of `fault`, `event`, `events_per_second`".to_owned())
    };
    let act = act.map_err(|error| anyhow!(error))?;
    Ok(Step { at, every, act })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_time_and_again() {
        let text = "
            [[step]]
            at = \"3s\"
            fault = \"drop\"
            [[step]]
            at = \"1s\"
            every = \"2s\"
            events_per_second = 5
        ";
        let mut plan = Plan::parse(text).unwrap();
        let mut order = Vec::new();
        for _ in 0..4 {
            let (at, index) = plan.next().unwrap();
            order.push((at.as_secs(), index));
            plan.advance(index);
        }
        assert_eq!(order, [(1, 1), (3, 0), (3, 1), (5, 1)]);
    }

    #[test]
    fn a_script_can_say_what_toml_has_no_word_for() {
        let text = r#"
            [[step]]
            at = "1s"
            fault = "interrupt"
            moment = "resume"
            say = '{"t":null,"s":null,"op":9,"d":null}'
            then = "close"
            code = 4000
            count = 3
            shards = [1]
            [[step]]
            at = "2s"
            fault = "ready"
            session_id = "null"
            resume_gateway_url = "absent"
            [[step]]
            at = "3s"
            fault = "rest"
            route = "/gateway/bot"
            status = 429
            headers = { Retry-After = "7200" }
            for_ms = 5000
        "#;
        assert_eq!(Plan::parse(text).unwrap().0.len(), 3);
    }

    #[test]
    fn a_step_further_off_than_time_goes_is_never_reached() {
        let long = format!("{}ms", u64::MAX);
        let text = format!(
            "[[step]]\nat = \"{long}\"\nevery = \"{long}\"\nevents_per_second = {}",
            u32::MAX
        );
        let mut plan = Plan::parse(&text).unwrap();
        let steps = std::iter::from_fn(|| {
            let (_, index) = plan.next()?;
            plan.advance(index);
            Some(())
        });
        // A thousand of the longest spans are all that a length of time holds.
        assert_eq!(steps.take(5000).count(), 1000);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_step() {
        for (text, wanted) in [
            ("[[step]]\nfault = \"drop\"", "at"),
            (
                "[[step]]\nat = \"1\"\nfault = \"drop\"",
                "no length of time",
            ),
            (
                "[[step]]\nat = \"1s\"\nfault = \"explode\"",
                "heartbeat_request",
            ),
            ("[[step]]\nat = \"1s\"", "events_per_second"),
            (
                "[[step]]\nat = \"1s\"\nevery = \"0s\"\nevent = \"all\"",
                "longer",
            ),
            ("steps = 1", "steps"),
            ("[[", "TOML"),
        ] {
            let error = format!("{:#}", Plan::parse(text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
