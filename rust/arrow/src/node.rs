//! Growing columns that can be cut back, so that a value which proves bad leaves no trace.

use crate::keys::KeyTable;
use crate::schema::{arrow_type, type_name, variant_fields};
use crate::time::TimeHints;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray,
    NullArray, NullBufferBuilder, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as Arrow, Field as ArrowField, Fields};
use lakeflow_core::{Column, DataType, Encoding, Error, Result};
use std::sync::Arc;

/// A column under construction.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) nulls: NullBufferBuilder,
    pub(crate) nullable: bool,
    /// Whether a bad value may never become null.
    pub(crate) strict: bool,
    pub(crate) data_type: DataType,
    pub(crate) hints: Hints,
    pub(crate) body: Body,
}

/// How a column's values are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) time: TimeHints,
    pub(crate) encoding: Encoding,
    pub(crate) blank_is_null: bool,
}

/// The values of a column.
#[derive(Debug)]
pub(crate) enum Body {
    Null,
    Bool(BooleanBufferBuilder),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Decimal(Vec<i128>, u8, u8),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    TimestampNtz(Vec<i64>),
    Text(Bytes, Option<u32>),
    Binary(Bytes),
    Variant { value: Bytes, metadata: Bytes },
    List { offsets: Offsets, child: Box<Node> },
    Map { offsets: Offsets, key: Box<Node>, value: Box<Node> },
    Struct(Box<StructBody>),
}

/// Fields of a struct, or columns of a table.
#[derive(Debug)]
pub(crate) struct StructBody {
    pub(crate) fields: Vec<Field>,
    pub(crate) keys: KeyTable,
}

/// A named column.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) node: Node,
    /// Whether its value comes from the connector and not from the record.
    pub(crate) fixed: bool,
}

/// Ends of the values in a shared buffer, after a leading zero.
#[derive(Debug)]
pub(crate) struct Offsets(Vec<i32>);

/// Byte strings in a shared buffer.
#[derive(Debug)]
pub(crate) struct Bytes {
    offsets: Offsets,
    pub(crate) data: Vec<u8>,
}

/// A buffer grew past what offsets can count.
#[derive(Debug)]
pub(crate) struct Full;

impl Offsets {
    fn new(capacity: usize) -> Self {
        let mut ends = Vec::with_capacity(capacity + 1);
        ends.push(0);
        Self(ends)
    }

    /// Ends a value at `end`.
    #[inline]
    pub(crate) fn push(&mut self, end: usize) -> std::result::Result<(), Full> {
        self.0.push(i32::try_from(end).map_err(|_| Full)?);
        Ok(())
    }

    /// Adds a value of no length.
    fn push_empty(&mut self) {
        self.0.push(self.0.last().copied().unwrap_or(0));
    }

    fn truncate(&mut self, len: usize) -> usize {
        self.0.truncate(len + 1);
        usize::try_from(self.0.last().copied().unwrap_or(0)).unwrap_or(0)
    }

    fn finish(&mut self) -> OffsetBuffer<i32> {
        let fresh = Self::new(self.0.len()).0;
        OffsetBuffer::new(std::mem::replace(&mut self.0, fresh).into())
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let at = |i: usize| usize::try_from(self.0.get(i).copied().unwrap_or(0)).unwrap_or(0);
        at(index)..at(index + 1)
    }
}

impl Bytes {
    fn new() -> Self {
        Self { offsets: Offsets::new(0), data: Vec::new() }
    }

    /// Ends a value whose bytes were appended to `data`.
    #[inline]
    pub(crate) fn end(&mut self) -> std::result::Result<(), Full> {
        self.offsets.push(self.data.len())
    }

    /// Drops bytes that belong to no value.
    pub(crate) fn drop_open(&mut self) {
        let end = self.offsets.0.last().copied().unwrap_or(0);
        self.data.truncate(usize::try_from(end).unwrap_or(0));
    }

    fn truncate(&mut self, len: usize) {
        let end = self.offsets.truncate(len);
        self.data.truncate(end);
    }

    fn get(&self, index: usize) -> &[u8] {
        self.data.get(self.offsets.range(index)).unwrap_or_default()
    }

    fn size(&self) -> usize {
        self.data.len() + self.offsets.0.len() * 4
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let fresh = Vec::with_capacity(self.data.len());
        let data = std::mem::replace(&mut self.data, fresh);
        (self.offsets.finish(), Buffer::from_vec(data))
    }

    fn finish_binary(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let (offsets, data) = self.finish();
        Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls).map_err(arrow_error)?))
    }
}

impl Node {
    pub(crate) fn new(column: &Column, nullable: bool, strict: &[Vec<&str>]) -> Result<Self> {
        let hints = Hints {
            time: TimeHints::new(column.format.as_deref(), column.unit)?,
            encoding: column.encoding,
            blank_is_null: column.blank_is_null,
        };
        Self::of_type(&column.data_type, nullable, strict, &hints)
    }

    /// `strict`: what is left of the paths of strict columns at or below this one.
    fn of_type(
        data_type: &DataType,
        nullable: bool,
        strict: &[Vec<&str>],
        hints: &Hints,
    ) -> Result<Self> {
        // A strict path that ends here makes all below strict too.
        let whole: Vec<Vec<&str>> = strict.iter().filter(|p| p.is_empty()).cloned().collect();
        let inner = |data_type: &DataType, nullable: bool| {
            Self::of_type(data_type, nullable, &whole, hints).map(Box::new)
        };
        let body = match data_type {
            DataType::Void => Body::Null,
            DataType::Boolean => Body::Bool(BooleanBufferBuilder::new(0)),
            DataType::Byte => Body::I8(Vec::new()),
            DataType::Short => Body::I16(Vec::new()),
            DataType::Int => Body::I32(Vec::new()),
            DataType::Long => Body::I64(Vec::new()),
            DataType::Float => Body::F32(Vec::new()),
            DataType::Double => Body::F64(Vec::new()),
            DataType::Decimal { precision, scale } => Body::Decimal(Vec::new(), *precision, *scale),
            DataType::Date => Body::Date(Vec::new()),
            DataType::Timestamp => Body::Timestamp(Vec::new()),
            DataType::TimestampNtz => Body::TimestampNtz(Vec::new()),
            DataType::String => Body::Text(Bytes::new(), None),
            DataType::Varchar(n) | DataType::Char(n) => Body::Text(Bytes::new(), Some(*n)),
            DataType::Binary => Body::Binary(Bytes::new()),
            DataType::Variant => Body::Variant { value: Bytes::new(), metadata: Bytes::new() },
            DataType::Array { element, contains_null } => {
                Body::List { offsets: Offsets::new(0), child: inner(element, *contains_null)? }
            }
            DataType::Map { key, value, value_contains_null } => Body::Map {
                offsets: Offsets::new(0),
                key: inner(key, false)?,
                value: inner(value, *value_contains_null)?,
            },
            DataType::Struct(columns) => Body::Struct(Box::new(StructBody::new(columns, strict)?)),
        };

        Ok(Self {
            nulls: NullBufferBuilder::new(0),
            nullable,
            strict: !strict.is_empty(),
            data_type: data_type.clone(),
            hints: hints.clone(),
            body,
        })
    }

    /// Number of values.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// The type as errors name it.
    pub(crate) fn type_name(&self) -> String {
        type_name(&self.data_type)
    }

    /// Adds a null, allowed or not: below a null struct there are only nulls.
    pub(crate) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.body {
            Body::Null => {}
            Body::Bool(v) => v.append(false),
            Body::I8(v) => v.push(0),
            Body::I16(v) => v.push(0),
            Body::I32(v) | Body::Date(v) => v.push(0),
            Body::I64(v) | Body::Timestamp(v) | Body::TimestampNtz(v) => v.push(0),
            Body::F32(v) => v.push(0.0),
            Body::F64(v) => v.push(0.0),
            Body::Decimal(v, ..) => v.push(0),
            Body::Text(v, _) | Body::Binary(v) => v.offsets.push_empty(),
            Body::Variant { value, metadata } => {
                value.offsets.push_empty();
                metadata.offsets.push_empty();
            }
            Body::List { offsets, .. } | Body::Map { offsets, .. } => offsets.push_empty(),
            Body::Struct(body) => body.fields.iter_mut().for_each(|f| f.node.push_null()),
        }
    }

    /// Cuts back to the first `len` values, and drops what a broken-off value left behind.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len);
        match &mut self.body {
            Body::Null => {}
            Body::Bool(v) => v.truncate(len),
            Body::I8(v) => v.truncate(len),
            Body::I16(v) => v.truncate(len),
            Body::I32(v) | Body::Date(v) => v.truncate(len),
            Body::I64(v) | Body::Timestamp(v) | Body::TimestampNtz(v) => v.truncate(len),
            Body::F32(v) => v.truncate(len),
            Body::F64(v) => v.truncate(len),
            Body::Decimal(v, ..) => v.truncate(len),
            Body::Text(v, _) | Body::Binary(v) => v.truncate(len),
            Body::Variant { value, metadata } => {
                value.truncate(len);
                metadata.truncate(len);
            }
            Body::List { offsets, child } => {
                let end = offsets.truncate(len);
                child.truncate(end);
            }
            Body::Map { offsets, key, value } => {
                let end = offsets.truncate(len);
                key.truncate(end);
                value.truncate(end);
            }
            Body::Struct(body) => body.truncate(len),
        }
    }

    /// Approximate size of the Arrow buffers.
    pub(crate) fn size(&self) -> usize {
        let values = match &self.body {
            Body::Null => 0,
            Body::Bool(v) => v.len() / 8,
            Body::I8(v) => v.len(),
            Body::I16(v) => v.len() * 2,
            Body::I32(v) | Body::Date(v) => v.len() * 4,
            Body::I64(v) | Body::Timestamp(v) | Body::TimestampNtz(v) => v.len() * 8,
            Body::F32(v) => v.len() * 4,
            Body::F64(v) => v.len() * 8,
            Body::Decimal(v, ..) => v.len() * 16,
            Body::Text(v, _) | Body::Binary(v) => v.size(),
            Body::Variant { value, metadata } => value.size() + metadata.size(),
            Body::List { offsets, child } => offsets.0.len() * 4 + child.size(),
            Body::Map { offsets, key, value } => offsets.0.len() * 4 + key.size() + value.size(),
            Body::Struct(body) => body.size(),
        };

        values + self.len() / 8
    }

    /// Bytes by which map keys are told apart; `None` for text, where equal keys are found before.
    pub(crate) fn key_bytes(&self, index: usize) -> Option<Vec<u8>> {
        // Both zeros are one key, and so are all that are not a number.
        let float = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 }.to_le_bytes().to_vec();
        match &self.body {
            Body::Bool(v) => Some(vec![u8::from(v.get_bit(index))]),
            Body::I8(v) => v.get(index).map(|v| v.to_le_bytes().to_vec()),
            Body::I16(v) => v.get(index).map(|v| v.to_le_bytes().to_vec()),
            Body::I32(v) | Body::Date(v) => v.get(index).map(|v| v.to_le_bytes().to_vec()),
            Body::I64(v) | Body::Timestamp(v) | Body::TimestampNtz(v) => {
                v.get(index).map(|v| v.to_le_bytes().to_vec())
            }
            Body::F32(v) => v.get(index).map(|v| float(f64::from(*v))),
            Body::F64(v) => v.get(index).map(|v| float(*v)),
            Body::Decimal(v, ..) => v.get(index).map(|v| v.to_le_bytes().to_vec()),
            Body::Binary(v) => Some(v.get(index).to_vec()),
            _ => None,
        }
    }

    /// The values as an array; the node is empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.len();
        let nulls = self.nulls.finish().filter(|n| n.null_count() > 0);
        macro_rules! primitive {
            ($values:expr, $array:ty) => {{
                let fresh = Vec::with_capacity($values.len());
                let values = std::mem::replace($values, fresh);
                <$array>::try_new(values.into(), nulls).map_err(arrow_error)?
            }};
        }

        Ok(match &mut self.body {
            Body::Null => Arc::new(NullArray::new(len)),
            Body::Bool(v) => {
                let values: BooleanBuffer = v.finish();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Body::I8(v) => Arc::new(primitive!(v, Int8Array)),
            Body::I16(v) => Arc::new(primitive!(v, Int16Array)),
            Body::I32(v) => Arc::new(primitive!(v, Int32Array)),
            Body::I64(v) => Arc::new(primitive!(v, Int64Array)),
            Body::F32(v) => Arc::new(primitive!(v, Float32Array)),
            Body::F64(v) => Arc::new(primitive!(v, Float64Array)),
            Body::Date(v) => Arc::new(primitive!(v, Date32Array)),
            Body::Timestamp(v) => {
                Arc::new(primitive!(v, TimestampMicrosecondArray).with_timezone("UTC"))
            }
            Body::TimestampNtz(v) => Arc::new(primitive!(v, TimestampMicrosecondArray)),
            Body::Decimal(v, precision, scale) => {
                let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
                Arc::new(
                    primitive!(v, Decimal128Array)
                        .with_precision_and_scale(*precision, scale)
                        .map_err(arrow_error)?,
                )
            }
            Body::Text(v, _) => {
                let (offsets, data) = v.finish();
                Arc::new(StringArray::try_new(offsets, data, nulls).map_err(arrow_error)?)
            }
            Body::Binary(v) => v.finish_binary(nulls)?,
            Body::Variant { value, metadata } => {
                let children = vec![value.finish_binary(None)?, metadata.finish_binary(None)?];
                Arc::new(
                    StructArray::try_new(variant_fields(), children, nulls).map_err(arrow_error)?,
                )
            }
            Body::List { offsets, child } => {
                let item = arrow_type(&child.data_type)?;
                let item = ArrowField::new("element", item, child.nullable);
                let values = child.finish()?;
                Arc::new(
                    ListArray::try_new(Arc::new(item), offsets.finish(), values, nulls)
                        .map_err(arrow_error)?,
                )
            }
            Body::Map { offsets, key, value } => {
                let Arrow::Map(field, sorted) = arrow_type(&self.data_type)? else {
                    return Err(Error::internal("a map column of another type"));
                };
                let Arrow::Struct(fields) = field.data_type() else {
                    return Err(Error::internal("a map without entries"));
                };
                let children = vec![key.finish()?, value.finish()?];
                let entries =
                    StructArray::try_new(fields.clone(), children, None).map_err(arrow_error)?;
                Arc::new(
                    MapArray::try_new(field, offsets.finish(), entries, nulls, sorted)
                        .map_err(arrow_error)?,
                )
            }
            Body::Struct(body) => {
                let Arrow::Struct(fields) = arrow_type(&self.data_type)? else {
                    return Err(Error::internal("a struct column of another type"));
                };
                Arc::new(body.finish(fields, len, nulls)?)
            }
        })
    }
}

impl StructBody {
    pub(crate) fn new(columns: &[Column], strict: &[Vec<&str>]) -> Result<Self> {
        let fields = columns
            .iter()
            .map(|column| {
                let strict: Vec<Vec<&str>> = strict
                    .iter()
                    .filter_map(|path| match path.split_first() {
                        None => Some(Vec::new()),
                        Some((first, rest)) if *first == column.name => Some(rest.to_vec()),
                        Some(_) => None,
                    })
                    .collect();
                let node = Node::new(column, column.nullable, &strict)?;
                Ok(Field { name: column.name.as_str().into(), node, fixed: false })
            })
            .collect::<Result<_>>()?;

        Ok(Self { fields, keys: KeyTable::new(columns) })
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.fields.iter_mut().for_each(|f| f.node.truncate(len));
    }

    pub(crate) fn size(&self) -> usize {
        self.fields.iter().map(|f| f.node.size()).sum()
    }

    fn finish(
        &mut self,
        fields: Fields,
        len: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<StructArray> {
        if self.fields.is_empty() {
            return Ok(StructArray::new_empty_fields(len, nulls));
        }
        let children = self.fields.iter_mut().map(|f| f.node.finish()).collect::<Result<_>>()?;
        StructArray::try_new(fields, children, nulls).map_err(arrow_error)
    }
}

/// Arrow's refusal of what we built is a defect of ours.
pub(crate) fn arrow_error(cause: arrow::error::ArrowError) -> Error {
    Error::internal("a batch could not be built").source(cause)
}
