//! What happened lately, and how many events flow.

use std::fmt::Write;

use super::{escape, time_of_day};
use crate::web::chronicle::Chronicle;

const WIDTH: usize = 600;
const HEIGHT: u64 = 60;

/// The sparkline of the last two minutes.
pub(super) fn flow(chronicle: &Chronicle) -> String {
    let rates = &chronicle.rates;
    let (Some(now), most) = (rates.back(), rates.iter().max().copied().unwrap_or(0)) else {
        return "<p class=soft>counting…</p>".to_owned();
    };
    let step = WIDTH / 119;
    let left = WIDTH - (rates.len() - 1) * step;
    let point = |(at, rate): (usize, &u64)| {
        let y = HEIGHT - rate * (HEIGHT - 2) / most.max(1);
        format!("{},{y}", left + at * step)
    };
    let points: Vec<_> = rates.iter().enumerate().map(point).collect();
    let points = points.join(" ");
    format!(
        "<p><b>{now}</b> events/s <span class=soft>over the last ten seconds; at most {most} in the last two minutes</span></p>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none aria-hidden=true>\
         <polygon points=\"{left},{HEIGHT} {points} {WIDTH},{HEIGHT}\"/><polyline points=\"{points}\"/></svg>"
    )
}

/// Happenings, the latest first.
pub(super) fn list(chronicle: &Chronicle) -> String {
    if chronicle.happenings.is_empty() {
        return "<p class=soft>nothing since this process looks</p>".to_owned();
    }
    let mut text = String::from("<ul>");
    for happening in &chronicle.happenings {
        let (kind, told) = (happening.kind, escape(&happening.text));
        let at = time_of_day(happening.at_ms);
        _ = write!(text, "<li class={kind}><time>{at}</time> {told}</li>");
    }
    text + "</ul>"
}
