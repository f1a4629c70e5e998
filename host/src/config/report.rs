//! What was found out about a configuration: in the form in which the REST API shows it.

use std::collections::BTreeMap;

use super::definition::ConfigKey;
use super::redact::HIDDEN;
use super::secrets::Expansion;
use super::{Problem, Problems, RawConfig, Vault};

/// What is said of a key whose value is null.
pub(crate) const NULL_VALUE: &str = "Null value can not be supplied as the configuration value.";

/// What is known about one key of a configuration that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyReport {
    /// `None` for a key that is defined nowhere.
    pub(crate) definition: Option<ConfigKey>,
    pub(crate) name: String,
    /// The value in effect; `None` where there is none or it is wrong.
    pub(crate) value: Option<String>,
    pub(crate) recommended_values: Vec<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) visible: bool,
}

impl KeyReport {
    /// For a key that nothing defines.
    pub(crate) fn undefined(name: &str) -> Self {
        Self {
            definition: None,
            name: name.to_owned(),
            value: None,
            recommended_values: Vec::new(),
            errors: Vec::new(),
            visible: true,
        }
    }
}

/// What a plugin says of its keys, beside what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// By key.
    pub(crate) recommended_values: BTreeMap<String, Vec<String>>,
    /// By key.
    pub(crate) visible: BTreeMap<String, bool>,
}

/// The answer to "is this configuration right?".
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValidationReport {
    /// The connector's class, as the REST API wants it.
    pub(crate) name: String,
    /// The groups of all keys, each once.
    pub(crate) groups: Vec<String>,
    pub(crate) configs: Vec<KeyReport>,
}

impl ValidationReport {
    /// A report of these keys.
    pub(crate) fn new(name: String, configs: Vec<KeyReport>) -> Self {
        let mut groups: Vec<String> = Vec::new();
        for group in configs.iter().filter_map(|key| key.definition.as_ref()?.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        Self { name, groups, configs }
    }

    /// Adds what was found elsewhere, once.
    pub(crate) fn add(&mut self, problems: Problems) {
        for problem in problems.0 {
            let index = self.configs.iter().position(|key| key.name == problem.key).unwrap_or_else(|| {
                self.configs.push(KeyReport { value: problem.value, ..KeyReport::undefined(&problem.key) });
                self.configs.len() - 1
            });
            let errors = &mut self.configs[index].errors;
            if !errors.contains(&problem.message) {
                errors.push(problem.message);
            }
        }
    }

    /// Adds that these keys are null, which no setting may be: those that nothing defines come first. Keys of the
    /// plugin's own are left to their definition.
    pub(super) fn add_nulls(&mut self, nulls: &[String], own: &[ConfigKey]) {
        let foreign = |null: &&String| own.iter().all(|key| key.name != **null);
        let mut undefined = Vec::new();
        for null in nulls.iter().filter(foreign) {
            match self.configs.iter_mut().find(|key| key.name == *null) {
                Some(key) => key.errors.push(NULL_VALUE.to_owned()),
                None => undefined
                    .push(KeyReport { errors: vec![NULL_VALUE.to_owned()], ..KeyReport::undefined(null) }),
            }
        }
        drop(self.configs.splice(..0, undefined));
    }

    /// Takes what the plugin says of keys that it defines itself.
    pub(crate) fn advise(&mut self, advice: &Advice, own: &[ConfigKey]) {
        let own = |report: &&mut KeyReport| own.iter().any(|key| key.name == report.name);
        for report in self.configs.iter_mut().filter(own) {
            if let Some(values) = advice.recommended_values.get(&report.name) {
                report.recommended_values.clone_from(values);
            }
            if let Some(visible) = advice.visible.get(&report.name) {
                report.visible = *visible;
            }
        }
    }

    /// Whether nothing is wrong with this key.
    pub(crate) fn accepts_key(&self, name: &str) -> bool {
        self.configs.iter().all(|report| report.name != name || report.errors.is_empty())
    }

    /// Whether nothing is wrong with these keys.
    pub(crate) fn accepts(&self, keys: &[ConfigKey]) -> bool {
        let own = |report: &&KeyReport| keys.iter().any(|key| key.name == report.name);
        self.configs.iter().filter(own).all(|report| report.errors.is_empty())
    }

    /// Leaves what the user wrote, and nothing that it stands for.
    pub(super) fn hide(&mut self, written: &RawConfig, expansion: &Expansion, vault: &Vault) {
        for key in &mut self.configs {
            let secret = key.definition.as_ref().is_some_and(ConfigKey::is_secret);
            if !secret && expansion.referring.contains(&key.name) {
                key.value = written.get(&key.name).cloned();
            }
            match expansion.failed.get(&key.name) {
                // Whatever else may be wrong is wrong with the reference, not with what it stands for.
                Some(why) => key.errors = vec![why.clone()],
                None => {
                    for error in &mut key.errors {
                        *error = vault.hide(error).into_owned();
                    }
                }
            }
        }
        let undefined = |key: &&String| self.configs.iter().all(|known| known.name != **key);
        let failed: Vec<_> = expansion.failed.keys().filter(undefined).cloned().collect();
        for key in failed {
            let errors = expansion.failed.get(&key).cloned().into_iter().collect();
            let value = written.get(&key).cloned();
            self.configs.push(KeyReport { errors, value, ..KeyReport::undefined(&key) });
        }
    }

    /// All errors, each with its key and value.
    pub(crate) fn problems(&self, raw: &RawConfig) -> Problems {
        let mut problems = Problems::default();
        for key in &self.configs {
            let value = match &key.definition {
                Some(definition) => raw.get(&key.name).filter(|_| !definition.is_secret()).cloned(),
                // Whoever reported on it knows what may be shown.
                None => key.value.clone().filter(|value| value != HIDDEN),
            };
            for message in &key.errors {
                let (key, value, message) = (key.name.clone(), value.clone(), message.clone());
                problems.push(Problem { key, value, message });
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_takes_each_problem_once() {
        let mut report = ValidationReport::new("c".into(), vec![KeyReport::undefined("a")]);
        let problems = || Problems(vec![Problem::new("a", "1", "wrong"), Problem::new("b", "2", "bad")]);
        report.add(problems());
        report.add(problems());
        let errors: Vec<_> = report.configs.iter().map(|key| (key.name.as_str(), key.errors.len())).collect();
        assert_eq!(errors, [("a", 1), ("b", 1)]);
    }
}
