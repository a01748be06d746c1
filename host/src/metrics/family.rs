//! Writes metrics in the text formats OpenMetrics 1.0 and Prometheus 0.0.4.

use std::fmt::{self, Write};

use crate::metrics::histogram::Histogram;

/// Names and values of the labels of a sample.
pub type Labels = Vec<(&'static str, String)>;

/// Metric with all its samples, one for each set of labels.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name of the metric, which ends with the unit, if there is one. It has no suffix such as
    /// `_total`, which only samples have.
    pub name: &'static str,
    /// What the metric counts or measures, in one line.
    pub help: &'static str,
    /// Samples of the metric.
    pub samples: Samples,
}

/// Samples of a metric, each with its labels. The variant is the kind of the metric.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Values that only increase.
    Counters(Vec<(Labels, f64)>),
    /// Values that increase and decrease.
    Gauges(Vec<(Labels, f64)>),
    /// Histograms of times.
    Histograms(Vec<(Labels, Histogram)>),
}

/// Text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Format 0.0.4 of Prometheus.
    Prometheus,
}

/// Units that the name of a metric can end with, as in `host_request_seconds`.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

impl Format {
    /// Chooses the format according to the `accept` header of a request.
    pub fn accepted(accept: Option<&str>) -> Format {
        let asks = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if asks { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// Returns the media type of the format.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Returns the metrics as text. Omits metrics without samples.
    pub fn write(self, families: &[Family]) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for family in families {
            let _ = self.write_family(&mut text, family);
        }
        if self == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    fn write_family(self, to: &mut String, Family { name, help, samples }: &Family) -> fmt::Result {
        let (kind, is_empty) = match samples {
            Samples::Counters(samples) => ("counter", samples.is_empty()),
            Samples::Gauges(samples) => ("gauge", samples.is_empty()),
            Samples::Histograms(samples) => ("histogram", samples.is_empty()),
        };
        if is_empty {
            return Ok(());
        }
        // The older format names a counter as its samples are named.
        let suffix = if kind == "counter" && self == Format::Prometheus { "_total" } else { "" };
        writeln!(to, "# HELP {name}{suffix} {}", Escaped(help, false))?;
        writeln!(to, "# TYPE {name}{suffix} {kind}")?;
        let unit = name.rsplit('_').next().filter(|unit| UNITS.contains(unit));
        if let Some(unit) = unit.filter(|_| self == Format::OpenMetrics) {
            writeln!(to, "# UNIT {name} {unit}")?;
        }
        match samples {
            Samples::Counters(samples) => {
                for (labels, value) in samples {
                    writeln!(to, "{name}_total{} {value}", Set(labels, None))?;
                }
            }
            Samples::Gauges(samples) => {
                for (labels, value) in samples {
                    writeln!(to, "{name}{} {value}", Set(labels, None))?;
                }
            }
            Samples::Histograms(samples) => {
                for (labels, Histogram { sum, count, buckets }) in samples {
                    let mut below = 0;
                    for (bound, count) in buckets {
                        below += count;
                        writeln!(to, "{name}_bucket{} {below}", Set(labels, Some(*bound)))?;
                    }
                    writeln!(to, "{name}_sum{} {sum}", Set(labels, None))?;
                    writeln!(to, "{name}_count{} {count}", Set(labels, None))?;
                }
            }
        }
        Ok(())
    }
}

/// Displays the labels of a sample in braces, such as `{site="a"}`. The second field, if given, is
/// the upper bound of a bucket, and is added as the label `le`.
struct Set<'a>(&'a Labels, Option<f64>);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Set(labels, bound) = self;
        if labels.is_empty() && bound.is_none() {
            return Ok(());
        }
        let mut before = "{";
        for (name, value) in *labels {
            write!(f, "{before}{name}=\"{}\"", Escaped(value, true))?;
            before = ",";
        }
        match bound {
            Some(bound) if bound.is_finite() => write!(f, "{before}le=\"{bound:?}\"}}"),
            Some(_) => write!(f, "{before}le=\"+Inf\"}}"),
            None => f.write_char('}'),
        }
    }
}

/// Displays a text with the escapes of the format. Quotation marks are escaped only if the second
/// field is true: values of labels need this, help lines do not.
struct Escaped<'a>(&'a str, bool);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Escaped(text, has_marks) = *self;
        for char in text.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if has_marks => f.write_str("\\\"")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Format, Samples};
    use crate::metrics::histogram::Histogram;

    fn families() -> [Family; 4] {
        let label = |value: &str| vec![("site", value.to_owned())];
        let buckets = vec![(0.001, 2), (0.5, 0), (f64::INFINITY, 1)];
        [
            Family {
                name: "a_bytes",
                help: "A \"b\" \\.",
                samples: Samples::Counters(vec![(label("x\"\n\\"), 3.0), (label("y"), 0.0)]),
            },
            Family { name: "b", help: "B.", samples: Samples::Gauges(vec![(Vec::new(), 1.5)]) },
            Family { name: "none", help: "None.", samples: Samples::Gauges(Vec::new()) },
            Family {
                name: "c_seconds",
                help: "C.",
                samples: Samples::Histograms(vec![(label("x"), Histogram { sum: 2.25, count: 3, buckets })]),
            },
        ]
    }

    #[test]
    fn both_formats_are_written_as_they_are_defined() {
        let open = "# HELP a_bytes A \"b\" \\\\.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\n\
            a_bytes_total{site=\"x\\\"\\n\\\\\"} 3\na_bytes_total{site=\"y\"} 0\n\
            # HELP b B.\n# TYPE b gauge\nb 1.5\n\
            # HELP c_seconds C.\n# TYPE c_seconds histogram\n# UNIT c_seconds seconds\n\
            c_seconds_bucket{site=\"x\",le=\"0.001\"} 2\nc_seconds_bucket{site=\"x\",le=\"0.5\"} 2\n\
            c_seconds_bucket{site=\"x\",le=\"+Inf\"} 3\nc_seconds_sum{site=\"x\"} 2.25\n\
            c_seconds_count{site=\"x\"} 3\n# EOF\n";
        assert_eq!(Format::OpenMetrics.write(&families()), open);
        let older: String = open.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF").fold(
            String::new(),
            |all, line| {
                let named = line.replace(" a_bytes ", " a_bytes_total ");
                all + if line.starts_with('#') { &named } else { line } + "\n"
            },
        );
        assert_eq!(Format::Prometheus.write(&families()), older);
    }

    #[test]
    fn openmetrics_is_written_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Prometheus);
        assert_eq!(Format::accepted(None), Format::Prometheus);
    }
}
