//! Holds no code: its dependencies name the features that the workspace as a whole asks of crates
//! shared by several packages.
//!
//! Cargo compiles a dependency with the features that the packages of one command ask for. Every
//! library has this one as a dev-dependency, and what is built to be shipped as a dependency, so a
//! command with any selection of packages finds what another command compiled, instead of compiling
//! hundreds of crates again.
