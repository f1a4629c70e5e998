use std::time::Duration;

use serde_json::json;
use transom_sdk::testing::SourceTest;

use super::*;

fn source(config: &[(&str, &str)]) -> SourceTest<Datagen> {
    let config: ConfigMap = config.iter().copied().chain([("topic", "t")]).collect();
    SourceTest::open(config).unwrap()
}

#[test]
fn records_carry_their_partition_and_number_and_have_the_size() {
    let mut test = source(&[("total", "3"), ("record.size", "40")]);
    let polled = test.poll().unwrap();
    for (number, record) in polled.records.iter().enumerate() {
        assert!(record.value_str().starts_with(&format!("0 {number} 1 ")), "{record:?}");
        assert_eq!((record.value_str().len(), record.partition), (40, Some(0)));
    }
    assert_eq!(polled.records.len(), 3);
    assert_eq!(polled.positions[0].1.offset, json!({ "next": 3 }));
    assert_eq!(test.poll().unwrap().records, []);
}

#[test]
fn the_total_is_shared_by_the_partitions_and_each_has_its_position() {
    let mut test = source(&[("total", "10"), ("partitions", "4")]);
    let polled = test.poll_all().unwrap();
    let of = |partition: i32| polled.records.iter().filter(|r| r.partition == Some(partition)).count();
    assert_eq!([of(0), of(1), of(2), of(3)], [3, 3, 2, 2]);
    assert_eq!(polled.positions.len(), 4);
}

#[test]
fn keys_take_turns() {
    let mut test = source(&[("total", "5"), ("keys", "2")]);
    let polled = test.poll().unwrap();
    let keys: Vec<_> = polled.records.iter().map(|record| record.key_str()).collect();
    assert_eq!(keys, ["0-0", "0-1", "0-0", "0-1", "0-0"]);
    assert_eq!(polled.records[0].partition, None);
}

#[test]
fn a_new_start_makes_exactly_what_is_missing() {
    let settings = [("total", "100"), ("partitions", "3"), ("seed", "7")];
    let mut expected = source(&settings).poll_all().unwrap().records;
    let mut test = source(&settings);
    test.limit(7, 1 << 20, Duration::ZERO);
    let mut seen = Vec::new();
    while let Ok(polled) = test.poll()
        && !polled.records.is_empty()
    {
        seen.extend(polled.records);
        test.commit().unwrap();
        test.poll().unwrap();
        test.reopen().unwrap();
    }
    // The order among the partitions is nobody's promise.
    expected.sort_by_key(|record| record.partition);
    seen.sort_by_key(|record| record.partition);
    assert_eq!(seen, expected);
}

#[test]
fn tasks_share_the_partitions() {
    let test = source(&[("partitions", "3"), ("total", "3")]);
    let configs = test.task_configs(2).unwrap();
    let mut partitions = Vec::new();
    for (task, config) in configs.into_iter().enumerate() {
        let mut test: SourceTest<Datagen> = SourceTest::task(config, task as u32);
        test.reopen().unwrap();
        partitions
            .push(test.poll_all().unwrap().records.into_iter().map(|r| r.partition).collect::<Vec<_>>());
    }
    partitions[0].sort();
    assert_eq!(partitions, [vec![Some(0), Some(2)], vec![Some(1)]]);
    assert_eq!(test.task_configs(8).unwrap().len(), 3);
}

#[test]
fn nothing_is_due_at_the_start_of_a_slow_source() {
    let mut test = source(&[("rate", "1")]);
    assert_eq!(test.poll().unwrap().records, []);
}
