//! The Java door: four native functions over the engine, and nothing that calls Java.
//!
//! Java opens a read and gets a handle; a task on this library's runtime does the work and hands
//! over Arrow IPC chunks, at most two ahead. Every wait on it is bounded, so Java stays free to
//! notice interrupts. Requests are JSON, see [`request`].

mod entry;
mod failure;
mod handles;
mod reader;
pub mod request;

pub use entry::{
    Java_lakeflow_connect_bridge_NativeBridge_call,
    Java_lakeflow_connect_bridge_NativeBridge_close,
    Java_lakeflow_connect_bridge_NativeBridge_next, Java_lakeflow_connect_bridge_NativeBridge_open,
};
