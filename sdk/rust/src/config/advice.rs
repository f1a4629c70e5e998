//! What a form should know about the keys of a configuration that is being written.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a plugin recommends while somebody fills in a configuration; see
/// [`Source::advise`](crate::Source::advise).
///
/// What the definition of a key can say by itself ([`ConfigKey::recommend`](crate::ConfigKey::recommend),
/// [`ConfigKey::visible_if`](crate::ConfigKey::visible_if)) need not be said here; what is said here counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Advice {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    recommended_values: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    visible: BTreeMap<String, bool>,
}

impl Advice {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values to choose from for a key. Others may be as good.
    pub fn recommend<I: IntoIterator<Item: Into<String>>>(&mut self, key: impl Into<String>, values: I) {
        let _ = self.recommended_values.insert(key.into(), values.into_iter().map(Into::into).collect());
    }

    /// Whether a form should show a key. It is checked either way.
    pub fn show(&mut self, key: impl Into<String>, visible: bool) {
        let _ = self.visible.insert(key.into(), visible);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.recommended_values.is_empty() && self.visible.is_empty()
    }
}
