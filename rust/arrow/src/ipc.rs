//! Batches as the chunks of an Arrow IPC stream.

use crate::node::arrow_error;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use lakeflow_core::Result;

/// Continuation mark and a length of zero.
const END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Writes an IPC stream in chunks: the schema, each batch, the end.
///
/// The chunks, one after the other, are a stream that every Arrow reader reads; there is neither
/// compression nor a dictionary in it.
pub struct IpcWriter {
    schema: Bytes,
    writer: StreamWriter<Vec<u8>>,
}

impl IpcWriter {
    /// A writer for batches of `schema`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for a schema that cannot be
    /// written.
    pub fn new(schema: &Schema) -> Result<Self> {
        let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(arrow_error)?;
        let schema = std::mem::take(writer.get_mut()).into();

        Ok(Self { schema, writer })
    }

    /// The first chunk.
    pub fn schema_chunk(&self) -> Bytes {
        self.schema.clone()
    }

    /// The chunk of a batch.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) if the batch is not of the
    /// schema.
    pub fn batch_chunk(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        self.writer.get_mut().reserve(batch.get_array_memory_size());
        self.writer.write(batch).map_err(arrow_error)?;

        Ok(std::mem::take(self.writer.get_mut()).into())
    }

    /// The last chunk.
    pub fn end_chunk() -> Bytes {
        Bytes::from_static(END)
    }
}
