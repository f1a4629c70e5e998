//! Queues of events: being woken by one, taking from one, and what an event carries.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka_sys as sys;
use tokio::sync::Notify;

use super::super::error::KafkaError;
use super::super::partition::TopicPartition;
use super::{Client, Entry};

unsafe extern "C" {
    /// As the bindings', but with the code as the integer it is.
    #[link_name = "rd_kafka_event_error"]
    fn event_error(event: *mut sys::rd_kafka_event_t) -> std::ffi::c_int;
}

/// A queue of a client. Keeps its client alive.
pub(crate) struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    client: Arc<Client>,
    /// Whom the queue wakes; its address was given to librdkafka.
    wakes: Option<Arc<Notify>>,
}

// SAFETY: librdkafka's queues are locked inside and may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    fn of(client: &Arc<Client>, queue: *mut sys::rd_kafka_queue_t) -> Self {
        let queue = NonNull::new(queue).expect("asked only for queues that the client has");
        Self { queue, client: Arc::clone(client), wakes: None }
    }

    /// A producer's queue: deliveries and errors.
    pub(crate) fn main(client: &Arc<Client>) -> Self {
        // SAFETY: the client is alive; the reference returned is ours.
        Self::of(client, unsafe { sys::rd_kafka_queue_get_main(client.as_ptr()) })
    }

    /// A consumer's queue: rebalances, errors, and the records that are not [collected](Queue::collect).
    pub(crate) fn consumer(client: &Arc<Client>) -> Self {
        // SAFETY: the client is alive and a consumer with a group; the reference returned is ours. The
        // main queue is redirected here, so that one queue carries everything.
        unsafe {
            sys::rd_kafka_poll_set_consumer(client.as_ptr());
            Self::of(client, sys::rd_kafka_queue_get_consumer(client.as_ptr()))
        }
    }

    /// A queue of its own, for the results of commits.
    pub(crate) fn new(client: &Arc<Client>) -> Self {
        // SAFETY: the client is alive; the queue is ours.
        Self::of(client, unsafe { sys::rd_kafka_queue_new(client.as_ptr()) })
    }

    /// From now on what is fetched of a partition comes to this queue and not to its client's. To be called
    /// before the partition is assigned: it holds from its first fetch on, and as long as the client lives.
    pub(crate) fn collect(&self, partition: &TopicPartition) -> Result<(), KafkaError> {
        let topic = CString::new(&*partition.topic)
            .map_err(|_| KafkaError::local("a topic's name contains a NUL byte"))?;
        // SAFETY: the client and this queue are alive, the name ends in NUL. The reference to the partition's
        // queue is ours and given back; librdkafka keeps its own to both queues.
        unsafe {
            let fetched =
                sys::rd_kafka_queue_get_partition(self.client.as_ptr(), topic.as_ptr(), partition.partition);
            let fetched = NonNull::new(fetched)
                .ok_or_else(|| KafkaError::local(format!("{partition} has no queue")))?;
            sys::rd_kafka_queue_forward(fetched.as_ptr(), self.as_ptr());
            sys::rd_kafka_queue_destroy(fetched.as_ptr());
        }
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// From now on `notify` is told when the queue was empty and no longer is. It is called with the
    /// queue's lock held, which is why it only leaves a permit.
    pub(crate) fn wake(&mut self, notify: Arc<Notify>) {
        let opaque = Arc::as_ptr(&notify).cast_mut().cast::<c_void>();
        // SAFETY: the queue is alive; the notify lives in `wakes` until drop switches the callback off.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.as_ptr(), Some(on_event), opaque) }
        self.wakes = Some(notify);
    }

    /// Ends a poll that waits, or the next one.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_yield(self.as_ptr()) }
    }

    /// The next event, waiting at most `wait_ms`.
    pub(crate) fn poll(&self, wait_ms: i32) -> Option<QueueEvent> {
        // SAFETY: the queue is alive; the event returned is ours until it is destroyed.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.as_ptr(), wait_ms) }).map(QueueEvent)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queue").field(&self.client).finish()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours and alive. The callback is switched off under the queue's lock before the notify it
        // points to can go; the client, a field, goes after this.
        unsafe {
            if self.wakes.is_some() {
                sys::rd_kafka_queue_cb_event_enable(self.as_ptr(), None, std::ptr::null_mut());
            }
            sys::rd_kafka_queue_destroy(self.as_ptr());
        }
    }
}

unsafe extern "C" fn on_event(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the notify outlives the registration; see `wake` and the drop of `Queue`.
    unsafe { &*opaque.cast::<Notify>() }.notify_one();
}

/// One event; destroyed with what it carries when dropped.
pub(crate) struct QueueEvent(NonNull<sys::rd_kafka_event_t>);

/// The end of one record's way through a producer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// What was given at sending.
    pub(crate) opaque: u64,
    /// 0, or why it failed.
    pub(crate) code: i32,
    /// Bytes of its key and value.
    pub(crate) bytes: usize,
}

impl QueueEvent {
    fn kind(&self) -> i32 {
        // SAFETY: the event is alive.
        unsafe { sys::rd_kafka_event_type(self.0.as_ptr()) }
    }

    /// Calls `each` for every delivery of the event, in librdkafka's order; at once: an event of
    /// deliveries carries a whole batch. None when the event is another.
    pub(crate) fn deliveries(&self, mut each: impl FnMut(&Delivery)) -> usize {
        if self.kind() != sys::RD_KAFKA_EVENT_DR {
            return 0;
        }
        let mut array = [std::ptr::null(); 512];
        let mut total = 0;
        loop {
            // SAFETY: the event is alive, the array has the length given. What is returned stays alive
            // until the event is destroyed.
            let count = unsafe {
                sys::rd_kafka_event_message_array(self.0.as_ptr(), array.as_mut_ptr(), array.len())
            };
            for &message in &array[..count] {
                // SAFETY: as above; the code is read as the integer it is.
                let delivery = unsafe {
                    Delivery {
                        opaque: (*message)._private as u64,
                        code: (&raw const (*message).err).cast::<i32>().read(),
                        bytes: (*message).len + (*message).key_len,
                    }
                };
                each(&delivery);
            }
            total += count;
            if count < array.len() {
                return total;
            }
        }
    }

    /// The error an error event tells of.
    pub(crate) fn error(&self) -> Option<KafkaError> {
        if self.kind() != sys::RD_KAFKA_EVENT_ERROR {
            return None;
        }
        // SAFETY: the event is alive, its string is copied.
        let (code, message, fatal) = unsafe {
            (
                event_error(self.0.as_ptr()),
                super::owned(sys::rd_kafka_event_error_string(self.0.as_ptr())),
                sys::rd_kafka_event_error_is_fatal(self.0.as_ptr()) != 0,
            )
        };
        let error = super::error(code, Some(message));
        Some(if fatal { error.into_fatal() } else { error })
    }

    /// The result of a commit: the number given to it, the error of the whole, and of each partition.
    pub(crate) fn commit(&self) -> Option<(u64, Option<KafkaError>, Vec<Entry>)> {
        if self.kind() != sys::RD_KAFKA_EVENT_OFFSET_COMMIT {
            return None;
        }
        // SAFETY: the event is alive; its list belongs to it and is copied.
        unsafe {
            let id = sys::rd_kafka_event_opaque(self.0.as_ptr()) as u64;
            let code = event_error(self.0.as_ptr());
            let list = sys::rd_kafka_event_topic_partition_list(self.0.as_ptr());
            Some((id, (code != 0).then(|| super::error(code, None)), super::list::entries(list)))
        }
    }
}

impl Drop for QueueEvent {
    fn drop(&mut self) {
        // SAFETY: ours and alive.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}
