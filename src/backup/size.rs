//! How large a package may become, for stores that divide it into parts before they know.

use tokio_util::sync::CancellationToken;

use crate::catalog::Found;
use crate::stores::Intent;

/// What is known of a package's size before the first byte.
///
/// The estimate is what the source says of its data, shrunk as the package before was, with half as much again to
/// spare; a source that cannot tell may grow to twice its last package. It makes parts large enough and refuses
/// nothing: a source may count what is not wanted of it.
pub(super) fn intent(content: Option<u64>, before: Option<&Found>, stop: &CancellationToken) -> Intent {
    let before = before.map(|found| (found.record.totals.content_bytes, found.record.package.size));
    Intent {
        size_estimate: estimate(content, before),
        predecessor: before.map(|(_, packed)| packed),
        retain_until: None,
        stop: stop.clone(),
    }
}

/// `before`: the bytes of content of the package before, and its own. `None`: nothing is known.
fn estimate(content: Option<u64>, before: Option<(u64, u64)>) -> Option<u64> {
    let Some((was, packed)) = before.filter(|(was, _)| *was > 0) else { return content };
    let (was, packed) = (u128::from(was), u128::from(packed));
    let planned =
        content.map_or(2 * packed, |content| (u128::from(content) * packed / was).saturating_mul(3) / 2);
    Some(u64::try_from(planned).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn sizes_are_planned_from_the_package_before() {
        assert_eq!(estimate(None, None), None);
        assert_eq!(estimate(Some(700), None), Some(700));
        assert_eq!(estimate(None, Some((900, 300))), Some(600));
        assert_eq!(
            estimate(Some(1_800), Some((900, 300))),
            Some(900),
            "twice the data, as well packed, half more"
        );
        assert_eq!(estimate(Some(700), Some((0, 50))), Some(700), "an empty package says nothing");
        assert_eq!(estimate(Some(u64::MAX), Some((1, u64::MAX))), Some(u64::MAX));
    }
}
