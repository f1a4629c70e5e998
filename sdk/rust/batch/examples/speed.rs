//! How long a record takes: batches of 1000 records with keys of 10 bytes and values of 100 bytes.
//!
//!     cargo run --release -p transom-batch --example speed
#![allow(clippy::print_stdout, reason = "a program whose answer is printed")]

use std::hint::black_box;
use std::time::Instant;

use transom_batch::{Batch, Format, Limits, Run, WriteError, Writer};

const RECORDS: u32 = 1000;
const ROUNDS: u32 = 2000;

/// The best of five rounds of batches, in nanoseconds a record.
fn measure(name: &str, mut batch: impl FnMut()) {
    let round = |batch: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| batch());
        start.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / f64::from(RECORDS)
    };
    let best = (0..5).map(|_| round(&mut batch)).fold(f64::INFINITY, f64::min);
    println!("{name:<55} {best:>7.2} ns a record");
}

fn write(writer: &mut Writer, full: bool) -> Result<(), WriteError> {
    let key = [b'k'; 10];
    let value = [b'v'; 100];
    let run = Run { topic: "orders", value_format: Format::Json, ..Run::default() };
    writer.run(&run)?;
    for index in 0..RECORDS {
        let key = black_box(Some(&key[..]));
        let value = black_box(Some(&value[..]));
        if full {
            writer.run(&Run { partition: Some((index / 100 % 3) as i32), ..run })?;
            writer.push_at(i64::from(index) * 2, key, value, Some(i64::from(index)))?;
            writer.header("trace", Some(b"00-4bf92f3577b34da6"))?;
            writer.header("attempt", None)?;
        } else {
            writer.push(key, value, None)?;
        }
    }
    Ok(())
}

fn walk(batch: &Batch<'_>) -> usize {
    batch
        .records()
        .map(|record| record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len))
        .sum()
}

fn walk_all(batch: &Batch<'_>) -> usize {
    let header = |(name, value): (&str, Option<&[u8]>)| name.len() + value.map_or(0, <[u8]>::len);
    let record = |record: transom_batch::Record<'_>| {
        let offset = record.offset.unwrap_or_default() + record.timestamp.unwrap_or_default();
        offset as usize + record.run.topic.len() + record.headers().map(header).sum::<usize>()
    };
    batch.records().map(record).sum::<usize>() + walk(batch)
}

fn main() -> Result<(), WriteError> {
    let limits = Limits { bytes: 1 << 24, records: RECORDS };
    let parse = |bytes: &[u8]| Batch::parse(black_box(bytes), &limits).map(|batch| batch.len());
    let mut writer = Writer::new();
    let mut out = Vec::new();
    for (name, full) in [("key and value", false), ("timestamp, offset, 2 headers, run each record", true)] {
        write(&mut writer, full)?;
        writer.finish_into(&mut out);
        let bytes = out.clone();
        measure(&format!("write: {name}"), || {
            write(&mut writer, full).expect("there is room");
            writer.finish_into(black_box(&mut out));
        });
        measure(&format!("parse: {name}"), || {
            black_box(parse(&bytes)).expect("it was just written");
        });
        let batch = Batch::parse(&bytes, &limits).expect("it was just written");
        measure(&format!("walk:  {name}"), || {
            black_box(if full { walk_all(black_box(&batch)) } else { walk(black_box(&batch)) });
        });
    }
    write(&mut writer, false)?;
    measure("write: key and value, a new Vec each batch", || {
        black_box(writer.finish());
        write(&mut writer, false).expect("there is room");
    });
    Ok(())
}
