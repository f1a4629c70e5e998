//! Plugins written by hand: small components whose functions can be replaced one by one, so that each
//! test shows the fault it is about.

use super::{engine, sandboxes};
use crate::config::Sandbox;
use crate::plugin::Plugin;
use crate::plugin::load::LoadError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An exported function: its name, its core signature, its signature in the contract.
type Function = (&'static str, &'static str, &'static str);

const CONFIG: &str = r#"(param "config" string) (result (result (error $error)))"#;

const CONNECTOR: &[Function] = &[
    ("validate", "(param i32 i32) (result i32)", r#"(param "config" string) (result string)"#),
    (
        "alter-offsets",
        "(param i32 i32 i32 i32) (result i32)",
        r#"(param "config" string) (param "offsets" string) (result (result bool (error $error)))"#,
    ),
    ("start", "(param i32 i32) (result i32)", CONFIG),
    (
        "task-configs",
        "(param i32) (result i32)",
        r#"(param "max-tasks" u32) (result (result (list string) (error $error)))"#,
    ),
    (
        "watch",
        "(param i32) (result i32)",
        r#"(param "max-wait-ms" u32) (result (result bool (error $error)))"#,
    ),
    ("stop", "", ""),
];

const SOURCE: &[Function] = &[
    ("open", "(param i32 i32) (result i32)", CONFIG),
    (
        "poll",
        "(param i32 i32 i32) (result i32)",
        r#"(param "max-records" u32) (param "max-bytes" u32) (param "max-wait-ms" u32)
           (result (result (list u8) (error $error)))"#,
    ),
    (
        "commit",
        "(param i32 i32) (result i32)",
        r#"(param "offsets" string) (result (result (error $error)))"#,
    ),
    ("close", "", ""),
];

const SINK: &[Function] = &[
    ("open", "(param i32 i32) (result i32)", CONFIG),
    (
        "assign",
        "(param i32 i32) (result i32)",
        r#"(param "partitions" string) (result (result (error $error)))"#,
    ),
    (
        "revoke",
        "(param i32 i32 i32) (result i32)",
        r#"(param "partitions" string) (param "lost" bool) (result (result (error $error)))"#,
    ),
    (
        "put",
        "(param i32 i32) (result i32)",
        r#"(param "batch" (list u8)) (result (result (list u8) (error $error)))"#,
    ),
    (
        "pre-commit",
        "(param i32 i32 i32) (result i32)",
        r#"(param "offsets" string) (param "reason" u32) (result (result string (error $error)))"#,
    ),
    ("close", "", ""),
];

/// A component: a source or a sink, that does nothing until told otherwise.
pub(crate) struct Guest {
    name: String,
    version: String,
    aliases: String,
    kind: &'static str,
    /// Bodies of core functions, by the name of the export; `start` runs at instantiation.
    bodies: HashMap<&'static str, String>,
    data: String,
}

impl Guest {
    pub(crate) fn source(name: &str) -> Self {
        Self::new(name, "source")
    }

    pub(crate) fn sink(name: &str) -> Self {
        Self::new(name, "sink")
    }

    fn new(name: &str, kind: &'static str) -> Self {
        let (name, version) = (name.to_owned(), "0.1.0".to_owned());
        Self { name, version, aliases: String::new(), kind, bodies: HashMap::new(), data: String::new() }
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    pub(crate) fn alias(mut self, alias: &str) -> Self {
        self.aliases = format!("\"{alias}\"");
        self
    }

    /// What a function does. Texts of [`Guest::text`] start at address 8192. Memory at 256 is all zero: a
    /// good result without value, or an empty string or list.
    pub(crate) fn does(mut self, function: &'static str, body: &str) -> Self {
        self.bodies.insert(function, body.to_owned());
        self
    }

    /// A text in the guest's memory, at address 8192.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.data = text.to_owned();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        wat::parse_str(self.wat()).unwrap()
    }

    /// Writes the file `<name>.wasm` (and `<name>@<version>.wasm` by [`Guest::write_as`]).
    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        self.write_as(dir, &format!("{}.wasm", self.name))
    }

    pub(crate) fn write_as(&self, dir: &Path, file: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let (path, temporary) = (dir.join(file), dir.join(".temporary"));
        std::fs::write(&temporary, self.bytes()).unwrap();
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::rename(temporary, &path).unwrap();
        path
    }

    pub(crate) fn load(&self, sandbox: Sandbox) -> Result<Arc<Plugin>, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        Plugin::load(&engine(), &self.write(dir.path()), &sandboxes(sandbox))
    }

    fn manifest(&self) -> String {
        let Self { name, version, aliases, kind, .. } = self;
        format!(
            r#"{{"name":"{name}","version":"{version}","kind":"{kind}","class":"test.{name}","aliases":[{aliases}],"batch_versions":[1]}}"#
        )
    }

    fn wat(&self) -> String {
        let manifest = self.manifest();
        let start = self.bodies.get("instantiate");
        let start = start.map_or(String::new(), |body| format!("(func $begin {body}) (start $begin)"));
        let describe = self.bodies.get("describe").cloned().unwrap_or_else(|| {
            format!(
                "(i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const {}))
                 (i32.const 16)",
                manifest.len()
            )
        });
        let task = if self.kind == "source" { SOURCE } else { SINK };
        include_str!("guest.wat")
            .replace("{{manifest}}", &format!("{manifest:?}"))
            .replace("{{text}}", &format!("{:?}", self.data))
            .replace("{{start}}", &start)
            .replace("{{describe}}", &describe)
            .replace("{{connector_core}}", &self.core(CONNECTOR, "connector"))
            .replace("{{connector_lift}}", &lift(CONNECTOR, "connector", "connector"))
            .replace("{{task_core}}", &self.core(task, "task"))
            .replace("{{task_lift}}", &lift(task, "task", &format!("{}-task", self.kind)))
    }

    /// The core functions of an interface.
    fn core(&self, functions: &[Function], prefix: &str) -> String {
        let one = |(name, signature, _): &Function| {
            let nothing = if signature.is_empty() { "" } else { "(i32.const 256)" };
            let body = self.bodies.get(name).map_or(nothing, String::as_str);
            format!("(func (export \"{prefix}-{name}\") {signature} {body})\n")
        };
        functions.iter().map(one).collect()
    }
}

/// The interface made of these core functions.
fn lift(functions: &[Function], prefix: &str, interface: &str) -> String {
    let mut lifted = String::new();
    let mut exports = String::new();
    for (name, _, signature) in functions {
        lifted += &format!(
            "(func ${prefix}-{name} {signature} (canon lift (core func $main \"{prefix}-{name}\")
               (memory $memory \"memory\") (realloc (func $memory \"realloc\"))))\n"
        );
        exports += &format!("(export \"{name}\" (func ${prefix}-{name}))");
    }
    let name = format!("transom:connect/{interface}@1.0.0");
    format!("{lifted}(instance ${interface} {exports})\n(export \"{name}\" (instance ${interface}))\n")
}
