//! Where the run is shown: redrawn in place on a terminal, line by line elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crossterm::{QueueableCommand, cursor, terminal};

use super::{
    eyes::{Eyes, Sight},
    view,
};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a line tells how it goes, where there is no terminal.
const TELL: Duration = Duration::from_secs(5);

/// The screen.
#[derive(Clone)]
pub(super) struct Screen {
    /// True on a terminal of our own.
    live: bool,
    /// True if stdout is for the verdict alone.
    json: bool,
    /// Lines drawn last, to be drawn over.
    drawn: Arc<Mutex<u16>>,
}

impl Screen {
    /// Live where stdout is a terminal, unless it is for JSON.
    pub(super) fn new(json: bool) -> Self {
        let live = !json && std::io::stdout().is_terminal();
        Self {
            live,
            json,
            drawn: Arc::default(),
        }
    }

    /// Shows the run for as long as it is polled.
    pub(super) async fn show(&self, eyes: &mut Eyes) {
        let mut tick = tokio::time::interval(if self.live { REDRAW } else { TELL });
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.show_once(eyes).await;
        }
    }

    /// Shows how it is now.
    pub(super) async fn show_once(&self, eyes: &mut Eyes) {
        let sight = eyes.look().await;
        if self.live {
            // A terminal that is gone must not end the run.
            _ = self.draw(&sight);
        } else {
            self.line(sight.elapsed, &view::line(&sight));
        }
    }

    /// Something happened; a live view shows it by itself.
    pub(super) fn line(&self, at: Duration, what: &str) {
        if self.live {
            return;
        }
        _ = self.print(&format!("{:6.1}s  {what}", at.as_secs_f64()));
    }

    /// Text with colours for standard output, or for standard error; without them where nobody sees
    /// them.
    pub(super) fn print(&self, text: &str) -> std::io::Result<()> {
        let terminal = if self.json {
            std::io::stderr().is_terminal()
        } else {
            std::io::stdout().is_terminal()
        };
        let plain;
        let text = if terminal {
            text
        } else {
            plain = colourless(text);
            &plain
        };
        if self.json {
            writeln!(std::io::stderr().lock(), "{text}")
        } else {
            writeln!(std::io::stdout().lock(), "{text}")
        }
    }

    /// The view is over: the terminal as it was, the last view above what follows.
    pub(super) fn leave(&self) {
        if self.live {
            let mut out = std::io::stdout().lock();
            _ = out
                .queue(cursor::Show)
                .and_then(|out| out.queue(terminal::EnableLineWrap).map(|_| ()));
            _ = out.flush();
        }
    }

    fn draw(&self, sight: &Sight) -> std::io::Result<()> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        out.queue(cursor::Hide)?.queue(terminal::DisableLineWrap)?;
        if *drawn > 0 {
            out.queue(cursor::MoveToPreviousLine(*drawn))?;
        }
        let (_, rows) = terminal::size().unwrap_or((80, 24));
        let lines = view::frame(sight, rows.into());
        *drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        for line in lines {
            out.queue(terminal::Clear(terminal::ClearType::CurrentLine))?;
            writeln!(out, "{line}\r")?;
        }
        out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
        out.flush()
    }
}

/// Without `ESC [ … m`.
fn colourless(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| {
        out + piece.split_once('m').map_or(piece, |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use crossterm::style::Stylize;

    use super::*;

    #[test]
    fn colours_can_be_taken_away() {
        let text = format!("{} mm {}", "am".red().bold(), "b".on_green());
        assert_eq!(colourless(&text), "am mm b");
    }
}
