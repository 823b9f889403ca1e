//! An error with its causes, each said once: async-nats repeats a cause in the words of what it caused.

/// What an error and its causes say, without what was said already.
pub(super) fn told<'a>(
    causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>,
) -> String {
    let mut text = String::new();
    for cause in causes.map(ToString::to_string) {
        if !text.contains(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{cause}");
        }
    }
    text
}

/// An error and its causes.
pub(super) fn of<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn no_cause_is_said_twice() {
        let error = anyhow!("deadline has elapsed")
            .context("timed out: deadline has elapsed")
            .context("failed to get: timed out: deadline has elapsed")
            .context("bucket discord_state");
        assert_eq!(
            told(error.chain()),
            "bucket discord_state: failed to get: timed out: deadline has elapsed"
        );
        assert_eq!(told(of(&std::fmt::Error)), std::fmt::Error.to_string());
    }
}
