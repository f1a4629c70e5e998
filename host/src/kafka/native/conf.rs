//! Configurations: checking one value, and building the configuration of a client.

#![allow(unsafe_code, reason = "librdkafka is a C library")]

use std::ffi::CString;
use std::ptr::NonNull;

use rdkafka_sys as sys;
use sys::rd_kafka_conf_res_t as Outcome;

use super::super::error::KafkaError;

/// A configuration under construction; owned until a client takes it over.
pub(crate) struct Conf(NonNull<sys::rd_kafka_conf_t>);

/// What librdkafka thinks of a property.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Good,
    /// It has no such property (or was built without it).
    Unknown,
    /// The reason in librdkafka's words.
    Bad(String),
}

impl Conf {
    pub(crate) fn new() -> Self {
        // SAFETY: no preconditions; the result is ours until it is destroyed or taken over.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        Self(NonNull::new(conf).expect("rd_kafka_conf_new aborts rather than returning null"))
    }

    /// Sets one property; nothing is opened, read or connected by it.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Check {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
            return Check::Bad("contains a NUL byte".into());
        };
        let mut text = [0; 512];
        // SAFETY: the configuration is alive, both strings end in NUL, the buffer has the length given.
        let outcome = unsafe {
            sys::rd_kafka_conf_set(
                self.0.as_ptr(),
                name.as_ptr(),
                value.as_ptr(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        match outcome {
            Outcome::RD_KAFKA_CONF_OK => Check::Good,
            Outcome::RD_KAFKA_CONF_UNKNOWN => Check::Unknown,
            Outcome::RD_KAFKA_CONF_INVALID => Check::Bad(super::text(&text)),
        }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_conf_t {
        self.0.as_ptr()
    }

    /// Makes the client. On success librdkafka owns the configuration.
    pub(super) fn create(self, kind: sys::rd_kafka_type_t) -> Result<NonNull<sys::rd_kafka_t>, KafkaError> {
        let mut text = [0; 512];
        // SAFETY: the configuration is alive and handed over only when a client comes back; the buffer
        // has the length given.
        let client = unsafe { sys::rd_kafka_new(kind, self.0.as_ptr(), text.as_mut_ptr(), text.len()) };
        match NonNull::new(client) {
            Some(client) => {
                std::mem::forget(self);
                Ok(client)
            }
            None => Err(KafkaError::local(super::text(&text))),
        }
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: not handed over (that path forgets self), so it is still ours to destroy.
        unsafe { sys::rd_kafka_conf_destroy(self.0.as_ptr()) }
    }
}
