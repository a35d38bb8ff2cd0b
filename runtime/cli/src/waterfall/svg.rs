//! A waterfall as a picture, light or dark as whoever looks at it prefers.

use std::fmt::Write as _;

use tenon_jobs::{escaped, shortened};

use super::Waterfall;

/// Letters of a name that are shown.
const MAX_LETTERS: usize = 32;

/// All in pixels.
const ROW: f64 = 30.0;
const TOP: f64 = 76.0;
const MARGIN: f64 = 24.0;
/// Where the columns of text begin, and the bars.
const FEATURE: f64 = MARGIN;
const VALUES: f64 = 220.0;
const AGREEMENT: f64 = 470.0;
const BARS: f64 = 680.0;
const BAR_WIDTH: f64 = 300.0;
const BAR_HEIGHT: f64 = 16.0;
/// Letters that the column of features has room for, and that of agreement.
const FEATURE_LETTERS: usize = 23;
const AGREEMENT_LETTERS: usize = 28;
/// Room for the number beside a bar.
const NUMBER: f64 = 56.0;

const STYLE: &str = "
  svg { background: #fff; font: 13px system-ui, sans-serif; }
  text { fill: #0f172a; } .name, .title { font-weight: 600; } .quiet { fill: #475569; font-size: 12px; }
  .for { fill: #0f766e; } .against { fill: #b45309; } .sum { fill: #475569; }
  .zero { stroke: #64748b; } .link { stroke: #94a3b8; stroke-dasharray: 2 2; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0f172a; }
    text { fill: #f1f5f9; } .quiet { fill: #cbd5e1; }
    .for { fill: #2dd4bf; } .against { fill: #fbbf24; } .sum { fill: #cbd5e1; }
    .zero { stroke: #94a3b8; } .link { stroke: #64748b; }
  }
";

/// The picture, whole.
pub(super) fn svg(waterfall: &Waterfall) -> String {
    let (width, height) = (
        BARS + BAR_WIDTH + NUMBER + MARGIN,
        TOP + ROW * (waterfall.steps.len() + 1) as f64 + MARGIN,
    );
    let title = escaped(&waterfall.title);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n"
    );
    write(&mut text, "title", MARGIN, 30.0, &waterfall.title);
    write(&mut text, "quiet", MARGIN, 52.0, &waterfall.note);
    let picture = Picture {
        range: waterfall.range(),
    };
    picture.zero(&mut text, height);
    let spans = waterfall.spans();
    for (row, (step, span)) in waterfall.steps.iter().zip(&spans).enumerate() {
        let baseline = TOP + ROW * row as f64 + ROW / 2.0 + 5.0;
        let [a, b] = step
            .values
            .each_ref()
            .map(|value| shortened(value, MAX_LETTERS));
        write(
            &mut text,
            "name",
            FEATURE,
            baseline,
            &shortened(&step.feature, FEATURE_LETTERS),
        );
        write(&mut text, "quiet", VALUES, baseline - 7.0, &a);
        write(&mut text, "quiet", VALUES, baseline + 7.0, &b);
        write(
            &mut text,
            "quiet",
            AGREEMENT,
            baseline,
            &shortened(&step.agreement, AGREEMENT_LETTERS),
        );
        let class = if step.bits < 0.0 { "against" } else { "for" };
        picture.bar(&mut text, row, class, *span);
        picture.link(&mut text, row, span.1);
    }
    let (row, score) = (waterfall.steps.len(), waterfall.score());
    write(
        &mut text,
        "name",
        FEATURE,
        TOP + ROW * row as f64 + ROW / 2.0 + 5.0,
        "score",
    );
    picture.bar(&mut text, row, "sum", (0.0, score));
    text + "</svg>\n"
}

struct Picture {
    /// The least and the greatest place, in bits.
    range: (f64, f64),
}

impl Picture {
    fn x(&self, bits: f64) -> f64 {
        let (low, high) = self.range;
        BARS + BAR_WIDTH * (bits - low) / (high - low)
    }

    /// The line at which a match and no match are equally likely.
    fn zero(&self, text: &mut String, height: f64) {
        let x = self.x(0.0);
        let (from, to) = (TOP - 6.0, height - MARGIN + 6.0);
        add(
            text,
            format_args!(
                "<line class=\"zero\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>\n"
            ),
        );
    }

    /// One weight, with its number at the right edge.
    fn bar(&self, text: &mut String, row: usize, class: &str, (from, to): (f64, f64)) {
        let (left, right) = (self.x(from.min(to)), self.x(from.max(to)));
        let y = TOP + ROW * row as f64 + (ROW - BAR_HEIGHT) / 2.0;
        // A weight of nothing is a thin line, so that its place shows.
        let width = (right - left).max(1.0);
        add(
            text,
            format_args!(
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\n"
            ),
        );
        let (x, baseline) = (BARS + BAR_WIDTH + NUMBER, y + BAR_HEIGHT - 3.0);
        add(
            text,
            format_args!(
                "<text text-anchor=\"end\" x=\"{x:.1}\" y=\"{baseline:.1}\">{:+.1}</text>\n",
                to - from
            ),
        );
    }

    /// From the end of a weight down to where the next one begins.
    fn link(&self, text: &mut String, row: usize, bits: f64) {
        let x = self.x(bits);
        let y = TOP + ROW * row as f64 + f64::midpoint(ROW, BAR_HEIGHT);
        let next = y + ROW - BAR_HEIGHT;
        add(
            text,
            format_args!(
                "<line class=\"link\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{next:.1}\"/>\n"
            ),
        );
    }
}

fn write(text: &mut String, class: &str, x: f64, y: f64, words: &str) {
    if !words.is_empty() {
        let words = escaped(words);
        add(
            text,
            format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n"),
        );
    }
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::super::tests::waterfall;

    #[test]
    fn a_picture_has_a_bar_for_each_weight_and_one_for_the_score() {
        let picture = waterfall().svg();
        assert_eq!(picture.matches("<rect").count(), 6);
        assert_eq!(picture.matches("class=\"against\"").count(), 2);
        assert_eq!(picture.matches("class=\"for\"").count(), 3);
        assert_eq!(picture.matches("class=\"link\"").count(), 5);
        // 0 is in the middle of -8 to 8; the score of 4 ends at three quarters.
        assert!(
            picture.contains("<rect class=\"sum\" x=\"830.0\" y=\"233.0\" width=\"75.0\""),
            "{picture}"
        );
        assert!(picture.contains(">+4.0</text>"));
    }

    #[test]
    fn the_picture_is_the_one_that_was_looked_at() {
        assert_eq!(waterfall().svg(), include_str!("example.svg"));
    }

    #[test]
    fn values_bring_no_tags_of_their_own() {
        let picture = waterfall().svg();
        assert!(picture.contains("Ann &lt;Lee&gt;") && !picture.contains("<Lee>"));
    }

    #[test]
    fn both_themes_are_inside_and_nothing_is_fetched() {
        let picture = waterfall().svg();
        assert!(picture.contains("prefers-color-scheme: dark"));
        assert_eq!(picture.matches("http").count(), 1, "only the namespace");
    }
}
