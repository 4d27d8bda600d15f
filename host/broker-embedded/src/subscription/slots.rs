use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Number of a connected consumer, unique in the process.
pub(crate) type ConsumerId = u64;

/// Which consumer of a Key_Shared subscription serves which slots.
#[derive(Debug)]
pub(crate) enum Slots {
    /// Split among the consumers by the broker.
    Auto(AutoSplit),
    /// Chosen by the consumers; nobody may serve some.
    Sticky(Vec<(RangeInclusive<u16>, ConsumerId)>),
}

impl Slots {
    pub(crate) fn new(ranges: Option<&[RangeInclusive<u16>]>) -> Self {
        match ranges {
            None => Self::Auto(AutoSplit::default()),
            Some(_) => Self::Sticky(Vec::new()),
        }
    }

    pub(crate) fn is_sticky(&self) -> bool {
        matches!(self, Self::Sticky(_))
    }

    /// Adds a consumer.
    ///
    /// # Errors
    /// The rule that its ranges break: none at all, an empty one, or one that overlaps another.
    pub(crate) fn join(&mut self, id: ConsumerId, ranges: Option<&[RangeInclusive<u16>]>) -> Result<(), String> {
        let taken = match self {
            Self::Auto(split) => {
                split.join(id);
                return Ok(());
            }
            Self::Sticky(taken) => taken,
        };
        let ranges = ranges.unwrap_or_default();
        if ranges.is_empty() {
            return Err("it names no hash range".to_owned());
        }
        let mut all: Vec<_> = taken.iter().map(|(range, _)| range.clone()).collect();
        for range in ranges {
            let (from, to) = (range.start(), range.end());
            if range.is_empty() {
                return Err(format!("hash range {from}-{to} ends before it starts"));
            }
            if let Some(other) = all.iter().find(|other| from <= other.end() && other.start() <= to) {
                return Err(format!("hash range {from}-{to} overlaps {}-{}", other.start(), other.end()));
            }
            all.push(range.clone());
        }
        taken.extend(ranges.iter().map(|range| (range.clone(), id)));
        Ok(())
    }

    pub(crate) fn leave(&mut self, id: ConsumerId) {
        match self {
            Self::Auto(split) => split.leave(id),
            Self::Sticky(taken) => taken.retain(|(_, owner)| *owner != id),
        }
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<ConsumerId> {
        match self {
            Self::Auto(split) => split.owner(slot),
            Self::Sticky(taken) => taken.iter().find(|(range, _)| range.contains(&slot)).map(|(_, id)| *id),
        }
    }
}

/// All slots, split among the consumers: a newcomer gets half of the largest stretch, the stretches of one that leaves
/// go to a neighbour. So a join or a leave moves few keys.
#[derive(Debug, Default)]
pub(crate) struct AutoSplit {
    /// Owner by the last slot of a stretch; without a gap, and empty only without consumers.
    stretches: BTreeMap<u16, ConsumerId>,
}

impl AutoSplit {
    fn join(&mut self, id: ConsumerId) {
        let mut largest = (0u16, u16::MAX, None);
        let mut from = 0u16;
        for (end, owner) in &self.stretches {
            if largest.2.is_none() || end - from > largest.1 - largest.0 {
                largest = (from, *end, Some(*owner));
            }
            from = end.saturating_add(1);
        }
        match largest {
            (_, end, None) => self.stretches.insert(end, id),
            // The newcomer gets the lower half; with all slots single, the last one looked at changes hands.
            (from, end, Some(_)) => self.stretches.insert(from + (end - from) / 2, id),
        };
    }

    fn leave(&mut self, id: ConsumerId) {
        let mine: Vec<u16> = self.stretches.iter().filter(|(_, owner)| **owner == id).map(|(end, _)| *end).collect();
        for end in mine {
            self.stretches.remove(&end);
            if end == u16::MAX {
                // Nothing comes after it: the stretch before grows to the end.
                if let Some((_, owner)) = self.stretches.pop_last() {
                    self.stretches.insert(u16::MAX, owner);
                }
            }
        }
    }

    fn owner(&self, slot: u16) -> Option<ConsumerId> {
        self.stretches.range(slot..).next().map(|(_, owner)| *owner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_slot_has_one_living_owner_and_a_move_touches_only_who_moves(moves in vec((any::<bool>(), 0u64..8), 1..40)) {
            let mut slots = Slots::new(None);
            let mut living = Vec::new();
            for (join, id) in moves {
                let before: BTreeMap<u16, _> = (0..=u16::MAX).step_by(977).map(|s| (s, slots.owner(s))).collect();
                if join && !living.contains(&id) {
                    slots.join(id, None).unwrap();
                    living.push(id);
                } else if !join {
                    slots.leave(id);
                    living.retain(|other| *other != id);
                }
                for (slot, owner) in before {
                    let now = slots.owner(slot);
                    prop_assert_eq!(now.is_some(), !living.is_empty());
                    prop_assert!(now.is_none_or(|id| living.contains(&id)));
                    prop_assert!(now == owner || now == Some(id) || owner == Some(id) || owner.is_none());
                }
                // Eight consumers share at least 65,536 / 256 slots each, so steps of 64 meet everybody.
                let serving: BTreeSet<_> = (0..=u16::MAX).step_by(64).filter_map(|slot| slots.owner(slot)).collect();
                prop_assert_eq!(serving, living.iter().copied().collect());
            }
        }
    }

    #[test]
    fn sticky_ranges_may_leave_gaps_but_not_overlap() {
        let mut slots = Slots::new(Some(&[]));
        slots.join(1, Some(&[0..=9, 20..=29])).unwrap();
        assert!(slots.join(2, Some(&[29..=40])).unwrap_err().contains("overlaps 20-29"));
        assert!(slots.join(2, Some(&[])).unwrap_err().contains("no hash range"));
        #[allow(clippy::reversed_empty_ranges, reason = "the case under test")]
        let backwards = [5..=4];
        assert!(slots.join(2, Some(&backwards)).unwrap_err().contains("ends before"));
        assert!(slots.join(2, Some(&[50..=60, 55..=70])).unwrap_err().contains("overlaps 50-60"));
        slots.join(2, Some(&[10..=19])).unwrap();
        assert_eq!([5, 15, 25, 30].map(|slot| slots.owner(slot)), [Some(1), Some(2), Some(1), None]);
        slots.leave(1);
        assert_eq!([5, 15].map(|slot| slots.owner(slot)), [None, Some(2)]);
    }
}
