//! Linker settings of the shared library.

fn main() {
    // The runtime's threads run code of this library: it must stay mapped when the class loader
    // that loaded it is collected.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
