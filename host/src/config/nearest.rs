//! The known name that a misspelt one is nearest to.

/// The nearest of `known` to `name`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within((name.chars().count() / 3).max(1), name, known)
}

/// The nearest of `known` to `name`, at most so many changes away.
pub(crate) fn nearest_within<'a>(
    limit: usize,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be added, removed or replaced to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name() {
        let known = ["offset.flush.interval.ms", "offset.flush.timeout.ms", "plugin.path"];
        assert_eq!(nearest("offset.flush.intervall.ms", known), Some("offset.flush.interval.ms"));
        assert_eq!(nearest("plugins.path", known), Some("plugin.path"));
        assert_eq!(nearest("something.else.entirely", known), None);
    }

    #[test]
    fn the_distance_counts_single_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
