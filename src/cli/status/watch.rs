//! `status --watch` on a terminal: the table, and a cell for each shard; the terminal is given back as
//! it was.

use std::{fmt::Write as _, io::Write as _};

use anyhow::Result;
use crossterm::{
    QueueableCommand, cursor,
    style::Stylize,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};

use super::table::table;
use crate::{
    roster::overview::{Overview, UNHELD},
    wire::status::ShardState,
};

/// A screen of its own, until it is dropped.
pub(super) struct Screen {
    rows_drawn: usize,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) fn enter() -> Result<Self> {
        let mut out = std::io::stdout().lock();
        out.queue(EnterAlternateScreen)?
            .queue(cursor::Hide)?
            .flush()?;
        Ok(Self { rows_drawn: 0 })
    }

    /// Draws the fleet; what does not fit is left out.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(super) fn draw(&mut self, fleet: &Overview) -> Result<()> {
        let (columns, rows) = terminal::size().unwrap_or((80, 24));
        let mut out = std::io::stdout().lock();
        out.queue(cursor::MoveTo(0, 0))?;
        let drawn = frame(fleet, columns.into());
        let lines = drawn.lines().take(rows.into());
        // A shorter view leaves rests of the longer one before it.
        let shorter = drawn.lines().count() < self.rows_drawn;
        self.rows_drawn = drawn.lines().count();
        for line in lines {
            write!(out, "{line}")?;
            out.queue(terminal::Clear(terminal::ClearType::UntilNewLine))?
                .queue(cursor::MoveToNextLine(1))?;
        }
        if shorter {
            out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
        }
        Ok(out.flush()?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = std::io::stdout().lock();
        _ = out
            .queue(cursor::Show)
            .and_then(|out| out.queue(LeaveAlternateScreen).map(|_| ()));
        _ = out.flush();
    }
}

/// The shards, each a sign, then the table: first what an operator looks for.
fn frame(fleet: &Overview, columns: usize) -> String {
    let mut text = String::new();
    let due = fleet.topology.as_ref().map_or(0, |t| t.layout.shards);
    let last = fleet.cells.keys().next_back().map_or(0, |last| last + 1);
    // Rows of a round number of shards, so that one is found by counting.
    let per_row = match columns.saturating_sub(7) {
        fit @ 0..16 => fit.max(1),
        fit => fit / 16 * 16,
    };
    for shard in 0..due.max(last).min(MOST_SHARDS) {
        if (shard as usize).is_multiple_of(per_row) {
            let newline = if shard == 0 { "" } else { "\n" };
            _ = write!(text, "{newline}{shard:>5}  ");
        }
        let state = fleet.cells.get(&shard).map(|cell| cell.status.state);
        _ = write!(text, "{}", sign(state));
    }
    let signs = ShardState::ALL.map(|state| format!("{} {}", sign(Some(state)), state.as_str()));
    _ = write!(
        text,
        "\n\n{}  {} {UNHELD}\n\n",
        signs.join("  "),
        sign(None)
    );
    text.push_str(&table(fleet));
    text
}

/// Told by its form too, not by colour alone.
fn sign(state: Option<ShardState>) -> String {
    match state {
        Some(ShardState::Ready) => "■".green(),
        Some(ShardState::Resuming) => "▲".blue(),
        Some(ShardState::Identifying) => "◆".yellow(),
        Some(ShardState::Connecting) => "◇".yellow(),
        Some(ShardState::Waiting) => "○".yellow(),
        Some(ShardState::Parked) => "‖".red(),
        None => "✕".red(),
    }
    .to_string()
}

/// More than any terminal has room for.
const MOST_SHARDS: u32 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::Layout,
        roster::overview::Shared,
        wire::{
            status::{GatewayStatus, ShardStatus, Status},
            topology::Topology,
        },
    };

    #[test]
    fn every_shard_has_its_sign_in_rows_of_sixteen() {
        let cell = |shard, state| ShardStatus {
            shard,
            state,
            events: 0,
            gaps: 0,
            quiet_ms: 0,
        };
        let process = Status {
            process: "a".to_owned(),
            gateway: Some(GatewayStatus {
                shards: vec![cell(0, ShardState::Ready), cell(1, ShardState::Parked)],
                ..GatewayStatus::default()
            }),
            ..Status::default()
        };
        let layout = Layout {
            generation: 1,
            shards: 40,
            group_size: 2,
        };
        let (allow, deny) = (Vec::new(), Vec::new());
        let topology = Some(Topology {
            v: 1,
            layout,
            application: None,
            allow,
            deny,
        });
        let shared = Shared {
            topology,
            halt: None,
        };
        let fleet = Overview::new("discord", shared, vec![process], 0);
        let text = frame(&fleet, 40);
        // One more of each stands in the legend.
        let signs = ["■", "‖", "✕"].map(|sign| text.matches(sign).count());
        assert_eq!(signs, [2, 2, 39], "{text}");
        let rows = text.lines().take_while(|line| !line.is_empty());
        assert_eq!(
            rows.map(|row| row[..5].trim()).collect::<Vec<_>>(),
            ["0", "32"]
        );
        assert!(text.contains("38 unheld"), "{text}");
    }
}
