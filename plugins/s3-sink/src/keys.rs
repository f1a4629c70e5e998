//! The description of the keys, in the groups that a form shows.

use transom_sdk::ConfigKey;

pub(crate) fn list() -> Vec<ConfigKey> {
    [bucket(), objects(), formats(), rotation(), partitioner()].into_iter().flatten().collect()
}

fn milliseconds(name: &str, default: u64) -> ConfigKey {
    ConfigKey::long(name).default(default).min(1).max(86_400_000).low()
}

fn bucket() -> Vec<ConfigKey> {
    let keys = vec![
        ConfigKey::string("s3.bucket.name").non_empty().doc("The bucket. It must be there."),
        ConfigKey::string("s3.region").default("us-west-2").non_empty().doc("The region of the bucket."),
        ConfigKey::string("store.url").optional().doc("Scheme, host and port of a server other than AWS."),
        ConfigKey::boolean("s3.path.style.access.enabled")
            .default(true)
            .low()
            .doc("Whether the bucket is in the path of addresses. False: it is in the host."),
        ConfigKey::string("aws.access.key.id").non_empty().doc("The access key."),
        ConfigKey::password("aws.secret.access.key").non_empty().doc("Its secret."),
        ConfigKey::password("aws.session.token")
            .optional()
            .medium()
            .doc("The token of temporary credentials."),
        ConfigKey::int("s3.part.size")
            .default(26_214_400)
            .min(5_242_880)
            .max(134_217_728)
            .doc("Bytes of a part of an upload. An object that is smaller is written by one request."),
        ConfigKey::int("buffer.max.bytes").default(67_108_864).min(5_242_880).medium().doc(
            "Bytes that all open objects of a task may hold in memory. Reached: objects are closed early.",
        ),
        ConfigKey::string("s3.acl.canned").optional().low().doc("The access list of new objects."),
        ConfigKey::string("s3.ssea.name").optional().low().doc("The encryption of new objects."),
        ConfigKey::string("s3.sse.kms.key.id").optional().low().doc("The key of KMS that encrypts them."),
        milliseconds("s3.retry.backoff.ms", 200).doc("The wait after an answer that means: later."),
        milliseconds("request.timeout.ms", 20_000).doc("How long an answer may take."),
        ConfigKey::boolean("validate.connection")
            .default(false)
            .low()
            .doc("Whether a configuration is checked by asking for the bucket."),
    ];
    in_group("S3", keys)
}

fn objects() -> Vec<ConfigKey> {
    let keys =
        vec![
            ConfigKey::string("topics.dir").default("topics").doc("What the keys of all objects begin with."),
            ConfigKey::string("directory.delim").default("/").non_empty().medium().doc("Between folders."),
            ConfigKey::string("file.delim").default("+").medium().doc("Between topic, partition and offset."),
            ConfigKey::int("filename.offset.zero.pad.width")
                .default(10)
                .min(0)
                .max(20)
                .low()
                .doc("Digits of the first offset in a key."),
            ConfigKey::string("notes.dir").default(".transom").non_empty().low().doc(
                "What the keys of the sink's own notes begin with: where it cut a partition by the clock.",
            ),
            ConfigKey::string("s3.compression.type")
                .default("none")
                .one_of(["none", "gzip", "zstd"])
                .low()
                .doc("How JSON and bytes are compressed."),
            ConfigKey::int("s3.compression.level").default(-1).min(-1).max(9).low().doc("Of gzip."),
            ConfigKey::string("storage.class").optional().low().doc("Accepted, and of no effect."),
        ];
    in_group("Objects", keys)
}

fn formats() -> Vec<ConfigKey> {
    let keys = vec![
        ConfigKey::class("format.class").doc("JsonFormat, ByteArrayFormat, AvroFormat or ParquetFormat."),
        ConfigKey::string("format.bytearray.extension").default(".bin").low().doc("Of objects of bytes."),
        ConfigKey::string("format.bytearray.separator").optional().low().doc("Behind each value of bytes."),
        ConfigKey::string("avro.codec").default("null").one_of(["null", "deflate"]).low().doc("Inside Avro."),
        ConfigKey::string("parquet.codec")
            .default("snappy")
            .one_of(["none", "uncompressed", "snappy", "gzip"])
            .low()
            .doc("Inside Parquet."),
        ConfigKey::string("behavior.on.null.values")
            .default("fail")
            .one_of(["fail", "ignore"])
            .low()
            .doc("What a tombstone does."),
    ];
    in_group("Format", keys)
}

fn rotation() -> Vec<ConfigKey> {
    let keys = vec![
        ConfigKey::long("flush.size")
            .min(1)
            .doc("Records of a Kafka partition after which objects are closed."),
        ConfigKey::long("flush.bytes").default(0).min(0).medium().doc("Bytes of values likewise; 0: any."),
        ConfigKey::long("rotate.interval.ms")
            .default(-1)
            .doc("Span of the timestamps in an object. It follows from the records alone."),
        ConfigKey::long("rotate.schedule.interval.ms")
            .default(-1)
            .medium()
            .doc("Objects are closed at these times of the day, by the clock, also when nothing comes."),
    ];
    in_group("Rotation", keys)
}

fn partitioner() -> Vec<ConfigKey> {
    let keys = vec![
        ConfigKey::class("partitioner.class").default("DefaultPartitioner").doc(
            "DefaultPartitioner, FieldPartitioner, TimeBasedPartitioner, HourlyPartitioner or DailyPartitioner.",
        ),
        ConfigKey::list("partition.field.name").default("").medium().doc("The fields of FieldPartitioner."),
        ConfigKey::long("partition.duration.ms").default(-1).medium().doc(
            "Of TimeBasedPartitioner: to what its times are rounded down.",
        ),
        ConfigKey::string("path.format").default("").medium().doc(
            "Of TimeBasedPartitioner: the folders, as 'year'=YYYY/'month'=MM/'day'=dd.",
        ),
        ConfigKey::string("locale").default("en-US").medium().doc("Of names of months and days: English."),
        ConfigKey::string("timezone").default("UTC").medium().doc("Of paths and of the schedule."),
        ConfigKey::string("timestamp.extractor").default("Wallclock").medium().doc(
            "Record (Kafka's timestamp), RecordField, or Wallclock.",
        ),
        ConfigKey::string("timestamp.field").default("timestamp").medium().doc("Of RecordField."),
    ];
    in_group("Partitioner", keys)
}

fn in_group(name: &str, keys: Vec<ConfigKey>) -> Vec<ConfigKey> {
    keys.into_iter().map(|key| key.group(name)).collect()
}
