//! The writer of one Kafka partition: groups of records between two cuts, and the objects that a group goes into.
//!
//! The start of the group is where reading begins again after a crash: everything before it is in the bucket
//! (invariants 1 and 2). A cut completes all objects of the group. It may fail half way and is gone on with by the
//! next call, so nothing here is done twice but by a request that may be repeated. Where what was sent is lost (an
//! upload that somebody aborted) or another instance has cut elsewhere, the group is given up and read again.

use std::collections::BTreeMap;
use std::mem;

use transom_sdk::{Error, KafkaOffset, Record, log};

use crate::call::Call;
use crate::config::{Nulls, Settings};
use crate::note::{Note, Notes};
use crate::object::{LEAST_PART, Object, Step};
use crate::partitioner::Spot;
use crate::rotation::Since;

/// A partition of a topic.
#[derive(Debug)]
pub(crate) struct Writer {
    topic: String,
    partition: i32,
    notes: Notes,
    /// Whether the bucket was asked what earlier instances left.
    ready: bool,
    /// Offset of the next record; those before it were taken. None: whatever comes first.
    next: Option<i64>,
    /// Up to where all is in the bucket.
    durable: Option<i64>,
    /// The records to come in this call are not those that are wanted: the partition was sought.
    skipping: bool,
    group: Group,
    spot: Spot,
    /// The cut that is to be repeated.
    plan: Option<Note>,
    /// Where to go back to if the record at the start of the plan is not that of the note.
    doubt: Option<i64>,
    cut: Option<Cut>,
    /// When the clock cuts next.
    scheduled: Option<i64>,
}

/// The records since the last cut.
#[derive(Debug, Default)]
struct Group {
    since: Since,
    /// Offset and timestamp of the first record.
    first: Option<(i64, Option<i64>)>,
    folder: String,
    schema: Option<String>,
    objects: BTreeMap<String, Object>,
}

/// Where a record belongs.
struct Place<'r> {
    offset: i64,
    folder: &'r str,
    /// The time that the folder goes by.
    time: Option<i64>,
    /// Where the format needs one.
    schema: Option<&'r str>,
}

/// A cut that is under way.
#[derive(Debug)]
struct Cut {
    /// Whether a note of it has to be written yet.
    note: bool,
}

impl Writer {
    pub(crate) fn new(topic: &str, partition: i32, offset: Option<i64>, notes: Notes) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            notes,
            ready: false,
            next: offset,
            durable: None,
            skipping: false,
            group: Group::default(),
            spot: Spot::default(),
            plan: None,
            doubt: None,
            cut: None,
            scheduled: None,
        }
    }

    /// A new call begins: its records are those that were asked for.
    pub(crate) fn begin_call(&mut self) {
        self.skipping = false;
    }

    pub(crate) fn durable(&self) -> Option<i64> {
        self.durable
    }

    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// Bytes in memory.
    pub(crate) fn held(&self) -> usize {
        self.group.objects.values().map(Object::held).sum()
    }

    /// When the clock cuts, if there is something to cut.
    pub(crate) fn due(&self) -> Option<i64> {
        self.scheduled.filter(|_| !self.group.objects.is_empty() && self.plan.is_none())
    }

    /// Goes on with what an earlier call could not finish, and does what is due by the clock.
    pub(crate) fn work(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        if self.cut.is_none() && self.due().is_some_and(|due| due <= call.now) {
            return self.begin_cut(true, call);
        }
        if self.cut.is_some() {
            return self.complete(call);
        }
        self.send(call)
    }

    /// Takes a record.
    ///
    /// # Errors
    /// A bad record: nothing was taken, and [`pass`](Self::pass) goes on behind it. Others: it is to come again.
    pub(crate) fn take(&mut self, record: &Record<'_>, call: &mut Call<'_>) -> Result<(), Error> {
        let offset = record.offset();
        if self.skipping {
            return Ok(());
        }
        self.resolve_doubt(record, call);
        if self.skipping || self.next.is_some_and(|next| offset < next) {
            return Ok(());
        }
        if !self.ready && !self.prepare(offset, call)? {
            return Ok(());
        }
        self.resolve_doubt(record, call);
        if record.value().is_none() && call.settings.nulls == Nulls::Ignore {
            self.pass(offset);
            return Ok(());
        }
        if record.value().is_none() {
            let why = "has no value, which no object can hold: behavior.on.null.values=ignore leaves such records out";
            return Err(record.bad(why));
        }
        let mut spot = mem::take(&mut self.spot);
        let put = self.put(record, &mut spot, call);
        self.spot = spot;
        // The plan may have ended at the cut, and the folder with it.
        if put? { Ok(()) } else { self.take(record, call) }
    }

    /// Puts a record where it belongs. False: there was a cut in front of it, and it is to be taken again.
    fn put(&mut self, record: &Record<'_>, spot: &mut Spot, call: &mut Call<'_>) -> Result<bool, Error> {
        let (settings, offset) = (call.settings, record.offset());
        let schema = settings.format.needs_schema().then(|| record.value_schema().unwrap_or_default());
        let time = settings.partitioner.place(record, call.now, spot)?;
        let planned = self.plan.as_ref().and_then(|plan| plan.folder.clone());
        let folder = planned.as_deref().unwrap_or(&spot.folder);
        let place = Place { offset, folder, time, schema };
        if let Some(note) = self.cut_before(&place, call) {
            return self.begin_cut(note, call).map(|()| false);
        }
        let ready = self.add(record, &place, call)?;
        let planned = self.plan.as_ref().is_some_and(|plan| offset + 1 >= plan.end);
        if planned || (self.plan.is_none() && settings.rules.cut_after(&self.group.since)) {
            self.begin_cut(false, call)?;
        } else if ready >= settings.part_size {
            self.send(call)?;
        }
        Ok(true)
    }

    /// Goes on behind a record that is in no object.
    pub(crate) fn pass(&mut self, offset: i64) {
        self.next = Some(offset + 1);
        if self.group.objects.is_empty() && self.cut.is_none() {
            self.durable = self.next;
        }
    }

    /// Makes room: a part that is large enough, or a cut.
    pub(crate) fn shrink(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        let largest = self.group.objects.values_mut().max_by_key(|object| object.ready());
        if let Some(object) = largest.filter(|object| object.ready() >= LEAST_PART) {
            let step = object.send(&call.settings.bucket, object.ready().min(call.settings.part_size))?;
            return self.lost(step, call).map(drop);
        }
        // A cut that is to be repeated was possible before.
        if self.plan.is_none() && !self.group.objects.is_empty() {
            log::debug!("{}-{} is cut early: buffer.max.bytes is reached", self.topic, self.partition);
            return self.begin_cut(true, call);
        }
        Ok(())
    }

    /// Gives up what is not complete.
    pub(crate) fn abandon(&mut self, settings: &Settings) {
        for object in self.group.objects.values_mut() {
            object.abort(&settings.bucket);
        }
        self.group = Group::default();
        self.cut = None;
    }

    /// Whether to cut in front of a record, and if so, whether that needs a note.
    fn cut_before(&self, place: &Place<'_>, call: &Call<'_>) -> Option<bool> {
        self.group.first?;
        if let Some(plan) = &self.plan {
            return (place.offset >= plan.end).then_some(false);
        }
        if call.settings.rules.cut_before(&self.group.since, place.time, place.folder) {
            return Some(false);
        }
        if self.group.schema.as_deref() != place.schema {
            return Some(false);
        }
        (call.settings.partitioner.follows_the_clock() && self.group.folder != place.folder).then_some(true)
    }

    /// Adds a record to its object, and says how many bytes that can send.
    fn add(&mut self, record: &Record<'_>, place: &Place<'_>, call: &Call<'_>) -> Result<usize, Error> {
        let Place { offset, folder, time, schema } = *place;
        let settings = call.settings;
        let group = &mut self.group;
        let ready = if let Some(object) = group.objects.get_mut(folder) {
            object.append(record)?;
            object.ready()
        } else {
            let key = settings.names.key(&self.topic, folder, self.partition, offset);
            let mut object = Object::new(key, settings, schema).map_err(|error| record.bad(error))?;
            object.append(record)?;
            let ready = object.ready();
            group.objects.insert(folder.to_owned(), object);
            ready
        };
        if group.first.is_none() {
            group.first = Some((offset, record.timestamp()));
            group.schema = schema.map(str::to_owned);
            self.scheduled = settings.rules.next(call.now);
        }
        group.since.add(record.value().map_or(0, <[u8]>::len), time, folder);
        if group.folder != folder {
            folder.clone_into(&mut group.folder);
        }
        self.next = Some(offset + 1);
        Ok(ready)
    }

    /// Sends what is a part's worth.
    fn send(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        let settings = call.settings;
        for object in self.group.objects.values_mut() {
            if object.ready() >= settings.part_size {
                let step = object.send(&settings.bucket, settings.part_size)?;
                if step == Step::Lost {
                    return self.lost(step, call).map(drop);
                }
            }
        }
        Ok(())
    }

    /// Closes the group behind the last record. `note`: a second reading would not cut here by itself; nor would it
    /// find the folder, where that follows the clock. A cut that repeats one has its note already.
    fn begin_cut(&mut self, note: bool, call: &mut Call<'_>) -> Result<(), Error> {
        let clock = call.settings.partitioner.follows_the_clock();
        self.cut = Some(Cut { note: (note || clock) && self.plan.is_none() });
        self.complete(call)
    }

    /// Completes the cut: its note, then every object (invariant 1).
    fn complete(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        let settings = call.settings;
        let (Some(cut), Some(end)) = (&mut self.cut, self.next) else { return Ok(()) };
        if let (true, Some((start, timestamp))) = (cut.note, self.group.first) {
            let clock = settings.partitioner.follows_the_clock();
            let folder = clock.then(|| self.group.folder.clone());
            let note = Note { start, end, timestamp, folder };
            if !self.notes.write(&settings.bucket, &note)? {
                log::info!("another instance has cut {}-{} elsewhere", self.topic, self.partition);
                self.rewind(call);
                return Ok(());
            }
            cut.note = false;
        }
        while let Some(mut entry) = self.group.objects.first_entry() {
            call.in_time()?;
            let step = entry.get_mut().close(&settings.bucket, settings.part_size)?;
            if self.lost(step, call)? {
                return Ok(());
            }
            self.group.objects.pop_first();
        }
        self.cut = None;
        self.group = Group::default();
        self.plan = self.plan.take().filter(|plan| end < plan.end);
        self.durable = Some(end);
        call.cuts += 1;
        Ok(())
    }

    /// Begins the group anew if a step ended so. True: it did.
    fn lost(&mut self, step: Step, call: &mut Call<'_>) -> Result<bool, Error> {
        if step == Step::Lost {
            log::warn!(
                "an upload of {}-{} has vanished; its records are read again",
                self.topic,
                self.partition
            );
            self.rewind(call);
        }
        Ok(step == Step::Lost)
    }

    /// Reads the group again.
    fn rewind(&mut self, call: &mut Call<'_>) {
        let start = self.group.first.map(|(offset, _)| offset).or(self.next);
        self.abandon(call.settings);
        (self.ready, self.plan) = (false, None);
        if let Some(start) = start {
            self.seek(start, call);
        }
    }

    fn seek(&mut self, offset: i64, call: &mut Call<'_>) {
        (self.next, self.skipping) = (Some(offset), true);
        call.seeks.push(KafkaOffset { topic: self.topic.clone(), partition: self.partition, offset });
    }

    /// Asks the bucket what earlier instances left. False: reading goes on elsewhere.
    fn prepare(&mut self, first: i64, call: &mut Call<'_>) -> Result<bool, Error> {
        let settings = call.settings;
        let from = self.next.unwrap_or(first);
        let note = self.notes.read(&settings.bucket)?.filter(|note| note.end > from);
        self.abort_leftovers(settings)?;
        self.ready = true;
        match note {
            Some(note) if note.start >= from => {
                log::info!("{}-{} goes on at a cut by the clock, {note:?}", self.topic, self.partition);
                let start = note.start;
                self.doubt = Some(from);
                self.plan = Some(note);
                if start > from {
                    self.seek(start, call);
                    return Ok(false);
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// The first record since a plan was found: whether it is the one that the note is about.
    fn resolve_doubt(&mut self, record: &Record<'_>, call: &mut Call<'_>) {
        let (Some(back), Some(plan)) = (self.doubt, &self.plan) else { return };
        self.doubt = None;
        if record.offset() == plan.start && record.timestamp() == plan.timestamp {
            if plan.start > back {
                self.durable = Some(plan.start);
            }
            return;
        }
        log::warn!(
            "{}-{} has other records than those of the cut that is noted: it is not followed",
            self.topic,
            self.partition
        );
        let sought = plan.start > back;
        self.plan = None;
        self.next = Some(back);
        if sought {
            self.seek(back, call);
        }
    }

    /// Aborts the uploads that a killed instance began: nobody else would, and they cost.
    fn abort_leftovers(&self, settings: &Settings) -> Result<(), Error> {
        let names = &settings.names;
        let (prefix, delim) = (names.prefix(&self.topic), &names.file_delim);
        let own = format!("{}{}{delim}{}{delim}", names.directory_delim, self.topic, self.partition);
        let uploads = match settings.bucket.uploads(&prefix) {
            Err(error) if error.kind() != transom_sdk::Kind::Retriable => {
                log::debug!("uploads cannot be listed, so forgotten ones stay: {error}");
                return Ok(());
            }
            uploads => uploads?,
        };
        for (key, id) in uploads.iter().filter(|(key, _)| key.contains(&own)) {
            log::info!("aborting an upload of {key} that was never completed");
            settings.bucket.abort_upload(key, id)?;
        }
        Ok(())
    }
}
