//! STUB.
#![allow(dead_code, unused_variables, clippy::all, reason = "stub")]
use std::collections::BTreeMap;
use std::sync::Arc;
use crate::config::Problems;
#[derive(Debug, Clone, thiserror::Error)]
#[error("stub")]
pub(crate) struct KafkaError;
impl KafkaError { pub(crate) fn is_rebalance(&self) -> bool { false } }
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientSettings(BTreeMap<String, String>);
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClientKind { Producer, Consumer, Admin }
pub(crate) struct ClientSource<'a> { pub(crate) common: &'a BTreeMap<String,String>, pub(crate) prefixed: &'a BTreeMap<String,String>, pub(crate) overrides: &'a BTreeMap<String,String>, pub(crate) policy: crate::config::OverridePolicy }
pub(crate) fn resolve(kind: ClientKind, source: &ClientSource<'_>) -> Result<ClientSettings, Problems> { todo!() }
#[derive(Debug, Clone)]
pub(crate) struct Producers;
#[derive(Debug)]
pub(crate) struct Producer;
pub(crate) struct Budget { pub(crate) bytes: usize }
impl Producers { pub(crate) fn new() -> Self { Self } pub(crate) async fn get(&self, s: &ClientSettings) -> Result<Arc<Producer>, KafkaError> { todo!() } }
impl Producer { pub(crate) fn lane(self: &Arc<Self>, b: Budget) -> Lane { todo!() } }
#[derive(Debug)]
pub(crate) struct Lane;
pub(crate) struct Ack { pub(crate) first: u64, pub(crate) last: u64, pub(crate) error: Option<Arc<KafkaError>> }
pub(crate) struct SendError { pub(crate) accepted: usize, pub(crate) source: KafkaError }
pub(crate) struct InFlight { pub(crate) records: u64, pub(crate) bytes: u64 }
pub(crate) struct Outgoing<'a> { pub(crate) topic: &'a str, pub(crate) partition: Option<i32>, pub(crate) key: Option<&'a [u8]>, pub(crate) value: Option<&'a [u8]>, pub(crate) timestamp: Option<i64>, pub(crate) headers: transom_batch::Headers<'a> }
impl Lane {
 pub(crate) fn send<'a>(&mut self, r: impl Iterator<Item = Outgoing<'a>>) -> Result<usize, SendError> { todo!() }
 pub(crate) async fn acks(&mut self, out: &mut Vec<Ack>) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn try_acks(&mut self, out: &mut Vec<Ack>) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn in_flight(&self) -> InFlight { todo!() }
 pub(crate) fn has_room(&self) -> bool { todo!() }
 pub(crate) async fn purge(&mut self) { todo!() }
}
pub(crate) type TopicPartition = (String, i32);
#[derive(Debug, Clone)]
pub(crate) enum Event { Assign(Vec<TopicPartition>), Revoke { partitions: Vec<TopicPartition>, lost: bool }, Fenced(KafkaError), Error(KafkaError) }
#[derive(Debug, Clone)]
pub(crate) enum Subscription { Topics(Vec<String>), Pattern(String) }
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership { pub(crate) group: String, pub(crate) instance_id: Option<String> }
pub(crate) struct Message<'a>(&'a u8);
pub(crate) enum TimestampKind { None, Create, LogAppend }
impl Message<'_> {
 pub(crate) fn topic(&self) -> &str { todo!() }
 pub(crate) fn partition(&self) -> i32 { todo!() }
 pub(crate) fn offset(&self) -> i64 { todo!() }
 pub(crate) fn key(&self) -> Option<&[u8]> { todo!() }
 pub(crate) fn value(&self) -> Option<&[u8]> { todo!() }
 pub(crate) fn timestamp(&self) -> Option<i64> { todo!() }
 pub(crate) fn timestamp_kind(&self) -> TimestampKind { todo!() }
 pub(crate) fn headers(&self) -> std::vec::IntoIter<(&str, Option<&[u8]>)> { todo!() }
}
#[derive(Debug)]
pub(crate) struct Consumer;
impl Consumer {
 pub(crate) fn subscribe(s: &ClientSettings, sub: Subscription, m: Membership, prefetch: usize) -> Result<Self, KafkaError> { todo!() }
 pub(crate) async fn ready(&mut self) { todo!() }
 pub(crate) fn poll(&mut self, max: usize, f: impl FnMut(&Message<'_>)) -> Result<usize, KafkaError> { todo!() }
 pub(crate) fn serve(&mut self) {}
 pub(crate) fn has_event(&mut self) -> bool { todo!() }
 pub(crate) fn take_event(&mut self) -> Option<Event> { todo!() }
 pub(crate) fn assign(&mut self, l: &[(TopicPartition, Option<i64>)]) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn unassign(&mut self, l: &[TopicPartition]) -> Result<(), KafkaError> { todo!() }
 pub(crate) async fn committed(&mut self, l: &[TopicPartition]) -> Result<Vec<(TopicPartition, Option<i64>)>, KafkaError> { todo!() }
 pub(crate) fn commit(&mut self, l: &[(TopicPartition, i64)]) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn take_commit_result(&mut self) -> Option<Vec<(TopicPartition, i64, Option<KafkaError>)>> { todo!() }
 pub(crate) fn pause(&mut self, l: &[TopicPartition]) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn resume(&mut self, l: &[TopicPartition]) -> Result<(), KafkaError> { todo!() }
 pub(crate) async fn seek(&mut self, l: &[(TopicPartition, i64)]) -> Result<(), KafkaError> { todo!() }
 pub(crate) fn assignment_lost(&self) -> bool { todo!() }
 pub(crate) async fn close(self) { todo!() }
}
#[derive(Debug, Clone)]
pub(crate) struct PrefetchBudget;
#[derive(Debug)]
pub(crate) struct PrefetchShare;
impl PrefetchBudget { pub(crate) fn new(b: usize) -> Self { Self } pub(crate) fn share(&self) -> PrefetchShare { PrefetchShare } }
impl PrefetchShare { pub(crate) fn bytes(&self) -> usize { 0 } }
pub(crate) mod admin {
 use super::*;
 pub(crate) async fn cluster_id(s: &ClientSettings) -> Result<String, KafkaError> { todo!() }
 pub(crate) async fn partition_counts(s: &ClientSettings, sub: &Subscription) -> Result<Vec<(String, usize)>, KafkaError> { todo!() }
}
