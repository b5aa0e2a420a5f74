package lakeflow.connect.spark;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import lakeflow.connect.bridge.SourceContents;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.NamespaceChange;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * The tables of one source as a catalog, which is read only.
 *
 * <p>Configured by {@code spark.sql.catalog.<name>.<option>}. The tables of a source without
 * namespaces lie in {@code default}.
 */
public final class LakeflowCatalog implements TableCatalog, SupportsNamespaces {

  private static final String[] ROOT = {};
  private static final String[] DEFAULT = {"default"};

  private String name;
  private ReadOptions options;
  private Boolean namespaced;

  @Override
  public void initialize(String catalog, CaseInsensitiveStringMap configured) {
    this.name = catalog;
    this.options = new ReadOptions(configured.asCaseSensitiveMap());
    for (String option : List.of(ReadOptions.TABLE_NAME, ReadOptions.OPERATION)) {
      if (options.get(option) != null) {
        throw LakeflowException.configInvalid(
            "option '" + option + "' cannot be given to a catalog, which has every table of its"
                + " source; leave spark.sql.catalog." + catalog + "." + option + " out");
      }
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String[] defaultNamespace() {
    return isNamespaced() ? ROOT : DEFAULT;
  }

  @Override
  public String[][] listNamespaces() throws NoSuchNamespaceException {
    return listNamespaces(ROOT);
  }

  @Override
  public String[][] listNamespaces(String[] namespace) throws NoSuchNamespaceException {
    if (!isNamespaced()) {
      requireExisting(namespace);
      return namespace.length == 0 ? new String[][] {DEFAULT} : new String[][] {};
    }

    return contents(namespace).namespaces().stream()
        .map(path -> path.toArray(String[]::new))
        .toArray(String[][]::new);
  }

  @Override
  public boolean namespaceExists(String[] namespace) {
    if (namespace.length == 0 || !isNamespaced()) {
      return namespace.length == 0 || Arrays.equals(namespace, DEFAULT);
    }

    String[] parent = Arrays.copyOf(namespace, namespace.length - 1);
    return SourceContents.fetch(resolved(), parent).namespaces().contains(List.of(namespace));
  }

  @Override
  public Map<String, String> loadNamespaceMetadata(String[] namespace)
      throws NoSuchNamespaceException {
    requireExisting(namespace);
    return Map.of(SupportsNamespaces.PROP_COMMENT, "Tables of " + resolved().get(ReadOptions.SOURCE_NAME) + ".");
  }

  @Override
  public Identifier[] listTables(String[] namespace) throws NoSuchNamespaceException {
    SourceContents found = contents(isNamespaced() ? namespace : flat(namespace));
    String[] home = found.namespaced() ? namespace : DEFAULT;
    return found.tables().stream()
        .map(table -> Identifier.of(home, table))
        .toArray(Identifier[]::new);
  }

  @Override
  public Table loadTable(Identifier table) throws NoSuchTableException {
    try {
      String read = tableName(table);
      TableDescription outline =
          TableDescription.outline(resolved().with(ReadOptions.TABLE_NAME, read));
      return new CatalogTable(name + "." + table, outline, options, read);
    } catch (LakeflowException e) {
      if (e.code().equals(LakeflowException.TABLE_NOT_FOUND)) {
        throw new NoSuchTableException(table);
      }

      throw e;
    }
  }

  // Spark 3.5.0 lacks this method; later ones ask here for a table that is written to.
  @SuppressWarnings("MissingOverride")
  public Table loadTable(Identifier table, Set<TableWritePrivilege> privileges) {
    throw readOnly("write to " + table);
  }

  // Newer versions of Spark have other forms, all of which end here by default.
  @SuppressWarnings("deprecation")
  @Override
  public Table createTable(
      Identifier table, StructType schema, Transform[] partitions, Map<String, String> properties) {
    throw readOnly("create table " + table);
  }

  @Override
  public Table alterTable(Identifier table, TableChange... changes) {
    throw readOnly("alter table " + table);
  }

  @Override
  public boolean dropTable(Identifier table) {
    throw readOnly("drop table " + table);
  }

  @Override
  public void renameTable(Identifier table, Identifier renamed) {
    throw readOnly("rename table " + table);
  }

  @Override
  public void createNamespace(String[] namespace, Map<String, String> metadata) {
    throw readOnly("create namespace " + String.join(".", namespace));
  }

  @Override
  public void alterNamespace(String[] namespace, NamespaceChange... changes) {
    throw readOnly("alter namespace " + String.join(".", namespace));
  }

  @Override
  public boolean dropNamespace(String[] namespace, boolean cascade) {
    throw readOnly("drop namespace " + String.join(".", namespace));
  }

  /** What lies in a namespace that exists. */
  private SourceContents contents(String[] namespace) throws NoSuchNamespaceException {
    SourceContents found = SourceContents.fetch(resolved(), namespace);
    if (found.namespaces().isEmpty() && found.tables().isEmpty()) {
      requireExisting(namespace);
    }

    return found;
  }

  private void requireExisting(String[] namespace) throws NoSuchNamespaceException {
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(namespace);
    }
  }

  /** Where the tables of a source without namespaces lie. */
  private String[] flat(String[] namespace) throws NoSuchNamespaceException {
    requireExisting(namespace);
    return ROOT;
  }

  /** The name by which the source knows a table: with its namespaces, separated by dots. */
  private String tableName(Identifier table) {
    boolean flat = Arrays.equals(table.namespace(), DEFAULT) && !isNamespaced();
    return flat || table.namespace().length == 0
        ? table.name()
        : String.join(".", table.namespace()) + "." + table.name();
  }

  private synchronized boolean isNamespaced() {
    if (namespaced == null) {
      namespaced = SourceContents.fetch(resolved()).namespaced();
    }

    return namespaced;
  }

  /** The catalog's options with what its references and its connection stand for now. */
  private ReadOptions resolved() {
    return DriverOptions.resolve(options, options.names());
  }

  private UnsupportedOperationException readOnly(String action) {
    return new UnsupportedOperationException(
        "cannot " + action + ": catalog '" + name + "' is read only");
  }
}
