//! Definitions and validations, in the form in which two are compared: an aspect for each thing that is said of a
//! key, so that a difference names the key and hides no other.
//!
//! Everything counts, but for these: a documentation has to be there, whatever it says; a version that the worker
//! itself names becomes `{version}`; the number of errors has to be that of the errors that are told; keys that only
//! Transom's plugin has are left out.

use serde_json::Value;

/// Settings of Transom's FileStream plugins that Java's have not.
const OURS: &[&str] = &["line.max.bytes"];

/// Whether an aspect is one of these, and there for successes alone.
pub(super) fn is_told(aspect: &str) -> bool {
    aspect.contains('.') || ["keys", "error_count", "name", "groups"].contains(&aspect)
}

/// What a body says, if it is a validation or a list of definitions.
pub(super) fn aspects(body: &Value, versions: &[&str]) -> Option<Vec<(String, String)>> {
    if let Some(keys) = body.as_array()
        && keys.first()?.get("default_value").is_some()
    {
        return Some(of_keys(keys.iter().map(|key| (key, None)), versions));
    }
    let configs = body.get("configs")?.as_array()?;
    let keys = configs.iter().map(|key| (&key["definition"], Some(&key["value"])));
    let mut aspects = of_keys(keys, versions);
    let errors = |key: &Value| key["value"]["errors"].as_array().map_or(0, Vec::len) as u64;
    let told = configs.iter().map(errors).sum::<u64>();
    let count = if body["error_count"].as_u64() == Some(told) { "right" } else { "wrong" };
    aspects.push(("error_count".to_owned(), count.to_owned()));
    aspects.extend(["name", "groups"].map(|member| (member.to_owned(), body[member].to_string())));
    Some(aspects)
}

fn of_keys<'a>(
    keys: impl Iterator<Item = (&'a Value, Option<&'a Value>)>,
    versions: &[&str],
) -> Vec<(String, String)> {
    let (mut names, mut aspects) = (Vec::new(), Vec::new());
    for (definition, value) in keys {
        let name = value.unwrap_or(definition)["name"].as_str().unwrap_or_default().to_owned();
        if OURS.contains(&name.as_str()) {
            continue;
        }
        aspects.push((format!("{name}.definition"), of_definition(definition, versions)));
        for member in ["value", "recommended_values", "errors", "visible"] {
            if let Some(value) = value {
                aspects.push((format!("{name}.{member}"), without_versions(&value[member], versions)));
            }
        }
        names.push(name);
    }
    aspects.push(("keys".to_owned(), names.join(" ")));
    aspects
}

fn of_definition(definition: &Value, versions: &[&str]) -> String {
    let mut definition = definition.clone();
    if let Some(members) = definition.as_object_mut() {
        if let Some(text) = members.get_mut("documentation").filter(|text| **text != "") {
            *text = "{documentation}".into();
        }
        members.sort_keys();
    }
    without_versions(&definition, versions)
}

/// Java names a version twice that it found twice.
fn without_versions(value: &Value, versions: &[&str]) -> String {
    let mut text = value.to_string();
    for version in versions {
        for (before, after) in [("\"", "\""), ("[", "]"), ("[", ","), (" ", "]")] {
            let (here, there) = (format!("{before}{version}{after}"), format!("{before}{{version}}{after}"));
            text = text.replace(&here, &there);
        }
    }
    text.replace("{version}, {version}", "{version}")
}
