//! What the worker and its connectors know in secret.
//!
//! [`Secrets`] are the worker's: its configuration providers, and the secrets that it names (`secret.<name>`) for
//! plugins that are granted them (`sandbox.<plugin>.secrets`). Both are asked anew each time, so that a value that is
//! replaced where it stands takes effect at the next open, or the next time that a plugin asks.
//!
//! A [`Vault`] is one connector's: it resolves references, asks for named secrets, and remembers all that came out,
//! so that it can be kept out of whatever its instances say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::providers::{LIST, Providers, refers};
use super::redact::Redactor;
use super::{Problem, Problems, RawConfig};

/// Before the name of a secret of the worker.
pub(super) const NAMED: &str = "secret.";

/// The worker's; see the module.
#[derive(Default)]
pub(crate) struct Secrets {
    providers: Providers,
    /// By name: text in which there may be references.
    named: BTreeMap<String, String>,
}

/// A configuration with its references resolved, and what became of them.
#[derive(Default)]
pub(super) struct Expansion {
    /// Every key; those that could not be resolved as they were written.
    pub(super) config: RawConfig,
    /// The keys in whose values there are references.
    pub(super) referring: BTreeSet<String>,
    /// Why references could not be resolved, by key.
    pub(super) failed: BTreeMap<String, String>,
}

impl Expansion {
    /// The same problems in words that may be seen: none that follow from what could not be resolved, no value that
    /// a reference stands for.
    pub(super) fn settle(&self, written: &RawConfig, problems: Problems, vault: &Vault) -> Problems {
        let others = problems.0.into_iter().filter(|problem| !self.failed.contains_key(&problem.key));
        let mut settled = vault.hide_problems(Problems(others.collect()));
        for problem in &mut settled.0 {
            if self.referring.contains(&problem.key) {
                problem.value = problem.value.as_ref().and_then(|_| written.get(&problem.key).cloned());
            }
        }
        let failed = self.failed.iter();
        settled.0.extend(failed.map(|(key, why)| Problem {
            key: key.clone(),
            value: None,
            message: why.clone(),
        }));
        settled
    }
}

/// Whether a key says where secrets are, so that its own value is not one.
pub(super) fn is_about_secrets(key: &str) -> bool {
    key == LIST || key.strip_prefix(LIST).is_some_and(|rest| rest.starts_with('.')) || key.starts_with(NAMED)
}

impl Secrets {
    /// Reads all that a worker's configuration says about secrets.
    pub(super) fn read(
        raw: &RawConfig,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let providers = Providers::read(raw, variables, problems);
        let mut named = BTreeMap::new();
        for (key, text) in raw {
            let Some(name) = key.strip_prefix(NAMED) else { continue };
            if name.is_empty() || name.contains(|c: char| c.is_control() || matches!(c, '*' | ',')) {
                let message =
                    "a secret's name has at least one character, and no `*`, comma or control character";
                problems.push(Problem::without_value(key, message));
            } else if let Err(why) = providers.expand(text) {
                problems.push(Problem::without_value(key, why));
            }
            let _ = named.insert(name.to_owned(), text.clone());
        }
        Self { providers, named }
    }
}

/// One connector's; see the module. Clones share what they remember.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    secrets: Arc<Secrets>,
    redactor: Arc<Redactor>,
}

/// Without what it knows.
impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets: Arc::new(secrets), redactor: Arc::default() }
    }

    /// One that knows the same providers and names, and has given nothing away yet.
    pub(crate) fn fresh(&self) -> Self {
        Self { secrets: Arc::clone(&self.secrets), redactor: Arc::default() }
    }

    /// Resolves what can be resolved. Reads files.
    pub(super) fn expand(&self, written: &RawConfig) -> Expansion {
        let mut expansion = Expansion::default();
        for (key, text) in written {
            let mut value = None;
            if refers(text) {
                let _ = expansion.referring.insert(key.clone());
                match self.secrets.providers.expand(text) {
                    Ok(expanded) => {
                        self.redactor.add(expanded.secrets);
                        value = Some(expanded.text);
                    }
                    Err(why) => drop(expansion.failed.insert(key.clone(), why)),
                }
            }
            let _ = expansion.config.insert(key.clone(), value.unwrap_or_else(|| text.clone()));
        }
        expansion
    }

    /// The configuration with its references resolved. Reads files.
    ///
    /// # Errors
    /// Every key with a reference that cannot be.
    pub(crate) fn resolve(&self, written: &RawConfig) -> Result<RawConfig, Problems> {
        let expansion = self.expand(written);
        expansion.settle(written, Problems::default(), self).or(expansion.config)
    }

    /// How long what it refers to counts; none: for ever.
    pub(crate) fn ttl(&self, written: &RawConfig) -> Option<Duration> {
        written.values().filter_map(|text| self.secrets.providers.ttl(text)).min()
    }

    /// Whether resolving it would change anything.
    pub(crate) fn concerns(config: &RawConfig) -> bool {
        config.values().any(|text| refers(text))
    }

    /// The value of a secret that the worker names. Reads files.
    ///
    /// # Errors
    /// No secret has this name, or its value cannot be resolved.
    pub(crate) fn ask(&self, name: &str) -> Result<String, String> {
        let text = self.secrets.named.get(name).ok_or_else(|| {
            format!(
                "no secret is named {name:?}: the worker's configuration names it as {NAMED}{name}=<value>"
            )
        })?;
        let expanded = self.secrets.providers.expand(text).map_err(|why| format!("{NAMED}{name}: {why}"))?;
        self.redactor.add(expanded.secrets.into_iter().chain([expanded.text.clone()]));
        Ok(expanded.text)
    }

    /// Remembers these too.
    pub(super) fn remember(&self, values: impl IntoIterator<Item = String>) {
        self.redactor.add(values);
    }

    /// The text without any secret that came out of here.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redactor.hide(text)
    }

    /// Problems without any secret that came out of here.
    pub(crate) fn hide_problems(&self, mut problems: Problems) -> Problems {
        let hide = |text: &mut String| {
            if let Cow::Owned(clean) = self.hide(text) {
                *text = clean;
            }
        };
        for Problem { key, value, message } in &mut problems.0 {
            hide(key);
            value.iter_mut().for_each(hide);
            hide(message);
        }
        problems
    }

    /// Bytes of the longest text that it looks for; see [`Redactor::longest`].
    pub(crate) fn longest(&self) -> usize {
        self.redactor.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&str, &str)]) -> RawConfig {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn read(more: &[(&str, &str)]) -> Result<Vault, Problems> {
        let mut config = raw(&[
            ("config.providers", "env"),
            ("config.providers.env.class", "EnvVarConfigProvider"),
            ("config.providers.env.param.allowlist.pattern", ".*"),
        ]);
        config.extend(raw(more));
        let mut problems = Problems::default();
        let variables = [("TOKEN".to_owned(), "sesame-1".to_owned())].into();
        let secrets = Secrets::read(&config, &variables, &mut problems);
        problems.or(Vault::new(secrets))
    }

    #[test]
    fn what_was_resolved_is_hidden_from_then_on() {
        let vault = read(&[]).unwrap();
        assert_eq!(vault.hide("sesame-1"), "sesame-1");
        let resolved = vault.resolve(&raw(&[("a", "Bearer ${env:TOKEN}"), ("b", "b")])).unwrap();
        assert_eq!(resolved, raw(&[("a", "Bearer sesame-1"), ("b", "b")]));
        assert_eq!(vault.clone().hide("Bearer sesame-1"), "Bearer [hidden]");
        assert_eq!(vault.fresh().hide("sesame-1"), "sesame-1", "of another connector");
    }

    #[test]
    fn all_that_cannot_be_resolved_is_told_at_once() {
        let vault = read(&[]).unwrap();
        let problems = vault.resolve(&raw(&[("a", "${env:A}"), ("b", "${x:b}"), ("c", "${env:TOKEN}")]));
        let problems = problems.unwrap_err();
        let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["a", "b"]);
        assert!(problems.to_string().contains("${x:b} cannot be resolved"), "{problems}");
    }

    #[test]
    fn a_named_secret_is_given_and_hidden() {
        let vault = read(&[("secret.key", "k-${env:TOKEN}"), ("secret.plain", "plain-value")]).unwrap();
        assert_eq!(vault.ask("key").unwrap(), "k-sesame-1");
        assert_eq!(vault.hide("sesame-1 k-sesame-1 plain-value"), "[hidden] [hidden] plain-value");
        assert_eq!(vault.ask("plain").unwrap(), "plain-value");
        assert_eq!(vault.hide("plain-value"), "[hidden]");
        assert!(vault.ask("other").unwrap_err().contains("secret.other=<value>"));
    }

    #[test]
    fn a_named_secret_that_has_no_value_is_told_at_the_start() {
        let problems = read(&[("secret.a", "${env:A}"), ("secret.", "x"), ("secret.b*", "x")]).unwrap_err();
        assert_eq!(problems.0.len(), 3, "{problems}");
        assert!(problems.to_string().contains("secret.a: ${env:A} cannot be resolved"), "{problems}");
    }

    #[test]
    fn what_is_referred_to_counts_as_long_as_its_provider_says() {
        let vault = read(&[("config.providers.env.param.ttl.ms", "5000")]).unwrap();
        assert_eq!(vault.ttl(&raw(&[("a", "x ${env:TOKEN}")])), Some(Duration::from_secs(5)));
        assert_eq!(vault.ttl(&raw(&[("a", "$env:TOKEN"), ("b", "${other:x}")])), None);
        assert_eq!(read(&[]).unwrap().ttl(&raw(&[("a", "${env:TOKEN}")])), None);
        let problems = read(&[("config.providers.env.param.ttl.ms", "1")]).unwrap_err();
        assert!(problems.to_string().contains("config.providers.env.param.ttl.ms"), "{problems}");
    }

    #[test]
    fn nothing_shows_in_debug_output() {
        let vault = read(&[("secret.a", "sesame-2")]).unwrap();
        let _ = vault.ask("a");
        assert!(!format!("{vault:?}").contains("sesame"));
    }
}
