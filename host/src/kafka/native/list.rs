//! Lists of partitions, as librdkafka takes and gives them.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka_sys as sys;

use super::super::error::KafkaError;
use super::super::partition::TopicPartition;

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) partition: TopicPartition,
    /// `None`: librdkafka's "invalid", that is, not known or not chosen.
    pub(crate) offset: Option<i64>,
    pub(crate) error: Option<KafkaError>,
}

/// A list that we own.
pub(crate) struct Partitions(NonNull<sys::rd_kafka_topic_partition_list_t>);

// SAFETY: a plain container without ties to a thread.
unsafe impl Send for Partitions {}

impl Partitions {
    pub(crate) fn new<'a>(entries: impl IntoIterator<Item = (&'a TopicPartition, Option<i64>)>) -> Self {
        let entries = entries.into_iter();
        let size = i32::try_from(entries.size_hint().0).unwrap_or(0);
        // SAFETY: no preconditions; the list is ours. Its elements are written through the pointer that
        // `add` returns, before the next `add` may move them.
        unsafe {
            let list = NonNull::new(sys::rd_kafka_topic_partition_list_new(size))
                .expect("librdkafka aborts rather than returning null");
            for (partition, offset) in entries {
                let topic = CString::new(&*partition.topic).unwrap_or_default();
                let element = sys::rd_kafka_topic_partition_list_add(
                    list.as_ptr(),
                    topic.as_ptr(),
                    partition.partition,
                );
                if let Some(offset) = offset {
                    (*element).offset = offset;
                }
            }
            Self(list)
        }
    }

    /// Topic names (or patterns) to subscribe to.
    pub(super) fn of_topics(topics: &[String]) -> Self {
        let topics: Vec<_> = topics.iter().map(|t| TopicPartition::new(t.as_str(), -1)).collect();
        Self::new(topics.iter().map(|t| (t, None)))
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is ours and alive.
        unsafe { entries(self.0.as_ptr()) }
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) }
    }
}

/// Copies a list that belongs to librdkafka.
///
/// # Safety
/// `list` is null or a list that is alive and not being changed.
pub(super) unsafe fn entries(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: the list has `cnt` elements at `elems`, null only when there are none.
    let elements = unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        if count == 0 { &[] } else { std::slice::from_raw_parts((*list).elems, count) }
    };
    let mut last: Option<Arc<str>> = None;
    let mut result = Vec::with_capacity(elements.len());
    for element in elements {
        // SAFETY: topic names are never null and end in NUL.
        let name = unsafe { CStr::from_ptr(element.topic) }.to_string_lossy();
        let topic = match &last {
            Some(topic) if **topic == *name => Arc::clone(topic),
            _ => Arc::from(name.as_ref()),
        };
        last = Some(Arc::clone(&topic));
        // SAFETY: reads the code as the integer it is; see the module of this folder.
        let code = unsafe { (&raw const element.err).cast::<i32>().read() };
        result.push(Entry {
            partition: TopicPartition { topic, partition: element.partition },
            offset: (element.offset != i64::from(sys::RD_KAFKA_OFFSET_INVALID)).then_some(element.offset),
            error: (code != 0).then(|| super::error(code, None)),
        });
    }
    result
}
