//! What is wrong with a configuration: every problem at once, each with its key, its value and what to
//! do about it.

use std::fmt;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as the user wrote it, or would have to write it.
    pub key: String,
    /// The value as the user wrote it; `None` where the key is missing or the value is a secret.
    pub value: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with the value of a key that is there.
    pub fn new(key: impl Into<String>, value: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), value: Some(value.into()), message: message.into() }
    }

    /// A problem with a key whose value is missing or must not be shown.
    pub fn without_value(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Kafka Connect's own messages name key and value already.
        if self.message.contains(&format!("configuration {}:", self.key))
            || self.message.contains(&format!("configuration \"{}\"", self.key))
        {
            return f.write_str(&self.message);
        }
        match &self.value {
            Some(value) => write!(f, "{}={value}: {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// All that is wrong with a configuration; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// `Ok(value)` if nothing is wrong, else all of it.
    ///
    /// # Errors
    /// Itself, when there is at least one problem.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
