//! Holds no code: its dependencies name the features that the workspace as a whole asks of crates
//! shared by several packages.
//!
//! Cargo compiles a dependency with the features that the packages of one command ask for. Every
//! package has this one as a dev-dependency, so `cargo test -p` of any of them finds what another
//! command compiled, instead of compiling hundreds of crates again.
