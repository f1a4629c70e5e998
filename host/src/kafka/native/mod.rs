//! The thin layer over librdkafka's C interface: safe types, no policy.
//!
//! Only the files of this folder contain `unsafe`. What they promise to the rest of `kafka/`:
//! pointers never outlive their client ([`Client`] is destroyed last, and everything that hangs on it
//! holds an `Arc` of it or is destroyed by name before it); callbacks copy what they are given into
//! types of ours and return at once, on whatever thread librdkafka calls them; codes are read as
//! integers, because a newer broker may send one that the bindings' enumeration does not know.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

mod conf;
mod consume;
mod groups;
mod list;
mod produce;
mod queue;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka_sys as sys;

pub(crate) use conf::{Check, Conf};
pub(crate) use consume::{Message, Messages, RawRebalance, TimestampKind};
pub(crate) use groups::{GroupRequest, group_request};
pub(crate) use list::{Entry, Partitions};
pub(crate) use produce::{BatchBuffer, Slot, TopicRef};
pub(crate) use queue::{Queue, QueueEvent};

use super::error::KafkaError;
use super::settings::ClientSettings;

#[allow(clashing_extern_declarations, reason = "the bindings' enumeration cannot hold unknown codes")]
unsafe extern "C" {
    #[link_name = "rd_kafka_err2str"]
    fn err2str(code: c_int) -> *const c_char;
    #[link_name = "rd_kafka_err2name"]
    fn err2name(code: c_int) -> *const c_char;
}

/// A C string that may be null, copied.
///
/// # Safety
/// `text` is null or points to bytes that end in NUL and stay for the time of the call.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A message buffer that librdkafka filled.
fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The error with this code, in librdkafka's words unless there are better ones.
fn error(code: i32, message: Option<String>) -> KafkaError {
    // SAFETY: both functions take any integer and return static strings (or, for unknown codes, strings
    // of thread-local storage) that end in NUL.
    let (name, general) = unsafe { (owned(err2name(code)), owned(err2str(code))) };
    let message = message.filter(|text| !text.is_empty()).unwrap_or(general);
    KafkaError { code, name, message, fatal: false }
}

/// The error with this code, in librdkafka's words.
pub(crate) fn error_of(code: i32) -> KafkaError {
    error(code, None)
}

/// The result of a call that returns a code.
fn checked(code: sys::rd_kafka_resp_err_t) -> Result<(), KafkaError> {
    match code as i32 {
        0 => Ok(()),
        code => Err(error(code, None)),
    }
}

/// The result of a call that returns an error object or null.
///
/// # Safety
/// `object` is null or an error object that nobody else will destroy.
unsafe fn taken(object: *mut sys::rd_kafka_error_t) -> Result<(), KafkaError> {
    if object.is_null() {
        return Ok(());
    }
    // SAFETY: the object is alive until the destroy below, the string is copied before that.
    unsafe {
        let code = sys::rd_kafka_error_code(object) as i32;
        let message = owned(sys::rd_kafka_error_string(object));
        let fatal = sys::rd_kafka_error_is_fatal(object) != 0;
        sys::rd_kafka_error_destroy(object);
        let error = error(code, Some(message));
        Err(if fatal { error.into_fatal() } else { error })
    }
}

/// What a client calls back; every function must return at once.
#[derive(Default)]
pub(crate) struct Hooks {
    /// A rebalance began (consumers with a group).
    pub(crate) rebalance: Option<Box<dyn Fn(RawRebalance) + Send + Sync>>,
    /// A client-wide error.
    pub(crate) error: Option<Box<dyn Fn(KafkaError) + Send + Sync>>,
    /// From now on rebalances are answered at once by giving everything up.
    pub(crate) closing: AtomicBool,
}

/// A live client. The last owner's drop destroys it, which may take a while: see [`Client::destroy_on`].
pub(crate) struct Client {
    rk: NonNull<sys::rd_kafka_t>,
    hooks: Box<Hooks>,
}

// SAFETY: every function of librdkafka that takes an `rd_kafka_t` may be called from any thread.
unsafe impl Send for Client {}
// SAFETY: as above; and the hooks are Send + Sync.
unsafe impl Sync for Client {}

/// What kind of client to make, and how its deliveries are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Producer,
    Consumer,
}

impl Client {
    /// Makes a client. Nothing is connected yet, but certificates are read.
    pub(crate) fn new(kind: Kind, settings: &ClientSettings, hooks: Hooks) -> Result<Self, KafkaError> {
        let mut conf = Conf::new();
        for (name, value) in settings.native() {
            match conf.set(name, value) {
                Check::Good => {}
                Check::Unknown => return Err(KafkaError::local(format!("no such client setting: {name}"))),
                Check::Bad(reason) => return Err(KafkaError::local(reason)),
            }
        }
        let hooks = Box::new(hooks);
        // SAFETY: the configuration is alive; the opaque pointer is the boxed hooks, whose address is
        // stable and which live until after the client is destroyed (see Drop).
        unsafe {
            let conf = conf.as_ptr();
            sys::rd_kafka_conf_set_opaque(conf, std::ptr::from_ref::<Hooks>(&hooks).cast_mut().cast());
            sys::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            match kind {
                Kind::Producer => {
                    sys::rd_kafka_conf_set_events(conf, sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR);
                }
                Kind::Consumer => {
                    sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
                    sys::rd_kafka_conf_set_rebalance_cb(conf, Some(consume::on_rebalance));
                }
            }
        }
        let rk = conf.create(match kind {
            Kind::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
        })?;
        Ok(Self { rk, hooks })
    }

    fn as_ptr(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// The client's own name in logs.
    pub(crate) fn name(&self) -> String {
        // SAFETY: the client is alive, the string lives as long as it.
        unsafe { owned(sys::rd_kafka_name(self.as_ptr())) }
    }

    /// Why the client is dead, if it is.
    pub(crate) fn fatal(&self) -> Option<KafkaError> {
        let mut buffer = [0; 512];
        // SAFETY: the client is alive, the buffer has the length given.
        let code = unsafe { sys::rd_kafka_fatal_error(self.as_ptr(), buffer.as_mut_ptr(), buffer.len()) };
        match code as i32 {
            0 => None,
            code => Some(error(code, Some(text(&buffer))).into_fatal()),
        }
    }

    pub(crate) fn start_closing(&self) {
        self.hooks.closing.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.name()).finish()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: we are the last owner, and what hangs on the client (queues, topics) held an `Arc` of it
        // or is destroyed already. The flag keeps the call from running callbacks or waiting for a group:
        // closing in good order is `Consumer::close`'s job. The hooks are dropped after this.
        unsafe {
            sys::rd_kafka_destroy_flags(self.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

/// librdkafka's log lines, at tracing's levels.
unsafe extern "C" fn on_log(
    rk: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: librdkafka passes strings that end in NUL, and null or a client that is alive during the
    // call.
    let (client, facility, line) = unsafe {
        let name = if rk.is_null() { String::new() } else { owned(sys::rd_kafka_name(rk)) };
        (name, owned(facility), owned(line))
    };
    match level {
        ..=3 => tracing::error!(target: "kafka", client, facility, "{line}"),
        4 => tracing::warn!(target: "kafka", client, facility, "{line}"),
        5 | 6 => tracing::info!(target: "kafka", client, facility, "{line}"),
        _ => tracing::debug!(target: "kafka", client, facility, "{line}"),
    }
}

/// A client-wide error of a consumer (a producer's come as events).
unsafe extern "C" fn on_error(
    rk: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the client's boxed hooks, alive as long as it; the reason ends in NUL.
    let (hooks, reason) = unsafe { (&*opaque.cast::<Hooks>(), owned(reason)) };
    let mut met = error(code, Some(reason));
    let mut buffer = [0; 512];
    // SAFETY: the client is alive during its own callback, the buffer has the length given.
    let fatal = unsafe { sys::rd_kafka_fatal_error(rk, buffer.as_mut_ptr(), buffer.len()) } as i32;
    if fatal != 0 {
        met = error(fatal, Some(text(&buffer))).into_fatal();
    }
    if let Some(tell) = &hooks.error {
        tell(met);
    }
}
