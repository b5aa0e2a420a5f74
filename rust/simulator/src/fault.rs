//! What can go wrong on purpose, and when.

use crate::value::Mix;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Goes wrong on the requests that fit its pattern, when its turn comes.
///
/// As JSON or YAML: `{"path": "/github/repos/*", "nth": 2, "kind": {"status": {"code": 503}}}`.
/// `nth`, `every` and `probability` count the requests that fit; without any, every one is hit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Path with its source, such as `/github/repos/*`; `*` stands for any text. Query ignored.
    #[serde(default = "any_path")]
    pub path: String,
    /// Method; none: every one.
    #[serde(default)]
    pub method: Option<String>,
    /// Only this one of the requests that fit, from 1.
    #[serde(default)]
    pub nth: Option<u64>,
    /// Every so many of the requests that fit.
    #[serde(default)]
    pub every: Option<u64>,
    /// At this rate, 0.0 to 1.0.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Seed of `probability` and of [`FaultKind::OneOf`].
    #[serde(default)]
    pub seed: u64,
    /// At most so many times; none: without end.
    #[serde(default)]
    pub times: Option<u64>,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong. Kinds that replace the answer (`Status`, `BlackHole`, `Html200`) leave the
/// source unchanged; the others answer the request first and then spoil how it is sent.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Another answer.
    Status {
        /// HTTP status.
        code: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body; without one `{"message": "injected fault"}`, with `content-type` JSON unless
        /// `headers` say otherwise.
        #[serde(default)]
        body: Option<String>,
    },
    /// One of these, each as likely.
    OneOf(Vec<FaultKind>),
    /// The right answer, late.
    Latency {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The request is read and never answered; the connection stays open.
    BlackHole,
    /// The right answer, slowly.
    Drip {
        /// Bytes of the body per second.
        bytes_per_second: u64,
    },
    /// The connection is reset (TCP RST) inside the body.
    ResetMidBody {
        /// Bytes of the body sent before.
        after: usize,
    },
    /// The connection is closed in order, but before the announced length is reached.
    ShortBody {
        /// Bytes of the body sent before.
        after: usize,
    },
    /// A complete HTTP message whose body was cut: JSON without its end.
    TruncatedBody {
        /// Bytes of the body that are kept.
        keep: usize,
    },
    /// Status 200 with an HTML page, as of a login or maintenance.
    Html200,
    /// The right answer with the header `Content-Encoding: gzip` and a body that is not.
    FalseGzip,
    /// A page whose next link, token, number or time is that of the page itself.
    RepeatLink,
    /// A page whose next link, token, number or time is that of the first page: struck on every
    /// n-th page, the tokens run in a circle of that length.
    RestartLink,
    /// A page whose next link, in header or body, leads to another origin.
    ForeignLink {
        /// That origin, `http://127.0.0.2:1`.
        origin: String,
    },
    /// A page without rows that still names the next one.
    EmptyPage,
    /// Lists and searches show a record only so many seconds after it was written.
    HideChanged {
        /// That delay.
        seconds: i64,
    },
}

fn any_path() -> String {
    "*".to_owned()
}

impl Fault {
    /// Hits every request.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            path: any_path(),
            method: None,
            nth: None,
            every: None,
            probability: None,
            seed: 0,
            times: None,
            kind,
        }
    }

    /// [`FaultKind::Status`] without headers and with the standard body.
    pub fn status(code: u16) -> Self {
        Self::new(FaultKind::Status { code, headers: BTreeMap::new(), body: None })
    }

    /// Only paths that fit, such as `/github/repos/*`.
    pub fn on(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Only this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only the request number `nth` of those that fit, from 1.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Every so many of the requests that fit.
    pub fn every(mut self, every: u64) -> Self {
        self.every = Some(every);
        self
    }

    /// At this rate, 0.0 to 1.0.
    pub fn probability(mut self, rate: f64, seed: u64) -> Self {
        self.probability = Some(rate);
        self.seed = seed;
        self
    }

    /// At most so many times.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// The faults in force, with their counters.
#[derive(Default)]
pub(crate) struct Faults(Vec<Armed>);

struct Armed {
    fault: Fault,
    fitting: u64,
    hits: u64,
    mix: Mix,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        let mix = Mix::new(&[fault.seed]);
        self.0.push(Armed { fault, fitting: 0, hits: 0, mix });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How often each fault has struck, in the order they were added.
    pub(crate) fn hits(&self) -> Vec<u64> {
        self.0.iter().map(|armed| armed.hits).collect()
    }

    /// The faults that strike this request.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Vec<FaultKind> {
        self.0.iter_mut().filter_map(|armed| armed.strike(method, path)).collect()
    }
}

impl Armed {
    fn strike(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let fault = &self.fault;
        let other_method = fault.method.as_deref().is_some_and(|m| !m.eq_ignore_ascii_case(method));
        if other_method || !fits(&fault.path, path) {
            return None;
        }
        self.fitting += 1;
        let due = fault.nth.is_none_or(|nth| nth == self.fitting)
            && fault.every.is_none_or(|every| self.fitting.is_multiple_of(every.max(1)))
            && fault.probability.is_none_or(|rate| self.mix.chance(rate))
            && fault.times.is_none_or(|times| self.hits < times);
        if !due {
            return None;
        }
        self.hits += 1;
        match &fault.kind {
            FaultKind::OneOf(kinds) => self.mix.pick(kinds).cloned(),
            kind => Some(kind.clone()),
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }

    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_with_any_number_of_stars() {
        let cases = [
            ("*", "/a/b", true),
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/bc", false),
            ("/a/*", "/a/", true),
            ("/a/*/c", "/a/x/y/c", true),
            ("/a/*/c", "/a/c", false),
            ("*issues*", "/github/repos/o/r/issues/1", true),
            ("/a*a", "/a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn turns_are_counted_over_the_requests_that_fit() {
        let hits = |fault: Fault| {
            let mut faults = Faults::default();
            faults.add(fault.on("/x*"));
            let turns: Vec<usize> = (1..=8)
                .filter(|_| {
                    faults.strike("GET", "/other");
                    !faults.strike("GET", "/x/1").is_empty()
                })
                .collect();
            assert_eq!(faults.hits(), [turns.len() as u64]);
            turns
        };
        assert_eq!(hits(Fault::status(500).nth(2)), [2]);
        assert_eq!(hits(Fault::status(500).every(3)), [3, 6]);
        assert_eq!(hits(Fault::status(500).every(2).times(2)), [2, 4]);
        assert_eq!(hits(Fault::status(500).times(1)), [1]);
        assert_eq!(hits(Fault::status(500).method("post")), [0; 0]);
        assert_eq!(hits(Fault::status(500).probability(1.0, 1)), [1, 2, 3, 4, 5, 6, 7, 8]);
        let half = hits(Fault::status(500).probability(0.5, 3));
        assert_eq!(half, hits(Fault::status(500).probability(0.5, 3)));
        assert!(!half.is_empty() && half.len() < 8);
    }

    #[test]
    fn faults_are_read_from_json() {
        let json =
            r#"{"path":"/a*","nth":1,"kind":{"one_of":["black_hole",{"latency":{"ms":5}}]}}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(
            fault.kind,
            FaultKind::OneOf(vec![FaultKind::BlackHole, FaultKind::Latency { ms: 5 }])
        );
    }
}
