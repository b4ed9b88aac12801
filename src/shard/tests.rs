use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::*;

fn names(count: usize) -> Vec<SourceName> {
    (0..count).map(|number| format!("source-{number}").parse().unwrap()).collect()
}

fn sources() -> impl Strategy<Value = (Vec<SourceName>, BTreeMap<SourceName, u64>)> {
    let size = proptest::option::of(0u64..1 << 44);
    proptest::collection::btree_map("[a-z][a-z0-9]{0,12}", size, 0..60).prop_map(|sources| {
        let named = sources.into_iter().map(|(name, size)| (name.parse::<SourceName>().unwrap(), size));
        let (mut names, mut sizes) = (Vec::new(), BTreeMap::new());
        for (name, size) in named {
            sizes.extend(size.map(|size| (name.clone(), size)));
            names.push(name);
        }
        (names, sizes)
    })
}

proptest! {
    #[test]
    fn every_source_is_in_exactly_one_shard((names, sizes) in sources()) {
        for of in 1..=7 {
            let mut covered: Vec<SourceName> =
                (0..of).flat_map(|index| Shard { index, of }.of(&names, &sizes)).collect();
            covered.sort();
            prop_assert_eq!(&covered, &names);
        }
    }

    #[test]
    fn the_order_of_the_sources_decides_nothing((names, sizes) in sources()) {
        let reversed: Vec<_> = names.iter().rev().cloned().collect();
        prop_assert_eq!(assign(&names, &sizes, 5), assign(&reversed, &sizes, 5));
    }

    #[test]
    fn no_shard_gets_much_more_than_its_share((names, sizes) in sources()) {
        for of in 1..=7 {
            let weights = weights(&names, &sizes);
            let total: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
            let largest = u128::from(weights.values().max().copied().unwrap_or(0));
            let most = (total * 5).div_ceil(u128::from(of) * 4).max(total / u128::from(of) + largest);
            let mut loads = vec![0u128; of as usize];
            for (name, shard) in assign(&names, &sizes, of) {
                loads[shard as usize] += u128::from(weights[&name]);
            }
            prop_assert!(loads.iter().all(|load| *load <= most), "{loads:?} above {most}");
        }
    }
}

/// How many of the sources that were there before have another shard after one is added.
fn moved(count: usize, of: u32) -> usize {
    let (before, after) = (names(count), names(count + 1));
    let (old, new) = (assign(&before, &BTreeMap::new(), of), assign(&after, &BTreeMap::new(), of));
    before.iter().filter(|name| old[name] != new[name]).count()
}

#[test]
fn adding_a_source_moves_less_than_one_other_on_average_and_never_many() {
    for of in 2..=7 {
        let moves: Vec<usize> = (1..200).map(|count| moved(count, of)).collect();
        let (sum, most) = (moves.iter().sum::<usize>(), moves.iter().max().copied().unwrap());
        assert!(sum < moves.len(), "{of} shards: {sum} moves in {} additions", moves.len());
        assert!(most <= 8, "{of} shards: {most} sources moved at once");
    }
}

#[test]
fn a_plain_remainder_would_move_nearly_all() {
    // The negative control: what the test above measures does tell a stable assignment from another.
    let place = |names: &[SourceName], of: usize| -> BTreeMap<SourceName, usize> {
        let mut sorted = names.to_vec();
        sorted.sort();
        sorted.into_iter().enumerate().map(|(position, name)| (name, position % of)).collect()
    };
    let moves = (1..200).map(|count| {
        let (old, new) = (place(&names(count), 3), place(&names(count + 1), 3));
        old.iter().filter(|(name, shard)| new[*name] != **shard).count()
    });
    assert!(moves.sum::<usize>() > 199 * 10);
}

#[test]
fn weights_spread_the_large_ones_and_everyday_growth_moves_nothing() {
    let names = names(12);
    let gib = |size: u64| size << 30;
    let sizes: BTreeMap<_, _> =
        names.iter().cloned().zip([gib(100), gib(90), gib(80)].into_iter().chain([gib(1); 9])).collect();
    let assigned = assign(&names, &sizes, 3);
    let shards: std::collections::BTreeSet<u32> = names[..3].iter().map(|name| assigned[name]).collect();
    assert_eq!(shards.len(), 3, "the three large sources share a shard: {assigned:?}");
    let grown = sizes.iter().map(|(name, size)| (name.clone(), size + size / 20)).collect();
    assert_eq!(assign(&names, &grown, 3), assigned);
}

#[test]
fn shards_are_read_and_refused() {
    assert_eq!("2/3".parse(), Ok(Shard { index: 2, of: 3 }));
    assert_eq!("3/3".parse::<Shard>(), Err(Error::Range { index: 3, of: 3 }));
    for wrong in ["", "1", "1/", "/3", "0/0", "+1/3", "-1/3", "1/3/4", "a/b", "0/1001", "99999999999/3"] {
        assert_eq!(wrong.parse::<Shard>(), Err(Error::Form(wrong.to_owned())), "{wrong}");
    }
}

#[test]
fn the_time_of_a_cron_jobs_job_is_in_its_name() {
    let at: Timestamp = "2026-11-21T02:30:00Z".parse().unwrap();
    let minutes = at.as_second() / 60;
    assert_eq!(scheduled(&format!("shop-backup-nightly-{minutes}")), Some(at));
    for other in ["by-hand", "restore-1", "", "29384930", "backup-+29384930", "backup-99999999999"] {
        assert_eq!(scheduled(other), None, "{other}");
    }
}
