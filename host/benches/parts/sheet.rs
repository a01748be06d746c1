//! The sheet of a plot: SVG that is readable on a light and on a dark page.

use std::path::Path;

use super::plot::{Axis, Plot, Scale};

/// Size of the sheet, and the area inside the axes: left, top, right, bottom.
const SIZE: (u32, u32) = (800, 430);
pub const AREA: [f64; 4] = [76.0, 70.0, 776.0, 350.0];

/// Maps numbers to positions on the sheet.
pub struct Places {
    scale: Scale,
    /// First and last number, and their positions.
    numbers: [f64; 2],
    places: [f64; 2],
}

impl Places {
    pub fn place(&self, number: f64) -> f64 {
        let on_scale = |number: f64| if self.scale == Scale::Log { number.log10() } else { number };
        let [first, last] = self.numbers.map(on_scale);
        let [start, end] = self.places;
        start + (on_scale(number) - first) / (last - first) * (end - start)
    }
}

/// SVG elements so far.
pub struct Sheet(String);

impl Sheet {
    pub fn new(plot: &Plot) -> Sheet {
        let (width, height) = SIZE;
        let mut sheet = Sheet(format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' \
             font-family='Helvetica, Arial, sans-serif' fill='#1f2328'>\n<rect width='{width}' height='{height}' fill='#ffffff'/>\n"
        ));
        sheet.text(16.0, 28.0, "start", 17, plot.title);
        sheet.text(16.0, f64::from(height) - 12.0, "start", 11, plot.command);
        sheet
    }

    pub fn add(&mut self, element: &str) {
        self.0 += element;
        self.0.push('\n');
    }

    pub fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(&format!(
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' font-size='{size}'>{text}</text>"
        ));
    }

    /// Adds a name to the legend. Returns the position of the next one.
    pub fn legend(&mut self, at: f64, name: &str, colour: &str) -> f64 {
        self.add(&format!("<rect x='{at}' y='47' width='14' height='6' fill='{colour}'/>"));
        self.text(at + 20.0, 55.0, "start", 13, name);
        // Estimated width of the letters.
        at + 44.0 + 6.6 * name.len() as f64
    }

    pub fn horizontal(&mut self, axis: &Axis, ticks: Vec<f64>, left: f64) -> Places {
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

    pub fn vertical(&mut self, axis: &Axis, ticks: Vec<f64>) -> Places {
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

    pub fn save(mut self, plot: &Plot) {
        self.0 += "</svg>\n";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(plot.file).with_extension("svg"), self.0).unwrap();
        println!("drawn: docs/plots/{}.svg", plot.file);
    }
}
