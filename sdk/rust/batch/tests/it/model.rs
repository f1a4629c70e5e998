//! A batch as plain data, to compare what comes out with what went in.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use transom_batch::{Batch, Format, Limits, Run, TimestampType, Writer};

pub(crate) const LIMITS: Limits = Limits { bytes: 1 << 26, records: 1 << 17 };

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shared {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) formats: [Format; 2],
    pub(crate) schemas: [Option<String>; 2],
    pub(crate) timestamp_type: TimestampType,
}

impl Shared {
    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            topic: &self.topic,
            partition: self.partition,
            key_format: self.formats[0],
            value_format: self.formats[1],
            key_schema: self.schemas[0].as_deref(),
            value_schema: self.schemas[1].as_deref(),
            timestamp_type: self.timestamp_type,
            base_offset: None,
        }
    }

    fn of(run: &Run<'_>) -> Shared {
        Shared {
            topic: run.topic.into(),
            partition: run.partition,
            formats: [run.key_format, run.value_format],
            schemas: [run.key_schema.map(str::to_owned), run.value_schema.map(str::to_owned)],
            timestamp_type: run.timestamp_type,
        }
    }
}

pub(crate) type Bytes = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Item {
    pub(crate) shared: Shared,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) timestamp: Option<i64>,
    pub(crate) offset: Option<i64>,
    pub(crate) headers: Vec<(String, Bytes)>,
    /// Marks before this record.
    pub(crate) marks: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Model {
    pub(crate) items: Vec<Item>,
    /// Marks after the last record.
    pub(crate) marks: Vec<(String, String)>,
}

impl Model {
    pub(crate) fn write(&self, writer: &mut Writer) {
        for item in &self.items {
            write_marks(writer, &item.marks);
            writer.run(&item.shared.run()).unwrap();
            let (key, value) = (item.key.as_deref(), item.value.as_deref());
            match item.offset {
                Some(offset) => writer.push_at(offset, key, value, item.timestamp).unwrap(),
                None => writer.push(key, value, item.timestamp).unwrap(),
            }
            for (name, value) in &item.headers {
                writer.header(name, value.as_deref()).unwrap();
            }
        }
        write_marks(writer, &self.marks);
    }

    pub(crate) fn read(batch: &Batch<'_>) -> Model {
        let mut marks = vec![Vec::new(); batch.len() + 1];
        for mark in batch.marks() {
            let partition = batch.source_partition(mark.partition).to_owned();
            marks[mark.after as usize].push((partition, mark.offset.to_owned()));
        }
        let last = marks.pop().unwrap();
        let items = batch.records().zip(marks).map(|(record, marks)| Item {
            shared: Shared::of(record.run),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            offset: record.offset,
            headers: record.headers().map(|(n, v)| (n.to_owned(), v.map(<[u8]>::to_vec))).collect(),
            marks,
        });
        Model { items: items.collect(), marks: last }
    }
}

fn write_marks(writer: &mut Writer, marks: &[(String, String)]) {
    for (partition, offset) in marks {
        writer.mark(partition, offset).unwrap();
    }
}

/// A batch that was read, written again.
pub(crate) fn rewrite(batch: &Batch<'_>) -> Vec<u8> {
    let mut writer = Writer::new();
    let mut marks = batch.marks().peekable();
    for after in 0..=batch.len() as u32 {
        while let Some(mark) = marks.next_if(|mark| mark.after == after) {
            writer.mark(batch.source_partition(mark.partition), mark.offset).unwrap();
        }
        if let Some(record) = batch.records().nth(after as usize) {
            writer.push_record(&record).unwrap();
        }
    }
    writer.finish()
}

/// From a few texts, so that runs and dictionary entries repeat.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("orders".to_owned()), Just("größe ≥ 1".to_owned()), "\\PC{0,6}"]
}

fn payload() -> impl Strategy<Value = Bytes> {
    option::weighted(0.8, vec(any::<u8>(), 0..12))
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Bytes), Just(Format::String), Just(Format::Json)]
}

fn shared() -> impl Strategy<Value = Shared> {
    let timestamp_type =
        prop_oneof![Just(TimestampType::Create), Just(TimestampType::LogAppend), Just(TimestampType::None)];
    (
        text(),
        option::of(0..3),
        [format(), format()],
        [option::weighted(0.3, text()), option::weighted(0.3, text())],
        timestamp_type,
    )
        .prop_map(|(topic, partition, formats, schemas, timestamp_type)| Shared {
            topic,
            partition,
            formats,
            schemas,
            timestamp_type,
        })
}

fn marks() -> impl Strategy<Value = Vec<(String, String)>> {
    prop_oneof![4 => Just(Vec::new()), 1 => vec((text(), text()), 0..4)]
}

fn offset() -> impl Strategy<Value = Option<i64>> {
    let largest = i64::MAX - i64::from(u32::MAX);
    let large = largest - 5..=largest + 5;
    option::of(prop_oneof![6 => 0..20_i64, 1 => 0..=i64::MAX, 1 => large, 1 => Just(i64::MAX)])
}

fn item(pool: Vec<Shared>) -> impl Strategy<Value = Item> {
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => vec((text(), payload()), 0..4)];
    let timestamp = option::of(any::<i64>().prop_filter("-1 is none", |at| *at != -1));
    (proptest::sample::select(pool), payload(), payload(), timestamp, offset(), headers, marks()).prop_map(
        |(shared, key, value, timestamp, offset, headers, marks)| Item {
            shared,
            key,
            value,
            timestamp,
            offset,
            headers,
            marks,
        },
    )
}

/// Any batch of up to 40 records. In some every optional column is absent, or every key is null.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    vec(shared(), 1..4).prop_flat_map(|pool| (vec(item(pool), 0..40), marks(), any::<[bool; 6]>())).prop_map(
        |(mut items, last, without)| {
            for item in &mut items {
                let _ = without[0] && item.key.take().is_some();
                let _ = without[1] && item.value.take().is_some();
                let _ = without[2] && item.timestamp.take().is_some();
                let _ = without[3] && item.offset.take().is_some();
                if without[4] {
                    item.headers.clear();
                }
                if without[5] {
                    item.marks.clear();
                }
            }
            Model { items, marks: last }
        },
    )
}
