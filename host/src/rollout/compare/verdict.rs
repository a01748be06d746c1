//! Compares the outcomes of one request that was run with the current version and with the
//! candidate.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::part::Part;
use crate::rollout::compare::shown::start;
use crate::rollout::compare::{body, field};

/// Response or fault of one version for a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Status code of the response.
    pub status: u16,
    /// Fault, if the host has made the response. If so, the headers and the body are empty.
    pub fault: Option<Failed>,
    /// Headers of the response.
    pub fields: HeaderMap,
    /// Body of the response.
    pub body: Bytes,
    /// Duration of the handler call.
    pub took: Duration,
    /// Size of the memory of the instance, in bytes.
    pub memory: u64,
}

/// Fault that a handler call ended in.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Name of the fault.
    pub name: String,
    /// Cause, as in the log.
    pub cause: String,
}

/// Rules for the comparison of two responses.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Names of headers whose values may differ.
    pub ignore_fields: Vec<HeaderName>,
}

/// Verdict on the outcomes of one request with the current version and with the candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Both versions gave the same answer, with a status below 500.
    Same,
    /// Only the candidate failed: by a fault, or with a status of 500 or above.
    NewlyFaulting {
        /// How the request ended with the current version.
        from: Ending,
        /// How the request ended with the candidate.
        to: Ending,
    },
    /// Only the current version failed: by a fault, or with a status of 500 or above.
    Mended {
        /// How the request ended with the current version.
        from: Ending,
        /// How the request ended with the candidate.
        to: Ending,
    },
    /// Both versions failed: by a fault, or with a status of 500 or above.
    BothFault {
        /// How the request ended with the current version.
        from: Ending,
        /// How the request ended with the candidate.
        to: Ending,
        /// Headers and bodies that differ; empty if the host made both responses because of faults.
        parts: Vec<Part>,
    },
    /// Both versions answered with a status below 500, and the answers differ.
    Different {
        /// Parts of the answers that differ.
        parts: Vec<Part>,
    },
}

/// How a request ended with one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// Status code of the response.
    pub status: u16,
    /// Name of the fault for which the host made the response; absent if the handler made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<String>,
    /// Cause of the fault; absent without a fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// Compares the outcomes that one request had with the current version and with the candidate.
pub fn compare(current: &Outcome, candidate: &Outcome, rules: &Rules) -> Verdict {
    let (from, to) = (Ending::of(current), Ending::of(candidate));
    match (current.has_failed(), candidate.has_failed()) {
        (false, true) => Verdict::NewlyFaulting { from, to },
        (true, false) => Verdict::Mended { from, to },
        (true, true) => Verdict::BothFault { from, to, parts: parts(current, candidate, rules) },
        (false, false) => {
            let status =
                (from.status != to.status).then_some(Part::Status { from: from.status, to: to.status });
            let parts: Vec<Part> = status.into_iter().chain(parts(current, candidate, rules)).collect();
            if parts.is_empty() { Verdict::Same } else { Verdict::Different { parts } }
        }
    }
}

/// Returns the differences of two outcomes: those of the headers, then that of the bodies.
fn parts(current: &Outcome, candidate: &Outcome, rules: &Rules) -> Vec<Part> {
    let length = |outcome: &Outcome| outcome.body.len() as u64;
    let diff = body::diff((&current.fields, &current.body), (&candidate.fields, &candidate.body));
    let body = diff.map(|diff| Part::Body { from_bytes: length(current), to_bytes: length(candidate), diff });
    // Lengths that follow from the bodies are no difference of their own.
    let tells_length = body.is_some() && current.tells_length() && candidate.tells_length();
    let is_ignored =
        |name: &HeaderName| rules.ignore_fields.contains(name) || (tells_length && *name == CONTENT_LENGTH);
    let mut parts = field::parts(&current.fields, &candidate.fields, is_ignored);
    parts.extend(body);
    parts
}

impl Outcome {
    pub(crate) fn has_failed(&self) -> bool {
        self.fault.is_some() || self.status >= 500
    }

    /// Returns whether each `content-length` header, if there is any, equals the length of the
    /// body.
    pub(in crate::rollout) fn tells_length(&self) -> bool {
        let length = self.body.len().to_string();
        self.fields.get_all(CONTENT_LENGTH).iter().all(|value| value.as_bytes() == length.as_bytes())
    }
}

impl Verdict {
    /// Returns whether a client gets the same response from both versions. Ignores the causes of
    /// faults.
    pub fn is_same(&self) -> bool {
        match self {
            Verdict::Same => true,
            Verdict::BothFault { from, to, parts } => from.is_like(to) && parts.is_empty(),
            _ => false,
        }
    }

    /// Returns the lines about this verdict for a report; no lines for [`Verdict::Same`].
    pub fn lines(&self) -> Vec<String> {
        let (first, parts) = match self {
            Verdict::Same => return Vec::new(),
            Verdict::Different { parts } => (None, parts.as_slice()),
            Verdict::NewlyFaulting { from, to } | Verdict::Mended { from, to } => {
                (Some(format!("status {from} -> {to}")), [].as_slice())
            }
            Verdict::BothFault { from, to, parts } if from == to => {
                (Some(format!("status {from} with both")), parts.as_slice())
            }
            Verdict::BothFault { from, to, parts } => {
                (Some(format!("status {from} -> {to}")), parts.as_slice())
            }
        };
        first.into_iter().chain(parts.iter().flat_map(Part::lines)).collect()
    }

    /// Returns the first difference in one line; [`None`] if a client gets the same response from
    /// both versions.
    pub fn first_difference(&self) -> Option<String> {
        match self {
            Verdict::Same => None,
            Verdict::Different { parts } => parts.first().map(Part::to_string),
            Verdict::BothFault { from, to, parts } if from.is_like(to) => parts.first().map(Part::to_string),
            Verdict::NewlyFaulting { from, to }
            | Verdict::Mended { from, to }
            | Verdict::BothFault { from, to, .. } => Some(format!("status {from} -> {to}")),
        }
    }
}

impl Ending {
    fn of(outcome: &Outcome) -> Ending {
        let fault = outcome.fault.as_ref();
        Ending {
            status: outcome.status,
            fault: fault.map(|fault| start(&fault.name)),
            cause: fault.map(|fault| start(&fault.cause)),
        }
    }

    /// Returns whether both endings have the same status and the same name of the fault.
    fn is_like(&self, other: &Ending) -> bool {
        (self.status, &self.fault) == (other.status, &other.fault)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match (&self.fault, &self.cause) {
            (Some(fault), Some(cause)) => write!(f, " ({fault}: {cause})"),
            (Some(fault), None) => write!(f, " ({fault})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Failed, Outcome, Rules, Verdict, compare};

    fn answer(status: u16, fields: &[(&'static str, &[u8])], body: impl Into<Bytes>) -> Outcome {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        Outcome { status, fault: None, fields: map, body: body.into(), took: Duration::ZERO, memory: 0 }
    }

    fn fault(status: u16, name: &str, cause: &str) -> Outcome {
        let fault = Failed { name: name.into(), cause: cause.into() };
        Outcome { fault: Some(fault), ..answer(status, &[], "") }
    }

    fn lines(current: &Outcome, candidate: &Outcome) -> String {
        compare(current, candidate, &Rules::default()).lines().join("\n")
    }

    const JSON: (&str, &[u8]) = ("content-type", b"application/problem+json; charset=utf-8");

    #[test]
    fn answers_differ_in_parts() {
        let plain = |body: &'static str| answer(200, &[], body);
        for (current, candidate, expected) in [
            (plain("a"), plain("a"), ""),
            (answer(200, &[], ""), answer(404, &[], ""), "status 200 -> 404"),
            (
                answer(200, &[("cache-control", b"no-store")], ""),
                answer(200, &[], ""),
                r#"header cache-control "no-store" -> absent"#,
            ),
            (answer(200, &[], ""), answer(200, &[("etag", b"1")], ""), r#"header etag absent -> "1""#),
            (
                answer(200, &[("b", b"1"), ("a", b"1")], ""),
                answer(200, &[("a", b"2"), ("b", b"2")], ""),
                "header a \"1\" -> \"2\"\nheader b \"1\" -> \"2\"",
            ),
            (
                answer(200, &[("vary", b"a"), ("vary", b"b")], ""),
                answer(200, &[("vary", b"b"), ("vary", b"a")], ""),
                "header vary differs:\n  - \"a\"\n  - \"b\"\n  + \"b\"\n  + \"a\"",
            ),
            (
                answer(200, &[("x", b"caf\xe9")], ""),
                answer(200, &[("x", b"caf\xe8")], ""),
                r#"header x "caf\xe9" -> "caf\xe8""#,
            ),
            (plain(""), plain("abc\n"), "body differs at line 1:\n  + abc"),
            (plain("a\nb\n"), plain("a\nc\n"), "body differs at line 2:\n    a\n  - b\n  + c"),
            (plain(r#"{"a":1}"#), plain(r#"{"a":2}"#), "body differs at /a: 1 -> 2"),
            (plain("1"), plain("2"), "body differs at line 1:\n  - 1\n  + 2"),
            (answer(200, &[JSON], "1"), answer(200, &[JSON], "2"), "body differs at the top: 1 -> 2"),
            (plain("{a:1}"), plain("{a:2}"), "body differs at line 1:\n  - {a:1}\n  + {a:2}"),
            (
                plain(r#"{"a":1,"b":2}"#),
                plain(r#"{"b":2,"a":1}"#),
                "body is the same JSON, written in another way (order of keys, spaces or escapes)",
            ),
            (
                answer(200, &[], b"\0\x01\x02\x03\x04\x05\xff".as_slice()),
                answer(200, &[], b"\0\x01\x02\x03\x04\x05\xfe!".as_slice()),
                "body differs at offset 6 (7 -> 8 bytes)\n  - 02 03 04 05 ff\n  + 02 03 04 05 fe 21",
            ),
            // A length that follows from the body is no part of its own, but that of an answer
            // to HEAD is.
            (
                answer(200, &[("content-length", b"1")], "a"),
                answer(200, &[("content-length", b"2")], "aa"),
                "body differs at line 1:\n  - a\n  + aa",
            ),
            (
                answer(200, &[("content-length", b"1")], ""),
                answer(200, &[("content-length", b"2")], ""),
                r#"header content-length "1" -> "2""#,
            ),
        ] {
            assert_eq!(lines(&current, &candidate), expected);
            let verdict = compare(&current, &candidate, &Rules::default());
            assert_eq!(verdict.is_same(), expected.is_empty());
            assert_eq!(verdict.first_difference().is_none(), expected.is_empty());
            assert_eq!(verdict == Verdict::Same, expected.is_empty());
        }
    }

    #[test]
    fn an_answer_below_500_is_no_failure() {
        let (good, unavailable) = (answer(404, &[], ""), answer(503, &[], "a"));
        let (trap, deadline) = (fault(500, "trap", "unreachable\nf1"), fault(504, "deadline", "late"));
        let rules = Rules::default();
        for (current, candidate, expected, is_same) in [
            (&good, &trap, "status 404 -> 500 (trap: unreachable\\nf1)", false),
            (&good, &unavailable, "status 404 -> 503", false),
            (&trap, &good, "status 500 (trap: unreachable\\nf1) -> 404", false),
            (&trap, &deadline, "status 500 (trap: unreachable\\nf1) -> 504 (deadline: late)", false),
            (
                &trap,
                &fault(500, "trap", "other"),
                "status 500 (trap: unreachable\\nf1) -> 500 (trap: other)",
                true,
            ),
            (&unavailable, &unavailable, "status 503 with both", true),
            (
                &unavailable,
                &answer(503, &[], "b"),
                "status 503 with both\nbody differs at line 1:\n  - a\n  + b",
                false,
            ),
            // The host's response instead of the handler's.
            (&fault(503, "busy", "full"), &answer(503, &[], ""), "status 503 (busy: full) -> 503", false),
        ] {
            let verdict = compare(current, candidate, &rules);
            assert_eq!(verdict.lines().join("\n"), expected);
            assert_eq!(
                (verdict.is_same(), verdict.first_difference().is_none()),
                (is_same, is_same),
                "{expected}"
            );
        }
        assert!(matches!(compare(&good, &trap, &rules), Verdict::NewlyFaulting { .. }));
        assert!(matches!(compare(&trap, &good, &rules), Verdict::Mended { .. }));
    }

    #[test]
    fn ignored_headers_may_differ() {
        let names = ["etag", "x-build"].map(HeaderName::from_static);
        let rules = Rules { ignore_fields: names.into() };
        let current = answer(200, &[("etag", b"1"), ("x-build", b"7")], "");
        assert_eq!(compare(&current, &answer(200, &[("etag", b"2")], ""), &rules), Verdict::Same);
        let other = answer(200, &[("vary", b"a")], "");
        assert_eq!(compare(&current, &other, &rules).lines(), [r#"header vary absent -> "a""#]);
    }

    #[test]
    fn many_headers_and_values_are_cut() {
        let mut current = answer(200, &[], "");
        for number in 0..500 {
            let name = HeaderName::try_from(format!("x-{number:03}")).unwrap();
            current.fields.append(name, HeaderValue::from_static("1"));
            current.fields.append("set-cookie", HeaderValue::from(number));
        }
        let mut candidate = current.clone();
        candidate.fields.append("set-cookie", HeaderValue::from(500));
        let expected =
            "header set-cookie differs:\n  - \"499\"\n  + \"499\"\n  + \"500\"\n  … 998 more values";
        assert_eq!(lines(&current, &candidate), expected);
        let text = lines(&current, &answer(200, &[], ""));
        assert!(text.contains("  - \"3\"\n  … 496 more values\n"), "{text}");
        assert!(text.ends_with("header x-008 \"1\" -> absent\n491 more headers differ"), "{text}");
    }

    /// Generator of pseudorandom numbers, which are the same in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % end
        }

        /// Returns a body of random pieces. Over many calls, the bodies are JSON, text and binary.
        fn body(&mut self) -> Bytes {
            let pieces: [&[u8]; 20] = [
                b"{",
                b"}",
                b"[",
                b"]",
                b"\"a\":",
                b"1",
                b",",
                b"\"\\u00e9\"",
                b"\n",
                b"a\r\n",
                b"\x1b[31m",
                b"\0",
                b"\xff",
                "ü\u{202e}".as_bytes(),
                b"{\"a\":[1,2,{\"b\":null}]}",
                b"[1,2,3]",
                b"x ",
                b"\xc3",
                &[b'l'; 700],
                b"line\nline\n",
            ];
            let count = [0, 1, 2, 5, 60][self.below(5)];
            (0..count).flat_map(|_| pieces[self.below(pieces.len())].to_vec()).collect()
        }

        fn outcome(&mut self) -> Outcome {
            let status = [200, 200, 404, 500, 503][self.below(5)];
            if self.below(6) == 0 {
                return fault(status, ["trap", "deadline"][self.below(2)], ["a", "\x1bb"][self.below(2)]);
            }
            let mut outcome = answer(status, &[], self.body());
            for _ in 0..self.below(4) {
                let value: [&[u8]; 4] = [b"1", b"\xff", &[b'v'; 600], b"application/json"];
                let name = ["etag", "vary", "content-type"][self.below(3)];
                outcome.fields.append(name, HeaderValue::from_bytes(value[self.below(4)]).unwrap());
            }
            outcome
        }
    }

    #[test]
    fn verdicts_on_random_answers_are_consistent_and_bounded() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let rules = Rules::default();
        for _ in 0..20_000 {
            let (one, other) = (random.outcome(), random.outcome());
            assert!(compare(&one, &one.clone(), &rules).is_same());
            let (there, back) = (compare(&one, &other, &rules), compare(&other, &one, &rules));
            let are_mirrored = match (&there, &back) {
                (Verdict::NewlyFaulting { from, to }, Verdict::Mended { from: from_back, to: to_back })
                | (Verdict::Mended { from, to }, Verdict::NewlyFaulting { from: from_back, to: to_back }) => {
                    (from, to) == (to_back, from_back)
                }
                (Verdict::Different { parts }, Verdict::Different { parts: back }) => {
                    parts.len() == back.len()
                }
                (Verdict::BothFault { .. }, Verdict::BothFault { .. }) | (Verdict::Same, Verdict::Same) => {
                    true
                }
                _ => false,
            };
            assert!(are_mirrored && there.is_same() == back.is_same(), "{there:?}\n{back:?}");
            if there == Verdict::Same {
                assert_eq!((one.status, &one.fields, &one.body), (other.status, &other.fields, &other.body));
            }
            let lines = there.lines();
            assert!(lines.len() <= 60 && lines.iter().all(|line| line.len() <= 1000), "{lines:?}");
            assert!(!lines.concat().contains(|character: char| character.is_control()), "{lines:?}");
            let json = serde_json::to_string(&there).unwrap();
            assert!(json.len() <= 40_000);
            assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), there);
        }
    }

    #[test]
    fn large_bodies_are_compared() {
        let size = 16 << 20;
        let filled = |byte: u8, end: &[u8]| {
            let mut body = vec![byte; size];
            body.extend_from_slice(end);
            answer(200, &[], body)
        };
        assert_eq!(
            lines(&filled(0xff, b"1"), &filled(0xff, b"2")).lines().next().unwrap(),
            format!("body differs at offset {size} ({} -> {} bytes)", size + 1, size + 1)
        );
        for byte in [b'a', b'\n', b'[', b'"', b'{', b'\\', b' '] {
            let text = lines(&filled(byte, b"1"), &filled(byte, b"2"));
            assert!(text.contains('1') && text.contains('2') && text.len() < 10_000, "{text}");
        }
    }
}
