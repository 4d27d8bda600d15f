use std::collections::{BTreeMap, BTreeSet};

use super::members::Members;
use crate::store::tables::{AckRow, CursorRow, Place};

/// What a subscription has acknowledged: everything before a point, and some of what comes after it. Knows what of that
/// is not saved yet.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// First entry that is not acknowledged whole.
    entry: u64,
    /// Messages before it.
    message: u64,
    above: BTreeMap<u64, Acked>,
    messages_above: u64,
    /// Entries whose row is out of date.
    unsaved_rows: BTreeSet<u64>,
    /// All rows on disk are void.
    void_rows: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Acked {
    /// All of it; so many messages.
    Whole(u32),
    Some(Members),
}

impl Acked {
    fn messages(&self) -> u32 {
        match self {
            Self::Whole(count) => *count,
            Self::Some(members) => members.len(),
        }
    }
}

/// What the next commit writes for a cursor.
#[derive(Debug)]
pub(crate) struct CursorChanges {
    pub(crate) row: CursorRow,
    /// Remove all acks first.
    pub(crate) void_rows: bool,
    /// Acks to write, or to remove.
    pub(crate) acks: Vec<(u64, Option<AckRow>)>,
}

impl Cursor {
    pub(crate) fn new(at: Place) -> Self {
        Self {
            entry: at.entry,
            message: at.message,
            above: BTreeMap::new(),
            messages_above: 0,
            unsaved_rows: BTreeSet::new(),
            void_rows: false,
        }
    }

    /// As it was saved.
    pub(crate) fn load(row: &CursorRow, acks: impl IntoIterator<Item = (u64, AckRow)>) -> Self {
        let mut cursor = Self::new(Place { entry: row.entry, message: row.message, byte: 0 });
        for (entry, ack) in acks {
            let acked = match ack.members {
                None => Acked::Whole(ack.count),
                Some(words) => Acked::Some(Members::from_words(ack.count, &words)),
            };
            cursor.messages_above += u64::from(acked.messages());
            cursor.above.insert(entry, acked);
        }
        cursor.advance();
        cursor
    }

    /// First entry that is not acknowledged whole.
    pub(crate) fn entry(&self) -> u64 {
        self.entry
    }

    /// Messages not acknowledged, of a topic that holds `messages` in all.
    pub(crate) fn backlog(&self, messages: u64) -> u64 {
        messages.saturating_sub(self.message + self.messages_above)
    }

    pub(crate) fn is_acked(&self, entry: u64) -> bool {
        entry < self.entry || matches!(self.above.get(&entry), Some(Acked::Whole(_)))
    }

    /// The acknowledged members of an entry that is acknowledged in part.
    pub(crate) fn members(&self, entry: u64) -> Option<&Members> {
        match self.above.get(&entry) {
            Some(Acked::Some(members)) => Some(members),
            _ => None,
        }
    }

    /// Acknowledges an entry of `count` messages; tells how many of them were not acknowledged before.
    pub(crate) fn ack_entry(&mut self, entry: u64, count: u32) -> u32 {
        if self.is_acked(entry) {
            return 0;
        }
        let before = self.above.insert(entry, Acked::Whole(count)).map_or(0, |acked| acked.messages());
        self.messages_above += u64::from(count.saturating_sub(before));
        self.unsaved_rows.insert(entry);
        self.advance();
        count.saturating_sub(before)
    }

    /// Acknowledges members of an entry of `count` messages; tells how many were not acknowledged before.
    pub(crate) fn ack_members(&mut self, entry: u64, count: u32, indexes: impl Iterator<Item = u32>) -> u32 {
        if self.is_acked(entry) {
            return 0;
        }
        let acked = self.above.entry(entry).or_insert_with(|| Acked::Some(Members::new(count)));
        let Acked::Some(members) = acked else { return 0 };
        let new = indexes.filter(|index| members.insert(*index)).count() as u32;
        if members.left() == 0 {
            *acked = Acked::Whole(count);
        }
        self.messages_above += u64::from(new);
        self.unsaved_rows.insert(entry);
        self.advance();
        new
    }

    /// Acknowledges everything before a point.
    pub(crate) fn ack_through(&mut self, end: Place) {
        if end.entry <= self.entry {
            return;
        }
        while let Some(first) = self.above.first_entry().filter(|first| *first.key() < end.entry) {
            self.unsaved_rows.insert(*first.key());
            self.messages_above -= u64::from(first.remove().messages());
        }
        (self.entry, self.message) = (end.entry, end.message);
        self.advance();
    }

    /// Forgets all acks and starts again from a point.
    pub(crate) fn jump(&mut self, to: Place) {
        *self = Self { void_rows: true, ..Self::new(to) };
    }

    /// What is not saved; counts as saved from now on.
    pub(crate) fn take_changes(&mut self, id: u64) -> CursorChanges {
        let rows = std::mem::take(&mut self.unsaved_rows);
        CursorChanges {
            row: CursorRow { id, entry: self.entry, message: self.message },
            void_rows: std::mem::take(&mut self.void_rows),
            acks: rows.into_iter().map(|entry| (entry, self.above.get(&entry).map(Acked::row))).collect(),
        }
    }

    /// Moves over what is acknowledged whole.
    fn advance(&mut self) {
        while let Some(first) = self.above.first_entry().filter(|first| *first.key() == self.entry) {
            let Acked::Whole(count) = first.get() else { return };
            let count = u64::from(*count);
            first.remove();
            // The row is removed when it is saved; one that never was costs a look-up.
            self.unsaved_rows.insert(self.entry);
            self.entry += 1;
            self.message += count;
            self.messages_above -= count;
        }
    }
}

impl Acked {
    fn row(&self) -> AckRow {
        match self {
            Self::Whole(count) => AckRow { count: *count, members: None },
            Self::Some(members) => AckRow { count: members.count(), members: Some(members.words().to_vec()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ENTRIES: u64 = 12;
    /// Messages of each entry.
    fn count(entry: u64) -> u32 {
        [1, 3, 70][entry as usize % 3]
    }

    fn place(entry: u64) -> Place {
        Place { entry, message: (0..entry).map(|e| u64::from(count(e))).sum(), byte: 0 }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Entry(u64),
        Members(u64, Vec<u32>),
        Through(u64),
        Jump(u64),
        Save,
        Reload,
    }

    fn step() -> impl Strategy<Value = Step> {
        let entry = 0..ENTRIES;
        prop_oneof![
            4 => entry.clone().prop_map(Step::Entry),
            6 => (entry.clone(), vec(0u32..80, 1..60)).prop_map(|(e, m)| Step::Members(e, m)),
            1 => (0..=ENTRIES).prop_map(Step::Through),
            1 => (0..=ENTRIES).prop_map(Step::Jump),
            3 => Just(Step::Save),
            1 => Just(Step::Reload),
        ]
    }

    /// What is on disk after the commits.
    #[derive(Default)]
    struct Disk {
        row: Option<CursorRow>,
        acks: BTreeMap<u64, AckRow>,
    }

    impl Disk {
        fn save(&mut self, changes: CursorChanges) {
            self.row = Some(changes.row);
            if changes.void_rows {
                self.acks.clear();
            }
            for (entry, row) in changes.acks {
                match row {
                    Some(row) => self.acks.insert(entry, row),
                    None => self.acks.remove(&entry),
                };
            }
        }
    }

    proptest! {
        #[test]
        fn a_cursor_knows_what_a_set_of_messages_knows_and_loads_as_it_was_saved(steps in vec(step(), 1..60)) {
            let mut cursor = Cursor::new(place(0));
            let mut model = BTreeSet::new();
            let mut disk = Disk::default();
            let all = |entry: u64| (0..count(entry)).map(move |index| (entry, index));
            for step in steps {
                match step {
                    Step::Entry(e) => {
                        let new = all(e).filter(|m| model.insert(*m)).count();
                        prop_assert_eq!(cursor.ack_entry(e, count(e)) as usize, new);
                    }
                    Step::Members(e, indexes) => {
                        let real = indexes.iter().filter(|i| **i < count(e));
                        let new = real.filter(|i| model.insert((e, **i))).count();
                        prop_assert_eq!(cursor.ack_members(e, count(e), indexes.iter().copied()) as usize, new);
                    }
                    Step::Through(e) => {
                        model.extend((0..e).flat_map(all));
                        cursor.ack_through(place(e));
                    }
                    Step::Jump(e) => {
                        model = (0..e).flat_map(all).collect();
                        cursor.jump(place(e));
                    }
                    Step::Save => disk.save(cursor.take_changes(9)),
                    Step::Reload => {
                        disk.save(cursor.take_changes(9));
                        cursor = Cursor::load(&disk.row.unwrap(), disk.acks.clone());
                    }
                }
                let first_open = (0..ENTRIES).find(|e| !all(*e).all(|m| model.contains(&m))).unwrap_or(ENTRIES);
                prop_assert_eq!(cursor.entry(), first_open);
                let total = place(ENTRIES).message;
                prop_assert_eq!(cursor.backlog(total), total - model.len() as u64);
                for e in 0..ENTRIES {
                    prop_assert_eq!(cursor.is_acked(e), all(e).all(|m| model.contains(&m)));
                    if let Some(members) = cursor.members(e) {
                        let known: Vec<_> = (0..count(e)).filter(|i| members.contains(*i)).collect();
                        let expected: Vec<_> = (0..count(e)).filter(|i| model.contains(&(e, *i))).collect();
                        prop_assert_eq!(known, expected);
                    }
                }
            }
            disk.save(cursor.take_changes(9));
            prop_assert!(disk.acks.keys().all(|e| *e >= cursor.entry()), "rows below the cursor are removed");
        }
    }
}
