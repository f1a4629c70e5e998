//! The plugins under test, as `build.rs` built them: those of `plugins/`, and the faulty ones of
//! `tests/guests/`.

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// A plugin file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// The plugin's name.
    pub name: &'static str,
    /// The version that its manifest says.
    pub version: &'static str,
    /// The file.
    pub path: &'static str,
}
