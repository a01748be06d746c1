//! The sheet that a plot is drawn on: an SVG image that is readable on a light and on a dark page.

use std::path::Path;

use super::plot::{Axis, Plot, Scale};

/// Width and height of the sheet, in SVG units.
const SIZE: (u32, u32) = (800, 430);
/// Edges of the area inside the axes: left, top, right, bottom.
pub const AREA: [f64; 4] = [76.0, 70.0, 776.0, 350.0];

/// SVG image of a plot that is being drawn.
pub struct Sheet {
    svg: String,
    /// Horizontal position of the next entry of the legend.
    legend_end: f64,
}

impl Sheet {
    pub fn new(plot: &Plot) -> Sheet {
        let (width, height) = SIZE;
        let head = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' \
             font-family='Helvetica, Arial, sans-serif' fill='#1f2328'>\n<rect width='{width}' height='{height}' fill='#ffffff'/>\n"
        );
        let mut sheet = Sheet { svg: head, legend_end: AREA[0] };
        sheet.text(16.0, 28.0, "start", 17, plot.title);
        sheet.text(16.0, f64::from(height) - 12.0, "start", 11, plot.command);
        sheet
    }

    pub fn add(&mut self, element: &str) {
        self.svg += element;
        self.svg.push('\n');
    }

    pub fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(&format!(
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' font-size='{size}'>{text}</text>"
        ));
    }

    /// Adds a name to the legend.
    pub fn legend(&mut self, name: &str, colour: &str) {
        let at = self.legend_end;
        self.add(&format!("<rect x='{at}' y='47' width='14' height='6' fill='{colour}'/>"));
        self.text(at + 20.0, 55.0, "start", 13, name);
        // 6.6 is an estimate of the mean width of a letter.
        self.legend_end += 44.0 + 6.6 * name.len() as f64;
    }

    /// Draws a horizontal axis. Returns a function from numbers to horizontal positions on the
    /// sheet.
    pub fn horizontal(&mut self, axis: &Axis, ticks: Vec<f64>, left: f64) -> impl Fn(f64) -> f64 + use<> {
        let [_, top, right, bottom] = AREA;
        let place = axis.place(&ticks, [left, right]);
        for tick in ticks {
            let at = place(tick);
            self.add(&format!("<path d='M{at:.1},{top}V{bottom}' stroke='#d8dee4'/>"));
            self.text(at, bottom + 20.0, "middle", 13, &(axis.label)(tick));
        }
        self.text((left + right) / 2.0, bottom + 44.0, "middle", 14, axis.what);
        place
    }

    /// Draws a vertical axis. Returns a function from numbers to vertical positions on the sheet.
    pub fn vertical(&mut self, axis: &Axis, ticks: Vec<f64>) -> impl Fn(f64) -> f64 + use<> {
        let [left, top, right, bottom] = AREA;
        let place = axis.place(&ticks, [bottom, top]);
        for tick in ticks {
            let at = place(tick);
            self.add(&format!("<path d='M{left},{at:.1}H{right}' stroke='#d8dee4'/>"));
            self.text(left - 8.0, at + 4.5, "end", 13, &(axis.label)(tick));
        }
        let middle = (top + bottom) / 2.0;
        self.add(&format!("<g transform='rotate(-90 20 {middle})'>"));
        self.text(20.0, middle, "middle", 14, axis.what);
        self.add("</g>");
        place
    }

    pub fn save(mut self, plot: &Plot) {
        self.svg += "</svg>\n";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(plot.file).with_extension("svg"), self.svg).unwrap();
        println!("drawn: docs/plots/{}.svg", plot.file);
    }
}

impl Axis {
    /// Returns a function that maps numbers on the axis to positions. The first tick is at `start`,
    /// and the last one at `end`.
    fn place(&self, ticks: &[f64], [start, end]: [f64; 2]) -> impl Fn(f64) -> f64 + use<> {
        let is_log = self.scale == Scale::Log;
        let on_scale = move |number: f64| if is_log { number.log10() } else { number };
        let [first, last] = [ticks[0], ticks[ticks.len() - 1]].map(on_scale);
        move |number| start + (on_scale(number) - first) / (last - first) * (end - start)
    }
}
