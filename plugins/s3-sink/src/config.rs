//! The settings: as a user writes them, under the names of Confluent's S3 sink, and as the sink wants them.

use std::time::Duration;

use serde::Deserialize;
use transom_sdk::{Manifest, Problems};

use crate::compress::Compression;
use crate::formats::{Codec, Format};
use crate::partitioner::{Partitioner, TimeKeys};
use crate::rotation::{Rules, Schedule};
use crate::s3::{Bucket, Place};
use crate::time_path::Zone;

/// The keys. Not `Debug`: some are secret.
#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(rename = "s3.bucket.name")]
    bucket: String,
    #[serde(rename = "s3.region")]
    region: String,
    #[serde(rename = "store.url")]
    store: Option<String>,
    #[serde(rename = "s3.path.style.access.enabled")]
    path_style: bool,
    #[serde(rename = "aws.access.key.id")]
    access: String,
    #[serde(rename = "aws.secret.access.key")]
    secret: String,
    #[serde(rename = "aws.session.token")]
    token: Option<String>,
    #[serde(rename = "s3.part.size")]
    part_size: usize,
    #[serde(rename = "s3.acl.canned")]
    acl: Option<String>,
    #[serde(rename = "s3.ssea.name")]
    encryption: Option<String>,
    #[serde(rename = "s3.sse.kms.key.id")]
    kms_key: Option<String>,
    #[serde(rename = "s3.retry.backoff.ms")]
    backoff: u64,
    #[serde(rename = "request.timeout.ms")]
    timeout: u64,
    #[serde(rename = "topics.dir")]
    topics_dir: String,
    #[serde(rename = "notes.dir")]
    notes_dir: String,
    #[serde(rename = "directory.delim")]
    directory_delim: String,
    #[serde(rename = "file.delim")]
    file_delim: String,
    #[serde(rename = "filename.offset.zero.pad.width")]
    pad: usize,
    #[serde(rename = "format.class")]
    format: String,
    #[serde(rename = "format.bytearray.extension")]
    bytes_extension: String,
    #[serde(rename = "format.bytearray.separator")]
    bytes_separator: Option<String>,
    #[serde(rename = "avro.codec")]
    avro_codec: String,
    #[serde(rename = "parquet.codec")]
    parquet_codec: String,
    #[serde(rename = "s3.compression.type")]
    compression: String,
    #[serde(rename = "s3.compression.level")]
    level: i32,
    #[serde(rename = "behavior.on.null.values")]
    nulls: String,
    #[serde(rename = "flush.size")]
    flush_size: u64,
    #[serde(rename = "flush.bytes")]
    flush_bytes: u64,
    #[serde(rename = "rotate.interval.ms")]
    rotate_interval: i64,
    #[serde(rename = "rotate.schedule.interval.ms")]
    rotate_schedule: i64,
    #[serde(rename = "buffer.max.bytes")]
    buffer: usize,
    #[serde(rename = "partitioner.class")]
    partitioner: String,
    #[serde(rename = "partition.field.name", default)]
    partition_fields: Vec<String>,
    #[serde(flatten)]
    time: TimeKeys,
    /// Of the connector: in the keys of its notes.
    #[serde(default)]
    pub(crate) name: String,
    #[serde(rename = "validate.connection")]
    pub(crate) validate_connection: bool,
}

/// What a tombstone, which no format can hold, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Fail,
    Ignore,
}

/// What the sink works by. Not `Debug`: some of it is secret.
pub(crate) struct Settings {
    pub(crate) bucket: Bucket,
    pub(crate) names: Names,
    pub(crate) notes_dir: String,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) nulls: Nulls,
    pub(crate) rules: Rules,
    pub(crate) partitioner: Partitioner,
    pub(crate) part_size: usize,
    pub(crate) buffer: usize,
}

/// How objects are called.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) topics_dir: String,
    pub(crate) directory_delim: String,
    pub(crate) file_delim: String,
    pub(crate) pad: usize,
    pub(crate) extension: String,
}

impl Names {
    /// `<topics.dir>/<topic>/<partition>/<topic>+<kafka partition>+<first offset>.<extension>`.
    pub(crate) fn key(&self, topic: &str, encoded: &str, partition: i32, offset: i64) -> String {
        let Self { directory_delim: d, file_delim: f, pad, extension, .. } = self;
        let prefix = self.prefix(topic);
        format!("{prefix}{encoded}{d}{topic}{f}{partition}{f}{offset:0pad$}{extension}")
    }

    /// What all keys of a topic begin with.
    pub(crate) fn prefix(&self, topic: &str) -> String {
        let Self { topics_dir, directory_delim: d, .. } = self;
        let top = if topics_dir.is_empty() { String::new() } else { format!("{topics_dir}{d}") };
        format!("{top}{topic}{d}")
    }
}

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("io.confluent.connect.s3.S3SinkConnector")
        .alias("S3SinkConnector")
        .alias("S3Sink")
        .doc("Writes the records of topics as objects into a bucket of S3, each record exactly once.")
        .capability("net");
    crate::keys::list().into_iter().fold(manifest, Manifest::config)
}

impl Config {
    /// What the sink works by.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn read(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        let bucket = self.bucket(&mut problems);
        let format = self.format(&mut problems);
        let compression = self.compression(&format, &mut problems);
        let zone = self.time.zone(&mut problems);
        let partitioner = self.partitioner(zone.as_ref(), &mut problems);
        let rules = self.rules(&partitioner, zone, &mut problems);
        if self.buffer < self.part_size {
            problems.invalid("buffer.max.bytes", self.buffer, "it must hold s3.part.size at least");
        }
        let (Some(bucket), true) = (bucket, problems.is_empty()) else { return Err(problems) };
        let names = Names {
            topics_dir: self.topics_dir.clone(),
            directory_delim: self.directory_delim.clone(),
            file_delim: self.file_delim.clone(),
            pad: self.pad,
            extension: format!("{}{}", format.extension(), compression.extension()),
        };
        Ok(Settings {
            bucket,
            names,
            notes_dir: self.notes_dir.clone(),
            format,
            compression,
            nulls: if self.nulls == "ignore" { Nulls::Ignore } else { Nulls::Fail },
            rules,
            partitioner,
            part_size: self.part_size,
            buffer: self.buffer,
        })
    }

    fn bucket(&self, problems: &mut Problems) -> Option<Bucket> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if !self.bucket.bytes().all(named) {
            problems.invalid("s3.bucket.name", &self.bucket, "no bucket has such a name");
        }
        for (key, value) in [
            ("aws.access.key.id", Some(&self.access)),
            ("aws.secret.access.key", Some(&self.secret)),
            ("aws.session.token", self.token.as_ref()),
        ] {
            if value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
                problems.invalid(key, "[hidden]", "it may have letters, digits and signs of ASCII only");
            }
        }
        let place = Place {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            store: self.store.clone().filter(|store| !store.is_empty()),
            path_style: self.path_style,
            access: self.access.clone(),
            secret: self.secret.clone(),
            token: self.token.clone().filter(|token| !token.is_empty()),
        };
        let (timeout, backoff) = (Duration::from_millis(self.timeout), Duration::from_millis(self.backoff));
        match Bucket::new(place, timeout, backoff) {
            Ok(mut bucket) => {
                for (name, value) in [
                    ("x-amz-acl", &self.acl),
                    ("x-amz-server-side-encryption", &self.encryption),
                    ("x-amz-server-side-encryption-aws-kms-key-id", &self.kms_key),
                ] {
                    bucket.object_headers.extend(value.clone().map(|value| (name.to_owned(), value)));
                }
                Some(bucket)
            }
            Err(wrong) => {
                problems.invalid("store.url", "[hidden]", wrong);
                None
            }
        }
    }

    fn format(&self, problems: &mut Problems) -> Format {
        match short(&self.format) {
            "JsonFormat" | "json" => Format::Json,
            "ByteArrayFormat" | "bytes" | "bytearray" => Format::Bytes {
                extension: format!(".{}", self.bytes_extension.trim_start_matches('.')),
                separator: self.bytes_separator.clone().unwrap_or_else(|| "\n".into()).into_bytes(),
            },
            "AvroFormat" | "avro" => match self.avro_codec.as_str() {
                "deflate" => Format::Avro(Codec::Deflate),
                _ => Format::Avro(Codec::None),
            },
            "ParquetFormat" | "parquet" => match self.parquet_codec.as_str() {
                "none" | "uncompressed" => Format::Parquet(Codec::None),
                "gzip" => Format::Parquet(Codec::Deflate),
                _ => Format::Parquet(Codec::Snappy),
            },
            _ => {
                let known = "it is one of JsonFormat, ByteArrayFormat, AvroFormat, ParquetFormat, also with their \
                             Java packages";
                problems.invalid("format.class", &self.format, known);
                Format::Json
            }
        }
    }

    fn compression(&self, format: &Format, problems: &mut Problems) -> Compression {
        let compression = match self.compression.as_str() {
            "gzip" => Compression::Gzip(self.level),
            "zstd" => Compression::Zstd,
            _ => Compression::None,
        };
        let own = match format {
            Format::Avro(_) => "avro.codec",
            Format::Parquet(_) => "parquet.codec",
            Format::Json | Format::Bytes { .. } => return compression,
        };
        if compression != Compression::None {
            let why = format!("the format compresses inside, set {own}");
            problems.invalid("s3.compression.type", &self.compression, why);
        }
        Compression::None
    }

    fn partitioner(&self, zone: Option<&Zone>, problems: &mut Problems) -> Partitioner {
        let class = short(&self.partitioner);
        match class {
            "DefaultPartitioner" => Partitioner::Default,
            "FieldPartitioner" => {
                if self.partition_fields.iter().all(String::is_empty) {
                    let missing =
                        "Missing configuration \"partition.field.name\", which FieldPartitioner needs";
                    problems.add("partition.field.name", missing);
                }
                Partitioner::Field {
                    fields: self.partition_fields.clone(),
                    delim: self.directory_delim.clone(),
                }
            }
            "TimeBasedPartitioner" | "HourlyPartitioner" | "DailyPartitioner" => {
                self.time.partitioner(class, &self.directory_delim, zone, problems)
            }
            _ => {
                let known = "it is one of DefaultPartitioner, FieldPartitioner, TimeBasedPartitioner, \
                             HourlyPartitioner, DailyPartitioner, also with their Java packages";
                problems.invalid("partitioner.class", &self.partitioner, known);
                Partitioner::Default
            }
        }
    }

    fn rules(&self, partitioner: &Partitioner, zone: Option<Zone>, problems: &mut Problems) -> Rules {
        let interval = (self.rotate_interval > 0).then_some(self.rotate_interval);
        if interval.is_some() && !matches!(partitioner, Partitioner::Time(_)) {
            let why = "it goes by the timestamps of a time-based partitioner: set partitioner.class, or use \
                       rotate.schedule.interval.ms";
            problems.invalid("rotate.interval.ms", self.rotate_interval, why);
        }
        let schedule = (self.rotate_schedule > 0)
            .then(|| Schedule { interval: self.rotate_schedule, zone: zone.unwrap_or_else(Zone::utc) });
        Rules {
            records: self.flush_size,
            bytes: (self.flush_bytes > 0).then_some(self.flush_bytes),
            interval,
            schedule,
        }
    }
}

/// A class without its package; of an inner class its own name.
pub(crate) fn short(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or(class)
}
