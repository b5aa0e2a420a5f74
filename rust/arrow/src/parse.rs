//! A cursor over JSON bytes that skips, checks and unescapes without building values.

use memchr::memchr;
use std::borrow::Cow;

/// Deepest nesting that is read.
pub(crate) const MAX_DEPTH: u32 = 128;

/// JSON that is not well formed: where, in bytes from the start, and what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// A string between its quotes, as written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    escaped: bool,
    ascii: bool,
}

/// A scalar, or the fact that a list or object begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    Text(Text<'a>),
    /// A number as written; also the bare words `NaN`, `Infinity` and `-Infinity`.
    Number(&'a [u8]),
    Bool(bool),
    Null,
    /// `[` or `{`, not consumed.
    Nested,
}

/// A position in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Parser<'a> {
    buf: &'a [u8],
    pub(crate) pos: usize,
}

type Parsed<T> = Result<T, Syntax>;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks bytes that end or interrupt a string: quote, backslash, control characters. The lowest
/// mark is exact.
#[inline(always)]
fn special(word: u64) -> u64 {
    let quote = word ^ (LOW * b'"' as u64);
    let slash = word ^ (LOW * b'\\' as u64);
    let quote = quote.wrapping_sub(LOW) & !quote;
    let slash = slash.wrapping_sub(LOW) & !slash;
    let control = word.wrapping_sub(LOW * 0x20) & !word;

    (quote | slash | control) & HIGH
}

/// Whether a block holds a quote, a backslash or a control character; written so that the compiler
/// uses vector instructions.
#[inline(always)]
fn interrupts(block: &[u8; 32]) -> bool {
    let marks = block.map(|b| u8::from(b == b'"') | u8::from(b == b'\\') | u8::from(b < 0x20));
    marks.iter().fold(0, |all, mark| all | mark) != 0
}

impl<'a> Parser<'a> {
    pub(crate) fn new(buf: &'a [u8]) -> Self {
        Self { buf, pos: 0 }
    }

    /// The same text from another place.
    pub(crate) fn at(&self, pos: usize) -> Self {
        Self { buf: self.buf, pos }
    }

    /// The text from `start` up to here.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.buf.get(start..self.pos).unwrap_or_default()
    }

    /// The byte here; 0, which begins nothing, at the end.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u8 {
        self.buf.get(self.pos).copied().unwrap_or(0)
    }

    #[cold]
    pub(crate) fn error(&self, what: &'static str) -> Syntax {
        let what = if self.pos >= self.buf.len() { "the text ends too early" } else { what };
        Syntax { at: self.pos.min(self.buf.len()), what }
    }

    /// Passes over blanks.
    #[inline(always)]
    pub(crate) fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.pos += 1;
        }
    }

    /// Passes over `byte` if it is next.
    #[inline(always)]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte && self.pos < self.buf.len();
        self.pos += usize::from(found);
        found
    }

    /// Passes over `pattern` if it is next.
    #[inline(always)]
    pub(crate) fn eat_all(&mut self, pattern: &[u8]) -> bool {
        let found = self.buf.get(self.pos..).is_some_and(|rest| rest.starts_with(pattern));
        self.pos += if found { pattern.len() } else { 0 };
        found
    }

    /// Checks that nothing but blanks follows.
    pub(crate) fn end(&mut self) -> Parsed<()> {
        self.blanks();
        if self.pos < self.buf.len() { Err(self.error("text after the value")) } else { Ok(()) }
    }

    /// Reads a string; its opening quote is next.
    #[inline]
    pub(crate) fn text(&mut self) -> Parsed<Text<'a>> {
        if !self.eat(b'"') {
            return Err(self.error("expected a string"));
        }
        let start = self.pos;
        let mut escaped = false;
        let mut seen = 0u64;
        let mut at = start;
        loop {
            while let Some(block) = self.buf.get(at..).and_then(|b| b.first_chunk::<32>())
                && !interrupts(block)
            {
                seen |= u64::from(block.iter().fold(0, |all, b| all | b));
                at += 32;
            }
            if let Some(chunk) = self.buf.get(at..).and_then(|b| b.first_chunk::<8>()) {
                let word = u64::from_le_bytes(*chunk);
                let marks = special(word);
                if marks == 0 {
                    seen |= word;
                    at += 8;
                    continue;
                }
                let before = marks.trailing_zeros() & !7;
                seen |= word & ((1u64 << before) - 1);
                at += (before / 8) as usize;
            }
            match self.buf.get(at) {
                Some(b'"') => {
                    self.pos = at + 1;
                    let raw = self.buf.get(start..at).unwrap_or_default();
                    return Ok(Text { raw, escaped, ascii: seen & HIGH == 0 });
                }
                Some(b'\\') => {
                    escaped = true;
                    at += self.escape(at)?;
                }
                Some(0..0x20) => {
                    self.pos = at;
                    return Err(self.error("control character in a string"));
                }
                Some(byte) => {
                    seen |= u64::from(*byte);
                    at += 1;
                }
                None => {
                    self.pos = self.buf.len();
                    return Err(self.error("unterminated string"));
                }
            }
        }
    }

    /// Length of the escape sequence at `at`.
    fn escape(&mut self, at: usize) -> Parsed<usize> {
        match self.buf.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') if self.buf.get(at + 2..at + 6).is_some_and(all_hex) => Ok(6),
            found => {
                let cut = found.is_none()
                    || found == Some(&b'u') && self.buf.get(at + 2..at + 6).is_none();
                self.pos = if cut { self.buf.len() } else { at };
                Err(self.error("invalid escape in a string"))
            }
        }
    }

    /// Reads a scalar.
    #[inline]
    pub(crate) fn token(&mut self) -> Parsed<Token<'a>> {
        match self.peek() {
            b'"' => self.text().map(Token::Text),
            b'-' | b'0'..=b'9' | b'N' | b'I' => self.number().map(Token::Number),
            b't' if self.eat_all(b"true") => Ok(Token::Bool(true)),
            b'f' if self.eat_all(b"false") => Ok(Token::Bool(false)),
            b'n' if self.eat_all(b"null") => Ok(Token::Null),
            b'{' | b'[' => Ok(Token::Nested),
            _ => Err(self.word_error()),
        }
    }

    /// The error for something that begins no value; a cut word counts as cut.
    #[cold]
    fn word_error(&mut self) -> Syntax {
        let rest = self.buf.get(self.pos..).unwrap_or_default();
        if ["true", "false", "null", "NaN", "Infinity"]
            .iter()
            .any(|w| w.as_bytes().starts_with(rest))
        {
            self.pos = self.buf.len();
        }
        self.error("expected a value")
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.pos;
        while self.peek().is_ascii_digit() {
            self.pos += 1;
        }
        self.pos - start
    }

    fn number(&mut self) -> Parsed<&'a [u8]> {
        let start = self.pos;
        let negative = self.eat(b'-');
        match self.peek() {
            b'0' => self.pos += 1,
            b'1'..=b'9' => {
                self.digits();
            }
            b'I' if self.eat_all(b"Infinity") => return Ok(self.since(start)),
            b'N' if !negative && self.eat_all(b"NaN") => return Ok(self.since(start)),
            _ => return Err(self.word_error()),
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.error("expected a digit"));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
        }
        if self.peek().is_ascii_digit() {
            return Err(self.error("number with a leading zero"));
        }

        Ok(self.since(start))
    }

    /// Reads `"key":` up to the value.
    pub(crate) fn key(&mut self) -> Parsed<Text<'a>> {
        if self.peek() != b'"' {
            return Err(self.error("expected a field name"));
        }
        let key = self.text()?;
        self.blanks();
        if !self.eat(b':') {
            return Err(self.error("expected ':'"));
        }
        self.blanks();

        Ok(key)
    }

    /// After a value: whether another one follows, or the container was closed by `close`.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Parsed<bool> {
        self.blanks();
        if self.eat(b',') {
            self.blanks();
            return Ok(true);
        }
        if self.eat(close) {
            return Ok(false);
        }

        Err(self.error(if close == b'}' { "expected ',' or '}'" } else { "expected ',' or ']'" }))
    }

    /// Passes over a value, checking its grammar, and returns its text.
    #[inline]
    pub(crate) fn skip(&mut self) -> Parsed<&'a [u8]> {
        let start = self.pos;
        if let Token::Nested = self.token()? {
            self.skip_nested()?;
        }

        Ok(self.since(start))
    }

    fn skip_nested(&mut self) -> Parsed<()> {
        let mut objects = 0u128; // one bit a level, the innermost lowest
        let mut depth = 0u32;
        loop {
            let mut closed = false;
            if let Token::Nested = self.token()? {
                if depth == MAX_DEPTH {
                    return Err(self.error("nested deeper than 128 levels"));
                }
                let object = self.peek() == b'{';
                objects = objects << 1 | u128::from(object);
                depth += 1;
                self.pos += 1;
                self.blanks();
                closed = self.eat(if object { b'}' } else { b']' });
                if !closed {
                    if object {
                        self.key()?;
                    }
                    continue;
                }
            }
            loop {
                if closed {
                    objects >>= 1;
                    depth -= 1;
                }
                if depth == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                if self.more(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                closed = true;
            }
        }
    }
}

fn all_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

impl<'a> Text<'a> {
    /// Appends the text to `out`; returns how many characters had to be replaced by U+FFFD.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) -> u64 {
        if !self.escaped && (self.ascii || std::str::from_utf8(self.raw).is_ok()) {
            out.extend_from_slice(self.raw);
            return 0;
        }

        self.append_slowly(out)
    }

    fn append_slowly(&self, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        let mut replaced = if self.escaped {
            unescape(self.raw, out)
        } else {
            out.extend_from_slice(self.raw);
            0
        };
        if !self.ascii {
            let written = out.get(start..).unwrap_or_default();
            if std::str::from_utf8(written).is_err() {
                let mut clean = Vec::with_capacity(written.len());
                for chunk in written.utf8_chunks() {
                    clean.extend_from_slice(chunk.valid().as_bytes());
                    if !chunk.invalid().is_empty() {
                        clean.extend_from_slice("\u{fffd}".as_bytes());
                        replaced += 1;
                    }
                }
                out.truncate(start);
                out.append(&mut clean);
            }
        }

        replaced
    }

    /// The text, unescaped, and how many characters had to be replaced by U+FFFD.
    pub(crate) fn cooked(&self) -> (Cow<'a, str>, u64) {
        if !self.escaped
            && let Ok(text) = std::str::from_utf8(self.raw)
        {
            return (Cow::Borrowed(text), 0);
        }
        let mut out = Vec::with_capacity(self.raw.len());
        let replaced = self.append_slowly(&mut out);

        (Cow::Owned(String::from_utf8_lossy(&out).into_owned()), replaced)
    }

    /// Whether the text is written as it is, without escapes.
    pub(crate) fn is_plain(&self) -> bool {
        !self.escaped
    }

    /// Whether both are the same text once they are unescaped and repaired.
    pub(crate) fn same(&self, other: &Text<'_>) -> bool {
        let simple = |text: &Text<'_>| text.ascii && !text.escaped;
        if simple(self) && simple(other) {
            self.raw == other.raw
        } else {
            self.cooked().0 == other.cooked().0
        }
    }
}

/// Appends `raw`, whose escapes are well formed, to `out`; returns the number of lone surrogates,
/// each written as U+FFFD.
fn unescape(raw: &[u8], out: &mut Vec<u8>) -> u64 {
    let mut replaced = 0;
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let simple = match escape.get(1) {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (c, used) = unicode(escape);
                replaced += u64::from(c.is_none());
                let c = c.unwrap_or('\u{fffd}');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = escape.get(used..).unwrap_or_default();
                continue;
            }
            Some(other) => *other,
            None => break,
        };
        out.push(simple);
        rest = escape.get(2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);

    replaced
}

/// The character of `\uXXXX` or of a surrogate pair, and the length of what was used; `None` for a
/// lone surrogate.
fn unicode(escape: &[u8]) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(0) {
        Some(high @ 0xd800..0xdc00) => match unit(6) {
            Some(low @ 0xdc00..0xe000) => {
                (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
            }
            _ => (None, 6),
        },
        Some(code) => (char::from_u32(code), 6),
        None => (None, escape.len()),
    }
}

/// Appends well-formed JSON to `out` without the blanks between its tokens; returns how many
/// characters had to be replaced by U+FFFD.
pub(crate) fn compact(json: &[u8], out: &mut Vec<u8>) -> u64 {
    let mut p = Parser::new(json);
    let mut replaced = 0;
    while p.pos < json.len() {
        let start = p.pos;
        if p.peek() == b'"' {
            match p.text() {
                Ok(text) => {
                    out.push(b'"');
                    let whole = Text { escaped: false, ..text };
                    replaced += whole.append_to(out);
                    out.push(b'"');
                }
                Err(_) => p.pos = json.len(),
            }
            continue;
        }
        while !matches!(p.peek(), b'"' | b' ' | b'\n' | b'\r' | b'\t') && p.pos < json.len() {
            p.pos += 1;
        }
        out.extend_from_slice(p.since(start));
        p.blanks();
    }

    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(json: &str) -> Result<usize, Syntax> {
        let mut p = Parser::new(json.as_bytes());
        p.skip().map(<[u8]>::len)
    }

    #[test]
    fn skip_ends_where_the_value_ends() {
        for (json, len) in [
            ("1,", 1),
            ("-0.5e+10]", 8),
            (r#""a\"b", 1"#, 6),
            (r#"{"a":[1,{"b":null}], "c" : "}"} x"#, 31),
            ("[]1", 2),
            ("[ ] ", 3),
            ("{ }", 3),
            ("NaN", 3),
            ("-Infinity,", 9),
            (r#""0123456789abcdef\u00e9""#, 24),
        ] {
            assert_eq!(skip(json), Ok(len), "{json}");
        }
    }

    #[test]
    fn malformed_json_is_refused_with_its_position() {
        for (json, at, what) in [
            ("", 0, "the text ends too early"),
            ("tru", 3, "the text ends too early"),
            ("trux", 0, "expected a value"),
            ("01", 1, "number with a leading zero"),
            ("1.x", 2, "expected a digit"),
            ("-", 1, "the text ends too early"),
            ("[1 2]", 3, "expected ',' or ']'"),
            ("[1,]", 3, "expected a value"),
            ("{\"a\" 1}", 5, "expected ':'"),
            ("{a:1}", 1, "expected a field name"),
            ("{\"a\":1,}", 7, "expected a field name"),
            ("\"a\nb\"", 2, "control character in a string"),
            (r#""\x""#, 1, "invalid escape in a string"),
            (r#""\u12g4""#, 1, "invalid escape in a string"),
            (r#""abc"#, 4, "the text ends too early"),
            ("[1}", 2, "expected ',' or ']'"),
        ] {
            assert_eq!(skip(json), Err(Syntax { at, what }), "{json}");
        }
    }

    #[test]
    fn nesting_is_limited_to_128_levels() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);

        assert_eq!(skip(&nested(128)), Ok(256));
        assert_eq!(
            skip(&nested(129)),
            Err(Syntax { at: 128, what: "nested deeper than 128 levels" })
        );
    }

    #[test]
    fn text_is_unescaped_and_repaired() {
        for (json, text, replaced) in [
            (&br#""plain""#[..], "plain", 0),
            (br#""a\n\t\"\\\/\b\f\r""#, "a\n\t\"\\/\u{8}\u{c}\r", 0),
            (br#""\u00e9\ud83d\ude00\u0000""#, "\u{e9}\u{1f600}\0", 0),
            (br#""\ud800x\udc00""#, "\u{fffd}x\u{fffd}", 2),
            (br#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}", 1),
            (b"\"\xffabc\xe9\"", "\u{fffd}abc\u{fffd}", 2),
            (b"\"\xff\\n\"", "\u{fffd}\n", 1),
            ("\"\u{e9}\u{1f600}\"".as_bytes(), "\u{e9}\u{1f600}", 0),
        ] {
            let read = Parser::new(json).text().unwrap();
            let mut out = Vec::new();
            let count = read.append_to(&mut out);
            assert_eq!((String::from_utf8(out).unwrap().as_str(), count), (text, replaced));
            assert_eq!(read.cooked(), (Cow::from(text), replaced));
        }
    }

    #[test]
    fn compact_json_keeps_order_and_spelling() {
        let mut out = Vec::new();
        let json = b"{ \"b\" : [ 1.0 , true ],\n\t\"a b\": \"x \\u0041 \" , \"c\":null }";
        assert_eq!(compact(json, &mut out), 0);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"b":[1.0,true],"a b":"x \u0041 ","c":null}"#
        );
    }
}
