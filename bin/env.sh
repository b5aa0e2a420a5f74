# Sourced by every script in bin/: names where things are, and makes the same compiler and linker
# serve tests and jar. Does no work and fetches nothing.
#
# May be set by the user: LAKEFLOW_CACHE (downloads), CARGO_TARGET_DIR, LAKEFLOW_MAVEN and
# LAKEFLOW_NPM (mirrors of Maven Central and of the npm registry).
#
# Exported for tests, demo and benchmark:
#   LAKEFLOW_ROOT           the checkout
#   LAKEFLOW_JAR            the jar, once bin/build ran
#   LAKEFLOW_TESTING_JAR    the same with fail points and test sources, once bin/build --testing ran
#   LAKEFLOW_SIMULATOR      the simulator's program, once bin/build ran
#   LAKEFLOW_FIXTURES       folder of the npm package @octokit/fixtures
#   LAKEFLOW_OPENAPI        GitHub's description of its API, of the npm package @octokit/openapi
#   LAKEFLOW_VENV_4_1 ...   Python environment of each Spark version, by its first two numbers
#   LAKEFLOW_WHEELS         folder of the wheel, once bin/build ran
#   LAKEFLOW_DATA_VENV      Python environment with pyarrow, polars, DuckDB and pandas
#   LAKEFLOW_NOTEBOOK_VENV  the same, with what runs notebooks
#   LAKEFLOW_CONNECT_CLIENT Python environment of a Spark Connect client
#   LAKEFLOW_DELTA_JARS_4_1 ...  Delta for each Spark version, separated by commas; empty where it has
#                           no release
#   LAKEFLOW_SPARK_LINE     which of them the suite runs on, such as 4_1

LAKEFLOW_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$LAKEFLOW_ROOT/versions.env"

export LAKEFLOW_ROOT
export LAKEFLOW_CACHE="${LAKEFLOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lakeflow-connect}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$LAKEFLOW_ROOT/target}"
export GRADLE_USER_HOME="$LAKEFLOW_CACHE/gradle"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# The first characters of a digest of all arguments: a folder name that changes with them.
short_hash() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

# One place for the version: the workspace of Cargo.toml.
LAKEFLOW_VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$LAKEFLOW_ROOT/Cargo.toml")
export LAKEFLOW_VERSION
export LAKEFLOW_JAR="$LAKEFLOW_ROOT/build/libs/lakeflow-connect-$LAKEFLOW_VERSION.jar"
export LAKEFLOW_TESTING_JAR="$LAKEFLOW_ROOT/build/testing/lakeflow-connect-$LAKEFLOW_VERSION-testing.jar"
export LAKEFLOW_WHEELS="$LAKEFLOW_ROOT/build/wheels"
export LAKEFLOW_SIMULATOR="$CARGO_TARGET_DIR/release/lakeflow-simulator"
export LAKEFLOW_FIXTURES="$LAKEFLOW_CACHE/octokit-fixtures-$OCTOKIT_FIXTURES"
export LAKEFLOW_OPENAPI="$LAKEFLOW_CACHE/octokit-openapi-$OCTOKIT_OPENAPI/generated/api.github.com.json"

# JDK 17: JAVA_HOME if it is one, else the first that Debian's packages or PATH hold.
find_jdk() {
  local home
  for home in "${JAVA_HOME:-none}" /usr/lib/jvm/*17* "$(dirname "$(dirname "$(readlink -f "$(command -v javac || true)")")")"; do
    case "$("$home/bin/javac" -version 2>&1 || true)" in
      "javac 17."*) printf '%s\n' "$home"; return ;;
    esac
  done
}
if jdk=$(find_jdk) && [ -n "$jdk" ]; then
  export JAVA_HOME=$jdk PATH="$jdk/bin:$PATH"
fi
unset jdk

# A folder per set of packages, so that a changed pin makes a new one and never mends an old one.
HOST_PYTHON=$(python3 -VV 2>/dev/null || true)
export LAKEFLOW_TOOLS="$LAKEFLOW_CACHE/tools-$(short_hash "$HOST_PYTHON" "$TOOL_PACKAGES" "$GLIBC")"
spark_home() {
  printf '%s/spark-%s-%s\n' "$LAKEFLOW_CACHE" "$1" \
    "$(short_hash "$HOST_PYTHON" "$PYTHON_BUILD_PACKAGES" "$PYTHON_TEST_PACKAGES" "$PYTHON_OWN_PACKAGES")"
}

# The folder of Spark's jars in the environment of Spark version $1.
spark_jars() { printf '%s\n' "$(spark_home "$1")"/lib/python3*/site-packages/pyspark/jars; }

export LAKEFLOW_CONNECT_CLIENT="$LAKEFLOW_CACHE/connect-$(short_hash "$HOST_PYTHON" "$PYTHON_BUILD_PACKAGES" "$CONNECT_PACKAGES")"

export LAKEFLOW_DATA_VENV="$LAKEFLOW_CACHE/data-$(short_hash "$HOST_PYTHON" "$PYTHON_TEST_PACKAGES" "$PYTHON_OWN_PACKAGES" "$PYTHON_DATA_PACKAGES")"
export LAKEFLOW_NOTEBOOK_VENV="$LAKEFLOW_CACHE/notebooks-$(short_hash "$HOST_PYTHON" "$PYTHON_OWN_PACKAGES" "$PYTHON_DATA_PACKAGES" "$NOTEBOOK_PACKAGES")"
LAKEFLOW_WHEEL_TOOLS="$LAKEFLOW_CACHE/wheel-$(short_hash "$HOST_PYTHON" "$WHEEL_PACKAGES")"

# LAKEFLOW_VENV_4_1 and so on: what belongs to Spark 4.1 has this suffix.
spark_line() { local line=${1%.*}; printf '%s\n' "${line//./_}"; }
for version in $SPARK_VERSIONS $PYTHON_SPARK_VERSIONS; do export "LAKEFLOW_VENV_$(spark_line "$version")=$(spark_home "$version")"; done
unset version

# The paths of the Delta jars for Spark version $1, separated by commas.
delta_jars() {
  local names="DELTA_FOR_$(spark_line "$1")" name paths=
  for name in ${!names}; do paths+="${paths:+,}$LAKEFLOW_CACHE/jars/$name"; done
  printf '%s\n' "$paths"
}
for version in $SPARK_VERSIONS; do export "LAKEFLOW_DELTA_JARS_$(spark_line "$version")=$(delta_jars "$version")"; done
unset version
LAKEFLOW_SPARK_LINE=$(spark_line "$SPARK_MAIN")
export LAKEFLOW_SPARK_LINE

# On Linux with glibc, zig links for the glibc of versions.env, whatever the host has. Build
# scripts and tests use it too: one target folder, nothing built twice.
RUST_HOST=$(rustc -vV 2>/dev/null | sed -n 's/^host: //p')
case "$RUST_HOST" in
  *-linux-gnu)
    host_name=${RUST_HOST//-/_}
    export "CARGO_TARGET_${host_name^^}_LINKER=$LAKEFLOW_TOOLS/cc" "CC_$host_name=$LAKEFLOW_TOOLS/cc" "AR_$host_name=$LAKEFLOW_TOOLS/ar"
    unset host_name
    ;;
esac

# What PyO3 builds for, whoever calls the compiler: cargo by itself and through maturin.
export PYO3_CONFIG_FILE="$LAKEFLOW_CACHE/abi3-py310.txt" PYO3_BUILD_EXTENSION_MODULE=1

# Compiled crates of the registry, shared by all checkouts on this machine. Our own crates are not
# kept there: cargo compares times of files, which says nothing between two checkouts.
COMPILED_CRATES="$LAKEFLOW_CACHE/crates-2-$(short_hash "$(rustc -vV 2>/dev/null)" "$LAKEFLOW_TOOLS" "$(cat "$LAKEFLOW_ROOT/Cargo.lock")")"

# Adds the compiled crates of this target folder to those shared by all checkouts. Crates fit together
# only if they were compiled from one another, so a folder adds nothing that was seeded from another
# state of the cache, nor one in which cargo is at work.
keep_compiled_crates() {
  local kind state="$CARGO_TARGET_DIR/release/cache-state"
  (
    flock 8
    flock -n 7 || exit 0
    if [ -e "$COMPILED_CRATES/cache-state" ] && ! cmp -s "$COMPILED_CRATES/cache-state" "$state"; then exit 0; fi
    mkdir -p "$COMPILED_CRATES"
    cat /proc/sys/kernel/random/uuid >"$state"
    cp "$state" "$COMPILED_CRATES/cache-state"
    for kind in deps build .fingerprint; do
      mkdir -p "$COMPILED_CRATES/$kind"
      find "$CARGO_TARGET_DIR/release/$kind" -mindepth 1 -maxdepth 1 -not -name '*lakeflow*' \
        \( -type d -o -name '*.d' -o -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' \) -print0 |
        xargs -0r cp -an -t "$COMPILED_CRATES/$kind"
    done
    find "$LAKEFLOW_CACHE" -maxdepth 1 -name 'crates-*' -mtime +30 -not -path "$COMPILED_CRATES*" -exec rm -rf {} +
  ) 8>"$COMPILED_CRATES.lock" 7>>"$CARGO_TARGET_DIR/release/.cargo-lock"
}

# Builds target/release/examples/$1. Features of dependencies differ by the set of packages that are
# built together; the whole workspace is the set that the tests have compiled.
build_example() { cargo build --release --locked --workspace --example "$1"; }

# Gradle on the files that bin/build left, without network.
run_gradle() {
  gradle --no-daemon --quiet --project-cache-dir "$LAKEFLOW_ROOT/build/.gradle" \
    --init-script "$LAKEFLOW_ROOT/bin/lib/offline.gradle" \
    "-PsparkJars=$(spark_jars "$SPARK_MAIN")" \
    "-PnativeLibrary=$LAKEFLOW_ROOT/build/native/liblakeflow_jni.so" \
    "-PtestingNativeLibrary=$LAKEFLOW_ROOT/build/native/testing/liblakeflow_jni.so" \
    "-PthirdPartyLicenses=$LAKEFLOW_ROOT/build/native/THIRD-PARTY-LICENSES" "$@"
}
