//! What a task may use of the worker: memory, tables, instances, handles.
//!
//! Wasmtime asks before a memory or table grows, one memory at a time; a task may have several (an
//! adapter brings its own), so the sizes are summed here. A refusal is not a trap: `memory.grow`
//! answers -1 and the guest's allocator gives up in its own words. That it happened is remembered, so
//! that the error can say why.

use super::meters::Meters;
use std::sync::Arc;
use wasmtime::{ResourceLimiter, Result};

/// Core instances of a task. Python components bring some sixty.
const INSTANCES: usize = 128;
/// Memories of a task: the guest's own and the adapters'.
const MEMORIES: usize = 16;
/// Tables of a task.
const TABLES: usize = 128;
/// Elements of all tables of a task, a pointer each.
const TABLE_ELEMENTS: usize = 500_000;
/// Handles a guest may hold, and entries in the host's table of resources.
pub(crate) const HANDLES: usize = 1_000;

/// The limits of one task and how much of them is used.
#[derive(Debug)]
pub(crate) struct Limits {
    memory_max: usize,
    memory: usize,
    table_elements: usize,
    meters: Arc<Meters>,
    /// Whether a memory was refused since [`Limits::forget`].
    pub(crate) memory_refused: bool,
}

impl Limits {
    pub(crate) fn new(memory_max: usize, meters: Arc<Meters>) -> Self {
        meters.set_memory(0);
        Self { memory_max, memory: 0, table_elements: 0, meters, memory_refused: false }
    }

    /// The most memory the task may have.
    pub(crate) fn memory_max(&self) -> usize {
        self.memory_max
    }

    /// What the task has now.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Before a call: what was refused earlier is of no interest any more.
    pub(crate) fn forget(&mut self) {
        self.memory_refused = false;
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let sum = self.memory.saturating_add(desired.saturating_sub(current));
        if sum > self.memory_max {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory = sum;
        self.meters.set_memory(sum);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let sum = self.table_elements.saturating_add(desired.saturating_sub(current));
        if sum > TABLE_ELEMENTS {
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed_over_the_task() {
        let meters = Arc::new(Meters::default());
        let mut limits = Limits::new(3 << 16, Arc::clone(&meters));
        assert!(limits.memory_growing(0, 2 << 16, None).unwrap());
        assert!(!limits.memory_growing(0, 2 << 16, None).unwrap());
        assert!(limits.memory_refused);
        assert!(limits.memory_growing(2 << 16, 3 << 16, None).unwrap());
        assert_eq!(meters.memory(), 3 << 16);
    }

    #[test]
    fn tables_are_summed_over_the_task() {
        let mut limits = Limits::new(0, Arc::default());
        assert!(limits.table_growing(0, TABLE_ELEMENTS - 1, None).unwrap());
        assert!(!limits.table_growing(0, 2, None).unwrap());
    }
}
