//! What is said of a panic: one line of the log, and one more in the count.

use std::panic::PanicHookInfo;

use super::{TASK, count};

/// More of a message than this tells nobody more.
const LONGEST: usize = 160;
/// What the standard library puts in quotes. Anything else there may be a payload's.
const PLAIN: [&str; 6] = [
    "Result::unwrap()",
    "Option::unwrap()",
    "Err",
    "Ok",
    "Some",
    "None",
];

/// From now on a panic of this process is an error in its log, and counted, whoever it hits.
pub fn install() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(info: &PanicHookInfo<'_>) {
    let task = TASK.try_with(|task| *task).unwrap_or("other");
    count(task);
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = plain(message.unwrap_or("no message"));
    let place = info.location().map(ToString::to_string);
    let place = place.unwrap_or_else(|| "an unknown place".to_owned());
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(
        task,
        thread,
        place,
        "the task {task} panicked at {place}: {message}. This is a fault of shardfleet: please report it"
    );
}

/// A panic's message without what may be in it of tokens and payloads: those stand in quotes or brackets.
fn plain(message: &str) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(['`', '"', '[']) {
        text.push_str(&rest[..at]);
        let open = &rest[at..=at];
        let close = if open == "[" {
            ']'
        } else {
            rest[at..].chars().next().unwrap_or('`')
        };
        let inner = &rest[at + 1..];
        // An escaped quote does not end what it stands in.
        let mut escaped = false;
        let end = inner.char_indices().find(|(_, c)| {
            let ends = *c == close && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (quoted, after) = match end {
            Some((end, c)) => (&inner[..end], &inner[end + c.len_utf8()..]),
            None => (inner, ""),
        };
        text.push_str(open);
        text.push_str(if PLAIN.contains(&quoted) {
            quoted
        } else {
            "…"
        });
        text.push(close);
        rest = after;
    }
    text.push_str(rest);
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_over_a_payload_does_not_show_it() {
        let shown = [
            (
                "index out of bounds: the len is 3 but the index is 7",
                "index out of bounds: the len is 3 but the index is 7",
            ),
            (
                "called `Option::unwrap()` on a `None` value",
                "called `Option::unwrap()` on a `None` value",
            ),
            (
                r#"called `Result::unwrap()` on an `Err` value: Bad("hunter \" 2", [104, 117])"#,
                r#"called `Result::unwrap()` on an `Err` value: Bad("…", […])"#,
            ),
            (
                "byte index 1 is not a char boundary; it is inside 'é' of `\u{e9}hunter2",
                "byte index 1 is not a char boundary; it is inside 'é' of `…`",
            ),
            ("a\r\nb", "ab"),
        ];
        for (message, wanted) in shown {
            assert_eq!(plain(message), wanted);
        }
        assert_eq!(plain(&"x".repeat(500)).len(), LONGEST);
    }
}
