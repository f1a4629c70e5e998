//! Builds the plugins of `plugins/` and the faulty ones of `guests/` for WebAssembly, and writes
//! `guests.rs` with a constant for each.
//!
//! Versions of a plugin, for tests that swap them, come in two ways. A plugin of `plugins/` is built
//! again with `TRANSOM_PLUGIN_VERSION`, which the SDK's manifest follows. A faulty one has a marker in
//! its data, as long as it is, that is overwritten here: ten variants for the price of one build.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Plugins of which tests need a second version, `0.2.0`.
const SECOND_VERSIONS: [&str; 6] =
    ["elasticsearch-sink", "ethereum-source", "file-sink", "file-source", "http-source", "s3-sink"];

/// Variants of each faulty plugin: constant, version, and what it does whatever its configuration says
/// (see `guests/fault.rs`).
const VARIANTS: [(&str, &str, &str); 16] = [
    ("", "0.1.0", "-"),
    ("_V2", "0.2.0", "-"),
    ("_FAILS_TO_OPEN", "0.3.0", "open fatal"),
    ("_PANICS_IN_DESCRIBE", "0.4.0", "describe panic"),
    ("_SPINS_IN_DESCRIBE", "0.5.0", "describe spin"),
    ("_HAS_ANOTHER_NAME", "0.6.0", "describe another-name"),
    ("_HAS_NO_MANIFEST", "0.7.0", "describe garbage"),
    ("_REFUSES_EVERY_CONFIG", "0.8.0", "validate config"),
    ("_WATCHES", "0.9.0", "watches"),
    ("_WATCHES_V2", "0.10.0", "watches"),
    ("_WATCHES_FAILS_TO_START", "0.11.0", "watches start fatal"),
    ("_HAS_ANOTHER_KIND", "0.12.0", "describe another-kind"),
    ("_HAS_A_WRONG_DEFAULT", "0.13.0", "describe wrong-default"),
    ("_DESCRIBES_AT_RANDOM", "0.14.0", "describe random"),
    ("_PANICS_IN_POLL", "0.15.0", "poll panic"),
    ("_REFUSES_OFFSETS", "0.16.0", "alter-offsets fatal"),
];

/// What a faulty plugin's data has in place of version and fault. The same as in `guests/fault.rs`.
const MARKER: &str = "transom-variant:0.1.0 -                        ";

fn main() {
    let tests = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the package lies in the workspace").to_owned();
    let out = PathBuf::from(var("OUT_DIR"));
    for input in [
        "plugins",
        "sdk/rust",
        "wit",
        "Cargo.toml",
        "tests/guests",
        "tests/scripts/guests.sh",
        "tests/build.rs",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let plugins = packages(&root.join("plugins"));
    let guests = packages(&root.join("tests/guests"));
    let second: Vec<&str> = SECOND_VERSIONS.into_iter().filter(|name| plugins.contains(*name)).collect();
    let first_files = out.join("guests");
    let second_files = out.join("guests-0.2.0");
    build(&root, &second_files, second.iter().copied(), Some("0.2.0"));
    build(&root, &first_files, plugins.iter().chain(&guests).map(String::as_str), None);

    let mut code = String::new();
    for plugin in &plugins {
        constant(&mut code, plugin, "", "0.1.0", &first_files.join(format!("{plugin}.wasm")));
    }
    for plugin in second {
        constant(&mut code, plugin, "_V2", "0.2.0", &second_files.join(format!("{plugin}.wasm")));
    }
    for guest in &guests {
        let component = read(&first_files.join(format!("{guest}.wasm")));
        for (suffix, version, fault) in VARIANTS {
            let file = out.join(format!("{guest}-{version}.wasm"));
            write(&file, &variant(guest, &component, version, fault));
            constant(&mut code, guest, suffix, version, &file);
        }
    }
    write(&out.join("guests.rs"), code.as_bytes());
}

/// The packages in the folders of a folder; folders are named as their packages.
fn packages(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let entries = entries.map(|entry| entry.expect("a readable folder"));
    let with_manifest = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    with_manifest.map(|entry| entry.file_name().into_string().expect("a name in UTF-8")).collect()
}

fn build<'a>(root: &Path, out: &Path, packages: impl Iterator<Item = &'a str>, version: Option<&str>) {
    let packages: Vec<&str> = packages.collect();
    if packages.is_empty() {
        return;
    }
    let mut script = Command::new("sh");
    script.arg(root.join("tests/scripts/guests.sh")).arg(build_folder(out)).arg(out).args(packages);
    // What Cargo tells this build of itself and of the host is not meant for the inner one.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let kept = ["CARGO", "CARGO_HOME", "CARGO_MAKEFLAGS"].contains(&name.as_str())
            || ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"]
                .iter()
                .any(|p| name.starts_with(p));
        let cargo = name.starts_with("CARGO") || name.starts_with("RUSTC") || name.starts_with("RUSTDOC");
        if (cargo && !kept) || name == "RUSTFLAGS" || name == "TRANSOM_PLUGIN_VERSION" {
            script.env_remove(name);
        }
    }
    if let Some(version) = version {
        script.env("TRANSOM_PLUGIN_VERSION", version);
    }
    let status = script.status().expect("sh runs");
    assert!(status.success(), "the plugins do not build");
}

/// `guests` in the outer build folder, which is `<folder>/<profile>/build/<package>/out` upwards.
fn build_folder(out: &Path) -> PathBuf {
    out.ancestors().nth(5).expect("the form of OUT_DIR").join("guests")
}

fn variant(guest: &str, component: &[u8], version: &str, fault: &str) -> Vec<u8> {
    let prefix = "transom-variant:";
    let width = MARKER.len() - prefix.len();
    let new = format!("{prefix}{:width$}", format!("{version} {fault}"));
    assert_eq!(new.len(), MARKER.len(), "{version} {fault} is too long for the marker");
    let found: Vec<usize> = component
        .windows(MARKER.len())
        .enumerate()
        .filter(|(_, w)| *w == MARKER.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let [at] = found[..] else { panic!("{guest} has {} markers", found.len()) };
    let mut component = component.to_vec();
    component[at..at + new.len()].copy_from_slice(new.as_bytes());
    component
}

fn constant(code: &mut String, name: &str, suffix: &str, version: &str, file: &Path) {
    let constant = name.to_uppercase().replace('-', "_");
    let path = file.display().to_string();
    writeln!(code, "/// `{name}`, version {version}.").expect("a string takes all");
    writeln!(
        code,
        "pub const {constant}{suffix}: Guest = Guest {{ name: {name:?}, version: {version:?}, path: {path:?} }};"
    )
    .expect("a string takes all");
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"))
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn write(file: &Path, content: &[u8]) {
    fs::write(file, content).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
}
