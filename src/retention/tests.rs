//! Properties that hold for every policy and every history, and a few examples that read like the documentation.

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn package(text: &str, good: bool) -> Candidate {
    Candidate { key: Key::new("web".parse().unwrap(), at(text)), good, verified: false, ahead: false }
}

fn dropped(decisions: &[Decision]) -> Vec<String> {
    decisions.iter().filter(|d| !d.keep).map(|d| d.key.at().to_string()).collect()
}

#[test]
fn ages_count_from_the_newest_good_package_not_from_now() {
    let history: Vec<_> = (1..=9).map(|day| package(&format!("2026-01-0{day}T00:00:00Z"), true)).collect();
    let years_later = at("2031-01-01T00:00:00Z");
    assert!(dropped(&decide(&Policy::default(), &history, years_later)).is_empty());
    let week = Policy { keep_within: 3 * DAY, keep_last: 1, ..Policy::default() };
    let gone = dropped(&decide(&week, &history, years_later));
    assert_eq!(gone.len(), 5);
    assert!(gone.iter().all(|at| at.as_str() < "2026-01-06"));
}

#[test]
fn a_single_package_long_after_the_others_makes_none_of_them_old() {
    let day = |day: i64| at("2026-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(24 * day);
    let on = |days: &[i64]| -> Vec<Candidate> {
        days.iter().map(|number| package(&day(*number).to_string(), true)).collect()
    };
    let month: Vec<i64> = (1..=30).collect();
    for gap in [32, 400] {
        let first = [month.as_slice(), &[30 + gap]].concat();
        let decisions = decide(&Policy::default(), &on(&first), day(30 + gap));
        let alone = decisions.iter().filter(|decision| decision.reason == Reason::NewestAlone).count();
        assert_eq!((alone, dropped(&decisions).len()), (28, 0), "{gap}");
        // The next one says that time has passed indeed.
        let second = [first.as_slice(), &[31 + gap]].concat();
        assert_eq!(dropped(&decide(&Policy::default(), &on(&second), day(31 + gap))).len(), 29, "{gap}");
    }
    // Where every package is farther from the others than the window, it is the window that is short.
    let short = Policy { keep_within: DAY / 2, keep_last: 1, ..Policy::default() };
    assert_eq!(dropped(&decide(&short, &on(&month), day(30))).len(), 29);
}

#[test]
fn nothing_goes_while_the_newest_is_not_good() {
    let mut history: Vec<_> =
        (1..=9).map(|day| package(&format!("2025-0{day}-01T00:00:00Z"), true)).collect();
    history.push(package("2026-01-01T00:00:00Z", false));
    let decisions = decide(&Policy::default(), &history, at("2026-01-02T00:00:00Z"));
    assert!(decisions.iter().all(|d| d.keep && d.reason == Reason::Frozen));
}

#[test]
fn failed_packages_do_not_fill_the_slots_of_good_ones() {
    let history = [
        package("2026-01-01T00:00:00Z", true),
        package("2026-02-01T00:00:00Z", true),
        package("2026-03-01T00:00:00Z", false),
        package("2026-03-02T00:00:00Z", false),
        package("2026-06-01T00:00:00Z", true),
    ];
    let gone = dropped(&decide(&Policy::default(), &history, at("2026-06-02T00:00:00Z")));
    assert_eq!(gone, ["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"]);
}

#[test]
fn a_year_of_daily_packages_thins_out() {
    let start = at("2025-01-01T03:00:00Z");
    let day = jiff::SignedDuration::from_hours(24);
    let history: Vec<_> = (0..365)
        .map(|n| Candidate {
            key: Key::new("web".parse().unwrap(), start + day * n),
            good: true,
            verified: false,
            ahead: false,
        })
        .collect();
    let config = Config {
        keep_within: Some(Span(7 * DAY)),
        weekly: Some(4),
        monthly: Some(12),
        yearly: Some(5),
        ..Config::default()
    };
    let policy = config.plan(&mut Context::default());
    let decisions = decide(&policy, &history, start + day * 365);
    let count = |reason: &Reason| decisions.iter().filter(|d| d.reason == *reason).count();
    assert_eq!(count(&Reason::Within(Span(7 * DAY))) + count(&Reason::Last(3)), 8);
    // December's newest is within the week already; eleven months remain.
    assert_eq!(count(&Reason::NewestOf(Period::Month)), 11);
    assert!(count(&Reason::NewestOf(Period::Week)) >= 2);
    assert!(dropped(&decisions).len() > 330);
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let mut context = Context::default();
    Config { keep_last: Some(0), orphans_after: Some(Span(Duration::ZERO)), ..Config::default() }
        .plan(&mut context);
    let paths: Vec<_> = context.into_problems().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["keep_last", "orphans_after"]);
}

fn histories() -> impl Strategy<Value = Vec<Candidate>> {
    let ahead = prop::bool::weighted(0.1);
    let package =
        (0i64..4_000, any::<bool>(), any::<bool>(), ahead).prop_map(|(hours, good, verified, ahead)| {
            Candidate {
                key: Key::new(
                    "web".parse().unwrap(),
                    Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap(),
                ),
                good,
                verified,
                ahead,
            }
        });
    prop::collection::vec(package, 0..60).prop_map(|mut history| {
        history.sort_by(|a, b| a.key.cmp(&b.key));
        history.dedup_by(|a, b| a.key == b.key);
        history
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    (0u32..60, 1u32..6, 0u32..4, 0u32..4, 0u32..4).prop_map(|(days, keep_last, hours, weeks, years)| Policy {
        keep_within: DAY * days,
        keep_last,
        periods: vec![(Period::Hour, hours), (Period::Week, weeks), (Period::Year, years)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect(),
        orphans_after: DAY,
        automatic: true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_floor_holds(history in histories(), policy in policies(), hours in 0i64..5_000) {
        let now = Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap();
        let decisions = decide(&policy, &history, now);
        prop_assert_eq!(decisions.len(), history.len());
        let keeps = |key: &Key| decisions.iter().any(|d| d.key == *key && d.keep);
        let past_good = history.iter().rev().filter(|p| p.good && !p.ahead && p.key.at() <= now);
        for package in past_good.clone().take(policy.keep_last as usize) {
            prop_assert!(keeps(&package.key));
        }
        if let Some(verified) = past_good.clone().find(|p| p.verified) {
            prop_assert!(keeps(&verified.key));
        }
        for package in history.iter().filter(|p| p.ahead || p.key.at() > now) {
            prop_assert!(keeps(&package.key));
        }
    }

    #[test]
    fn a_newest_that_is_not_good_freezes_everything(mut history in histories(), policy in policies()) {
        let now = Timestamp::from_second(1_700_000_000 + 6_000 * 3_600).unwrap();
        if let Some(newest) = history.iter_mut().rfind(|p| !p.ahead) {
            newest.good = false;
        }
        prop_assert!(dropped(&decide(&policy, &history, now)).is_empty());
    }

    #[test]
    fn deciding_twice_drops_nothing_more(history in histories(), policy in policies()) {
        let now = Timestamp::from_second(1_700_000_000 + 6_000 * 3_600).unwrap();
        let first = decide(&policy, &history, now);
        let left: Vec<_> =
            history.into_iter().filter(|p| first.iter().any(|d| d.key == p.key && d.keep)).collect();
        prop_assert!(dropped(&decide(&policy, &left, now)).is_empty());
    }

    #[test]
    fn a_package_from_the_future_makes_no_other_go(history in histories(), policy in policies(), hours in 0i64..4_000) {
        let now = Timestamp::from_second(1_700_000_000 + 4_000 * 3_600).unwrap();
        let without = dropped(&decide(&policy, &history, now));
        let mut with = history;
        // One by this machine's clock; one that only the store's clock shows, because this machine's is wrong too.
        let future = Timestamp::from_second(1_900_000_000).unwrap();
        let between = Timestamp::from_second(1_700_000_000 + hours * 3_600 + 1_800).unwrap();
        for (at, ahead) in [(future, false), (between, true)] {
            with.push(Candidate { key: Key::new("web".parse().unwrap(), at), good: true, verified: true, ahead });
        }
        prop_assert_eq!(dropped(&decide(&policy, &with, now)), without);
    }

    #[test]
    fn what_goes_is_expired_and_older_than_what_the_window_keeps(history in histories(), policy in policies()) {
        let now = Timestamp::from_second(1_700_000_000 + 6_000 * 3_600).unwrap();
        let newest = history.iter().rev().find(|p| p.good && !p.ahead);
        for decision in decide(&policy, &history, now).iter().filter(|d| !d.keep) {
            let newest = newest.unwrap().key.at();
            prop_assert_eq!(&decision.reason, &Reason::Expired);
            prop_assert!(newest.duration_since(decision.key.at()).unsigned_abs() > policy.keep_within);
        }
    }
}
