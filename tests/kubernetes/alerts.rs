//! The alert rules, run by Prometheus's own `promtool test rules` over series as kube-state-metrics has them.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::rendered::{BASE, find, manifests};
use crate::support::{scratch, tool};

const OVERDUE: &str = "ChupaCabraBackupOverdue";
const FAILED: &str = "ChupaCabraBackupFailed";
const UNWATCHED: &str = "ChupaCabraBackupUnwatched";

/// Schedules of every kind, one of them suspended, one with a limit of its own.
const SCHEDULES: &str = r#"
alerts: { enabled: true }
schedules:
  hourly: { cron: "7 * * * *" }
  nightly: { cron: "30 2 * * *" }
  weekly: { cron: "0 4 * * 0" }
  monthly: { cron: "@monthly", maxAge: 3000000 }
  paused: { cron: "0 5 * * *", suspend: true }
"#;

/// The rules that these values render.
fn rules(values: &str) -> Value {
    find(&manifests(&[BASE, values]), "PrometheusRule", "chupacabra")["spec"].clone()
}

/// A series: its name and labels, and its values as promtool writes them.
fn series(name: &str, labels: &str, values: &str) -> Value {
    // What the scrape adds, so that rules which forget it do not match by chance.
    let scraped = r#"instance="10.0.0.1:8080",job="kube-state-metrics""#;
    json!({ "series": format!("{name}{{namespace=\"shop\",{labels},{scraped}}}"), "values": values })
}

fn cronjob(metric: &str, schedule: &str, values: &str) -> Value {
    let labels = format!("cronjob=\"shop-chupacabra-{schedule}\"");
    series(&format!("kube_cronjob_{metric}"), &labels, values)
}

fn job(metric: &str, name: &str, more: &str, values: &str) -> Value {
    series(&format!("kube_job_{metric}"), &format!("job_name=\"shop-chupacabra-{name}\"{more}"), values)
}

/// What is expected at a time: the alert, and of whom (`cronjob` or `job_name`, without the release's name).
type Expected<'a> = (&'a str, &'static str, &'a [&'a str]);

/// Runs promtool over these series, one value each minute.
fn promtool(rules: &Value, series: &[Value], expected: &[Expected]) -> Output {
    let dir = scratch();
    std::fs::write(dir.path().join("rules.yaml"), rules.to_string()).unwrap();
    let cases = expected.iter().map(|(at, alert, of)| {
        let (label, severity) =
            if *alert == FAILED { ("job_name", "warning") } else { ("cronjob", "critical") };
        let alerts = of.iter().map(|name| {
            let name = format!("shop-chupacabra-{name}");
            json!({ "exp_labels": { "namespace": "shop", "severity": severity, label: name } })
        });
        json!({ "eval_time": at, "alertname": alert, "exp_alerts": alerts.collect::<Vec<_>>() })
    });
    // What the annotations say is not compared: they are taken away.
    let mut bare = rules.clone();
    for rule in bare["groups"][0]["rules"].as_array_mut().unwrap() {
        rule.as_object_mut().unwrap().remove("annotations");
    }
    std::fs::write(dir.path().join("rules.yaml"), bare.to_string()).unwrap();
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{ "interval": "1m", "input_series": series, "alert_rule_test": cases.collect::<Vec<_>>() }],
    });
    std::fs::write(dir.path().join("test.yaml"), test.to_string()).unwrap();
    let mut command = Command::new(tool("promtool"));
    command.current_dir(dir.path()).args(["test", "rules", "test.yaml"]).output().unwrap()
}

/// Fails the test unless the alerts are just the expected ones.
fn holds(rules: &Value, series: &[Value], expected: &[Expected]) {
    let output = promtool(rules, series, expected);
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{told}");
}

#[test]
fn the_rules_are_sound() {
    let dir = scratch();
    let file = dir.path().join("rules.yaml");
    let check = |rules: &Value| {
        std::fs::write(&file, rules.to_string()).unwrap();
        Command::new(tool("promtool")).args(["check", "rules"]).arg(&file).output().unwrap()
    };
    let good = rules(SCHEDULES);
    let told = check(&good);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    // The negative control.
    let mut wrong = good;
    wrong["groups"][0]["rules"][0]["expr"] = json!("time( > 1");
    assert!(!check(&wrong).status.success());
}

#[test]
fn each_schedule_is_overdue_by_its_own_measure_and_a_suspended_one_never_is() {
    let rules = rules(SCHEDULES);
    // All were successful at the beginning, and never again.
    let all = ["hourly", "nightly", "weekly", "monthly", "paused", "restore"];
    let series: Vec<Value> = all
        .iter()
        .flat_map(|name| {
            [cronjob("status_last_successful_time", name, "0x60000"), cronjob("created", name, "0x60000")]
        })
        .collect();
    let (nightly, weekly): (&[&str], &[&str]) = (&["hourly", "nightly"], &["hourly", "nightly", "weekly"]);
    let expected: &[Expected] = &[
        ("3h", OVERDUE, &[]),
        ("3h20m", OVERDUE, &["hourly"]),
        ("26h", OVERDUE, &["hourly"]),
        ("26h20m", OVERDUE, nightly),
        ("170h", OVERDUE, nightly),
        ("170h20m", OVERDUE, weekly),
        // Its own limit: 3 000 000 s are 833 h 20 min.
        ("833h", OVERDUE, weekly),
        ("834h", OVERDUE, &["hourly", "nightly", "weekly", "monthly"]),
    ];
    holds(&rules, &series, expected);
    // The negative control: promtool notices what is expected wrongly.
    assert!(!promtool(&rules, &series, &[("3h20m", OVERDUE, &[])]).status.success());
    assert!(!promtool(&rules, &series, &[("3h20m", OVERDUE, nightly)]).status.success());
}

#[test]
fn a_schedule_that_was_never_successful_is_overdue_from_its_making_on() {
    let series = [cronjob("created", "nightly", "36000x3000")];
    holds(&rules(SCHEDULES), &series, &[("36h", OVERDUE, &[]), ("36h20m", OVERDUE, &["nightly"])]);
}

#[test]
fn a_schedule_of_which_nothing_is_known_is_told_of() {
    // One is deleted after ten hours, for one nothing was ever told, one is scraped badly for half an hour.
    let series = [
        cronjob("created", "nightly", "0x600 _x6000"),
        cronjob("created", "weekly", "0x120 _x30 0x6000"),
        cronjob("created", "monthly", "0x6000"),
    ];
    let expected: &[Expected] = &[
        ("59m", UNWATCHED, &[]),
        ("1h5m", UNWATCHED, &["hourly"]),
        ("3h", UNWATCHED, &["hourly"]),
        ("10h30m", UNWATCHED, &["hourly"]),
        ("11h20m", UNWATCHED, &["hourly", "nightly"]),
        // The one that is gone is not overdue: there is nothing to go by.
        ("80h", OVERDUE, &[]),
    ];
    holds(&rules(SCHEDULES), &series, expected);
}

#[test]
fn one_limit_may_be_for_all_that_have_none() {
    let rules = rules(
        "alerts: { enabled: true, maxAge: 7200 }\nschedules: { weekly: { cron: '@weekly', maxAge: 10800 } }",
    );
    let last = |name| cronjob("status_last_successful_time", name, "0x600");
    let series = [last("nightly"), last("weekly")];
    let expected: &[Expected] =
        &[("2h", OVERDUE, &[]), ("2h20m", OVERDUE, &["nightly"]), ("3h20m", OVERDUE, &["nightly", "weekly"])];
    holds(&rules, &series, expected);
}

#[test]
fn a_job_that_failed_is_told_until_a_later_one_was_successful() {
    let failed = |name| job("failed", name, r#",condition="true""#, "_x10 1x600");
    let created = |name, at: u32| job("created", name, "", &format!("_x10 {at}x600"));
    let series = [
        // The last success was at 300 s; the failed Job was made at 600 s and stays; at 7 200 s there is a success.
        cronjob("status_last_successful_time", "nightly", "300x119 7200x600"),
        created("nightly-28930001", 600),
        failed("nightly-28930001"),
        job("status_failed", "nightly-28930001", r#",reason="PodFailurePolicy""#, "_x10 1x600"),
        // One that was never successful.
        cronjob("created", "weekly", "0x700"),
        created("weekly-28930001", 600),
        failed("weekly-28930001"),
        // A restore that failed is told to whoever makes it.
        cronjob("created", "restore", "0x700"),
        created("restore-28930001", 600),
        failed("restore-28930001"),
    ];
    let both: &[&str] = &["nightly-28930001", "weekly-28930001"];
    let expected: &[Expected] = &[
        ("9m", FAILED, &[]),
        ("15m", FAILED, both),
        ("1h59m", FAILED, both),
        ("2h5m", FAILED, &["weekly-28930001"]),
        ("10h", FAILED, &["weekly-28930001"]),
    ];
    holds(&rules(SCHEDULES), &series, expected);
}

#[test]
fn a_job_whose_second_pod_was_good_has_not_failed() {
    let good = "nightly-28930002";
    let series = [
        cronjob("status_last_successful_time", "nightly", "300x600"),
        job("created", good, "", "600x600"),
        job("status_failed", good, "", "1x600"),
        job("complete", good, r#",condition="true""#, "1x600"),
        job("failed", good, r#",condition="true""#, "0x600"),
        job("failed", good, r#",condition="false""#, "1x600"),
    ];
    holds(&rules(SCHEDULES), &series, &[("1h", FAILED, &[])]);
}

#[test]
fn where_everything_is_suspended_there_is_no_rule() {
    let values = "alerts: { enabled: true }\nschedules: { nightly: { suspend: true } }";
    let rendered = manifests(&[BASE, values]);
    assert!(!rendered.iter().any(|one| one["kind"] == "PrometheusRule"), "{rendered:#?}");
}

/// The limit of a schedule by its cron: the longest time between two runs, and two hours.
#[test]
fn the_limit_follows_the_cron() {
    for (cron, hours) in [
        ("@hourly", 1),
        ("@daily", 24),
        ("@midnight", 24),
        ("@weekly", 7 * 24),
        ("@monthly", 31 * 24),
        ("@yearly", 366 * 24),
        ("*/10 * * * *", 1),
        ("7 */6 * * *", 6),
        ("0 2,14 * * *", 24),
        ("0 2 ? * *", 24),
        ("0 4 * * 1-5", 7 * 24),
        ("0 4 1 * 0", 7 * 24),
        ("0 4 1 * *", 31 * 24),
        ("0 4 1 1 *", 366 * 24),
        ("30 2 */2 * *", 2 * 24),
        ("30 2 */40 * *", 31 * 24),
        ("30 2 * * */3", 3 * 24),
        ("30 2 1 */3 *", 93 * 24),
        ("30 2 1 */12 *", 366 * 24),
    ] {
        let rules =
            rules(&format!("alerts: {{ enabled: true }}\nschedules: {{ nightly: {{ cron: '{cron}' }} }}"));
        let expression = rules["groups"][0]["rules"][0]["expr"].as_str().unwrap().to_owned();
        let limit = expression.rsplit_once("> ").unwrap().1.trim().parse::<u64>().unwrap();
        assert_eq!(limit, (hours + 2) * 3600, "{cron}: {expression}");
    }
}
