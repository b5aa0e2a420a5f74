//! Options: case-insensitive names that keep their spelling, declared and checked.

use crate::{Error, Instant, Result, Secret};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the user gave: names in any case, values as text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, (String, String)>);

impl Options {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `name`; a name that differs by case only is replaced.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.0.insert(name.to_lowercase(), (name, value.into()));
    }

    /// The value of `name`, in whatever case either was written.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_lowercase()).map(|(_, value)| value.as_str())
    }

    /// Leaves out the options whose name is not `wanted`.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        self.0.retain(|_, (name, _)| wanted(name));
    }

    /// Names as the user spelt them, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.values().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut options = Self::new();
        for (name, value) in pairs {
            options.set(name, value);
        }

        options
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// What an option's value looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// Any text; blank text counts as not given.
    Text,
    /// A credential.
    Secret,
    /// An absolute `http` or `https` address.
    Url,
    /// A whole number in this range, both ends included.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A number of seconds, fractions allowed, in this range.
    Seconds {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A number, fractions allowed, in this range.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A number of bytes, or a size such as `64m` or `1g`, each unit 1,024 times the one before;
    /// held as a whole number of bytes, 1 or more.
    Bytes,
    /// A length of time such as `30s`, `5 minutes` or `1 hour 30 minutes`; held in seconds.
    Duration,
    /// `true` or `false`, in any case.
    Bool,
    /// ISO 8601 date or date-time; without a zone, UTC.
    Timestamp,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Names separated by commas.
    List,
}

/// What an option decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionRole {
    /// Which rows exist. Held in offsets; a change needs a new checkpoint.
    Identity,
    /// How they are read. Changes freely.
    Tuning,
    /// A credential. Changes freely, is never shown.
    Secret,
}

/// What an option has to do with whom a credential reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing.
    Nothing,
    /// Where requests go, or what they show there.
    Destination,
    /// Whom the client takes for the service.
    Trust,
}

/// Declaration of one option; also the text of its documentation.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// Name as documented.
    pub name: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// What values look like.
    pub kind: OptionKind,
    /// What it decides.
    pub role: OptionRole,
    /// Whether it decides whom requests reach. Such an option cannot be given beside a named
    /// connection.
    pub reach: Reach,
    /// Value if the option is not given.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Tables that use it; empty: all of them.
    pub tables: &'static [&'static str],
    /// One sentence for users.
    pub doc: &'static str,
}

impl OptionSpec {
    /// An optional tuning option.
    pub const fn new(name: &'static str, kind: OptionKind, doc: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            role: OptionRole::Tuning,
            reach: Reach::Nothing,
            default: None,
            required: false,
            tables: &[],
            doc,
        }
    }

    /// A required credential.
    pub const fn secret(name: &'static str, doc: &'static str) -> Self {
        let mut spec = Self::new(name, OptionKind::Secret, doc);
        spec.role = OptionRole::Secret;
        spec.required = true;
        spec
    }

    /// Chooses which rows exist.
    pub const fn identity(mut self) -> Self {
        self.role = OptionRole::Identity;
        self
    }

    /// Decides where requests go, or what they show there.
    pub const fn destination(mut self) -> Self {
        self.reach = Reach::Destination;
        self
    }

    /// Decides whom the client takes for the service.
    pub const fn trust(mut self) -> Self {
        self.reach = Reach::Trust;
        self
    }

    /// Must be given.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Has this value if not given.
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// May also be written so.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Is used by these tables only.
    pub const fn tables(mut self, tables: &'static [&'static str]) -> Self {
        self.tables = tables;
        self
    }

    /// Its name and aliases.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether `name`, in any case, is this option or an alias of it.
    pub fn is_called(&self, name: &str) -> bool {
        self.spellings().any(|n| n.eq_ignore_ascii_case(name))
            || self.redacted_alias().is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// Another name of a credential, which Spark redacts wherever it shows options; none where it
    /// redacts the name itself.
    pub fn redacted_alias(&self) -> Option<String> {
        let name = self.name.to_ascii_lowercase();
        let redacted = ["token", "secret", "password"].iter().any(|word| name.contains(word));

        (self.role == OptionRole::Secret && !redacted).then(|| format!("{}_token", self.name))
    }

    /// Whether `table` uses it.
    pub fn applies_to(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.contains(&table)
    }

    /// Checks and normalises a value.
    fn check(&self, value: &str) -> Result<String> {
        let name = self.name;
        let fail = |expected: String| {
            let given = match self.kind {
                OptionKind::Secret | OptionKind::Url => {
                    format!("{} characters", value.chars().count())
                }
                _ => format!("\"{}\"", value.chars().take(80).collect::<String>()),
            };
            Err(Error::config(format!("option '{name}' must be {expected}, got {given}")))
        };
        let trimmed = value.trim();
        match self.kind {
            OptionKind::Text | OptionKind::List => Ok(trimmed.to_owned()),
            OptionKind::Secret if trimmed.is_empty() => fail("a credential".into()),
            OptionKind::Secret if value.chars().any(char::is_control) => {
                fail("a credential without control characters".into())
            }
            OptionKind::Secret => Ok(value.to_owned()),
            OptionKind::Url => {
                let rest = ["https://", "http://"].iter().find_map(|s| {
                    trimmed.get(..s.len()).filter(|p| p.eq_ignore_ascii_case(s))?;
                    trimmed.get(s.len()..)
                });
                match rest {
                    Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                        Ok(trimmed.trim_end_matches('/').to_owned())
                    }
                    _ => fail("an address that starts with https:// or http://".into()),
                }
            }
            OptionKind::Integer { min, max } => match trimmed.parse::<i64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ if max == i64::MAX => fail(format!("{min} or more")),
                _ => fail(format!("a whole number from {min} to {max}")),
            },
            OptionKind::Seconds { min, max } => match trimmed.parse::<f64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => fail(format!("a number of seconds from {min} to {max}")),
            },
            OptionKind::Number { min, max } => match trimmed.parse::<f64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => fail(format!("a number from {min} to {max}")),
            },
            OptionKind::Bytes => match parse_bytes(trimmed) {
                Some(bytes) if bytes > 0 => Ok(bytes.to_string()),
                _ => fail("a number of bytes or a size such as 64m or 1g".into()),
            },
            OptionKind::Duration => match parse_duration(trimmed) {
                Some(duration) => Ok(duration.as_secs_f64().to_string()),
                None => fail("a length of time such as 30s or 5 minutes".into()),
            },
            OptionKind::Bool => match trimmed.to_ascii_lowercase().as_str() {
                word @ ("true" | "false") => Ok(word.to_owned()),
                _ => fail("true or false".into()),
            },
            OptionKind::Timestamp => match Instant::parse(trimmed) {
                Some(_) => Ok(trimmed.to_owned()),
                None => fail("an ISO 8601 date or date-time".into()),
            },
            OptionKind::Choice(words) => {
                match words.iter().find(|w| w.eq_ignore_ascii_case(trimmed)) {
                    Some(word) => Ok((*word).to_owned()),
                    None => fail(format!("one of {}", words.join(", "))),
                }
            }
        }
    }
}

/// Options that were checked against their declarations, defaults filled in.
#[derive(Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    specs: Vec<&'static OptionSpec>,
    incomplete: bool,
}

impl Settings {
    /// Checks `options` against `specs`.
    ///
    /// Names in `ignored` (of the platform or of another layer) are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](crate::ErrorKind::ConfigInvalid) for an unknown name (with the
    /// nearest known one), a malformed value, two spellings of one option that differ in value, or
    /// a required option that is missing.
    pub fn resolve(
        options: &Options,
        specs: impl IntoIterator<Item = &'static OptionSpec>,
        ignored: &[&str],
    ) -> Result<Self> {
        let specs: Vec<_> = specs.into_iter().collect();
        let mut values = BTreeMap::new();
        for (name, value) in options.iter() {
            if ignored.iter().any(|i| i.eq_ignore_ascii_case(name)) {
                continue;
            }
            let Some(spec) = specs.iter().find(|s| s.is_called(name)) else {
                return Err(unknown(name, value, &specs));
            };
            if spec.kind != OptionKind::Secret && value.trim().is_empty() {
                continue;
            }
            let checked = spec.check(value)?;
            if values.insert(spec.name, checked.clone()).is_some_and(|old| old != checked) {
                let names =
                    options.iter().map(|(name, _)| name).filter(|name| spec.is_called(name));
                let names: Vec<_> = names.map(|name| format!("'{name}'")).collect();
                return Err(Error::config(format!(
                    "option '{}' is given twice with different values, as {}; leave one of them out",
                    spec.name,
                    names.join(" and ")
                )));
            }
        }
        for spec in &specs {
            if let (None, Some(default)) = (values.get(spec.name), spec.default) {
                values.insert(spec.name, spec.check(default)?);
            }
        }

        Ok(Self { values, specs, incomplete: false })
    }

    /// These settings where options that a table needs may still come: enough to describe it, not
    /// to read it.
    pub fn incomplete(self) -> Self {
        Self { incomplete: true, ..self }
    }

    /// Whether options that a table needs may still come.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Fails if a required option that `table` uses is missing.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](crate::ErrorKind::ConfigInvalid), naming the option.
    pub fn require(&self, table: Option<&str>) -> Result<()> {
        for spec in &self.specs {
            let of_table = |t| !self.incomplete && spec.applies_to(t);
            let used = spec.tables.is_empty() || table.is_some_and(of_table);
            if spec.required && used && !self.values.contains_key(spec.name) {
                let error =
                    Error::config(format!("option '{}' is required: {}", spec.name, spec.doc));
                return Err(table.map_or_else(
                    || Error::config(error.message()),
                    |t| Error::config(error.message()).table(t),
                ));
            }
        }

        Ok(())
    }

    /// The value, if given or defaulted.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an option that is required or has a default.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](crate::ErrorKind::ConfigInvalid) if there is none.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::config(format!("option '{name}' is required")))
    }

    /// A credential.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn secret(&self, name: &str) -> Result<Secret> {
        self.text(name).map(Secret::new)
    }

    /// A whole number, or a number of bytes.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|v| v.parse().ok())
    }

    /// A number of seconds, or a length of time.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        self.get(name).and_then(|v| v.parse().ok()).map(Duration::from_secs_f64)
    }

    /// Whether the option is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Names separated by commas, blanks trimmed.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.get(name).into_iter().flat_map(|v| v.split(','));
        items.map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    /// Values of all credentials among the options, for removal by value.
    pub fn secrets(&self) -> Vec<Secret> {
        let secret = |s: &&&OptionSpec| s.role == OptionRole::Secret;
        self.specs
            .iter()
            .filter(secret)
            .filter_map(|s| self.values.get(s.name))
            .map(Secret::new)
            .collect()
    }

    /// Names and values of the options that choose rows and that `table` uses.
    pub fn identity(&self, table: &str) -> BTreeMap<String, String> {
        self.choosing(table)
            .filter_map(|s| Some((s.name.to_owned(), self.values.get(s.name)?.clone())))
            .collect()
    }

    /// The options that choose rows of `table`, given or not.
    pub fn choosing(&self, table: &str) -> impl Iterator<Item = &'static OptionSpec> {
        let chosen = |s: &&OptionSpec| s.role == OptionRole::Identity && s.applies_to(table);
        self.specs.iter().copied().filter(chosen)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Sizes as Spark spells them: digits, then a unit or none.
fn parse_bytes(text: &str) -> Option<i64> {
    let (number, unit) = split_number(text)?;
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        "t" | "tb" => 4,
        "p" | "pb" => 5,
        _ => return None,
    };

    i64::try_from(number).ok()?.checked_mul(1 << (10 * power))
}

/// Numbers with their units, one after the other.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let millis: u64 = match unit.to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = after.trim_start();
    }

    (!text.is_empty()).then_some(total)
}

/// The whole number that `text` begins with, and what follows it, blanks between them left out.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;

    Some((digits.parse().ok()?, rest.trim_start()))
}

fn unknown(name: &str, value: &str, specs: &[&'static OptionSpec]) -> Error {
    let lower = name.to_lowercase();
    let nearest = specs
        .iter()
        .map(|s| (strsim::damerau_levenshtein(&lower, &s.name.to_lowercase()), s.name))
        .min();
    let hint = match nearest {
        Some((distance, near)) if distance <= (near.len() / 3).max(2) => {
            format!("; did you mean '{near}'?")
        }
        _ => {
            let mut names: Vec<_> = specs.iter().map(|s| s.name).collect();
            names.sort_unstable();
            format!("; known options: {}", names.join(", "))
        }
    };

    Error::config(format!(
        "unknown option '{}' (a value of {} characters){hint}",
        name.chars().take(80).collect::<String>(),
        value.chars().count()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    static SPECS: &[OptionSpec] = &[
        OptionSpec::secret("token", "API token."),
        OptionSpec::new("owner", OptionKind::Text, "Owner.")
            .identity()
            .required()
            .tables(&["issues"]),
        OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 100 }, "Page size.")
            .default("100"),
        OptionSpec::new("cap", OptionKind::Integer { min: 1, max: i64::MAX }, "Cap.")
            .aliases(&["maxRows"]),
        OptionSpec::new("base_url", OptionKind::Url, "Root.").identity(),
        OptionSpec::new("flag", OptionKind::Bool, "Flag."),
        OptionSpec::new("size", OptionKind::Bytes, "Size."),
        OptionSpec::new("pause", OptionKind::Duration, "Pause."),
    ];

    fn resolve(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::resolve(&pairs.iter().copied().collect(), SPECS, &["path"])
    }

    #[test]
    fn credentials_have_a_name_that_spark_redacts() {
        let key = OptionSpec::secret("apiKey", "Key.");
        assert_eq!(key.redacted_alias().as_deref(), Some("apiKey_token"));
        assert!(key.is_called("APIKEY_TOKEN") && key.is_called("apikey"));

        for name in ["token", "client_secret", "adminPassword"] {
            assert_eq!(OptionSpec::secret(name, "").redacted_alias(), None, "{name}");
        }
        assert_eq!(OptionSpec::new("owner", OptionKind::Text, "").redacted_alias(), None);
    }

    fn message(pairs: &[(&str, &str)]) -> String {
        resolve(pairs).unwrap_err().to_string()
    }

    #[test]
    fn names_are_case_insensitive_and_defaults_filled_in() {
        let settings = resolve(&[("TOKEN", "t"), ("MaxRows", " 5 "), ("path", "x")]).unwrap();

        assert_eq!(settings.integer("cap"), Some(5));
        assert_eq!(settings.integer("per_page"), Some(100));
        assert_eq!(settings.secret("token").unwrap().expose(), "t");
    }

    #[test]
    fn unknown_name_gets_the_nearest_and_never_shows_its_value() {
        assert_eq!(
            message(&[("per_pages", "canary")]),
            "unknown option 'per_pages' (a value of 6 characters); did you mean 'per_page'?"
        );
        assert!(message(&[("zzzzzzzz", "1")]).contains("known options: base_url, cap"));
    }

    #[test]
    fn malformed_values_name_option_range_and_value() {
        let cases = [
            (
                ("per_page", "101"),
                "option 'per_page' must be a whole number from 1 to 100, got \"101\"",
            ),
            (("cap", "-5"), "option 'cap' must be 1 or more, got \"-5\""),
            (("flag", "yes"), "option 'flag' must be true or false, got \"yes\""),
            (
                ("size", "0"),
                "option 'size' must be a number of bytes or a size such as 64m or 1g, got \"0\"",
            ),
            (
                ("pause", "30"),
                "option 'pause' must be a length of time such as 30s or 5 minutes, got \"30\"",
            ),
            (
                ("base_url", "ftp://user:pw@h"),
                "option 'base_url' must be an address that starts with https:// or http://, got 15 characters",
            ),
            (("token", " "), "option 'token' must be a credential, got 1 characters"),
        ];
        for (pair, expected) in cases {
            assert_eq!(message(&[pair]), expected);
        }
    }

    #[test]
    fn sizes_are_bytes_in_powers_of_1024() {
        for (text, bytes) in [
            ("1", 1),
            ("1500b", 1500),
            ("2k", 2048),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            (" 1 g ", 1 << 30),
            ("3tb", 3 << 40),
            ("8191p", 8191 << 50),
        ] {
            assert_eq!(resolve(&[("size", text)]).unwrap().integer("size"), Some(bytes), "{text}");
        }
        for text in ["0m", "-1", "1.5g", "m", "64 mib", "8192p", "99999999999999999999", "1g1m"] {
            assert!(message(&[("size", text)]).ends_with(&format!("got \"{text}\"")), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_are_numbers_with_units() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("30 Seconds", 30_000),
            ("5 minutes", 300_000),
            ("1 hour 30 minutes", 5_400_000),
            ("2d4h", 187_200_000),
        ] {
            let settings = resolve(&[("pause", text)]).unwrap();
            assert_eq!(settings.seconds("pause"), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["30", "s", "-1s", "1.5s", "1 fortnight", "5 minutes ago", "1s,2s"] {
            assert!(message(&[("pause", text)]).ends_with(&format!("got \"{text}\"")), "{text}");
        }
    }

    #[test]
    fn required_options_are_asked_for_by_the_tables_that_use_them() {
        let settings = resolve(&[("token", "t")]).unwrap();

        assert!(settings.require(Some("users")).is_ok());
        assert_eq!(
            settings.require(Some("issues")).unwrap_err().to_string(),
            "option 'owner' is required: Owner. (table: issues)"
        );
    }

    #[test]
    fn two_spellings_with_different_values_are_refused() {
        assert_eq!(
            message(&[("token", "t"), ("cap", "1"), ("maxrows", "2")]),
            "option 'cap' is given twice with different values, as 'cap' and 'maxrows'; leave one of \
             them out"
        );
    }

    #[test]
    fn debug_shows_names_only() {
        let options: Options = [("token", "canary")].into_iter().collect();
        assert_eq!(format!("{options:?}"), "{\"token\"}");
        assert!(!format!("{:?}", resolve(&[("token", "canary")]).unwrap()).contains("canary"));
    }
}
