//! Formats a report as text for people: the faults first, then the differences, then the costs.

use std::cmp::Reverse;
use std::fmt;

use host_http::quote::quoted;

use crate::rollout::report::cost_text;
use crate::rollout::report::number::{counted, number};
use crate::rollout::report::outcomes::{Accepted, Counts, Example, Group, Kind, Reason, Report};

/// Maximum number of lines in the section about faults, as a multiple of the maximum number of
/// examples of a group.
const FIRST_LINES: usize = 4;

/// Maximum number of lines in the sections about faults and about differences together, as a
/// multiple of the maximum number of examples of a group.
const ALL_LINES: usize = 6;

/// Minimum number of lines that a group keeps when it is cut.
const GROUP_MIN: usize = 4;

/// Maximum number of bytes of a line.
const LINE_MAX: usize = 500;

/// Maximum number of lines in each of two sections: accepted patterns, and requests that were not
/// compared.
const NOTES_MAX: usize = 3;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![self.summary()];
        let of = |kinds: &[Kind]| {
            self.groups.iter().filter(|group| kinds.contains(&group.kind)).collect::<Vec<_>>()
        };
        let faults = of(&[Kind::NewlyFaulting, Kind::AnotherFault, Kind::Mended, Kind::BothFault]);
        let show = usize::try_from(self.examples_max).unwrap_or(usize::MAX).max(1);
        let used = section(&mut lines, "Faults", &faults, show.saturating_mul(FIRST_LINES));
        let left = show.saturating_mul(ALL_LINES).saturating_sub(used);
        section(&mut lines, "Differences", &of(&[Kind::Different]), left);
        self.notes(&mut lines);
        cost_text::push(&mut lines, self);
        // The report may have come from a file or a server, so its texts are not trusted.
        for (index, line) in lines.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{}", quoted(line, LINE_MAX))?;
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.different, "different"),
            (self.newly_faulting, "newly faulting"),
            (self.mended, "mended"),
            (self.another_fault, "failing in another way"),
            (self.both_fault, "failing as before"),
            (self.accepted, "accepted"),
            (self.not_compared, "not compared"),
        ];
        write!(f, "{} same", number(self.same))?;
        for (count, name) in named.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {} {name}", number(count))?;
        }
        Ok(())
    }
}

impl Report {
    fn summary(&self) -> String {
        let requests = counted(self.requests, "request", "requests");
        format!("{requests} of {}: {}", counted(self.classes.len() as u64, "class", "classes"), self.counts)
    }

    fn notes(&self, lines: &mut Vec<String>) {
        let Counts { accepted, not_compared, .. } = self.counts;
        // Patterns without use come first, because they may be misspelt.
        let mut patterns: Vec<&Accepted> = self.accepted.iter().collect();
        patterns.sort_by_key(|accepted| accepted.count);
        let patterns = patterns.iter().map(|Accepted { pattern, count }| match count {
            0 => format!("  {pattern}: no difference, so it is not needed"),
            count => format!("  {pattern}: {}", number(*count)),
        });
        push_note(lines, &format!("Accepted beforehand: {}", number(accepted)), patterns.collect());
        let mut reasons: Vec<&Reason> = self.not_compared.iter().collect();
        reasons.sort_by_key(|reason| Reverse(reason.count));
        let reasons =
            reasons.iter().map(|Reason { reason, count }| format!("  {reason}: {}", number(*count)));
        push_note(lines, &format!("Not compared: {}", number(not_compared)), reasons.collect());
    }
}

/// Adds a section of groups, which take at most `max` lines. Cuts the longest groups, and leaves
/// out the last groups if that is not enough. Returns how many of the `max` lines are used up.
fn section(lines: &mut Vec<String>, title: &str, groups: &[&Group], max: usize) -> usize {
    if groups.is_empty() {
        return 0;
    }
    lines.extend([String::new(), title.to_owned()]);
    let blocks: Vec<Vec<String>> = groups.iter().map(|group| block(group)).collect();
    let longest = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let fits = |cap: &usize| blocks.iter().map(|block| block.len().min(*cap)).sum::<usize>() <= max;
    let cap = (GROUP_MIN..=longest).rev().find(fits).unwrap_or(GROUP_MIN);
    let mut used = 0;
    for (index, mut block) in blocks.into_iter().enumerate() {
        if block.len() > cap {
            let hidden = block.len() - cap + 1;
            block.truncate(cap - 1);
            block.push(format!("    … {}", counted(hidden as u64, "more line", "more lines")));
        }
        if used + block.len() > max {
            let hidden = counted((groups.len() - index) as u64, "more group", "more groups");
            lines.push(format!("  … {hidden} (the JSON report has all)"));
            return max;
        }
        used += block.len();
        lines.append(&mut block);
    }
    used
}

fn push_note(lines: &mut Vec<String>, title: &str, mut notes: Vec<String>) {
    if notes.is_empty() {
        return;
    }
    if notes.len() > NOTES_MAX {
        let hidden = notes.len() - NOTES_MAX + 1;
        notes.truncate(NOTES_MAX - 1);
        notes.push(format!("  … {hidden} more"));
    }
    lines.extend([String::new(), title.to_owned()]);
    lines.append(&mut notes);
}

/// Returns the lines of a group: all differences of its first example, and one line for each
/// further example. Shows only one example of requests that fail in the same way with both
/// versions.
fn block(group: &Group) -> Vec<String> {
    let name = match group.kind {
        Kind::NewlyFaulting => "newly faulting",
        Kind::AnotherFault => "failing in another way",
        Kind::Mended => "mended",
        Kind::BothFault => "failing as before",
        Kind::Different => "different",
        Kind::Accepted => "accepted",
    };
    let mut lines = vec![format!("  {}: {} {name}", group.class, number(group.count))];
    // Faults that the current version has too are not the candidate's.
    let examples = if group.kind == Kind::BothFault { 1 } else { usize::MAX };
    for (index, example) in group.examples.iter().take(examples).enumerate() {
        let Example { method, target, id, verdict } = example;
        let head = format!("    {method} {target} (id {id})");
        if index > 0 {
            let difference = verdict.first_difference().unwrap_or_default();
            lines.push(format!("{head}: {difference}"));
            continue;
        }
        lines.push(head);
        lines.extend(verdict.lines().into_iter().map(|line| format!("      {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use crate::rollout::compare::verdict::{Failed, Outcome, Rules, compare};
    use crate::rollout::report::accept::Accept;
    use crate::rollout::report::collector::{Case, Collector};
    use crate::rollout::report::outcomes::{Class, Counts, Kind, Report};

    fn answer(status: u16, body: &str) -> Outcome {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let took = Duration::from_micros(100);
        Outcome { status, fault: None, fields: HeaderMap::new(), body, took, memory: 2 << 20 }
    }

    fn trap() -> Outcome {
        let fault = Failed { name: "trap".into(), cause: "wasm `unreachable` instruction executed".into() };
        Outcome { fault: Some(fault), ..answer(500, "") }
    }

    fn add(collector: &mut Collector, (class, target): (&str, &str), current: &Outcome, candidate: &Outcome) {
        let case = Case { class, method: "GET", target, id: "1f-2" };
        let verdict = compare(current, candidate, &Rules::default());
        collector.add(&case, verdict, current.into(), candidate.into());
    }

    fn collector(patterns: &[&str], accepts_all: bool) -> Collector {
        Collector::new(5, Accept::new(patterns, accepts_all).unwrap())
    }

    #[test]
    fn a_busy_class_leaves_room_for_the_times_of_others() {
        let (mut collector, answer) = (collector(&[], false), answer(200, "a"));
        for (class, count) in [("GET /busy 200", 60_000), ("GET /calm 200", 20)] {
            for _ in 0..count {
                add(&mut collector, (class, "/"), &answer, &answer);
            }
        }
        let pairs = |class: &Class| class.times.as_ref().map(|times| times.pairs);
        assert_eq!(collector.finish().classes.iter().map(pairs).collect::<Vec<_>>(), [Some(5_000), Some(20)]);
    }

    /// Returns a report with every kind of verdict.
    fn sample() -> Report {
        let mut collector = collector(&["GET /beta*", "/typo"], false);
        let items = ("GET /items/* 200", "/items/3");
        for _ in 0..984 {
            let slow = Outcome { took: Duration::from_micros(180), memory: 4 << 20, ..answer(200, "a") };
            add(&mut collector, items, &answer(200, "a"), &slow);
        }
        let about = ("GET /about 200", "/about");
        let page = |text: &str| answer(200, &format!("<html>\n<h1>About</h1>\n<p>{text}</p>\n</html>\n"));
        for _ in 0..3 {
            add(&mut collector, about, &page("old"), &page("new"));
        }
        let mut cached = page("old");
        cached.fields.insert("cache-control", HeaderValue::from_static("no-store"));
        add(&mut collector, about, &cached, &page("old"));
        let list = |items: &str| answer(200, items);
        let more = list(r#"{"items":[{"id":1,"price":3},{"id":2}],"total":2}"#);
        add(
            &mut collector,
            ("GET /items 200", "/items?page=2"),
            &list(r#"{"items":[{"id":1,"price":2}],"total":1}"#),
            &more,
        );
        add(&mut collector, ("GET /beta/* 200", "/beta/x"), &answer(200, "a"), &answer(200, "b"));
        add(&mut collector, items, &answer(200, "a"), &trap());
        add(&mut collector, ("GET /old 500", "/old"), &trap(), &answer(200, "a"));
        add(&mut collector, ("GET /broken 500", "/broken"), &trap(), &trap());
        for _ in 0..7 {
            collector.skip("the request has masked fields");
        }
        collector.finish()
    }

    const SAMPLE: &str = r#"1,000 requests of 6 classes: 984 same, 5 different, 1 newly faulting, 1 mended, 1 failing as before, 1 accepted, 7 not compared

Faults
  GET /items/* 200: 1 newly faulting
    GET /items/3 (id 1f-2)
      status 200 -> 500 (trap: wasm `unreachable` instruction executed)
  GET /old 500: 1 mended
    GET /old (id 1f-2)
      status 500 (trap: wasm `unreachable` instruction executed) -> 200
  GET /broken 500: 1 failing as before
    GET /broken (id 1f-2)
      status 500 (trap: wasm `unreachable` instruction executed) with both

Differences
  GET /about 200: 4 different
    GET /about (id 1f-2)
      body differs at line 3:
          <html>
          <h1>About</h1>
        - <p>old</p>
        + <p>new</p>
          </html>
    GET /about (id 1f-2): body differs at line 3: "<p>old</p>" -> "<p>new</p>"
    GET /about (id 1f-2): body differs at line 3: "<p>old</p>" -> "<p>new</p>"
    GET /about (id 1f-2): header cache-control "no-store" -> absent
  GET /items 200: 1 different
    GET /items?page=2 (id 1f-2)
      body differs:
        /items/0/price: 2 -> 3
        /items/1: absent -> {"id":2}
        /total: 1 -> 2

Accepted beforehand: 1
  /typo: no difference, so it is not needed
  GET /beta*: 1

Not compared: 7
  the request has masked fields: 7

Time of one call each, on a machine that does other work too
  GET /items/* 200  median 0.100 -> 0.180 ms (1.8x slower)     99th percentile 0.100 -> 0.180 ms (1.8x slower)
  too few answers (below 20): 5 classes

Most memory of a call: 2.0 MiB -> 4.0 MiB (more)
  GET /items/* 200  2.0 MiB -> 4.0 MiB"#;

    #[test]
    fn a_report_tells_faults_then_differences_then_costs() {
        assert_eq!(sample().to_string(), SAMPLE);
    }

    #[test]
    fn programs_read_what_the_gate_reads() {
        let report = sample();
        assert_eq!(
            report.first_difference(),
            Some("GET /items/3: status 200 -> 500 (trap: wasm `unreachable` instruction executed)")
        );
        assert_eq!((report.is_same(), report.newly_faulting(), report.compared()), (false, 1, 993));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (pointer, expected) in [
            ("/counts/newly_faulting", "1"),
            ("/groups/0/kind", "\"newly_faulting\""),
            ("/groups/0/examples/0/verdict", "\"newly_faulting\""),
            ("/groups/0/examples/0/to/fault", "\"trap\""),
            ("/groups/3/examples/0/parts/0/diff/as", "\"text\""),
            ("/classes/4/times/candidate_median_ms", "0.18"),
            ("/memory/candidate_max_bytes", "4194304"),
            ("/not_compared/0/count", "7"),
            ("/accepted/0/count", "1"),
        ] {
            assert_eq!(
                json.pointer(pointer).map(ToString::to_string).as_deref(),
                Some(expected),
                "{pointer} in {json:#}"
            );
        }
        let schema = serde_json::to_string(&schemars::schema_for!(Report)).unwrap();
        assert!(schema.contains("candidate_p99_ms"));
    }

    #[test]
    fn accepted_differences_pass_the_gate_but_new_faults_do_not() {
        let outcome = |patterns: &[&str], accepts_all| {
            let mut collector = collector(patterns, accepts_all);
            add(&mut collector, ("c", "/a"), &answer(200, "a"), &answer(200, "b"));
            add(&mut collector, ("c", "/a"), &trap(), &answer(200, "b"));
            add(&mut collector, ("c", "/a"), &trap(), &answer(503, "b"));
            let before = collector.finish();
            (before.is_same(), before.first_difference)
        };
        assert_eq!(
            outcome(&[], false),
            (false, Some("GET /a: body differs at line 1: \"a\" -> \"b\"".into()))
        );
        assert!(!outcome(&["POST /a"], false).0);
        assert_eq!(outcome(&["/a"], false), (true, None));

        let mut strict = collector(&["*"], false);
        add(&mut strict, ("c", "/a"), &answer(200, "a"), &trap());
        let report = strict.finish();
        assert_eq!((report.is_same(), report.newly_faulting()), (false, 1));
        let mut lenient = collector(&[], true);
        add(&mut lenient, ("c", "/a"), &answer(200, "a"), &trap());
        let report = lenient.finish();
        assert_eq!((report.is_same(), report.newly_faulting(), report.counts.accepted), (true, 0, 1));
        assert!(report.to_string().contains("\nAccepted beforehand: 1\n  accept-all: 1\n"), "{report}");
    }

    #[test]
    fn the_same_fault_as_before_is_the_same() {
        let mut collector = collector(&[], false);
        add(&mut collector, ("c", "/a"), &trap(), &trap());
        let report = collector.finish();
        assert!(report.is_same() && report.first_difference().is_none());
        assert_eq!(report.counts, Counts { both_fault: 1, ..Counts::default() });
    }

    #[test]
    fn an_empty_report_is_one_line() {
        assert_eq!(collector(&[], false).finish().to_string(), "0 requests of 0 classes: 0 same");
    }

    #[test]
    fn a_report_on_hostile_answers_is_bounded() {
        let mut collector = collector(&["/1*", "/2*", "/3*", "/4*", "/5*"], false);
        let body = |mark: &str| format!("\x1b[31m{mark}\u{202e}\n").repeat(100);
        for number in 0..3000 {
            let class = format!("\x1b GET /{number} \n{}", "long".repeat(100));
            let target = format!("/{number}\x07{}", "t".repeat(1000));
            let candidate = match number % 4 {
                0 => Outcome {
                    fault: Some(Failed { name: "\n".into(), cause: "\x1b".repeat(9000) }),
                    ..answer(500, "")
                },
                1 => answer(502, "x"),
                _ => answer(200, &body("b")),
            };
            let current = if number % 3 == 0 { trap() } else { answer(200, &body("a")) };
            add(&mut collector, (&class, &target), &current, &candidate);
            collector.skip(&class);
        }
        let report = collector.finish();
        assert!(report.classes.len() == 501 && report.not_compared.len() == 21);
        assert!(report.groups.iter().map(|group| group.examples.len()).sum::<usize>() <= 500);
        assert_eq!(report.requests, 6000);
        let text = report.to_string();
        assert!(text.lines().count() <= 60, "{text}");
        assert!(text.lines().all(|line| line.len() <= 510));
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text}");
        assert!(serde_json::to_string(&report).unwrap().len() < 4 << 20);
    }

    #[test]
    fn groups_are_sorted_by_kind_and_size() {
        let groups: Vec<_> = sample().groups.into_iter().map(|group| (group.kind, group.count)).collect();
        let expected = [
            (Kind::NewlyFaulting, 1),
            (Kind::Mended, 1),
            (Kind::BothFault, 1),
            (Kind::Different, 4),
            (Kind::Different, 1),
            (Kind::Accepted, 1),
        ];
        assert_eq!(groups, expected);
    }
}
