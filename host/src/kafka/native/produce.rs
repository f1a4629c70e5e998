//! Handing records to a producer.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka_sys as sys;
use sys::rd_kafka_vtype_t as Type;

use super::super::error::KafkaError;
use super::{Client, checked, error, taken};

/// A record on its way in, without what only some have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    /// `None`: the partitioner decides.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// Comes back with the delivery.
    pub(crate) opaque: u64,
}

/// A topic of a client. Keeps its client alive.
pub(crate) struct TopicRef {
    topic: NonNull<sys::rd_kafka_topic_t>,
    client: Arc<Client>,
}

// SAFETY: topics are locked inside and may be used from any thread.
unsafe impl Send for TopicRef {}
// SAFETY: as above.
unsafe impl Sync for TopicRef {}

impl std::fmt::Debug for TopicRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TopicRef").field(&self.client).finish()
    }
}

impl Drop for TopicRef {
    fn drop(&mut self) {
        // SAFETY: our reference, not used after this; the client, a field, goes after it.
        unsafe { sys::rd_kafka_topic_destroy(self.topic.as_ptr()) }
    }
}

/// The array in which a batch is handed over; kept for the next one.
#[derive(Default)]
pub(crate) struct BatchBuffer(Vec<sys::rd_kafka_message_t>);

// SAFETY: between calls its pointers are never read.
unsafe impl Send for BatchBuffer {}
// SAFETY: as above; nothing is done with a shared reference.
unsafe impl Sync for BatchBuffer {}

const PARTITION_UA: i32 = -1;

impl TopicRef {
    pub(crate) fn new(client: &Arc<Client>, name: &str) -> Result<Self, KafkaError> {
        let text = CString::new(name).map_err(|_| KafkaError::local("a topic's name contains a NUL byte"))?;
        // SAFETY: the client is alive, the name ends in NUL; without a configuration the client's is used.
        let topic = unsafe { sys::rd_kafka_topic_new(client.as_ptr(), text.as_ptr(), std::ptr::null_mut()) };
        match NonNull::new(topic) {
            Some(topic) => Ok(Self { topic, client: Arc::clone(client) }),
            // SAFETY: no preconditions.
            None => Err(error(unsafe { sys::rd_kafka_last_error() } as i32, None)),
        }
    }

    /// Hands records over, in their order. librdkafka goes on behind one that it refuses; each of those is told
    /// by its index.
    pub(crate) fn produce(
        &self,
        slots: &[Slot<'_>],
        buffer: &mut BatchBuffer,
        mut refused: impl FnMut(usize, i32),
    ) {
        let pointer = |bytes: Option<&[u8]>| {
            bytes.map_or(std::ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast::<c_void>())
        };
        buffer.0.clear();
        buffer.0.extend(slots.iter().map(|slot| sys::rd_kafka_message_t {
            err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: std::ptr::null_mut(),
            partition: slot.partition.unwrap_or(PARTITION_UA),
            payload: pointer(slot.value),
            len: slot.value.map_or(0, <[u8]>::len),
            key: pointer(slot.key),
            key_len: slot.key.map_or(0, <[u8]>::len),
            offset: 0,
            _private: slot.opaque as *mut c_void,
        }));
        let flags = (sys::RD_KAFKA_MSG_F_COPY | sys::RD_KAFKA_MSG_F_PARTITION) as c_int;
        // SAFETY: the topic is alive; the array has the length given; keys and values stay for the call, which
        // copies them.
        let taken = unsafe {
            sys::rd_kafka_produce_batch(
                self.topic.as_ptr(),
                PARTITION_UA,
                flags,
                buffer.0.as_mut_ptr(),
                buffer.0.len() as c_int,
            )
        };
        if usize::try_from(taken).ok() == Some(slots.len()) {
            return;
        }
        for (index, message) in buffer.0.iter().enumerate() {
            // SAFETY: read as the integer it is.
            let code = unsafe { (&raw const message.err).cast::<i32>().read() };
            if code != 0 {
                refused(index, code);
            }
        }
    }

    /// Hands one record over that has a timestamp or headers.
    pub(crate) fn produce_one<'a>(
        &self,
        slot: &Slot<'_>,
        timestamp: Option<i64>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<(), KafkaError> {
        let memory = |bytes: Option<&[u8]>| sys::rd_kafka_vu_s__bindgen_ty_1 {
            mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                ptr: bytes.map_or(std::ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
                size: bytes.map_or(0, <[u8]>::len),
            },
        };
        let list = Headers::new(headers);
        let flags = sys::RD_KAFKA_MSG_F_COPY as c_int;
        let mut arguments = vec![
            argument(Type::RD_KAFKA_VTYPE_RKT, sys::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.topic.as_ptr() }),
            argument(
                Type::RD_KAFKA_VTYPE_PARTITION,
                sys::rd_kafka_vu_s__bindgen_ty_1 { i32_: slot.partition.unwrap_or(PARTITION_UA) },
            ),
            argument(Type::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: flags }),
            argument(Type::RD_KAFKA_VTYPE_KEY, memory(slot.key)),
            argument(Type::RD_KAFKA_VTYPE_VALUE, memory(slot.value)),
            argument(
                Type::RD_KAFKA_VTYPE_OPAQUE,
                sys::rd_kafka_vu_s__bindgen_ty_1 { ptr: slot.opaque as *mut c_void },
            ),
        ];
        if let Some(timestamp) = timestamp {
            let time = sys::rd_kafka_vu_s__bindgen_ty_1 { i64_: timestamp };
            arguments.push(argument(Type::RD_KAFKA_VTYPE_TIMESTAMP, time));
        }
        if let Some(list) = &list {
            let headers = sys::rd_kafka_vu_s__bindgen_ty_1 { headers: list.0.as_ptr() };
            arguments.push(argument(Type::RD_KAFKA_VTYPE_HEADERS, headers));
        }
        // SAFETY: client and topic are alive; each argument has the union's member that its type names; bytes
        // stay for the call, which copies them; the headers are taken over only on success.
        unsafe {
            taken(sys::rd_kafka_produceva(self.client.as_ptr(), arguments.as_ptr(), arguments.len()))?;
        }
        std::mem::forget(list);
        Ok(())
    }
}

fn argument(vtype: Type, u: sys::rd_kafka_vu_s__bindgen_ty_1) -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t { vtype, u }
}

/// A list of headers that is ours until a record has it.
struct Headers(NonNull<sys::rd_kafka_headers_t>);

impl Headers {
    /// `None` when there are no headers.
    fn new<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<Self> {
        let mut headers = headers.peekable();
        headers.peek()?;
        // SAFETY: no preconditions; the list is ours. Names and values have the lengths given and are copied.
        unsafe {
            let list = Self(NonNull::new(sys::rd_kafka_headers_new(4))?);
            for (name, value) in headers {
                let _ = sys::rd_kafka_header_add(
                    list.0.as_ptr(),
                    name.as_ptr().cast::<c_char>(),
                    name.len() as isize,
                    value.map_or(std::ptr::null(), |value| value.as_ptr().cast()),
                    value.map_or(0, |value| value.len() as isize),
                );
            }
            Some(list)
        }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: not taken over (that path forgets self), so it is ours to destroy.
        unsafe { sys::rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

/// What only producers do.
impl Client {
    /// Gives up everything that is queued or in flight; deliveries tell of each record.
    pub(crate) fn purge(&self) -> Result<(), KafkaError> {
        let flags = (sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT) as c_int;
        // SAFETY: the client is alive.
        checked(unsafe { sys::rd_kafka_purge(self.as_ptr(), flags) })
    }
}
