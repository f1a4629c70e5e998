//! The checks: their names, what of the contract each stands for, and which others it needs.

use super::report::Check;

const fn check(name: &'static str, needs: &'static [&'static str], contract: &'static str) -> Check {
    Check { name, contract, needs }
}

pub(super) const LOADS: Check =
    check("loads", &[], "wit/worlds.wit: a component that imports and exports what its world says");
pub(super) const DESCRIBES: Check = check(
    "describe.answers",
    &["loads"],
    "wit/plugin.wit, describe: \"called on a throw-away instance that is granted nothing, within 5 s\"",
);
pub(super) const MANIFEST: Check =
    check("describe.manifest", &["describe.answers"], "wit/plugin.wit, describe: \"the manifest, as JSON\"");
pub(super) const KIND: Check = check(
    "describe.kind",
    &["describe.manifest"],
    "wit/plugin.wit, describe: \"the component must export that interface\"",
);
pub(super) const FILE_NAME: Check = check(
    "describe.file",
    &["describe.kind"],
    "wit/plugin.wit, describe: \"`name` and `version` must be those of the file\"",
);
pub(super) const SAME: Check = check(
    "describe.same",
    &["describe.file"],
    "wit/plugin.wit, describe: \"says what it is\", so every time the same",
);
pub(super) const DEFAULTS: Check = check(
    "describe.defaults",
    &["describe.file"],
    "wit/plugin.wit, describe: a default is a value like any other, and must pass its own validator",
);

pub(super) const ACCEPTS: Check = check(
    "validate.accepts",
    &["describe.defaults"],
    "wit/plugin.wit, validate: \"an empty string means that nothing is wrong\"",
);
pub(super) const PURE: Check = check(
    "validate.pure",
    &["validate.accepts"],
    "wit/plugin.wit, validate: \"it must have no side effect\"",
);
pub(super) const ANSWERS: Check = check(
    "validate.answers",
    &["validate.accepts"],
    "wit/plugin.wit, validate: \"answers {\"errors\": {…}}\", whatever it is asked about",
);

pub(super) const STARTS: Check = check(
    "connector.starts",
    &["validate.accepts"],
    "wit/plugin.wit, connector: `start` once, `stop` at most once, on one instance",
);
pub(super) const TASKS: Check = check(
    "connector.tasks",
    &["connector.starts"],
    "wit/plugin.wit, task-configs: \"the configuration of each task, at most `max-tasks`\", each a JSON object of strings",
);
pub(super) const STABLE: Check = check(
    "connector.stable",
    &["connector.tasks"],
    "wit/plugin.wit, task-configs: \"what has not changed should keep its place\"",
);
pub(super) const WATCHES: Check = check(
    "connector.watches",
    &["connector.starts"],
    "wit/plugin.wit, watch: \"at most `max-wait-ms`, and less when `host.should-stop` says so\"",
);

pub(super) const OPENS: Check = check(
    "task.opens",
    &["connector.tasks"],
    "wit/source.wit and sink.wit: \"`open`, once\", on each new instance",
);
pub(super) const CLOSES: Check = check(
    "task.closes",
    &["task.opens"],
    "wit/source.wit and sink.wit: \"`close`, at most once, when the task ends in good order\"",
);

pub(super) const SOURCE_RETRIES: Check = check(
    "source.retries",
    &["task.opens"],
    "wit/source.wit, poll: \"an error of code 1 means: nothing now, call again later\"",
);
pub(super) const POLLS: Check = check(
    "source.polls",
    &["task.opens"],
    "wit/source.wit, poll: \"the next records as a batch\"; wit/batch.md, section 8: what a reader checks",
);
pub(super) const SIZES: Check = check(
    "source.sizes",
    &["source.polls"],
    "wit/source.wit, poll: \"accepted is twice of either\" `max-records` and `max-bytes`, and a single large record",
);
pub(super) const TOPICS: Check = check(
    "source.topics",
    &["source.polls"],
    "wit/batch.md, section 5: the column `topics` has names of topics, which the operator may have to grant",
);
pub(super) const FORMATS: Check = check(
    "source.formats",
    &["source.polls"],
    "wit/batch.md, section 5: a `string` is UTF-8, a `json` a payload as JsonConverter writes it",
);
pub(super) const MARKS: Check = check(
    "source.marks",
    &["source.polls"],
    "wit/batch.md, section 6: \"source partitions and source offsets are JSON objects\"; records that no mark follows come again",
);
pub(super) const WAITS: Check = check(
    "source.waits",
    &["source.polls"],
    "wit/source.wit, poll: \"waits at most `max-wait-ms` for records\"",
);
pub(super) const SOURCE_STOPS: Check = check(
    "source.stops",
    &["source.polls"],
    "wit/host.wit, should-stop: \"a call that waits should ask at least every 100 ms\"",
);
pub(super) const RESUMES: Check = check(
    "source.resumes",
    &["source.marks"],
    "wit/source.wit, open: \"`source-context.offsets` tells where to go on\"; wit/batch.md, section 6",
);
pub(super) const COMMITS: Check = check(
    "source.commits",
    &["source.marks"],
    "wit/source.wit, commit: \"between two polls, whenever offsets became durable\"",
);
pub(super) const SOURCE_MEMORY: Check = check(
    "source.memory",
    &["source.polls"],
    "wit/source.wit: `poll`, \"again and again\"; the operator's sandbox.<plugin>.memory.max bounds the task",
);
pub(super) const SOURCE_SWAPS: Check = check(
    "source.swaps",
    &["source.resumes", "source.commits"],
    "wit/source.wit: `close`, then a new instance with the next `transom.generation` goes on",
);

pub(super) const ASSIGNS: Check =
    check("sink.assigns", &["task.opens"], "wit/sink.wit, assign: \"the partitions that come\"");
pub(super) const PUTS: Check = check(
    "sink.puts",
    &["sink.assigns"],
    "wit/sink.wit, put: \"takes a batch\"; code 1: \"the same batch comes again, all of it\"",
);
pub(super) const OUTCOMES: Check = check(
    "sink.outcomes",
    &["sink.puts"],
    "wit/sink.wit, put: \"an outcome batch that names failed records, of this or an earlier put that is not yet committed\"",
);
pub(super) const EMPTY: Check = check(
    "sink.empty",
    &["sink.puts"],
    "wit/sink.wit, put: \"an empty batch (0 records) comes when nothing else does\"",
);
pub(super) const TOMBSTONES: Check = check(
    "sink.tombstones",
    &["sink.puts"],
    "wit/batch.md, section 5: a key or a value may be null; what cannot be taken is named in the outcome or by code 3",
);
pub(super) const PRE_COMMITS: Check = check(
    "sink.commits",
    &["sink.puts"],
    "wit/sink.wit, pre-commit: \"answers in the same form with what is durable\"",
);
pub(super) const BOUNDS: Check = check(
    "sink.bounds",
    &["sink.commits"],
    "wit/sink.wit, pre-commit: \"at most these offsets\", of assigned partitions",
);
pub(super) const FORWARD: Check = check(
    "sink.forward",
    &["sink.commits"],
    "wit/sink.wit, pre-commit: \"what is durable\" stays so: offsets never go backwards",
);
pub(super) const PROGRESS: Check = check(
    "sink.progress",
    &["sink.bounds", "sink.forward", "sink.empty"],
    "wit/sink.wit, pre-commit: \"with 3 to 5 what is not durable is delivered again to whoever comes next\", who must get on",
);
pub(super) const REDELIVERY: Check = check(
    "sink.redelivery",
    &["sink.commits"],
    "wit/sink.wit, pre-commit: \"what is not durable is delivered again to whoever comes next\"",
);
pub(super) const REVOKES: Check =
    check("sink.revokes", &["sink.commits"], "wit/sink.wit, revoke: \"the partitions that go\"; others stay");
pub(super) const LOST: Check = check(
    "sink.lost",
    &["sink.revokes", "sink.bounds", "sink.redelivery"],
    "wit/sink.wit, revoke: lost: \"nothing of them may be written or committed any more\"",
);
pub(super) const SINK_STOPS: Check = check(
    "sink.stops",
    &["sink.puts"],
    "wit/host.wit, should-stop: \"a call that waits should ask at least every 100 ms\"",
);
pub(super) const SINK_MEMORY: Check = check(
    "sink.memory",
    &["sink.commits"],
    "wit/sink.wit: `put`, \"again and again\"; the operator's sandbox.<plugin>.memory.max bounds the task",
);
pub(super) const SINK_SWAPS: Check = check(
    "sink.swaps",
    &["sink.redelivery"],
    "wit/sink.wit: `pre-commit`, `revoke`, `close`, then a new instance with the next `transom.generation` goes on",
);

pub(super) const LIMITS_MEMORY: Check = check(
    "limits.memory",
    &["task.opens"],
    "sandbox.<plugin>.memory.max: a guest that gets no more memory gives up by an error or a trap, and does not hang",
);
pub(super) const LIMITS_TIME: Check = check(
    "limits.time",
    &["task.opens"],
    "wit/source.wit, close: \"after a trap, a missed deadline or a kill it is not called\", and the next instance goes on",
);
