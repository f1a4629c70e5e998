//! When an instance is replaced because its memory only grows. WebAssembly memory never shrinks, and some
//! toolchains leak: a fresh instance is the cure, at a batch's end and on the one path.

/// Watches one instance after the other.
#[derive(Debug)]
pub(crate) struct Watermark {
    max: usize,
    opened: usize,
}

impl Watermark {
    /// For instances that may have `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, opened: 0 }
    }

    /// A new instance is open and has this much.
    pub(crate) fn opened(&mut self, memory: usize) {
        self.opened = memory;
    }

    /// Whether it is time. An instance that needed nearly as much from its start is left alone: another one
    /// would be no better.
    pub(crate) fn passed(&self, memory: usize) -> bool {
        memory > self.max / 4 * 3 && memory - self.opened.min(memory) > self.max / 4
    }
}

#[cfg(test)]
mod tests {
    use super::Watermark;

    #[test]
    fn an_instance_that_grew_past_three_quarters_is_replaced() {
        let mut mark = Watermark::new(400);
        mark.opened(100);
        assert!(!mark.passed(300));
        assert!(mark.passed(301));
    }

    #[test]
    fn an_instance_that_was_large_from_the_start_is_left_alone() {
        let mut mark = Watermark::new(400);
        mark.opened(320);
        assert!(!mark.passed(400));
    }
}
