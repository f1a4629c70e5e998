//! What may be granted, and how it is written.

use super::*;

fn read(pairs: &[(&str, &str)]) -> (Sandboxes, Problems) {
    let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let variables = [("AWS_KEY", "k"), ("AWS_REGION", "r"), ("HOME", "/root")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut problems = Problems::default();
    (Sandboxes::read(&raw, &variables, &mut problems), problems)
}

fn sandbox(pairs: &[(&str, &str)]) -> Sandbox {
    let (all, problems) = read(pairs);
    assert_eq!(problems.to_string(), "");
    all.of("p")
}

#[track_caller]
fn refused(key: &str, value: &str, message: &str) {
    let (_, problems) = read(&[(key, value)]);
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.0[0].message.contains(message), "{problems}");
}

#[test]
fn nothing_is_granted_that_is_not_listed() {
    let sandbox = sandbox(&[("sandbox.other.fs", "/data:rw")]);
    assert_eq!(sandbox, Sandbox::default());
    assert!(sandbox.fs.is_empty() && sandbox.env.is_empty() && sandbox.net.is_empty() && !sandbox.blocks());
}

#[test]
fn directories_are_read_only_unless_told_otherwise() {
    let sandbox = sandbox(&[("sandbox.p.fs", " /data/in/ , /data/out:rw")]);
    let grant = |dir: &str, write| Grant { dir: dir.into(), write };
    assert_eq!(sandbox.fs, [grant("/data/in", false), grant("/data/out", true)]);
    assert!(sandbox.blocks());
}

#[test]
fn the_plugins_own_setting_wins_over_the_default() {
    let sandbox = sandbox(&[
        ("sandbox.default.fs", "/a"),
        ("sandbox.default.memory.max", "1000000"),
        ("sandbox.default.log.rate", "7"),
        ("sandbox.p.memory.max", "2000000"),
        ("sandbox.p.fs", ""),
    ]);
    assert_eq!((sandbox.memory_max, sandbox.log_rate, sandbox.fs.len()), (2_000_000, 7, 0));
}

#[test]
fn a_plugins_name_may_have_dots() {
    let (all, problems) = read(&[("sandbox.my.own.call.timeout.ms", "5")]);
    assert_eq!(problems.0.len(), 0);
    assert_eq!(all.of("my.own").call_timeout, Duration::from_millis(5));
}

#[test]
fn environment_is_granted_by_name_or_pattern() {
    assert_eq!(sandbox(&[("sandbox.p.env", "AWS_*")]).env.len(), 2);
    assert_eq!(sandbox(&[("sandbox.p.env", "HOME,NOT_THERE")]).env, [("HOME".into(), "/root".into())]);
}

#[test]
fn topics_are_open_until_they_are_listed() {
    assert!(sandbox(&[]).may_write_topic("any"));
    let listed = sandbox(&[("sandbox.p.topics", "a,logs-*")]);
    assert!(listed.may_write_topic("a") && listed.may_write_topic("logs-1") && !listed.may_write_topic("b"));
    assert!(!sandbox(&[("sandbox.p.topics", "")]).may_write_topic("a"));
}

#[test]
fn what_is_wrong_says_what_would_be_right() {
    refused("sandbox.p.fs", "data", "absolute path");
    refused("sandbox.p.fs", "/data/../etc", "absolute path");
    refused("sandbox.p.fs", "/data,/data:rw", "listed twice");
    refused("sandbox.p.memory.max", "1GB", "whole number");
    refused("sandbox.p.call.timeout.ms", "0", "from 1");
    refused("sandbox.p.cpu.max", "half", "share of a core");
    refused("sandbox.p.sha256", "abc", "64 hexadecimal digits");
    refused("sandbox.default.sha256", &"0".repeat(64), "name the plugin");
    refused("sandbox.p.memory.maxx", "1", "did you mean sandbox.<plugin>.memory.max");
    refused("sandbox.fs", "/data", "did you mean sandbox.<plugin>.fs?");
    refused("sandbox.p.everything", "/data", "followed by one of");
}

#[test]
fn a_throw_away_instance_keeps_the_limits_and_loses_the_grants() {
    let sandbox = sandbox(&[("sandbox.p.fs", "/data:rw"), ("sandbox.p.memory.max", "70000")]);
    assert_eq!(sandbox.nothing(), Sandbox { memory_max: 70_000, ..Sandbox::default() });
}

#[test]
fn the_key_of_a_grant_can_be_pasted_into_the_configuration() {
    assert_eq!(fs_key("file-sink", Path::new("/data/out"), true), "sandbox.file-sink.fs=/data/out:rw");
}
