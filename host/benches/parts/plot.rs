//! Draws the plots in `docs/plots`: bars, lines, and points in time.

use super::percentile;
use super::sheet::{AREA, Sheet};

/// Left edge of the area inside the axes in a bar chart. The names of the bars are to the left of
/// it.
const BESIDE_NAMES: f64 = 190.0;

/// Colours that colour-blind readers can tell apart (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// File name and texts of a plot.
pub struct Plot {
    /// Name of the file, without its extension.
    pub file: &'static str,
    pub title: &'static str,
    /// Command that draws the plot. The plot shows it.
    pub command: &'static str,
}

/// An axis of a plot.
pub struct Axis {
    /// Label of the axis: quantity and unit.
    pub what: &'static str,
    pub scale: Scale,
    /// Formats the number at a tick.
    pub label: fn(f64) -> String,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    /// Linear scale that starts at zero.
    Linear,
    /// Logarithmic scale.
    Log,
}

/// A line in a plot: its name and its points.
pub type Series = (&'static str, Vec<(f64, f64)>);

/// Formats a number: below 1,000 with at most two decimals, otherwise with a thousands separator.
pub fn plain(number: f64) -> String {
    if number < 1000.0 {
        return ((number * 100.0).round() / 100.0).to_string();
    }
    format!("{},{:03}", number as u64 / 1000, number as u64 % 1000)
}

/// Formats bytes in binary units.
pub fn bytes(number: f64) -> String {
    if number < 1048576.0 {
        format!("{} KiB", number / 1024.0)
    } else {
        format!("{} MiB", number / 1048576.0)
    }
}

impl Plot {
    /// Draws lines with a mark at each measured point.
    pub fn lines(&self, x: &Axis, y: &Axis, series: &[Series]) {
        let mut sheet = Sheet::new(self);
        let (xs, ys): (Vec<_>, Vec<_>) = series.iter().flat_map(|(_, points)| points).copied().unzip();
        // The ticks of the horizontal axis are the measured points.
        let x = sheet.horizontal(x, in_order(xs), AREA[0]);
        let y = sheet.vertical(y, y.ticks(&ys));
        for ((name, points), colour) in series.iter().zip(COLOURS) {
            let places: Vec<_> = points.iter().map(|point| (x(point.0), y(point.1))).collect();
            let line: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let line = line.join(" ");
            sheet.add(&format!("<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2'/>"));
            for (x, y) in places {
                sheet.add(&format!("<circle cx='{x:.1}' cy='{y:.1}' r='4' fill='{colour}'/>"));
            }
            sheet.legend(name, colour);
        }
        sheet.save(self);
    }

    /// Draws one bar for each name, the first on top.
    pub fn bars(&self, x: &Axis, bars: &[(&str, f64)]) {
        let mut sheet = Sheet::new(self);
        // Leave room for the number behind the longest bar.
        let lengths: Vec<_> = bars.iter().map(|bar| bar.1 * 1.08).collect();
        let x = sheet.horizontal(x, x.ticks(&lengths), BESIDE_NAMES);
        let step = (AREA[3] - AREA[1]) / bars.len() as f64;
        for (row, (name, length)) in bars.iter().enumerate() {
            let (top, end, height) = (AREA[1] + (row as f64 + 0.2) * step, x(*length), 0.6 * step);
            let (width, colour) = (end - BESIDE_NAMES, COLOURS[0]);
            sheet.add(&format!(
                "<path d='M{BESIDE_NAMES},{top:.1}h{width:.1}v{height:.1}H{BESIDE_NAMES}z' fill='{colour}'/>"
            ));
            let middle = top + height / 2.0 + 5.0;
            sheet.text(BESIDE_NAMES - 10.0, middle, "end", 14, name);
            sheet.text(end + 6.0, middle, "start", 14, &plain(*length));
        }
        sheet.save(self);
    }

    /// Draws points whose horizontal position is a time, and a vertical line at each event.
    pub fn points(&self, x: &Axis, y: &Axis, (what, points): Series, (event, events): (&str, &[f64])) {
        let mut sheet = Sheet::new(self);
        let (xs, ys): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
        let x = sheet.horizontal(x, x.ticks(&xs), AREA[0]);
        let y = sheet.vertical(y, y.ticks(&ys));
        let lines = events.iter().map(|at| format!("M{:.1},{}V{}", x(*at), AREA[1], AREA[3]));
        sheet.add(&format!("<path d='{}' stroke='{}'/>", lines.collect::<String>(), COLOURS[1]));
        // A line of no length with round ends is drawn as a point.
        let dots: String = points.iter().map(|p| format!("M{:.1},{:.1}h0", x(p.0), y(p.1))).collect();
        let colour = COLOURS[0];
        sheet.add(&format!("<path d='{dots}' stroke='{colour}' stroke-width='3' stroke-linecap='round'/>"));
        sheet.legend(what, colour);
        sheet.legend(event, COLOURS[1]);
        sheet.save(self);
    }
}

impl Axis {
    /// Returns the round numbers at which the axis has ticks. The first and the last tick enclose
    /// all given numbers.
    fn ticks(&self, numbers: &[f64]) -> Vec<f64> {
        let [low, high] = [0.0, 1.0].map(|share| percentile(numbers, share));
        match self.scale {
            Scale::Linear => {
                let step = rounds(high / 8.0).find(|step| *step >= high / 8.0).unwrap();
                (0..=(high / step).ceil() as u32).map(|count| f64::from(count) * step).collect()
            }
            Scale::Log => {
                let first = rounds(low).take_while(|tick| *tick <= low).last().unwrap();
                let past = rounds(low).take_while(|tick| *tick < high).filter(|tick| *tick > first);
                let last = rounds(high).find(|tick| *tick >= high).unwrap();
                std::iter::once(first).chain(past).chain([last]).collect()
            }
        }
    }
}

/// Yields the series 1, 2, 5, 10, 20 and so on, from the power of ten at or below `number`.
fn rounds(number: f64) -> impl Iterator<Item = f64> {
    let first = number.log10().floor() as i32;
    (first..).flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)))
}

/// Sorts numbers and removes duplicates.
fn in_order(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}
