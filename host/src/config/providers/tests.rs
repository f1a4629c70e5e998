//! Which providers there can be, and what references to them stand for.

use std::fs;

use super::*;

fn raw(pairs: &[(&str, &str)]) -> RawConfig {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> Result<Providers, Problems> {
    let variables =
        [("APP_TOKEN", "from-env"), ("HOME", "/home/me")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let mut problems = Problems::default();
    let providers = Providers::read(&raw(pairs), &variables.into(), &mut problems);
    problems.or(providers)
}

/// `file`, `dir` and `env`; the first two may read the folder.
fn all(folder: &Path) -> Providers {
    let folder = folder.to_str().unwrap();
    read(&[
        ("config.providers", "file, dir,env"),
        ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
        ("config.providers.file.param.allowed.paths", folder),
        ("config.providers.dir.class", "DirectoryConfigProvider"),
        ("config.providers.dir.param.allowed.paths", folder),
        ("config.providers.env.class", "EnvVar"),
        ("config.providers.env.param.allowlist.pattern", "APP_.*"),
    ])
    .unwrap()
}

#[test]
fn each_provider_gives_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    fs::write(folder.path().join("db.properties"), "user=me\npassword=open\\u0020sesame:1\n").unwrap();
    fs::write(folder.path().join("token"), "from-dir\n").unwrap();
    let providers = all(folder.path());
    let expand = |text: String| providers.expand(&text).map(|expanded| expanded.text);
    assert_eq!(expand(format!("${{file:{at}/db.properties:password}}")).unwrap(), "open sesame:1");
    assert_eq!(expand(format!("${{dir:{at}:token}}")).unwrap(), "from-dir\n");
    assert_eq!(expand("${env:APP_TOKEN}".into()).unwrap(), "from-env");
    let several = providers.expand("a ${env:APP_TOKEN} b ${env:APP_TOKEN}${x}").unwrap();
    assert_eq!(several.text, "a from-env b from-env${x}");
    assert_eq!(several.secrets, ["from-env", "from-env"]);
}

#[test]
fn what_comes_out_is_not_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "${env:APP_TOKEN}").unwrap();
    let expanded = all(folder.path()).expand(&format!("${{dir:{}:token}}", folder.path().display())).unwrap();
    assert_eq!(expanded.text, "${env:APP_TOKEN}");
}

#[test]
fn what_cannot_be_resolved_names_the_reference_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    fs::write(folder.path().join("bad"), "key=sesame\\u12\n").unwrap();
    fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    let providers = all(folder.path());
    for (reference, why) in [
        ("${vault:a:b}", "lists no provider \"vault\" in config.providers; there are dir, env, file"),
        ("${file:key}", "needs a path: write ${file:/path:key}"),
        ("${file:/etc/passwd:root}", "not in config.providers.file.param.allowed.paths"),
        ("${file:@/missing:a}", "cannot be read"),
        ("${file:@/bad:key}", "line 1 has \\u"),
        ("${file:@/binary:key}", "has no key key"),
        ("${dir:@:../x}", "no name of a file"),
        ("${dir:@:a/b}", "no name of a file"),
        ("${dir:@:}", "no name of a file"),
        ("${dir:@:binary}", "no text in UTF-8"),
        ("${dir:/etc:passwd}", "not in config.providers.dir.param.allowed.paths"),
        ("${env:HOME}", "config.providers.env.param.allowlist.pattern does not match it"),
        ("${env:/x:APP_TOKEN}", "takes no path: write ${env:APP_TOKEN}"),
    ] {
        let written = reference.replace('@', &at);
        let error = providers.expand(&format!("x{written}")).err().unwrap();
        assert!(error.starts_with(&format!("{written} cannot be resolved: ")), "{error}");
        assert!(error.contains(why) && !error.contains("sesame"), "{error}");
    }
    let none = Providers::default().expand("${env:A}").err().unwrap();
    assert!(none.contains("nor any other"), "{none}");
}

#[test]
fn a_value_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), "x".repeat(MAX)).unwrap();
    let reference = format!("${{dir:{}:large}}", folder.path().display());
    let providers = all(folder.path());
    assert_eq!(providers.expand(&reference).unwrap().text.len(), MAX);
    assert!(providers.expand(&reference.repeat(2)).err().unwrap().contains("more than"));
}

#[test]
fn what_is_wrong_with_a_provider_is_told_at_once() {
    let problems = read(&[
        ("config.providers", "file,env,dir,vault,bare,a.b,file"),
        ("config.providers.file.class", "FileConfigProvider"),
        ("config.providers.env.class", "EnvVarConfigProvider"),
        ("config.providers.env.param.allowlist.pattern", "("),
        ("config.providers.dir.class", "DirectoryConfigProvider"),
        ("config.providers.dir.param.allowed.paths", "secrets"),
        ("config.providers.dir.param.allowed.path", "/secrets"),
        ("config.providers.vault.class", "com.example.VaultConfigProvider"),
        ("config.providers.other.class", "FileConfigProvider"),
    ])
    .unwrap_err();
    let shown = problems.to_string();
    for expected in [
        "config.providers.file.param.allowed.paths: must be set",
        "config.providers.env.param.allowlist.pattern=(: is no pattern",
        "config.providers.dir.param.allowed.paths=secrets: secrets is no absolute path",
        "config.providers.dir.param.allowed.path: unknown setting; this provider has",
        "config.providers.vault.class=com.example.VaultConfigProvider: must be FileConfigProvider",
        "config.providers.bare.class: must be set",
        "config.providers.other.class: config.providers does not list \"other\"",
        "\"a.b\" is listed twice, or is no name",
        "\"file\" is listed twice",
    ] {
        assert!(shown.contains(expected), "{expected} is missing in\n{shown}");
    }
    let env = read(&[("config.providers", "env"), ("config.providers.env.class", "EnvVar")]).unwrap_err();
    assert_eq!(env.0[0].key, "config.providers.env.param.allowlist.pattern");
}

#[test]
fn the_environment_does_not_show_in_debug_output() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(format!("{:?}", all(folder.path())), r#"{"dir", "env", "file"}"#);
}

#[test]
fn only_what_refers_is_a_reference() {
    assert!(refers("a${b:c}") && !refers("a${b}") && !refers("ab:c"));
}
