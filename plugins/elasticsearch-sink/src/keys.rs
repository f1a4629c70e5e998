//! The keys: their names, types and meanings. Whatever Confluent's connector has too is called as there.

use transom_sdk::{ConfigKey, Manifest};

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("io.confluent.connect.elasticsearch.ElasticsearchSinkConnector")
        .alias("ElasticsearchSinkConnector")
        .alias("ElasticsearchSink")
        .doc("Writes records as documents to Elasticsearch or OpenSearch.")
        .capability("net");
    data_streams(targets(conversion(requests(connection(manifest)))))
}

fn milliseconds(name: &'static str, default: u64) -> ConfigKey {
    ConfigKey::long(name).default(default).min(0).max(86_400_000).low()
}

fn connection(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Connection");
    manifest
        .config(
            key(ConfigKey::list("connection.url"))
                .doc("Where the servers are: addresses as https://host:9200, several between commas. One is asked until it fails, then the next."),
        )
        .config(key(ConfigKey::string("connection.username")).optional().medium().doc("A user's name for basic authentication."))
        .config(key(ConfigKey::password("connection.password")).optional().medium().doc("The user's password."))
        .config(
            key(ConfigKey::password("connection.api.key"))
                .optional()
                .medium()
                .doc("An API key in place of a user, encoded as Elasticsearch gives it."),
        )
        .config(
            key(ConfigKey::boolean("connection.compression"))
                .default(false)
                .low()
                .doc("Whether requests are compressed with gzip."),
        )
        .config(key(milliseconds("connection.timeout.ms", 1_000)).doc("How long a connection may take; added to read.timeout.ms."))
        .config(key(milliseconds("read.timeout.ms", 30_000)).doc("How long an answer may take."))
        .config(
            key(ConfigKey::boolean("validate.connection"))
                .default(false)
                .low()
                .doc("Whether a configuration is checked by asking the servers who they are."),
        )
}

fn requests(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Requests").low();
    let count = |name: &'static str, default: i32, max: i32| {
        key(ConfigKey::int(name)).default(default).min(1).max(max)
    };
    manifest
        .config(count("batch.size", 2_000, 1_000_000).medium().doc("Records of a request at most."))
        .config(
            key(ConfigKey::int("bulk.size.bytes"))
                .default(5 << 20)
                .min(-1)
                .doc("Bytes after which nothing is added to a request; -1: as many as max.buffered.bytes."),
        )
        .config(count("max.in.flight.requests", 5, 1_000).medium().doc("Requests that may be under way at once."))
        .config(count("max.buffered.records", 20_000, 10_000_000).doc("Records that may wait for an answer. The task takes no more until there is room."))
        .config(count("max.buffered.bytes", 32 << 20, 1 << 30).doc("Bytes of requests that may wait for an answer, as max.buffered.records."))
        .config(key(milliseconds("linger.ms", 1)).doc("How long a request that is not full waits for more records."))
        .config(key(milliseconds("flush.timeout.ms", 15_000)).doc("How long the task waits for answers when it stops or gives partitions away; 20 s at most. What has none by then is written again."))
        .config(key(ConfigKey::int("max.retries")).default(i32::MAX).min(0).doc("How often a request or record that the server does not take for now is sent again. Then the task fails."))
        .config(key(milliseconds("retry.backoff.ms", 100)).doc("The wait before the first further attempt; it doubles with each, up to a minute. Retry-After goes before."))
}

fn conversion(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Documents");
    manifest
        .config(key(ConfigKey::boolean("key.ignore")).default(false).doc("Whether ids are topic+partition+offset and not the records' keys."))
        .config(key(ConfigKey::list("topic.key.ignore")).default("").low().doc("Topics for which key.ignore is true."))
        .config(
            key(ConfigKey::string("write.method"))
                .default("insert")
                .low()
                .doc("insert: a record takes the place of the document. upsert: its fields are put into the document."),
        )
        .config(
            key(ConfigKey::string("behavior.on.null.values"))
                .default("fail")
                .low()
                .doc("What a record without a value means: ignore, delete its document, or fail."),
        )
        .config(
            key(ConfigKey::string("behavior.on.malformed.documents"))
                .default("fail")
                .low()
                .doc("What happens to records that the server refuses: ignore, warn, or fail, which names them to the worker: dead letters, or the end of the task."),
        )
        .config(key(ConfigKey::boolean("drop.invalid.message")).default(false).low().doc("Whether records of which no document can be made are left out."))
        .config(key(ConfigKey::string("external.version.header")).default("").low().doc("The header whose number is the document's version; without one it is the offset."))
        .config(key(ConfigKey::boolean("schema.ignore")).default(false).low().doc("Without effect: the server makes mappings."))
        .config(key(ConfigKey::boolean("compact.map.entries")).default(true).low().doc("Maps are objects: only true."))
}

fn targets(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Indices").low();
    manifest
        .config(key(ConfigKey::string("index")).optional().medium().doc("The name of the index: a text with ${topic}, {date} (as {yyyy.MM.dd}) and other arrangements of yyyy, MM, dd and HH, which are the record's time in UTC. Without it: the topic in lower case."))
        .config(key(ConfigKey::string("external.resource.usage")).default("DISABLED").doc("What topic.to.external.resource.mapping names: DISABLED, INDEX, ALIAS_INDEX, DATASTREAM or ALIAS_DATASTREAM."))
        .config(key(ConfigKey::list("topic.to.external.resource.mapping")).default("").doc("topic:name between commas: where the records of each topic go."))
}

fn data_streams(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Data streams").low();
    manifest
        .config(key(ConfigKey::string("data.stream.type")).default("none").doc("logs or metrics: records go to the data stream <type>-<dataset>-<namespace>."))
        .config(key(ConfigKey::string("data.stream.dataset")).default("").doc("The second part of its name."))
        .config(key(ConfigKey::string("data.stream.namespace")).default("${topic}").doc("The third part, with ${topic}."))
        .config(key(ConfigKey::list("data.stream.timestamp.field")).default("").doc("Fields of which the first one that is there becomes @timestamp; without one: the value's own, or the record's time."))
}
