//! Plots for `docs/plots`, as SVG that can be read on a light page and on a dark
//! one: bars, lines that grow, and points in time.

use std::path::Path;

/// The sheet, and the area on it that the axes enclose: left, top, right, bottom.
const SIZE: (u32, u32) = (800, 430);
const AREA: [f64; 4] = [76.0, 70.0, 776.0, 350.0];

/// Where the area begins when names stand beside it.
const BESIDE_NAMES: f64 = 190.0;

/// Colours that colour-blind readers can tell apart (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// What a plot says beside its data.
pub struct Plot {
    /// The name of its file, without the ending.
    pub file: &'static str,
    pub title: &'static str,
    /// What made it.
    pub command: &'static str,
}

/// One of its axes.
pub struct Axis {
    /// What is on it, with its unit.
    pub what: &'static str,
    pub scale: Scale,
    /// How a number is written beside it.
    pub label: fn(f64) -> String,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    /// From zero on.
    Linear,
    /// Each step is a multiple of the one before.
    Log,
}

/// A line, by its name and its points.
pub type Series = (&'static str, Vec<(f64, f64)>);

/// A number without digits that say nothing.
pub fn plain(number: f64) -> String {
    ((number * 100.0).round() / 100.0).to_string()
}

/// Bytes in binary units.
pub fn bytes(number: f64) -> String {
    if number < 1048576.0 {
        format!("{} KiB", number / 1024.0)
    } else {
        format!("{} MiB", number / 1048576.0)
    }
}

impl Plot {
    /// How something grows: lines, with a mark at each point that was measured.
    pub fn lines(&self, x: &Axis, y: &Axis, series: &[Series]) {
        let points = || series.iter().flat_map(|(_, points)| points);
        let mut sheet = Sheet::new(self);
        // It was measured where the ticks of the horizontal axis are.
        let x = sheet.horizontal(x, measured(points().map(|point| point.0)), AREA[0]);
        let y = sheet.vertical(y, y.ticks(points().map(|point| point.1)));
        let mut at = AREA[0];
        for ((name, points), colour) in series.iter().zip(COLOURS) {
            let places: Vec<_> = points.iter().map(|point| (x.place(point.0), y.place(point.1))).collect();
            let line: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            sheet.add(&format!(
                "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
                line.join(" ")
            ));
            for (x, y) in places {
                sheet.add(&format!("<circle cx='{x:.1}' cy='{y:.1}' r='4' fill='{colour}'/>"));
            }
            at = sheet.legend(at, name, colour);
        }
        sheet.save(self);
    }

    /// One bar for each name, the first on top.
    pub fn bars(&self, x: &Axis, bars: &[(&str, f64)]) {
        let mut sheet = Sheet::new(self);
        // Behind the longest there is room for its number.
        let x = sheet.horizontal(x, x.ticks(bars.iter().map(|bar| bar.1 * 1.08)), BESIDE_NAMES);
        let step = (AREA[3] - AREA[1]) / bars.len() as f64;
        for (row, ((name, length), colour)) in bars.iter().zip(COLOURS).enumerate() {
            let (top, end) = (AREA[1] + (row as f64 + 0.2) * step, x.place(*length));
            let (width, height) = (end - BESIDE_NAMES, 0.6 * step);
            sheet.add(&format!("<rect x='{BESIDE_NAMES}' y='{top:.1}' width='{width:.1}' height='{height:.1}' fill='{colour}'/>"));
            let middle = top + height / 2.0 + 5.0;
            sheet.text(BESIDE_NAMES - 10.0, middle, "end", 14, name);
            sheet.text(end + 6.0, middle, "start", 14, &plain(*length));
        }
        sheet.save(self);
    }

    /// Points in time, and a line across wherever something happened.
    pub fn points(&self, x: &Axis, y: &Axis, (what, points): Series, (event, events): (&str, &[f64])) {
        let mut sheet = Sheet::new(self);
        let x = sheet.horizontal(x, x.ticks(points.iter().map(|point| point.0)), AREA[0]);
        let y = sheet.vertical(y, y.ticks(points.iter().map(|point| point.1)));
        let lines: String =
            events.iter().map(|at| format!("M{:.1},{}V{}", x.place(*at), AREA[1], AREA[3])).collect();
        sheet.add(&format!("<path d='{lines}' stroke='{}'/>", COLOURS[1]));
        // Lines of no length, whose round ends are the points.
        let dots: String =
            points.iter().map(|p| format!("M{:.1},{:.1}h0", x.place(p.0), y.place(p.1))).collect();
        sheet.add(&format!(
            "<path d='{dots}' stroke='{}' stroke-width='3' stroke-linecap='round'/>",
            COLOURS[0]
        ));
        let at = sheet.legend(AREA[0], what, COLOURS[0]);
        sheet.legend(at, event, COLOURS[1]);
        sheet.save(self);
    }
}

impl Axis {
    /// Round numbers around all of these.
    fn ticks(&self, numbers: impl Iterator<Item = f64>) -> Vec<f64> {
        let (low, high) =
            numbers.fold((f64::MAX, f64::MIN), |(low, high), number| (low.min(number), high.max(number)));
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

/// 1, 2, 5, 10, 20 and so on, from below a number.
fn rounds(number: f64) -> impl Iterator<Item = f64> {
    let first = number.log10().floor() as i32;
    (first..).flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)))
}

/// Each of them once, in order.
fn measured(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

/// From numbers to places on the sheet.
struct Places {
    scale: Scale,
    /// The first and the last number, and where they are.
    numbers: [f64; 2],
    places: [f64; 2],
}

impl Places {
    fn place(&self, number: f64) -> f64 {
        let on_scale = |number: f64| if self.scale == Scale::Log { number.log10() } else { number };
        let [first, last] = self.numbers.map(on_scale);
        let [start, end] = self.places;
        start + (on_scale(number) - first) / (last - first) * (end - start)
    }
}

/// The SVG as far as it is drawn.
struct Sheet(String);

impl Sheet {
    fn new(plot: &Plot) -> Sheet {
        let (width, height) = SIZE;
        let mut sheet = Sheet(format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' \
             font-family='Helvetica, Arial, sans-serif' fill='#1f2328'>\n<rect width='{width}' height='{height}' fill='#ffffff'/>\n"
        ));
        sheet.text(16.0, 28.0, "start", 17, plot.title);
        sheet.text(16.0, f64::from(height) - 12.0, "start", 11, plot.command);
        sheet
    }

    fn add(&mut self, element: &str) {
        self.0 += element;
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(&format!(
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' font-size='{size}'>{text}</text>"
        ));
    }

    /// A name of the legend, above the area. Returns where the next one may be.
    fn legend(&mut self, at: f64, name: &str, colour: &str) -> f64 {
        self.add(&format!("<rect x='{at}' y='47' width='14' height='6' fill='{colour}'/>"));
        self.text(at + 20.0, 55.0, "start", 13, name);
        // About as wide as letters are.
        at + 44.0 + 6.6 * name.len() as f64
    }

    fn horizontal(&mut self, axis: &Axis, ticks: Vec<f64>, left: f64) -> Places {
        let [_, top, right, bottom] = AREA;
        let places =
            Places { scale: axis.scale, numbers: [ticks[0], ticks[ticks.len() - 1]], places: [left, right] };
        for tick in ticks {
            let at = places.place(tick);
            self.add(&format!("<path d='M{at:.1},{top}V{bottom}' stroke='#d8dee4'/>"));
            self.text(at, bottom + 20.0, "middle", 13, &(axis.label)(tick));
        }
        self.text((left + right) / 2.0, bottom + 44.0, "middle", 14, axis.what);
        places
    }

    fn vertical(&mut self, axis: &Axis, ticks: Vec<f64>) -> Places {
        let [left, top, right, bottom] = AREA;
        let places =
            Places { scale: axis.scale, numbers: [ticks[0], ticks[ticks.len() - 1]], places: [bottom, top] };
        for tick in ticks {
            let at = places.place(tick);
            self.add(&format!("<path d='M{left},{at:.1}H{right}' stroke='#d8dee4'/>"));
            self.text(left - 8.0, at + 4.5, "end", 13, &(axis.label)(tick));
        }
        let middle = (top + bottom) / 2.0;
        self.add(&format!("<g transform='rotate(-90 20 {middle})'>"));
        self.text(20.0, middle, "middle", 14, axis.what);
        self.add("</g>");
        places
    }

    fn save(mut self, plot: &Plot) {
        self.0 += "</svg>\n";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(plot.file).with_extension("svg"), self.0).unwrap();
        println!("drawn: docs/plots/{}.svg", plot.file);
    }
}
