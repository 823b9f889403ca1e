//! Pure. One look at the fleet as lines of text with colours.

use std::{fmt::Write as _, time::Duration};

use crossterm::style::{Color, StyledContent, Stylize};

use super::eyes::Sight;
use crate::wire::status::ShardState;

/// Shards in a row of the grid.
const ROW: usize = 64;
/// Lines that are always there.
const FIXED: usize = 11;

/// The whole screen, on a terminal of so many rows.
pub(super) fn frame(sight: &Sight, rows: usize) -> Vec<String> {
    let mut lines = vec![String::new(), head(sight), String::new()];
    grid(sight, &mut lines);
    lines.push(labelled("held by", &holders(sight)));
    lines.push(labelled("events", &flow(sight)));
    lines.push(labelled("identify", &budget(sight)));
    lines.push(labelled("leads", &leader(sight)));
    lines.push(String::new());
    let happened = &sight.notes.happened;
    let shown = rows
        .saturating_sub(FIXED + sight.shards.len().div_ceil(ROW))
        .max(1);
    for (at, what) in &happened[happened.len().saturating_sub(shown)..] {
        lines.push(format!("  {} {what}", clock(*at).dark_grey()));
    }
    lines.push(format!(
        "  {} {}",
        "  …  ".dark_grey(),
        sight.notes.doing.as_str().italic().dark_grey()
    ));
    lines
}

/// How it goes, on one line.
pub(super) fn line(sight: &Sight) -> String {
    let ready = sight
        .shards
        .iter()
        .flatten()
        .filter(|(state, _)| *state == ShardState::Ready);
    format!(
        "{}/{} shards ready, {}/s, {} stored, waiting for {}",
        ready.count(),
        sight.shards.len(),
        grouped(rate(sight)),
        grouped(sight.stored),
        sight.notes.doing
    )
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn head(sight: &Sight) -> String {
    let what = format!(
        "{} shards of a simulated Discord, forwarded into JetStream",
        sight.shards.len()
    );
    format!(
        "  {} {what} {}",
        "shardfleet demo".bold(),
        clock(sight.elapsed).dark_grey()
    )
}

/// A cell a shard: its colour is its state, its letter who runs it.
fn grid(sight: &Sight, lines: &mut Vec<String>) {
    for (row, shards) in sight.shards.chunks(ROW).enumerate() {
        let mut cells = String::new();
        for shard in shards {
            _ = match shard {
                Some((state, holder)) => write!(cells, "{}", cell(*state, holder)),
                None => write!(cells, "{}", "·".dark_red()),
            };
        }
        lines.push(labelled(if row == 0 { "shards" } else { "" }, &cells));
    }
    let mut legend = String::new();
    for state in ShardState::ALL {
        let count = sight
            .shards
            .iter()
            .flatten()
            .filter(|(it, _)| *it == state)
            .count();
        if count > 0 {
            _ = write!(
                legend,
                "{} {count} {}  ",
                "■".with(colour(state)),
                state.as_str()
            );
        }
    }
    let nobody = sight.shards.iter().filter(|shard| shard.is_none()).count();
    if nobody > 0 {
        _ = write!(legend, "{} {nobody} run by nobody", "·".dark_red());
    }
    lines.push(labelled("", &legend));
}

fn cell(state: ShardState, holder: &str) -> StyledContent<String> {
    // gateway-a is an `a`: the end of the name tells processes apart.
    let letter = holder.chars().next_back().unwrap_or('?').to_string();
    letter.black().on(colour(state))
}

fn colour(state: ShardState) -> Color {
    match state {
        ShardState::Waiting => Color::DarkGrey,
        ShardState::Connecting => Color::Blue,
        ShardState::Identifying => Color::Yellow,
        ShardState::Resuming => Color::Cyan,
        ShardState::Ready => Color::Green,
        ShardState::Parked => Color::Magenta,
    }
}

fn holders(sight: &Sight) -> String {
    let told: Vec<_> = sight
        .gateways
        .iter()
        .map(|(name, groups)| format!("{name} {groups} groups"))
        .collect();
    let mut told = told.join("  ");
    for name in sight
        .notes
        .dead
        .iter()
        .filter(|name| name.starts_with("gateway"))
    {
        _ = write!(told, "  {}", format!("{name} killed").red());
    }
    told
}

fn flow(sight: &Sight) -> String {
    let most = sight.rates.iter().copied().fold(1.0, f64::max);
    let bars: String = sight.rates.iter().map(|rate| bar(rate / most)).collect();
    let figures = format!(
        "{}/s  {} stored of {} sent",
        grouped(rate(sight)),
        grouped(sight.stored),
        grouped(sight.discord.sent)
    );
    format!("{figures}  {}", bars.green())
}

fn bar(share: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let at = BARS
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(at, _)| share * 8.0 >= *at as f64)
        .count();
    BARS[at.min(7)]
}

fn rate(sight: &Sight) -> u64 {
    let last = sight.rates.last().copied().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is small and positive"
    )]
    let last = last.round() as u64;
    last
}

fn budget(sight: &Sight) -> String {
    let discord = &sight.discord;
    let used = format!(
        "{} used, {} left today",
        discord.identifies,
        grouped(discord.identifies_remaining)
    );
    let waiting = sight.leader.as_ref().map_or(0, |(_, it)| it.queue);
    let waiting = if waiting > 0 {
        format!(", {waiting} wait their turn")
    } else {
        String::new()
    };
    let broken = match discord.violations {
        0 => "no rule broken".green(),
        _ => "RULES BROKEN".red().bold(),
    };
    format!("{used}{waiting}, {broken}")
}

fn leader(sight: &Sight) -> String {
    let mut told = match &sight.leader {
        Some((name, it)) => format!("{name} (epoch {})", it.epoch),
        None => "nobody".yellow().to_string(),
    };
    for name in sight
        .notes
        .dead
        .iter()
        .filter(|name| name.starts_with("coordinator"))
    {
        _ = write!(told, "  {}", format!("{name} killed").red());
    }
    told
}

fn labelled(label: &str, text: &str) -> String {
    format!("  {} {text}", format!("{label:<9}").dark_grey())
}

fn clock(elapsed: Duration) -> String {
    format!("{}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<_> = [0, 999, 1000, 84_112, 1_234_567]
            .into_iter()
            .map(grouped)
            .collect();
        assert_eq!(shown, ["0", "999", "1,000", "84,112", "1,234,567"]);
    }

    #[test]
    fn a_bar_grows_with_its_share() {
        let bars: String = [0.0, 0.3, 0.5, 0.9, 1.0].into_iter().map(bar).collect();
        assert_eq!(bars, "▁▃▅██");
    }

    #[test]
    fn a_look_at_nothing_is_a_screen_too() {
        let mut sight = Sight::default();
        assert!(frame(&sight, 24).len() > 5);
        sight.shards = vec![None, Some((ShardState::Ready, "gateway-a".to_owned()))];
        sight.notes.dead.insert("gateway-b".to_owned());
        let screen = frame(&sight, 24).join("\n");
        assert!(screen.contains("1 run by nobody") && screen.contains("gateway-b killed"));
        assert!(line(&sight).starts_with("1/2 shards ready"));
        sight.notes.happened = vec![(Duration::ZERO, "something".to_owned()); 99];
        assert!(frame(&sight, 24).len() < 24);
    }
}
