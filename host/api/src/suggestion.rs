/// The candidate that was most probably meant, if one is close enough to be worth naming.
pub(crate) fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    let length = written.chars().count();
    // Beyond this the names have nothing to do with each other, and long ones need not be compared.
    let most = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most)
        .map(|candidate| (mistakes(&written, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Two letters that have changed places are one mistake, though two changes.
fn mistakes(a: &str, b: &str) -> usize {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    match distance(a, b) {
        2 if letters(a) == letters(b) => 1,
        changes => changes,
    }
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(from != *to)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_strangers_are_not() {
        let fields = ["topics", "topicPattern", "timeout"];
        assert_eq!(closest("topic", fields), Some("topics"));
        assert_eq!(closest("topicpatern", fields), Some("topicPattern"));
        assert_eq!(closest("tiemout", fields), Some("timeout"));
        assert_eq!(closest("inptu", ["input", "limits"]), Some("input"));
        assert_eq!(closest("colour", fields), None);
        assert_eq!(closest("", fields), None);
    }

    #[test]
    fn the_distance_counts_single_changes() {
        for (a, b, d) in [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("é", "e", 1)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
