use std::fmt::Write as _;

/// A chart of lines over logarithmic axes.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// Above everything.
    pub title: &'a str,
    /// Below the horizontal axis.
    pub x: &'a str,
    /// Beside the vertical axis.
    pub y: &'a str,
    /// Names, and points from left to right. Points that are not above zero have no place on a logarithmic axis and are
    /// left out.
    pub series: &'a [(String, Vec<(f64, f64)>)],
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Of the plot, from each side of the picture.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Told apart by the colour-blind too.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Charts below each other, as the text of an SVG file.
pub fn svg(charts: &[Chart<'_>]) -> String {
    let height = HEIGHT * charts.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, chart) in charts.iter().enumerate() {
        let _ = writeln!(text, "<g transform=\"translate(0 {})\">", HEIGHT * at as f64);
        chart.draw(&mut text);
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

impl Chart<'_> {
    fn draw(&self, text: &mut String) {
        let points = || self.series.iter().flat_map(|(_, points)| points).copied().filter(drawable);
        let across = Axis::around(points().map(|(x, _)| x), LEFT, WIDTH - RIGHT);
        let up = Axis::around(points().map(|(_, y)| y), HEIGHT - BOTTOM, TOP);
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        label(text, middle, TOP / 2.0, "middle", self.title);
        label(text, middle, HEIGHT - 12.0, "middle", self.x);
        label(text, 4.0, TOP - 8.0, "start", self.y);
        for power in across.powers() {
            let (x, bottom) = (across.place(power), HEIGHT - BOTTOM);
            line(text, (x, TOP), (x, bottom));
            label(text, x, bottom + 16.0, "middle", &number(power));
        }
        for power in up.powers() {
            let y = up.place(power);
            line(text, (LEFT, y), (WIDTH - RIGHT, y));
            label(text, LEFT - 6.0, y + 4.0, "end", &number(power));
        }
        for (at, ((name, points), colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let _ = write!(text, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"");
            for (x, y) in points.iter().copied().filter(drawable) {
                let _ = write!(text, "{:.1},{:.1} ", across.place(x), up.place(y));
            }
            text.push_str("\"/>\n");
            let (x, y) = (WIDTH - RIGHT + 12.0, TOP + 18.0 * at as f64);
            let _ = writeln!(text, "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
            label(text, x + 18.0, y + 10.0, "start", name);
        }
    }
}

fn drawable((x, y): &(f64, f64)) -> bool {
    *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite()
}

/// From one power of ten to another.
struct Axis {
    least: i32,
    most: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return Self { least: 0, most: 1, from, to };
        }
        let least = least.log10().floor() as i32;
        Self { least, most: (most.log10().ceil() as i32).max(least + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        self.from + (self.to - self.from) * part
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        (self.least..=self.most).map(|power| 10_f64.powi(power))
    }
}

fn line(text: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(text, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>");
}

fn label(text: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn number(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::{Chart, svg};

    fn drawn(series: &[(String, Vec<(f64, f64)>)]) -> String {
        svg(&[Chart { title: "a < b & c", x: "functions", y: "MiB", series }])
    }

    #[test]
    fn powers_of_ten_are_evenly_apart_and_span_the_plot() {
        let text = drawn(&[("one".into(), vec![(1.0, 1.0), (10.0, 10.0), (100.0, 100.0)])]);
        assert!(text.contains("points=\"70.0,350.0 270.0,195.0 470.0,40.0 \""), "{text}");
    }

    #[test]
    fn every_series_is_named_and_words_are_escaped() {
        let text = drawn(&[("one".into(), vec![(1.0, 2.0)]), ("two".into(), vec![(1.0, 3.0)])]);
        assert_eq!(text.matches("<polyline").count(), 2);
        assert!(text.contains(">one<") && text.contains(">two<") && text.contains("a &lt; b &amp; c"));
    }

    #[test]
    fn points_without_a_logarithm_are_left_out() {
        let text = drawn(&[("none".into(), vec![(0.0, 1.0), (1.0, -1.0), (1.0, f64::NAN)])]);
        assert!(text.contains("points=\"\"") && !text.contains("NaN"), "{text}");
    }
}
