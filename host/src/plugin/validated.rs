//! What a plugin's `validate` answers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Advice;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validated {
    /// Each a key and what is wrong with it.
    pub(crate) errors: Vec<(String, String)>,
    pub(crate) advice: Advice,
}

/// As it is written. Members that are not known are of a later version.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    recommended_values: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    visible: BTreeMap<String, bool>,
}

impl Validated {
    /// Reads an answer; an empty one says that nothing is wrong.
    ///
    /// # Errors
    /// It is not what the contract says.
    pub(crate) fn parse(answer: &str) -> Result<Self, serde_json::Error> {
        if answer.is_empty() {
            return Ok(Self::default());
        }
        let Answer { errors, recommended_values, visible } = serde_json::from_str(answer)?;
        let of_key = |(key, messages): (String, Vec<String>)| {
            messages.into_iter().map(move |message| (key.clone(), message))
        };
        let errors = errors.into_iter().flat_map(of_key).collect();
        Ok(Self { errors, advice: Advice { recommended_values, visible } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_may_be_missing_and_others_may_be_there() {
        assert_eq!(Validated::parse("").unwrap(), Validated::default());
        let answer = r#"{"errors":{"a":["x","y"]},"visible":{"b":false},"later":1}"#;
        let validated = Validated::parse(answer).unwrap();
        assert_eq!(validated.errors, [("a".into(), "x".into()), ("a".into(), "y".into())]);
        assert_eq!(validated.advice.visible, BTreeMap::from([("b".into(), false)]));
        let answer = r#"{"recommended_values":{"c":["1","2"]}}"#;
        let values = Validated::parse(answer).unwrap().advice.recommended_values;
        assert_eq!(values["c"], ["1", "2"]);
        assert!(Validated::parse(r#"{"errors":[]}"#).is_err());
    }
}
