/// Which members of a batch are acknowledged: one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    words: Vec<u64>,
    count: u32,
    set: u32,
}

impl Members {
    pub(crate) fn new(count: u32) -> Self {
        Self { words: vec![0; (count as usize).div_ceil(64)], count, set: 0 }
    }

    /// From what [`Members::words`] gave; bits beyond the count do not matter.
    pub(crate) fn from_words(count: u32, words: &[u64]) -> Self {
        let mut members = Self::new(count);
        (0..count).filter(|index| bit(words, *index)).for_each(|index| {
            members.insert(index);
        });
        members
    }

    /// False if it was there, or if there is no such member.
    pub(crate) fn insert(&mut self, index: u32) -> bool {
        if index >= self.count || self.contains(index) {
            return false;
        }
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            *word |= 1 << (index % 64);
        }
        self.set += 1;
        true
    }

    pub(crate) fn contains(&self, index: u32) -> bool {
        bit(&self.words, index)
    }

    /// How many are not acknowledged.
    pub(crate) fn left(&self) -> u32 {
        self.count - self.set
    }

    /// How many are acknowledged.
    pub(crate) fn len(&self) -> u32 {
        self.set
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

fn bit(words: &[u64], index: u32) -> bool {
    words.get(index as usize / 64).is_some_and(|word| word & 1 << (index % 64) != 0)
}
