//! The native methods of `lakeflow.connect.bridge.NativeBridge`.
#![allow(unsafe_code, reason = "exported symbols need the attribute `unsafe(no_mangle)`")]

use crate::failure::{Failure, ThrowLakeflow};
use crate::handles::READERS;
use crate::reader::Reader;
use crate::request::{Call, Open};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jint, jlong};
use jni::{Env, EnvUnowned};
use lakeflow_core::Result;
use lakeflow_door::{Next, metrics, panics, parse, resolve};
use serde_json::{Value, json};
use std::time::Duration;

/// Opens a read ([`Open`] as JSON, and the state of a slice's start or `null`); returns its handle
/// at once.
// SAFETY: the symbol is this crate's alone, the JVM calls it with the declared arguments.
#[unsafe(no_mangle)]
pub extern "system" fn Java_lakeflow_connect_bridge_NativeBridge_open<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    request: JByteArray<'l>,
    blob: JByteArray<'l>,
) -> jlong {
    env.with_env(|env| -> Result<jlong, Failure> {
        panics::record_locations();
        let request = env.convert_byte_array(&request)?;
        let blob = if blob.is_null() { Vec::new() } else { env.convert_byte_array(&blob)? };
        let reader = Reader::open(parse::<Open>(&request)?, Bytes::from(blob))?;

        Ok(READERS.insert(reader))
    })
    .resolve::<ThrowLakeflow>()
}

/// Waits at most `wait_ms` for the next chunk: empty means nothing yet, `null` the end.
// SAFETY: the symbol is this crate's alone, the JVM calls it with the declared arguments.
#[unsafe(no_mangle)]
pub extern "system" fn Java_lakeflow_connect_bridge_NativeBridge_next<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    wait_ms: jint,
) -> JByteArray<'l> {
    env.with_env(|env| -> Result<JByteArray<'l>, Failure> {
        panics::record_locations();
        let reader = READERS.get(handle)?;
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        Ok(match reader.next(wait)? {
            Next::Item(chunk) => env.byte_array_from_slice(&chunk)?,
            Next::NotYet => env.byte_array_from_slice(&[])?,
            Next::End => JByteArray::default(),
        })
    })
    .resolve::<ThrowLakeflow>()
}

/// Answers a question ([`Call`] as JSON) without waiting.
// SAFETY: the symbol is this crate's alone, the JVM calls it with the declared arguments.
#[unsafe(no_mangle)]
pub extern "system" fn Java_lakeflow_connect_bridge_NativeBridge_call<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    request: JByteArray<'l>,
) -> JByteArray<'l> {
    env.with_env(|env| -> Result<JByteArray<'l>, Failure> {
        panics::record_locations();
        let request = env.convert_byte_array(&request)?;
        let answer = answer(parse::<Call>(&request)?)?.to_string();

        Ok(byte_array(env, answer)?)
    })
    .resolve::<ThrowLakeflow>()
}

/// Ends a read and frees its handle; harmless if that was done before.
// SAFETY: the symbol is this crate's alone, the JVM calls it with the declared arguments.
#[unsafe(no_mangle)]
pub extern "system" fn Java_lakeflow_connect_bridge_NativeBridge_close<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
) {
    env.with_env(|_| -> Result<(), Failure> {
        if let Some(reader) = READERS.remove(handle) {
            reader.cancel();
        }

        Ok(())
    })
    .resolve::<ThrowLakeflow>();
}

fn byte_array<'l>(env: &mut Env<'l>, text: String) -> jni::errors::Result<JByteArray<'l>> {
    env.byte_array_from_slice(text.as_bytes())
}

fn answer(call: Call) -> Result<Value> {
    Ok(match call {
        Call::Version => json!({"version": env!("CARGO_PKG_VERSION")}),
        Call::Stream { handle } => {
            json!({"default_limit": READERS.get(handle)?.stream()?.default_limit()})
        }
        Call::Range { handle, start, end } => {
            READERS.get(handle)?.stream()?.check_range(&start, &end)?;
            json!({})
        }
        Call::SliceEnd { handle } => {
            let end = READERS.get(handle)?.take_slice_end()?;
            json!({
                "offset": end.offset,
                "rows": end.rows,
                "state_hash": end.state.as_ref().map(|s| s.hash.as_str()),
                "state": end.state.as_ref().map(|s| STANDARD.encode(&s.bytes)),
                "lag_ms": end.lag_ms,
                "warnings": end.warnings,
                "metrics": metrics(end.metrics),
            })
        }
        Call::Metrics { handle } => metrics(READERS.get(handle)?.metrics()),
        Call::Resolve { options, configured, place } => {
            json!({"options": resolve(&options.into_options(), &configured, place)?})
        }
        Call::OpenHandles => json!({"open_handles": READERS.len()}),
        #[cfg(feature = "testing")]
        #[allow(clippy::panic, reason = "the purpose of this operation")]
        Call::Panic { message } => panic!("{message}"),
    })
}
