//! Any JSON value in Spark's variant encoding.

use crate::fail::Fail;
use crate::node::Bytes;
use crate::number::{self, Num, Round};
use crate::parse::{Parser, Token};
use arrow::error::ArrowError;
use parquet_variant::{
    ObjectFieldBuilder, Variant, VariantBuilder, VariantBuilderExt, VariantDecimal4,
    VariantDecimal8, VariantDecimal16,
};

/// Why a value has no variant.
enum Refused {
    OutOfRange,
    Builder(ArrowError),
    Text(crate::parse::Syntax),
}

impl From<ArrowError> for Refused {
    fn from(cause: ArrowError) -> Self {
        Self::Builder(cause)
    }
}

impl From<crate::parse::Syntax> for Refused {
    fn from(cause: crate::parse::Syntax) -> Self {
        Self::Text(cause)
    }
}

/// Appends the well-formed value `raw`; returns how many characters were replaced by U+FFFD.
///
/// Numbers keep all their digits: integers of up to 64 bits, decimals of up to 38 digits, and
/// floats only where they are written with an exponent or have more digits.
pub(crate) fn append(
    raw: &[u8],
    value: &mut Bytes,
    metadata: &mut Bytes,
    excerpts: bool,
) -> Result<u64, Fail> {
    let mut builder = VariantBuilder::new();
    let mut replaced = 0;
    let built = build(&mut Parser::new(raw), &mut builder, &mut replaced)
        .and_then(|()| builder.try_finish().map_err(Refused::Builder));
    let (metadata_bytes, value_bytes) = built.map_err(|refused| match refused {
        Refused::OutOfRange => Fail::value(raw, "variant", "number out of range", excerpts),
        Refused::Builder(cause) => Fail::value(raw, "variant", &cause.to_string(), excerpts),
        Refused::Text(syntax) => Fail::Syntax(syntax),
    })?;
    value.data.extend_from_slice(&value_bytes);
    metadata.data.extend_from_slice(&metadata_bytes);
    value.end()?;
    metadata.end()?;

    Ok(replaced)
}

fn build(
    p: &mut Parser<'_>,
    builder: &mut impl VariantBuilderExt,
    replaced: &mut u64,
) -> Result<(), Refused> {
    match p.token()? {
        Token::Null => builder.append_value(Variant::Null),
        Token::Bool(value) => builder.append_value(value),
        Token::Number(literal) => builder.append_value(number(literal).ok_or(Refused::OutOfRange)?),
        Token::Text(text) => {
            let (text, count) = text.cooked();
            *replaced += count;
            builder.append_value(&*text);
        }
        Token::Nested if p.eat(b'[') => {
            let mut list = builder.try_new_list()?;
            p.blanks();
            let mut more = !p.eat(b']');
            while more {
                build(p, &mut list, replaced)?;
                more = p.more(b']')?;
            }
            list.finish();
        }
        Token::Nested => {
            p.eat(b'{');
            let mut object = builder.try_new_object()?;
            p.blanks();
            let mut more = !p.eat(b'}');
            while more {
                let (key, count) = p.key()?.cooked();
                *replaced += count;
                build(p, &mut ObjectFieldBuilder::new(&key, &mut object), replaced)?;
                more = p.more(b'}')?;
            }
            object.finish();
        }
    }

    Ok(())
}

/// The narrowest variant that holds the number; `None` if no float reaches it.
fn number(literal: &[u8]) -> Option<Variant<'static, 'static>> {
    let plain = literal.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if plain && let Some(number) = Num::parse(literal) {
        let point = literal.iter().position(|b| *b == b'.');
        let scale = point.map_or(0, |at| literal.len() - at - 1);
        let exact = i64::try_from(scale).ok().and_then(|s| number.scaled(s, Round::Exact).ok());
        if let (Some(value), Ok(scale)) = (exact, u8::try_from(scale))
            && scale <= 38
        {
            return if point.is_none() { integer(value) } else { decimal(value, scale) };
        }
    }

    number::float::<f64>(literal)?.ok().map(Variant::from)
}

fn integer(value: i128) -> Option<Variant<'static, 'static>> {
    if let Ok(v) = i8::try_from(value) {
        return Some(Variant::from(v));
    }
    if let Ok(v) = i16::try_from(value) {
        return Some(Variant::from(v));
    }
    if let Ok(v) = i32::try_from(value) {
        return Some(Variant::from(v));
    }
    match i64::try_from(value) {
        Ok(v) => Some(Variant::from(v)),
        Err(_) => decimal(value, 0),
    }
}

fn decimal(value: i128, scale: u8) -> Option<Variant<'static, 'static>> {
    if let Ok(v) = i32::try_from(value)
        && let Ok(v) = VariantDecimal4::try_new(v, scale)
    {
        return Some(Variant::from(v));
    }
    if let Ok(v) = i64::try_from(value)
        && let Ok(v) = VariantDecimal8::try_new(v, scale)
    {
        return Some(Variant::from(v));
    }

    VariantDecimal16::try_new(value, scale).ok().map(Variant::from)
}
