use super::{Guest, engine};
use crate::config::{Sandbox, Sandboxes};
use crate::plugin::load::LoadError;
use crate::plugin::registry::Failure;
use crate::plugin::{Change, Plugin, Registry, check};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

fn folder() -> TempDir {
    // Whatever the umask is.
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

async fn open(dir: &Path) -> Registry {
    let registry = Registry::open(engine(), vec![dir.to_owned()], Sandboxes::default()).unwrap();
    registry.settled().await;
    registry
}

async fn loaded(changes: &mut Receiver<Change>) -> Arc<Plugin> {
    match changes.recv().await.unwrap() {
        Change::Loaded(plugin) => plugin,
        other => panic!("not loaded: {other:?}"),
    }
}

async fn failed(changes: &mut Receiver<Change>) -> Arc<Failure> {
    match changes.recv().await.unwrap() {
        Change::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn plugins_are_found_by_class_alias_and_name() {
    let dir = folder();
    Guest::source("found").alias("Found").write(dir.path());
    let registry = open(dir.path()).await;
    for handle in ["test.found", "Found", "found"] {
        assert_eq!(registry.find(handle).unwrap().name(), "found");
    }
    assert!(registry.find("other").is_none());
}

#[tokio::test]
async fn cached_plugins_are_there_at_once() {
    let dir = folder();
    Guest::source("early").write(dir.path());
    open(dir.path()).await;
    let registry = Registry::open(engine(), vec![dir.path().to_owned()], Sandboxes::default()).unwrap();
    assert!(registry.find("early").is_some());
}

#[tokio::test]
async fn of_several_versions_the_newest_is_found() {
    let dir = folder();
    for version in ["0.10.0", "0.9.0", "0.10.0-rc.1"] {
        Guest::source("many").version(version).write_as(dir.path(), &format!("many@{version}.wasm"));
    }
    let registry = open(dir.path()).await;
    assert_eq!(registry.list().len(), 3);
    assert_eq!(registry.find("many").unwrap().version().to_string(), "0.10.0");
}

#[tokio::test]
async fn a_new_file_is_noticed_replaced_and_forgotten() {
    let dir = folder();
    let registry = open(dir.path()).await;
    let mut changes = registry.subscribe();
    let path = Guest::source("live").write(dir.path());
    let first = loaded(&mut changes).await;
    Guest::source("live").version("0.2.0").write(dir.path());
    let second = loaded(&mut changes).await;
    assert_eq!((first.path(), second.path()), (path.as_path(), path.as_path()));
    assert_eq!(second.version().to_string(), "0.2.0");
    std::fs::remove_file(path).unwrap();
    assert!(matches!(changes.recv().await.unwrap(), Change::Gone(gone) if gone.sha256() == second.sha256()));
    assert!(registry.find("live").is_none() && registry.list().is_empty());
}

#[tokio::test]
async fn a_broken_file_is_reported_and_the_old_plugin_stays() {
    let dir = folder();
    let path = Guest::source("steady").write(dir.path());
    let registry = open(dir.path()).await;
    let mut changes = registry.subscribe();
    let whole = Guest::source("steady").version("0.2.0").bytes();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let failure = failed(&mut changes).await;
    assert!(failure.to_string().contains("not a valid component"), "{failure}");
    assert_eq!(registry.find("steady").unwrap().version().to_string(), "0.1.0");
    assert_eq!(registry.problems().len(), 1);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(loaded(&mut changes).await.version().to_string(), "0.2.0");
    assert!(registry.problems().is_empty());
}

#[tokio::test]
async fn one_version_is_one_content_and_one_alias_one_plugin() {
    let dir = folder();
    Guest::source("a").alias("Shared").write(dir.path());
    Guest::source("a").alias("Other").write_as(dir.path(), "a@0.1.0.wasm");
    Guest::source("b").alias("Shared").write(dir.path());
    let registry = open(dir.path()).await;
    let problems: Vec<_> = registry.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("a 0.1.0 is already there"), "{problems:?}");
    assert!(problems[1].contains("alias Shared is already that of"), "{problems:?}");
    assert_eq!(registry.find("Shared").unwrap().name(), "a");
}

#[tokio::test]
async fn what_was_kept_out_comes_in_when_the_other_is_gone() {
    let dir = folder();
    let first = Guest::source("first").alias("Same").write(dir.path());
    Guest::source("second").alias("Same").write(dir.path());
    let registry = open(dir.path()).await;
    let mut changes = registry.subscribe();
    std::fs::remove_file(first).unwrap();
    assert!(matches!(changes.recv().await.unwrap(), Change::Gone(_)));
    assert_eq!(loaded(&mut changes).await.name(), "second");
}

#[tokio::test]
async fn a_folder_that_others_may_write_is_refused() {
    let dir = folder();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o775)).unwrap();
    let missing = dir.path().join("missing");
    let folders = vec![dir.path().to_owned(), missing];
    let problems = Registry::open(engine(), folders, Sandboxes::default()).unwrap_err();
    assert_eq!(problems.0.len(), 2);
    assert!(problems.to_string().contains("chmod go-w"), "{problems}");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let dir = folder();
    let path = Guest::source("open").write(dir.path());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = check(&engine(), &path).unwrap_err();
    assert!(matches!(error, LoadError::Writable { mode: 0o666 }), "{error}");
}

#[test]
fn only_the_pinned_content_is_taken() {
    let guest = Guest::source("pinned");
    let good = guest.load(Sandbox::default()).unwrap().sha256().to_owned();
    guest.load(Sandbox { sha256: Some(good.to_uppercase()), ..Sandbox::default() }).unwrap();
    let error = guest.load(Sandbox { sha256: Some("00".to_owned()), ..Sandbox::default() }).unwrap_err();
    assert!(error.to_string().contains("sandbox.pinned.sha256"), "{error}");
}

#[test]
fn a_file_must_be_named_after_its_plugin() {
    let dir = folder();
    for file in ["other.wasm", "named@0.2.0.wasm"] {
        let path = Guest::source("named").write_as(dir.path(), file);
        let error = check(&engine(), &path).unwrap_err();
        assert!(matches!(error, LoadError::FileName { .. }), "{error}");
    }
}

#[test]
fn machine_code_and_core_modules_are_no_plugins() {
    let dir = folder();
    let machine_code = engine().wasm().precompile_component(&Guest::source("x").bytes()).unwrap();
    for (bytes, what) in
        [(machine_code, "machine code"), (wat::parse_str("(module)").unwrap(), "core module")]
    {
        let path = dir.path().join("x.wasm");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = check(&engine(), &path).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn components_that_are_no_plugins_are_told_what_is_missing() {
    let dir = folder();
    let path = dir.path().join("x.wasm");
    let unknown = r#"(component (import "a:b/c@1.0.0" (instance (export "f" (func)))))"#;
    for (wat, what) in [("(component)", "transom:connect/plugin"), (unknown, "a:b/c")] {
        std::fs::write(&path, wat::parse_str(wat).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = check(&engine(), &path).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_check_tells_what_the_plugin_is() {
    let dir = folder();
    let path = Guest::sink("shown").alias("Shown").write(dir.path());
    let report = check(&engine(), &path).unwrap();
    assert!(report.to_string().starts_with("shown 0.1.0, a sink\n"), "{report}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["class"], &json["connector"]), (&"test.shown".into(), &true.into()));
}
