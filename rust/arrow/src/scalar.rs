//! Values that are neither lists, maps nor structs.

use crate::fail::Fail;
use crate::node::{Body, Node};
use crate::number::{self, Misfit};
use crate::parse::{Parser, Text, Token, compact};
use crate::read::{Reading, token};
use crate::time;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lakeflow_core::Encoding;

/// What came of a value; the error is a reason, which may be empty.
type Outcome<T> = Result<Option<T>, &'static str>;

/// Reads a value, not null, into a scalar column.
#[inline]
pub(crate) fn read(node: &mut Node, p: &mut Parser<'_>, cx: &mut Reading) -> Result<(), Fail> {
    if let Body::Text(..) = node.body {
        return read_text(node, p, cx);
    }
    let (token, raw) = token(p)?;
    // The plainest of numbers, without the detour through text.
    if let (Body::I64(values), Token::Number(literal)) = (&mut node.body, token)
        && let Some(value) = number::short_integer(literal)
    {
        values.push(value);
        node.nulls.append_non_null();
        return Ok(());
    }

    read_other(node, token, raw, cx)
}

fn read_other(node: &mut Node, token: Token<'_>, raw: &[u8], cx: &mut Reading) -> Result<(), Fail> {
    let hints = &node.hints;
    let pushed = match &mut node.body {
        Body::Bool(v) => boolean(token).map(|b| b.map(|b| v.append(b))),
        Body::I8(v) => push(v, integer(token, i8::MIN.into(), i8::MAX.into())),
        Body::I16(v) => push(v, integer(token, i16::MIN.into(), i16::MAX.into())),
        Body::I32(v) => push(v, integer(token, i32::MIN.into(), i32::MAX.into())),
        Body::I64(v) => push(v, integer(token, i64::MIN, i64::MAX)),
        Body::F32(v) => push(v, numeric(token, number::float::<f32>)),
        Body::F64(v) => push(v, numeric(token, number::float::<f64>)),
        Body::Decimal(v, precision, scale) => {
            push(v, numeric(token, |t| number::decimal(t, *precision, *scale)))
        }
        Body::Date(v) => push(
            v,
            temporal(token, |t| time::date(t, &hints.time), |n| time::epoch_date(n, &hints.time)),
        ),
        Body::Timestamp(v) => push(
            v,
            temporal(
                token,
                |t| time::timestamp(t, &hints.time, cx.zone),
                |n| time::epoch(n, &hints.time, cx.zone),
            ),
        ),
        Body::TimestampNtz(v) => push(
            v,
            temporal(
                token,
                |t| time::timestamp_ntz(t, &hints.time),
                |n| time::epoch_ntz(n, &hints.time),
            ),
        ),
        Body::Binary(v) => {
            let outcome = if let Token::Text(text) = token {
                let (text, replaced) = text.cooked();
                cx.replaced += replaced;
                binary(&text, hints.encoding, hints.blank_is_null, &mut v.data)
            } else {
                byte_list(raw, &mut v.data)
            };
            match outcome {
                Ok(Some(())) => {
                    v.end()?;
                    Ok(Some(()))
                }
                other => {
                    v.drop_open();
                    other
                }
            }
        }
        _ => Err(""),
    };
    match pushed {
        Ok(Some(())) => {
            node.nulls.append_non_null();
            Ok(())
        }
        Ok(None) => node.null(),
        Err(reason) => Err(node.misfit(raw, reason, cx)),
    }
}

fn push<T, U: TryInto<T>>(values: &mut Vec<T>, outcome: Outcome<U>) -> Outcome<()> {
    let Some(value) = outcome? else { return Ok(None) };
    values.push(value.try_into().map_err(|_| OUT_OF_RANGE)?);

    Ok(Some(()))
}

const OUT_OF_RANGE: &str = "out of range";
const FRACTION: &str = "its fraction would be lost";

/// The text without blanks around it, or `None` if nothing is left.
fn trimmed<T>(text: Text<'_>, read: impl FnOnce(&str) -> Outcome<T>) -> Outcome<T> {
    let (text, _) = text.cooked();
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { read(text) }
}

fn numeric<T>(token: Token<'_>, read: impl Fn(&[u8]) -> Option<Result<T, Misfit>>) -> Outcome<T> {
    let read = |text: &[u8]| match read(text) {
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(Misfit::Range)) => Err(OUT_OF_RANGE),
        Some(Err(Misfit::Fraction)) => Err(FRACTION),
        None => Err(""),
    };
    match token {
        Token::Number(literal) => read(literal),
        Token::Text(text) => trimmed(text, |t| read(t.as_bytes())),
        _ => Err(""),
    }
}

fn integer(token: Token<'_>, min: i64, max: i64) -> Outcome<i64> {
    numeric(token, |text| number::integer(text, min, max))
}

fn temporal<T>(
    token: Token<'_>,
    read_text: impl Fn(&str) -> Outcome<T>,
    read_number: impl Fn(&[u8]) -> Outcome<T>,
) -> Outcome<T> {
    match token {
        Token::Text(text) => trimmed(text, read_text),
        Token::Number(literal) => read_number(literal),
        _ => Err(""),
    }
}

fn boolean(token: Token<'_>) -> Outcome<bool> {
    const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
    const FALSE: [&str; 6] = ["false", "f", "no", "n", "off", "0"];
    match token {
        Token::Bool(value) => Ok(Some(value)),
        Token::Number(literal) => match number::integer(literal, 0, 1) {
            Some(Ok(value)) => Ok(Some(value == 1)),
            _ => Err(""),
        },
        Token::Text(text) => trimmed(text, |text| {
            let is = |words: [&str; 6]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
            match (is(TRUE), is(FALSE)) {
                (true, _) => Ok(Some(true)),
                (_, true) => Ok(Some(false)),
                _ => Err(""),
            }
        }),
        _ => Err(""),
    }
}

/// Padding may be there or not; bits behind the last byte must be zero.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

fn binary(text: &str, encoding: Encoding, blank_is_null: bool, out: &mut Vec<u8>) -> Outcome<()> {
    if blank_is_null && text.trim().is_empty() {
        return Ok(None);
    }
    match encoding {
        Encoding::Utf8 => out.extend_from_slice(text.as_bytes()),
        Encoding::Hex => {
            let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            for pair in text.as_bytes().chunks(2) {
                match pair {
                    [high, low] => match (digit(high), digit(low)) {
                        (Some(high), Some(low)) => out.push(high << 4 | low),
                        _ => return Err("not hexadecimal"),
                    },
                    _ => return Err("not hexadecimal"),
                }
            }
        }
        Encoding::Base64 | Encoding::Base64Any => {
            let url = encoding == Encoding::Base64Any && text.contains(['-', '_']);
            let engine = if url { BASE64_URL } else { BASE64 };
            // Line breaks belong to the base64 of MIME, which services pass on.
            let decoded = if text.contains(['\r', '\n']) {
                engine.decode_vec(text.replace(['\r', '\n'], ""), out)
            } else {
                engine.decode_vec(text, out)
            };
            decoded.map_err(|_| "not base64")?;
        }
    }

    Ok(Some(()))
}

/// A list of numbers from 0 to 255.
fn byte_list(raw: &[u8], out: &mut Vec<u8>) -> Outcome<()> {
    let mut p = Parser::new(raw);
    if !p.eat(b'[') {
        return Err("");
    }
    p.blanks();
    let mut more = !p.eat(b']');
    while more {
        match p.token() {
            Ok(Token::Number(literal)) => match number::integer(literal, 0, 255) {
                Some(Ok(byte)) => out.push(u8::try_from(byte).map_err(|_| OUT_OF_RANGE)?),
                _ => return Err("not a list of bytes"),
            },
            _ => return Err("not a list of bytes"),
        }
        more = p.more(b']').map_err(|_| "not a list of bytes")?;
    }

    Ok(Some(()))
}

#[inline]
fn read_text(node: &mut Node, p: &mut Parser<'_>, cx: &mut Reading) -> Result<(), Fail> {
    let Body::Text(values, limit) = &mut node.body else { return Ok(()) };
    let before = values.data.len();
    let start = p.pos;
    match p.token()? {
        Token::Text(text) => cx.replaced += text.append_to(&mut values.data),
        Token::Nested => {
            let raw = p.skip()?;
            cx.replaced += compact(raw, &mut values.data);
        }
        _ => values.data.extend_from_slice(p.since(start)),
    }
    if limit.is_some() || node.hints.blank_is_null {
        let written = values.data.get(before..).unwrap_or_default();
        let text = String::from_utf8_lossy(written);
        if node.hints.blank_is_null && text.trim().is_empty() {
            values.drop_open();
            return node.null();
        }
        if limit.is_some_and(|limit| text.chars().count() > limit as usize) {
            values.drop_open();
            return Err(node.misfit(p.since(start), "too long", cx));
        }
    }
    values.end()?;
    node.nulls.append_non_null();

    Ok(())
}
