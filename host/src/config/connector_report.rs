//! The report about a connector's configuration: what Kafka Connect's validation answers, in its order.
//!
//! First the framework's keys, among them what their values bring in (two keys for each transformation that is
//! named), then the plugin's, then overrides of Kafka clients' settings, then the settings of converters that the
//! connector names. Where the wanted version of the plugin is not there, only what all connectors have is looked at.
//!
//! Nothing here has a side effect, but for the reading of files that references name.

use super::connector::Described;
use super::connector_keys::{
    common_definitions, converter_definitions, link_definitions, shared_definitions,
};
use super::converter::{CONVERTER_CLASSES, CONVERTERS, HEADER_CONVERTER_CLASSES, class_of};
use super::definition::ConfigKey;
use super::redact::{HIDDEN, is_secret_name};
use super::report::{KeyReport, ValidationReport};
use super::validate::{Given, Values, report, validate_values};
use super::version_range::VersionRange;
use super::worker::WorkerConfig;
use super::{Kind, Problem, Problems};

/// Reports on every key. What only several keys together show, or only the plugin knows, is not in it yet.
pub(super) fn keys_report(
    values: Values<'_>,
    described: &Described<'_>,
    worker: &WorkerConfig,
) -> ValidationReport {
    let unfit = version_problem(values, described);
    let mut framework = framework(described, unfit.is_some());
    name_versions(&mut framework, described);
    if unfit.is_none() {
        name_converters(&mut framework, worker);
    }
    let mut reports = validate_values(&framework, values);
    if unfit.is_none() {
        CONVERTERS.iter().for_each(|name| finish_converter(name, values, &mut reports));
    } else {
        hide_versions(&mut reports);
    }
    reports.extend(["transforms", "predicates"].iter().flat_map(|chain| links(chain, values)));
    if unfit.is_none() {
        reports.extend(validate_values(described.settings, values));
        reports.extend(overrides(values, described.kind));
        let runs = |name: &&&str| version_fits(name, &reports);
        let named: Vec<_> = ["header.converter", "key.converter", "value.converter"]
            .iter()
            .filter(runs)
            .flat_map(|name| own_settings(name, values))
            .collect();
        reports.extend(named);
    }
    let class = values.texts.get("connector.class").cloned().unwrap_or_default();
    let mut report = ValidationReport::new(class, reports);
    report.add(Problems(unfit.into_iter().flatten().collect()));
    report
}

/// The framework's definitions, without those that the plugin defines anew.
fn framework(described: &Described<'_>, unfit: bool) -> Vec<ConfigKey> {
    if unfit {
        return shared_definitions();
    }
    let mut keys = common_definitions(described.kind);
    keys.retain(|key| described.settings.iter().all(|own| own.name != key.name));
    keys
}

/// Writes into the definitions which versions of the plugin there are.
fn name_versions(keys: &mut [ConfigKey], described: &Described<'_>) {
    for key in keys.iter_mut().filter(|key| key.name == "connector.plugin.version") {
        key.default_value = described.versions.last().cloned();
        key.recommended_values = described.versions.to_vec();
    }
}

/// Writes into the definitions which converters there are, and which are used where none is named.
fn name_converters(keys: &mut [ConfigKey], worker: &WorkerConfig) {
    for key in keys {
        let default = match key.name.as_str() {
            "key.converter" => worker.converters.key.class(),
            "value.converter" => worker.converters.value.class(),
            "header.converter" => HEADER_CONVERTER_CLASSES[0],
            _ => continue,
        };
        key.default_value = Some(default.to_owned());
        key.recommended_values = sorted(classes(&key.name));
    }
}

fn classes(name: &str) -> &'static [&'static str] {
    if name == "header.converter" { HEADER_CONVERTER_CLASSES } else { CONVERTER_CLASSES }
}

fn sorted(classes: &[&str]) -> Vec<String> {
    let mut classes: Vec<_> = classes.iter().map(|&class| class.to_owned()).collect();
    classes.sort_unstable();
    classes
}

/// The full name of a converter instead of a short one; its version, where there is such a converter.
fn finish_converter(name: &str, values: Values<'_>, reports: &mut [KeyReport]) {
    let version_key = format!("{name}.plugin.version");
    let Some(index) = reports.iter().position(|report| report.name == name) else { return };
    let Some(version) = reports.iter().position(|report| report.name == version_key) else { return };
    let class = reports[index].value.as_deref().and_then(|class| class_of(class, classes(name)));
    let null = values.of(name) == Given::Null;
    let version = &mut reports[version];
    if class.is_some() || null {
        let here = crate::version::KAFKA.to_owned();
        if version.value.is_none() && values.of(&version_key) == Given::Nothing {
            version.value = Some(here.clone());
        }
        version.recommended_values = if null { Vec::new() } else { vec![here.clone()] };
        version.visible = !null;
        if let Some(definition) = &mut version.definition {
            definition.default_value = Some(here);
        }
    } else {
        version.visible = false;
    }
    let unfit = match (class, values.of(name), values.of(&version_key)) {
        (Some(class), Given::Text(_), Given::Text(wanted)) => {
            wanted_of(class, wanted, &[crate::version::KAFKA.to_owned()]).err()
        }
        _ => None,
    };
    version.errors.extend(unfit.clone());
    let converter = &mut reports[index];
    converter.value = class.map(str::to_owned);
    converter.errors.extend(unfit.filter(|message| message.starts_with("Plugin ")));
}

/// The versions of what the connector is not known to have.
fn hide_versions(reports: &mut [KeyReport]) {
    for report in reports.iter_mut().filter(|report| report.name.ends_with(".converter.plugin.version")) {
        report.visible = false;
    }
}

/// The range that a text wants of these versions; `None`: any of them.
///
/// # Errors
/// It is no range, or none of them lies in it: Kafka Connect's complaint.
pub(crate) fn wanted_of(
    class: &str,
    wanted: &str,
    versions: &[String],
) -> Result<Option<VersionRange>, String> {
    let Some(range) = VersionRange::parse(wanted)? else { return Ok(None) };
    if versions.iter().any(|version| range.contains(version)) {
        return Ok(Some(range));
    }
    Err(format!(
        "Plugin {class} not found that matches the version range {range}, available versions: [{}]",
        versions.join(", ")
    ))
}

fn version_problem(values: Values<'_>, described: &Described<'_>) -> Option<[Problem; 2]> {
    let Given::Text(wanted) = values.of("connector.plugin.version") else { return None };
    let message = wanted_of(described.class, wanted, described.versions).err()?;
    let class = values.texts.get("connector.class").cloned().unwrap_or_default();
    Some([
        Problem::new("connector.class", class, message.clone()),
        Problem::new("connector.plugin.version", wanted, message),
    ])
}

/// The keys of the transformations or predicates that are named. There are none yet, so that none is right.
fn links(chain: &str, values: Values<'_>) -> Vec<KeyReport> {
    let Given::Text(text) = values.of(chain) else { return Vec::new() };
    let mut seen: Vec<&str> = Vec::new();
    let aliases = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    let mut reports = Vec::new();
    for alias in aliases {
        if seen.contains(&alias) {
            continue;
        }
        seen.push(alias);
        for key in link_definitions(chain, alias) {
            let mut report = report(&key, values.of(&key.name));
            if let (true, Some(class)) = (key.required, report.value.take()) {
                let key = &key.name;
                let what = if chain == "predicates" { "predicates" } else { "transformations" };
                report.errors.push(format!(
                    "Invalid value {class} for configuration {key}: Class {class} could not be found. There are no \
                     {what} yet; remove {chain} to run without them"
                ));
            }
            reports.push(report);
        }
    }
    reports
}

/// What is written for Kafka's clients, of those that the connector will have.
fn overrides(values: Values<'_>, kind: Kind) -> Vec<KeyReport> {
    let dead_letters = values.texts.get("errors.deadletterqueue.topic.name");
    let dead_letters = kind == Kind::Sink && dead_letters.is_some_and(|topic| !topic.trim().is_empty());
    let prefixes = [
        ("producer.override.", kind == Kind::Source || dead_letters),
        ("consumer.override.", kind == Kind::Sink),
        ("admin.override.", dead_letters),
    ];
    let of_prefix = |(prefix, used): (&'static str, bool)| {
        values.texts.iter().filter(move |(key, _)| used && key.starts_with(prefix))
    };
    let shown = |(key, value): (&String, &String)| {
        let value = if is_secret_name(key) { HIDDEN.to_owned() } else { value.trim().to_owned() };
        KeyReport { value: Some(value), ..KeyReport::undefined(key) }
    };
    prefixes.into_iter().flat_map(of_prefix).map(shown).collect()
}

/// Whether nothing is wrong with the wanted version of a converter.
fn version_fits(name: &str, reports: &[KeyReport]) -> bool {
    let key = format!("{name}.plugin.version");
    reports.iter().all(|report| report.name != key || report.errors.is_empty())
}

/// The settings of a converter that the connector names, below the key that names it.
fn own_settings(name: &str, values: Values<'_>) -> Vec<KeyReport> {
    let Given::Text(class) = values.of(name) else { return Vec::new() };
    let Some(class) = class_of(class.trim(), classes(name)) else { return Vec::new() };
    let kind = name.strip_suffix(".converter").unwrap_or(name);
    let of_key = |key: ConfigKey| {
        let full = format!("{name}.{}", key.name);
        let given = match values.of(&full) {
            Given::Nothing if key.name == "converter.type" => Given::Text(kind),
            given => given,
        };
        let mut report = report(&key, given);
        report.name.clone_from(&full);
        if let Some(definition) = &mut report.definition {
            definition.name = full;
        }
        report
    };
    converter_definitions(class).into_iter().map(of_key).collect()
}
