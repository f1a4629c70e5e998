//! STUB.
#![allow(dead_code, unused_variables, clippy::all, reason = "stub")]
use std::borrow::Cow;
use transom_batch::Format;
pub(crate) use crate::config::{Converter, Converters};
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub(crate) struct ConvertError;
pub(crate) struct Deserialized<'a> { pub(crate) format: Format, pub(crate) schema: Option<Cow<'a, str>>, pub(crate) data: Option<&'a [u8]> }
impl Converter {
 pub(crate) fn serialize<'a>(&self, f: Format, s: Option<&str>, d: Option<&'a [u8]>, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, ConvertError> { todo!() }
 pub(crate) fn deserialize<'a>(&self, d: Option<&'a [u8]>, scratch: &'a mut Vec<u8>) -> Result<Deserialized<'a>, ConvertError> { todo!() }
 pub(crate) fn passes_through(&self, f: Format) -> bool { true }
}
