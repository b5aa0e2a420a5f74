package lakeflow.connect.spark;

import java.io.Serial;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;

/** Makes readers of columnar batches, never of rows. */
abstract class ColumnarReaderFactory implements PartitionReaderFactory {

  @Serial private static final long serialVersionUID = 1L;

  @Override
  public final boolean supportColumnarReads(InputPartition partition) {
    return true;
  }

  @Override
  public final PartitionReader<InternalRow> createReader(InputPartition partition) {
    throw new UnsupportedOperationException("rows are read in columns");
  }
}
