//! Sixty numbers as small bars.
//!
//! Invariant: the drawing is made of numbers and of words of this program, and says in words what it shows.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;

const WIDTH: usize = 4;
const HEIGHT: f64 = 40.0;

/// A drawing of numbers in their order, the newest on the right.
pub(super) struct Sparkline {
    drawn: String,
}

impl Sparkline {
    /// `what` and `unit` are words of this program.
    pub(super) fn new(what: &'static str, unit: &'static str, values: &[f64]) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max);
        let mut drawn = String::new();
        let width = values.len().max(1) * WIDTH;
        let last = values.last().copied().unwrap_or_default();
        let _ = write!(
            drawn,
            "<svg class=\"spark\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{what}, each minute of the last hour: at most {}, in this minute {}\">",
            Number(most, unit),
            Number(last, unit)
        );
        for (place, value) in values.iter().enumerate() {
            let height = if most > 0.0 {
                (value / most * HEIGHT).max(0.0)
            } else {
                0.0
            };
            // What is little is still there.
            let height = if *value > 0.0 { height.max(1.0) } else { 0.5 };
            let _ = write!(
                drawn,
                "<rect x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{height:.1}\"/>",
                place * WIDTH,
                HEIGHT - height,
                WIDTH - 1
            );
        }
        drawn.push_str("</svg>");
        Self { drawn }
    }
}

impl fmt::Display for Sparkline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.drawn)
    }
}

impl HtmlSafe for Sparkline {}

/// A number with as many places as it needs.
pub(super) struct Number(pub(super) f64, pub(super) &'static str);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.0 >= 10.0 || self.0.fract() == 0.0 { 0 } else { 2 };
        write!(f, "{:.places$}{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_says_what_it_shows() {
        insta::assert_snapshot!(Sparkline::new("Events", "", &[0.0, 5.0, 10.0]), @r#"<svg class="spark" viewBox="0 0 12 40" preserveAspectRatio="none" role="img" aria-label="Events, each minute of the last hour: at most 10, in this minute 10"><rect x="0" y="39.5" width="3" height="0.5"/><rect x="4" y="20.0" width="3" height="20.0"/><rect x="8" y="0.0" width="3" height="40.0"/></svg>"#);
        assert!(Sparkline::new("Latency", " s", &[]).to_string().contains("at most 0 s"));
        assert!(
            Sparkline::new("Latency", " s", &[0.0, 0.034])
                .to_string()
                .contains("at most 0.03 s")
        );
    }
}
