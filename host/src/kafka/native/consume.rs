//! What a consumer is given: messages in batches, and rebalances.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use rdkafka_sys as sys;

use super::super::error::KafkaError;
use super::super::partition::TopicPartition;
use super::{Client, Entry, Hooks, Partitions, Queue, checked, error, list, owned, taken};

/// A rebalance that librdkafka began, and that waits for our answer.
#[derive(Debug, Clone)]
pub(crate) struct RawRebalance {
    /// Partitions come; else they go.
    pub(crate) assigned: bool,
    pub(crate) partitions: Vec<TopicPartition>,
    /// Somebody else may own them already.
    pub(crate) lost: bool,
}

/// Copies the list and returns: the task answers when its guest has. Only while the client closes, when
/// nobody is left to be asked, it is answered here.
pub(super) unsafe extern "C" fn on_rebalance(
    rk: *mut sys::rd_kafka_t,
    code: sys::rd_kafka_resp_err_t,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the client's boxed hooks, alive as long as it.
    let hooks = unsafe { &*opaque.cast::<Hooks>() };
    let assigned = code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if hooks.closing.load(std::sync::atomic::Ordering::Acquire) {
        // SAFETY: the client and the list are alive during the callback.
        let answered = unsafe {
            if assigned {
                taken(sys::rd_kafka_incremental_assign(rk, Partitions::new([]).as_ptr()))
            } else {
                taken(sys::rd_kafka_incremental_unassign(rk, partitions))
            }
        };
        if let Err(error) = answered {
            tracing::debug!("a rebalance at the end of a consumer was not answered: {error}");
        }
        return;
    }
    // SAFETY: the list and the client are alive during the callback; both are copied from.
    let (partitions, lost) = unsafe { (list::entries(partitions), sys::rd_kafka_assignment_lost(rk) != 0) };
    let partitions = partitions.into_iter().map(|entry| entry.partition).collect();
    if let Some(tell) = &hooks.rebalance {
        tell(RawRebalance { assigned, partitions, lost });
    }
}

/// Messages taken from a queue in one call; given back when dropped.
pub(crate) struct Messages {
    buffer: Vec<*mut sys::rd_kafka_message_t>,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Takes at most `max` without waiting, and serves the rebalances that come before them. Calls `each` for
    /// every message or error, and returns how many there were.
    pub(crate) fn take(
        &mut self,
        queue: &Queue,
        max: usize,
        each: impl FnMut(Result<Message<'_>, KafkaError>),
    ) -> usize {
        self.take_to_ends(queue, max, each, |_, _| {})
    }

    /// The same; `end` is told the partitions of which everything was read, each with the offset that comes next, where
    /// the client was asked to tell that (`enable.partition.eof`).
    pub(crate) fn take_to_ends(
        &mut self,
        queue: &Queue,
        max: usize,
        mut each: impl FnMut(Result<Message<'_>, KafkaError>),
        mut end: impl FnMut(i32, i64),
    ) -> usize {
        self.buffer.resize(max, std::ptr::null_mut());
        // SAFETY: the queue is alive, the buffer has room for `max` pointers. -1 is an error of the call.
        let count =
            unsafe { sys::rd_kafka_consume_batch_queue(queue.as_ptr(), 0, self.buffer.as_mut_ptr(), max) };
        let count = usize::try_from(count).unwrap_or(0);
        let mut last: Option<(*mut sys::rd_kafka_topic_t, &str)> = None;
        for &message in &self.buffer[..count] {
            // SAFETY: each of the first `count` pointers is a message that is ours until it is destroyed
            // below; the name of its topic lives as long as the message. Codes are read as integers.
            unsafe {
                let raw = &*message;
                let code = (&raw const raw.err).cast::<i32>().read();
                if code == 0 {
                    let topic = match last {
                        Some((topic, name)) if topic == raw.rkt => name,
                        _ => CStr::from_ptr(sys::rd_kafka_topic_name(raw.rkt)).to_str().unwrap_or_default(),
                    };
                    last = Some((raw.rkt, topic));
                    each(Ok(Message { raw, topic }));
                } else if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
                    end(raw.partition, raw.offset);
                } else {
                    each(Err(error(code, Some(owned(sys::rd_kafka_message_errstr(message))))));
                }
            }
        }
        for &message in &self.buffer[..count] {
            // SAFETY: ours, and not used after this. `last` borrowed from them and is not used any more.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        count
    }
}

// SAFETY: between calls the buffer holds pointers that are never read again.
unsafe impl Send for Messages {}
// SAFETY: as above; nothing is done with a shared reference.
unsafe impl Sync for Messages {}

/// A record, borrowed from librdkafka.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
    topic: &'a str,
}

/// Who set a record's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampKind {
    None,
    Create,
    LogAppend,
}

impl<'a> Message<'a> {
    pub(crate) fn topic(&self) -> &'a str {
        self.topic
    }

    pub(crate) fn partition(&self) -> i32 {
        self.raw.partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.raw.offset
    }

    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: the message says so itself, and is alive for 'a.
        unsafe { slice(self.raw.key, self.raw.key_len) }
    }

    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { slice(self.raw.payload, self.raw.len) }
    }

    /// Milliseconds since the epoch, and who set them.
    pub(crate) fn timestamp(&self) -> (Option<i64>, TimestampKind) {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, the kind is ours to be written.
        let time = unsafe { sys::rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        let kind = match kind {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampKind::Create,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimestampKind::LogAppend,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => TimestampKind::None,
        };
        ((kind != TimestampKind::None && time >= 0).then_some(time), kind)
    }

    pub(crate) fn headers(&self) -> MessageHeaders<'a> {
        // SAFETY: the message is alive for 'a.
        unsafe { MessageHeaders::of(self.raw) }
    }
}

/// # Safety
/// `data` is null or points to `len` bytes that stay for 'a.
unsafe fn slice<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller promises it.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// The headers of a message: names and values.
pub(crate) struct MessageHeaders<'a> {
    headers: Option<NonNull<sys::rd_kafka_headers_t>>,
    next: usize,
    alive: std::marker::PhantomData<&'a ()>,
}

impl MessageHeaders<'_> {
    /// # Safety
    /// `message` is alive for the lifetime that the caller chooses.
    pub(super) unsafe fn of(message: *const sys::rd_kafka_message_t) -> Self {
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is alive; the list returned belongs to it.
        let code = unsafe { sys::rd_kafka_message_headers(message, &raw mut headers) };
        let found = checked(code).is_ok();
        Self { headers: NonNull::new(headers).filter(|_| found), next: 0, alive: std::marker::PhantomData }
    }
}

impl<'a> Iterator for MessageHeaders<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let headers = self.headers?;
        let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the list lives as long as its message, which is 'a; what is returned belongs to it. A name
        // ends in NUL.
        unsafe {
            let code = sys::rd_kafka_header_get_all(
                headers.as_ptr(),
                self.next,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            checked(code).ok()?;
            self.next += 1;
            // A name that is no text cannot be told to a plugin; Kafka Connect would garble it.
            Some((CStr::from_ptr(name).to_str().unwrap_or_default(), slice(value, size)))
        }
    }
}

/// What only consumers do.
impl Client {
    pub(crate) fn subscribe(&self, topics: &[String]) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive; the list is copied.
        checked(unsafe { sys::rd_kafka_subscribe(self.as_ptr(), Partitions::of_topics(topics).as_ptr()) })
    }

    pub(crate) fn assign(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive; the list is copied.
        unsafe { taken(sys::rd_kafka_incremental_assign(self.as_ptr(), partitions.as_ptr())) }
    }

    pub(crate) fn unassign(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive; the list is copied.
        unsafe { taken(sys::rd_kafka_incremental_unassign(self.as_ptr(), partitions.as_ptr())) }
    }

    /// The name that the group's coordinator gave this member; `None` while it is none.
    pub(crate) fn member_id(&self) -> Option<String> {
        // SAFETY: the client is alive; the string returned is ours, ends in NUL and is given back.
        let id = unsafe {
            let id = sys::rd_kafka_memberid(self.as_ptr());
            let text = super::owned(id);
            if !id.is_null() {
                sys::rd_kafka_mem_free(self.as_ptr(), id.cast());
            }
            text
        };
        (!id.is_empty()).then_some(id)
    }

    pub(crate) fn assignment_lost(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_assignment_lost(self.as_ptr()) != 0 }
    }

    pub(crate) fn pause(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive.
        checked(unsafe { sys::rd_kafka_pause_partitions(self.as_ptr(), partitions.as_ptr()) })
    }

    pub(crate) fn resume(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive.
        checked(unsafe { sys::rd_kafka_resume_partitions(self.as_ptr(), partitions.as_ptr()) })
    }

    /// Sends a commit; its result comes to `queue`.
    pub(crate) fn commit(&self, partitions: &Partitions, queue: &Queue) -> Result<(), KafkaError> {
        // SAFETY: client, list and queue are alive; the list is copied; without a callback the result is an
        // event of the queue.
        checked(unsafe {
            sys::rd_kafka_commit_queue(
                self.as_ptr(),
                partitions.as_ptr(),
                queue.as_ptr(),
                None,
                std::ptr::null_mut(),
            )
        })
    }

    /// Blocks for as long as the coordinator takes, at most `wait_ms`.
    pub(crate) fn committed(&self, partitions: &Partitions, wait_ms: i32) -> Result<Vec<Entry>, KafkaError> {
        // SAFETY: client and list are alive; the list is filled in.
        checked(unsafe { sys::rd_kafka_committed(self.as_ptr(), partitions.as_ptr(), wait_ms) })?;
        Ok(partitions.entries())
    }

    /// Blocks until the partitions' fetchers have turned, at most `wait_ms`.
    pub(crate) fn seek(&self, partitions: &Partitions, wait_ms: i32) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive; the list is filled in with an error for each partition.
        unsafe { taken(sys::rd_kafka_seek_partitions(self.as_ptr(), partitions.as_ptr(), wait_ms))? };
        partitions.entries().into_iter().find_map(|entry| entry.error).map_or(Ok(()), Err)
    }

    /// The last high watermark that a fetch brought.
    pub(crate) fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        let topic = std::ffi::CString::new(&*partition.topic).ok()?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the client is alive, the name ends in NUL, the offsets are ours to be written.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.as_ptr(),
                topic.as_ptr(),
                partition.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        checked(code).ok().filter(|()| high >= 0).map(|()| high)
    }

    /// Leaves the group (static members only stop), and blocks until that is done.
    pub(crate) fn close_consumer(&self) -> Result<(), KafkaError> {
        self.start_closing();
        // SAFETY: the client is alive and a consumer.
        checked(unsafe { sys::rd_kafka_consumer_close(self.as_ptr()) })
    }
}
