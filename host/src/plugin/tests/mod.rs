//! Tests of the whole floor with guests written by hand: small components whose functions can be
//! replaced one by one, so that each test shows the fault it is about.

mod files;
mod instance;
mod registry;

use super::compile::tests::compiler_program;
use super::{Engine, EngineSettings, Plugin, Sandbox, Sandboxes, Setup};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

/// An engine for all tests of this process: the folder is left to the system's temporary files.
pub(super) fn engine() -> Engine {
    static ENGINE: LazyLock<(TempDir, Engine)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let compiler = compiler_program(dir.path());
        let cache = dir.path().join("cache");
        let engine = Engine::new(EngineSettings { cache, cache_max: 1 << 30, compiler }).unwrap();
        (dir, engine)
    });
    ENGINE.1.clone()
}

/// A component: a source or a sink, that does nothing until told otherwise.
pub(super) struct Guest {
    name: String,
    version: String,
    aliases: String,
    kind: &'static str,
    /// Bodies of core functions, by the name of the export; `start` runs at instantiation.
    bodies: HashMap<&'static str, String>,
    data: String,
}

impl Guest {
    pub(super) fn source(name: &str) -> Self {
        Self::new(name, "source")
    }

    pub(super) fn sink(name: &str) -> Self {
        Self::new(name, "sink")
    }

    fn new(name: &str, kind: &'static str) -> Self {
        let (name, version) = (name.to_owned(), "0.1.0".to_owned());
        Self { name, version, aliases: String::new(), kind, bodies: HashMap::new(), data: String::new() }
    }

    pub(super) fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    pub(super) fn alias(mut self, alias: &str) -> Self {
        self.aliases = format!("\"{alias}\"");
        self
    }

    /// What a function does. Texts of [`Guest::text`] start at address 8192. Memory at 256 is all zero: a
    /// good result without value, or an empty string or list.
    pub(super) fn does(mut self, function: &'static str, body: &str) -> Self {
        self.bodies.insert(function, body.to_owned());
        self
    }

    /// A text in the guest's memory, at address 8192.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.data = text.to_owned();
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        wat::parse_str(self.wat()).unwrap()
    }

    /// Writes the file `<name>.wasm` (and `<name>@<version>.wasm` by [`Guest::write_as`]).
    pub(super) fn write(&self, dir: &Path) -> PathBuf {
        self.write_as(dir, &format!("{}.wasm", self.name))
    }

    pub(super) fn write_as(&self, dir: &Path, file: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let (path, temporary) = (dir.join(file), dir.join(".temporary"));
        std::fs::write(&temporary, self.bytes()).unwrap();
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::rename(temporary, &path).unwrap();
        path
    }

    pub(super) fn load(&self, sandbox: Sandbox) -> Result<Arc<Plugin>, super::LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes { default: Arc::new(sandbox), ..Sandboxes::default() };
        Plugin::load(&engine(), &self.write(dir.path()), &sandboxes)
    }

    fn manifest(&self) -> String {
        let Self { name, version, aliases, kind, .. } = self;
        format!(
            r#"{{"name":"{name}","version":"{version}","kind":"{kind}","class":"test.{name}","aliases":[{aliases}],"batch_versions":[1]}}"#
        )
    }

    fn body(&self, function: &str) -> &str {
        self.bodies.get(function).map_or("(i32.const 256)", String::as_str)
    }

    fn wat(&self) -> String {
        let manifest = self.manifest();
        let task: &[(&str, &str, &str)] = match self.kind {
            "source" => &[
                ("open", "(param i32 i32) (result i32)", "(param \"config\" string) (result (result (error $error)))"),
                (
                    "poll",
                    "(param i32 i32 i32) (result i32)",
                    "(param \"max-records\" u32) (param \"max-bytes\" u32) (param \"max-wait-ms\" u32) \
                     (result (result (list u8) (error $error)))",
                ),
                ("commit", "(param i32 i32) (result i32)", "(param \"offsets\" string) (result (result (error $error)))"),
                ("close", "", ""),
            ],
            _ => &[
                ("open", "(param i32 i32) (result i32)", "(param \"config\" string) (result (result (error $error)))"),
                (
                    "assign",
                    "(param i32 i32) (result i32)",
                    "(param \"partitions\" string) (result (result (error $error)))",
                ),
                (
                    "revoke",
                    "(param i32 i32 i32) (result i32)",
                    "(param \"partitions\" string) (param \"lost\" bool) (result (result (error $error)))",
                ),
                (
                    "put",
                    "(param i32 i32) (result i32)",
                    "(param \"batch\" (list u8)) (result (result (list u8) (error $error)))",
                ),
                (
                    "pre-commit",
                    "(param i32 i32 i32) (result i32)",
                    "(param \"offsets\" string) (param \"reason\" u32) (result (result string (error $error)))",
                ),
                ("close", "", ""),
            ],
        };
        let connector: &[(&str, &str, &str)] = &[
            ("validate", "(param i32 i32) (result i32)", "(param \"config\" string) (result string)"),
            (
                "alter-offsets",
                "(param i32 i32 i32 i32) (result i32)",
                "(param \"config\" string) (param \"offsets\" string) (result (result bool (error $error)))",
            ),
            ("start", "(param i32 i32) (result i32)", "(param \"config\" string) (result (result (error $error)))"),
            (
                "task-configs",
                "(param i32) (result i32)",
                "(param \"max-tasks\" u32) (result (result (list string) (error $error)))",
            ),
            ("watch", "(param i32) (result i32)", "(param \"max-wait-ms\" u32) (result (result bool (error $error)))"),
            ("stop", "", ""),
        ];
        let core = |functions: &[(&str, &str, &str)], prefix: &str| -> String {
            let one = |(name, signature, _): &(&str, &str, &str)| {
                let body = if signature.is_empty() {
                    self.bodies.get(name).map_or("", String::as_str)
                } else {
                    self.body(name)
                };
                format!("(func (export \"{prefix}{name}\") {signature} {body})\n")
            };
            functions.iter().map(one).collect()
        };
        let lift = |functions: &[(&str, &str, &str)], prefix: &str, interface: &str| -> String {
            let mut lifted = String::new();
            let mut exports = String::new();
            for (name, _, signature) in functions {
                lifted += &format!(
                    "(func ${prefix}{name} {signature} (canon lift (core func $main \"{prefix}{name}\") \
                     (memory $memory \"memory\") (realloc (func $memory \"realloc\"))))\n"
                );
                exports += &format!("(export \"{name}\" (func ${prefix}{name}))");
            }
            format!("{lifted}(instance ${interface} {exports})\n(export \"transom:connect/{interface}@0.1.0\" (instance ${interface}))\n")
        };
        let start = self.bodies.get("instantiate").map_or(String::new(), |body| format!("(func $begin {body}) (start $begin)"));
        let describe = self.bodies.get("describe").cloned().unwrap_or_else(|| {
            format!(
                "(i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const {})) (i32.const 16)",
                manifest.len()
            )
        });
        let task_interface = format!("{}-task", self.kind);
        format!(
            r#"(component
            (import "transom:connect/types@0.1.0" (instance $types
                (type $e (record (field "code" u32) (field "message" string) (field "retry-after-ms" u32) (field "detail" string)))
                (export "error" (type (eq $e)))))
            (alias export $types "error" (type $error))
            (import "transom:connect/host@0.1.0" (instance $host
                (export "log" (func (param "level" u32) (param "message" string)))
                (export "should-stop" (func (result bool)))
                (export "secret" (func (param "name" string) (result (result string (error string)))))
                (export "metric" (func (param "name" string) (param "value" f64)))
                (export "request-reconfiguration" (func))))
            (import "transom:connect/sink-context@0.1.0" (instance $sink
                (export "seek" (func (param "offsets" string) (result (result (error string)))))
                (export "request-commit" (func))))
            (import "transom:connect/source-context@0.1.0" (instance $source
                (export "offsets" (func (param "partitions" string) (result (result string (error string)))))))
            (core module $memory
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 65536))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.get $next)
                    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
            (core instance $memory (instantiate $memory))
            (core func $log (canon lower (func $host "log") (memory $memory "memory")))
            (core func $should-stop (canon lower (func $host "should-stop")))
            (core func $secret (canon lower (func $host "secret") (memory $memory "memory") (realloc (func $memory "realloc"))))
            (core func $metric (canon lower (func $host "metric") (memory $memory "memory")))
            (core func $reconfigure (canon lower (func $host "request-reconfiguration")))
            (core func $seek (canon lower (func $sink "seek") (memory $memory "memory") (realloc (func $memory "realloc"))))
            (core func $request-commit (canon lower (func $sink "request-commit")))
            (core func $offsets (canon lower (func $source "offsets") (memory $memory "memory") (realloc (func $memory "realloc"))))
            (core instance $imports
                (export "log" (func $log)) (export "should-stop" (func $should-stop)) (export "secret" (func $secret))
                (export "metric" (func $metric)) (export "reconfigure" (func $reconfigure))
                (export "seek" (func $seek)) (export "request-commit" (func $request-commit))
                (export "offsets" (func $offsets)))
            (core module $main
                (import "memory" "memory" (memory 2))
                (import "host" "log" (func $log (param i32 i32 i32)))
                (import "host" "should-stop" (func $should-stop (result i32)))
                (import "host" "secret" (func $secret (param i32 i32 i32)))
                (import "host" "metric" (func $metric (param i32 i32 f64)))
                (import "host" "reconfigure" (func $reconfigure))
                (import "host" "seek" (func $seek (param i32 i32 i32)))
                (import "host" "request-commit" (func $request-commit))
                (import "host" "offsets" (func $offsets (param i32 i32 i32)))
                (func $recurse (call $recurse) (call $recurse))
                (data (i32.const 1024) {manifest:?})
                (data (i32.const 8192) {text:?})
                {start}
                (func (export "describe") (result i32) {describe})
                {connector_core}
                {task_core})
            (core instance $main (instantiate $main (with "memory" (instance $memory)) (with "host" (instance $imports))))
            (func $describe (result string) (canon lift (core func $main "describe") (memory $memory "memory")))
            (instance $plugin (export "describe" (func $describe)))
            (export "transom:connect/plugin@0.1.0" (instance $plugin))
            {connector_lift}
            {task_lift})"#,
            text = self.data,
            connector_core = core(connector, "connector-"),
            task_core = core(task, "task-"),
            connector_lift = lift(connector, "connector-", "connector"),
            task_lift = lift(task, "task-", &task_interface),
        )
    }
}

/// What a test task gives its instance.
pub(super) fn setup(sandbox: Sandbox) -> Setup {
    Setup { connector: "c".into(), task: Some(0), ..Setup::throw_away(&sandbox) }
}
