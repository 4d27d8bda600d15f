use wasmtime::{ResourceLimiter, Result};

/// Holds an instance to its memory and tables, and remembers what it was refused: a guest usually breaks off right
/// after, and the reason belongs into the text of that trap.
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    used_bytes: usize,
    refused: Option<String>,
}

impl Limiter {
    pub(crate) fn new(limits: &pulselet_api::Limits) -> Self {
        Self {
            memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
            table_elements: usize::try_from(limits.table_elements).unwrap_or(usize::MAX),
            used_bytes: 0,
            refused: None,
        }
    }

    pub(crate) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What was refused last, since this was asked before.
    pub(crate) fn take_refusal(&mut self) -> Option<String> {
        self.refused.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.used_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes {
            let limit = self.memory_bytes;
            self.refused =
                Some(format!("it asked for {wanted} bytes of memory, of {limit} allowed; raise spec.limits.memory"));
            return Ok(false);
        }
        self.used_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        if desired > self.table_elements {
            let limit = self.table_elements;
            self.refused = Some(format!(
                "it asked for a table of {desired} elements, of {limit} allowed; raise spec.limits.tableElements"
            ));
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> pulselet_api::Limits =
        || pulselet_api::Limits { memory_bytes: 1_000, table_elements: 10, ..Default::default() };

    #[test]
    fn memories_together_may_have_the_limit_and_not_a_byte_more() {
        let mut limiter = Limiter::new(&LIMITS());
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.memory_growing(0, 399, None).unwrap());
        assert!(!limiter.memory_growing(399, 401, None).unwrap());
        assert_eq!(
            limiter.take_refusal().unwrap(),
            "it asked for 1001 bytes of memory, of 1000 allowed; raise spec.limits.memory"
        );
        assert!(limiter.memory_growing(399, 400, None).unwrap(), "what was refused is not counted");
        assert!(!limiter.memory_growing(600, usize::MAX, None).unwrap());
    }

    #[test]
    fn each_table_may_have_the_limit_and_not_an_element_more() {
        let mut limiter = Limiter::new(&LIMITS());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.has_refused());
        assert!(!limiter.table_growing(10, 11, None).unwrap());
        assert_eq!(
            limiter.take_refusal().unwrap(),
            "it asked for a table of 11 elements, of 10 allowed; raise spec.limits.tableElements"
        );
    }
}
