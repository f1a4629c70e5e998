//! The offsets of a consumer group from outside of it: list, alter, delete, and the group itself.
//!
//! The four requests of librdkafka's admin interface have one shape: a request object, options with a time limit, a
//! queue of its own for the one event that answers. Each call here waits for that event; so it belongs on a thread
//! that may wait.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::{CString, c_int};
use std::ptr::{NonNull, null};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;
use sys::rd_kafka_admin_op_t as Op;

use super::super::error::KafkaError;
use super::list::entries;
use super::{Entry, Partitions, error, owned};

unsafe extern "C" {
    /// As the bindings', but with the code as the integer it is; likewise the next.
    #[link_name = "rd_kafka_event_error"]
    fn event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    #[link_name = "rd_kafka_error_code"]
    fn error_code(error: *const sys::rd_kafka_error_t) -> c_int;
}

/// What is asked about a group.
#[derive(Clone, Copy)]
pub(crate) enum GroupRequest<'a> {
    /// All offsets that it has committed.
    List,
    /// Commits these, which the broker refuses while the group has members.
    Alter(&'a Partitions),
    /// Forgets what is committed of these.
    Forget(&'a Partitions),
    /// Deletes the group with all of its offsets.
    Delete,
}

/// Asks, and waits for the answer: a line for each partition, with the error of each.
///
/// # Errors
/// Nobody answers in time, or the group as a whole is refused.
pub(crate) fn group_request<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    request: GroupRequest<'_>,
    limit: Duration,
) -> Result<Vec<Entry>, KafkaError> {
    let group = CString::new(group).map_err(|_| KafkaError::local("a group's name contains a NUL byte"))?;
    let rk = client.native_ptr();
    // SAFETY: the client is borrowed and so alive, and what is made here is destroyed here, the event last but for the queue.
    unsafe {
        let options = options(rk, request.op(), limit);
        let queue = sys::rd_kafka_queue_new(rk);
        request.send(rk, &group, options, queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        // The request has a limit of its own; a little later at the latest its event is there.
        let patience = limit.saturating_add(Duration::from_secs(5)).as_millis();
        let event = sys::rd_kafka_queue_poll(queue, c_int::try_from(patience).unwrap_or(c_int::MAX));
        let answer = match NonNull::new(event) {
            Some(event) => {
                let answer = request.answer(event.as_ptr());
                sys::rd_kafka_event_destroy(event.as_ptr());
                answer
            }
            None => Err(KafkaError::local("no answer to a question about a group")),
        };
        sys::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// # Safety
/// The client is alive.
unsafe fn options(rk: *mut sys::rd_kafka_t, op: Op, limit: Duration) -> *mut sys::rd_kafka_AdminOptions_t {
    let mut buffer = [0; 256];
    let millis = c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: as the caller promises; the buffer has the length given.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(rk, op);
        // A limit out of range leaves the client's own.
        let _ = sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis,
            buffer.as_mut_ptr(),
            buffer.len(),
        );
        options
    }
}

impl GroupRequest<'_> {
    fn op(self) -> Op {
        match self {
            Self::List => Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
            Self::Alter(_) => Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            Self::Forget(_) => Op::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
            Self::Delete => Op::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
        }
    }

    /// # Safety
    /// The client, the options and the queue are alive.
    unsafe fn send(
        self,
        rk: *mut sys::rd_kafka_t,
        group: &CString,
        options: *const sys::rd_kafka_AdminOptions_t,
        queue: *mut sys::rd_kafka_queue_t,
    ) {
        let group = group.as_ptr();
        // SAFETY: as the caller promises; librdkafka copies the request, which is destroyed after it was handed over.
        unsafe {
            match self {
                Self::List => {
                    let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(group, null());
                    sys::rd_kafka_ListConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                    sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
                }
                Self::Alter(list) => {
                    let mut request = sys::rd_kafka_AlterConsumerGroupOffsets_new(group, list.as_ptr());
                    sys::rd_kafka_AlterConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                    sys::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
                }
                Self::Forget(list) => {
                    let mut request = sys::rd_kafka_DeleteConsumerGroupOffsets_new(group, list.as_ptr());
                    sys::rd_kafka_DeleteConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                    sys::rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
                }
                Self::Delete => {
                    let mut request = sys::rd_kafka_DeleteGroup_new(group);
                    sys::rd_kafka_DeleteGroups(rk, &raw mut request, 1, options, queue);
                    sys::rd_kafka_DeleteGroup_destroy(request);
                }
            }
        }
    }

    /// # Safety
    /// The event is alive.
    unsafe fn answer(self, event: *mut sys::rd_kafka_event_t) -> Result<Vec<Entry>, KafkaError> {
        // SAFETY: what hangs on the event lives as long as it, and is copied.
        unsafe {
            match event_error(event) {
                0 => {}
                code => return Err(error(code, Some(owned(sys::rd_kafka_event_error_string(event))))),
            }
            let mut count = 0;
            let groups = match self {
                Self::List => sys::rd_kafka_ListConsumerGroupOffsets_result_groups(
                    sys::rd_kafka_event_ListConsumerGroupOffsets_result(event),
                    &raw mut count,
                ),
                Self::Alter(_) => sys::rd_kafka_AlterConsumerGroupOffsets_result_groups(
                    sys::rd_kafka_event_AlterConsumerGroupOffsets_result(event),
                    &raw mut count,
                ),
                Self::Forget(_) => sys::rd_kafka_DeleteConsumerGroupOffsets_result_groups(
                    sys::rd_kafka_event_DeleteConsumerGroupOffsets_result(event),
                    &raw mut count,
                ),
                Self::Delete => sys::rd_kafka_DeleteGroups_result_groups(
                    sys::rd_kafka_event_DeleteGroups_result(event),
                    &raw mut count,
                ),
            };
            if count == 0 || groups.is_null() {
                return Err(KafkaError::local("an answer about no group"));
            }
            let group = *groups;
            let refused = sys::rd_kafka_group_result_error(group);
            if !refused.is_null() && error_code(refused) != 0 {
                return Err(error(error_code(refused), Some(owned(sys::rd_kafka_error_string(refused)))));
            }
            Ok(entries(sys::rd_kafka_group_result_partitions(group)))
        }
    }
}
