//! Bars: CPU an event, a row each, with the spread of its repetitions.

use std::fmt::Write as _;

use crate::report::median;

const ROW: f64 = 26.0;
const LEFT: f64 = 300.0;
const WIDTH: f64 = 900.0;

/// An SVG of its own, light on dark and dark on light alike.
pub(crate) fn bars(rows: &[(&str, Vec<f64>)]) -> String {
    let most = rows
        .iter()
        .flat_map(|(_, values)| values)
        .copied()
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 90.0) / most;
    let height = 50.0 + ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\" aria-label=\"CPU an event by row\">\n\
         <style>text{{fill:#24292f}}.bar{{fill:#5865f2}}.other{{fill:#8c959f}}.spread{{stroke:#cf222e}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n\
         <text x=\"8\" y=\"22\" font-weight=\"bold\">µs of CPU an event: median, least and most</text>\n"
    );
    for (index, (name, values)) in rows.iter().enumerate() {
        let y = 36.0 + ROW * index as f64;
        let class = if name.contains("shardfleet") {
            "bar"
        } else {
            "other"
        };
        let length = median(values) * scale;
        let ends = [f64::min, f64::max]
            .map(|end| LEFT + values.iter().copied().reduce(end).unwrap_or(0.0) * scale);
        let (middle, text) = (y + ROW / 2.0 - 3.0, y + ROW / 2.0 + 2.0);
        _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{text}\">{name}</text><rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" \
             width=\"{length:.1}\" height=\"{}\"/><line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" \
             y2=\"{middle}\"/><text x=\"{:.1}\" y=\"{text}\">{:.2}</text>",
            ROW - 6.0,
            ends[0],
            ends[1],
            ends[1] + 6.0,
            median(values)
        );
    }
    svg.push_str("</svg>\n");
    svg
}
