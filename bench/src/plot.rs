//! Lines in a plot, as an SVG of its own that reads on light and on dark.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right, bottom of the plot's field.
const FIELD: [f64; 4] = [72.0, 56.0, 600.0, 364.0];
/// Told apart also by those who see no red or green (Okabe and Ito), on white and on black.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#999999"];

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it measures, and in which unit.
    pub label: String,
    /// Each step is ten times the one before; what is not above 0 has no place then.
    pub is_logarithmic: bool,
}

impl Axis {
    /// Steps of ten times.
    #[must_use]
    pub fn logarithmic(label: &str) -> Self {
        Self { label: label.to_owned(), is_logarithmic: true }
    }

    /// From 0 in even steps.
    #[must_use]
    pub fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), is_logarithmic: false }
    }

    fn place(&self, value: f64) -> f64 {
        if self.is_logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value }
    }

    /// Where the axis begins and ends, and the values that are marked on it.
    fn marks(&self, values: impl Iterator<Item = f64>) -> (f64, f64, Vec<f64>) {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| !self.is_logarithmic || *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if !least.is_finite() {
            (least, most) = (1.0, 10.0);
        }
        if self.is_logarithmic {
            let (from, to) = (least.log10().floor(), (most.log10() - 1e-9).ceil());
            let to = to.max(from + 1.0);
            #[allow(clippy::cast_possible_truncation)] // powers of ten
            let marks = (from as i32..=to as i32).map(|power| 10_f64.powi(power)).collect();
            return (from, to, marks);
        }
        let rough = (most / 5.0).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let count = (most / step).ceil().max(1.0);
        #[allow(clippy::cast_possible_truncation)] // at most six
        let marks = (0..=count as i32).map(|n| f64::from(n) * step).collect();
        (0.0, count * step, marks)
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct Series {
    /// What stands at its end.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// A field with lines in it.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What stands above.
    pub title: String,
    /// Along the bottom.
    pub x: Axis,
    /// Along the left.
    pub y: Axis,
    /// The lines; a sixth has the first one's colour again.
    pub series: Vec<Series>,
}

impl Plot {
    /// Draws it.
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let [left, top, right, bottom] = FIELD;
        let (x_from, x_to, x_marks) = self.x.marks(points().map(|point| point.0));
        let (y_from, y_to, y_marks) = self.y.marks(points().map(|point| point.1));
        let across = |value: f64| left + (self.x.place(value) - x_from) / (x_to - x_from) * (right - left);
        let up = |value: f64| bottom - (self.y.place(value) - y_from) / (y_to - y_from) * (bottom - top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\">\n\
             <style>\n\
             text {{ font: 13px sans-serif; fill: #24292f }}\n\
             .title {{ font-size: 16px; font-weight: bold }}\n\
             .grid {{ stroke: #d0d7de }}\n\
             .ground {{ fill: #ffffff }}\n\
             @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .grid {{ stroke: #3d444d }} .ground {{ fill: #0d1117 }} }}\n\
             </style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
             <text class=\"title\" x=\"{left}\" y=\"28\">{title}</text>\n",
            title = escaped(&self.title),
        );
        // Writing to a string does not fail.
        for mark in x_marks {
            let at = across(mark);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 20.0,
                short(mark)
            );
        }
        for mark in y_marks {
            let at = up(mark);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                at + 4.0,
                short(mark)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(20 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(left, right),
            bottom + 44.0,
            escaped(&self.x.label),
            f64::midpoint(top, bottom),
            escaped(&self.y.label)
        );
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<(f64, f64)> = series.points.iter().map(|(x, y)| (across(*x), up(*y))).collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" points=\"{}\"/>",
                path.join(" ")
            );
            for ((x, y), (_, value)) in places.iter().zip(&series.points) {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"><title>{}: {}</title></circle>",
                    escaped(&series.name),
                    short(*value)
                );
            }
            if let (Some((x, y)), Some((_, value))) = (places.last(), series.points.last()) {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill: {colour}; font-weight: bold\">{}: {}</text>",
                    x + 10.0,
                    y + 4.0,
                    escaped(&series.name),
                    short(*value)
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A value as it is read from a plot.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", rounded(value / 1e6)),
        value if value >= 1e4 => format!("{}k", rounded(value / 1e3)),
        value => rounded(value),
    }
}

fn rounded(value: f64) -> String {
    if value.fract() == 0.0 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_a_logarithmic_axis_are_powers_of_ten() {
        let marks = |values: &[f64]| Axis::logarithmic("").marks(values.iter().copied());
        assert_eq!(marks(&[10_000.0, 1_000_000.0]), (4.0, 6.0, vec![1e4, 1e5, 1e6]));
        assert_eq!(marks(&[30.0, 2400.0]), (1.0, 4.0, vec![10.0, 100.0, 1000.0, 10_000.0]));
        assert_eq!(marks(&[]), (0.0, 1.0, vec![1.0, 10.0]));
    }

    #[test]
    fn marks_of_a_linear_axis_begin_at_zero() {
        let (from, to, marks) = Axis::linear("").marks([3.0, 47.0].into_iter());
        assert_eq!((from, to, marks.len()), (0.0, 50.0, 6));
    }

    #[test]
    fn names_are_escaped() {
        let axis = Axis::linear("a < b");
        let series = vec![Series { name: "x & y".to_owned(), points: vec![(1.0, 1.0)] }];
        let svg = Plot { title: "t".to_owned(), x: axis.clone(), y: axis, series }.svg();
        assert!(svg.contains("a &lt; b") && svg.contains("x &amp; y") && !svg.contains("x & y"));
    }
}
