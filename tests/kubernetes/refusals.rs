//! Values that cannot be meant are refused, in words that say what to change.

use crate::rendered::{BASE, HELMS, manifests, template};

/// What Helm says to these values on top of the base.
fn told(helm: &str, version: &str, base: &str, values: &str) -> String {
    let output = template(helm, version, &[base, values]);
    assert!(!output.status.success(), "{helm} takes this:\n{values}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn unknown_keys_and_wrong_types_are_refused_with_their_place() {
    for (values, place, why) in [
        ("colour: red", "", "colour"),
        ("image: { tagg: x }", "image", "tagg"),
        ("schedules: { nightly: { cron: '30 2 * * *', shard: 2 } }", "schedules", "shard"),
        ("schedules: { nightly: { shards: two } }", "shards", "integer"),
        ("schedules: { nightly: { shards: 0 } }", "shards", "1"),
        ("schedules: { nightly: { cron: 'every night' } }", "cron", "pattern"),
        ("schedules: { restore: { cron: '30 2 * * *' } }", "", "restore"),
        ("user: { id: 0 }", "user", "1"),
        ("volumes: [{ name: web, path: /data/web }]", "volumes", "claim"),
        ("volumes: [{ name: web, claim: web, path: data/web }]", "volumes", "pattern"),
        ("secrets: { env: [{ name: 'A B', secret: s, key: k }] }", "secrets", "pattern"),
        ("secrets: { env: [{ name: A, value: hunter2 }] }", "secrets", "value"),
        ("mesh: consul", "mesh", "istio"),
        ("config: 7", "config", "object"),
        ("timeZone: 1", "timeZone", "string"),
        ("restore: { args: list }", "args", "array"),
        ("restore: { asRoot: 1 }", "asRoot", "boolean"),
        ("restore: { mount: web }", "mount", "array"),
        ("schedules: { nightly: { maxAge: 10 } }", "maxAge", "60"),
        ("networkPolicy: { metadata: [azure] }", "metadata", "google"),
        // No port at all would be every port.
        ("networkPolicy: { dnsPorts: [] }", "dnsPorts", "1"),
        ("networkPolicy: { dnsPort: 5353 }", "networkPolicy", "dnsPort"),
    ] {
        for helm in HELMS {
            let told = told(helm, "1.33", BASE, values);
            let message = told.to_lowercase();
            assert!(
                message.contains("don't meet the specifications of the schema"),
                "{helm}: {values}: {told}"
            );
            assert!(
                told.contains(place) && told.contains(why) || message.contains(why),
                "{helm}: {values}: {told}"
            );
        }
    }
}

/// Fails the test unless both Helms refuse these values with these words.
fn refused(version: &str, base: &str, values: &str, words: &str) {
    for helm in HELMS {
        let told = told(helm, version, base, values);
        assert!(told.contains(words), "{helm}: {values}: {told}");
    }
}

#[test]
fn contradictions_are_told_in_words() {
    refused(
        "1.33",
        "{}",
        "{}",
        "there is nothing to back up: write the ChupaCabra configuration into `config`",
    );
    for (version, values, words) in [
        ("1.33", "existingConfigMap: mine", "config and existingConfigMap exclude each other"),
        (
            "1.33",
            "schedules: { nightly: { sources: [shop, shpo] } }",
            "schedules.nightly.sources: there is no source shpo in config",
        ),
        (
            "1.33",
            "schedules: { nightly: { volumes: [wbe] } }",
            "schedules.nightly.volumes: there is no volume wbe in volumes",
        ),
        ("1.33", "restore: { mount: [wbe] }", "restore.mount: there is no volume wbe in volumes"),
        (
            "1.33",
            "{ alerts: { enabled: true }, job: { failedJobsHistoryLimit: 0 } }",
            "job.failedJobsHistoryLimit must be at least 1",
        ),
        (
            "1.28",
            "schedules: { nightly: { shards: 2 } }",
            "schedules.nightly.shards: more than one needs Kubernetes 1.29",
        ),
        (
            "1.33",
            "{ job: { backoffLimit: 5 }, schedules: { nightly: { shards: 2 } } }",
            "job.backoffLimit must be at most 1 with shards",
        ),
    ] {
        refused(version, BASE, values, words);
    }
}

#[test]
fn no_pod_has_two_mounts_at_one_path() {
    for (values, words) in [
        ("restore: { volumes: [{ name: web, claim: x, path: /restore }] }", "two volumes have the name web"),
        (
            "restore: { mount: [web], volumes: [{ name: x, claim: x, path: /data/web/ }] }",
            "the volume web and the volume x are both mounted at /data/web: give each its own path",
        ),
        (
            "volumes: [{ name: a, claim: a, path: /data }, { name: b, claim: b, path: //data }]",
            "the volume a and the volume b are both mounted at /data",
        ),
        (
            "secrets: { files: [{ secret: a, path: /run/a }, { secret: b, path: /run/a/ }] }",
            "the Secret a (secrets.files) and the Secret b (secrets.files) are both mounted at /run/a",
        ),
        (
            "secrets: { files: [{ secret: a, path: /etc/chupacabra }] }",
            "the configuration and the Secret a (secrets.files) are both mounted at /etc/chupacabra",
        ),
        (
            "secrets: { files: [{ secret: a, path: /run/identity }] }",
            "the Secret a (secrets.files) and the private key of a restore are both mounted at /run/identity",
        ),
        (
            "secrets: { files: [{ secret: a, path: /data/web }] }",
            "the Secret a (secrets.files) and the volume web are both mounted at /data/web",
        ),
    ] {
        refused("1.33", BASE, values, words);
    }
    // The negative controls: a restore to the path that the configuration names, whose claim it does not mount, and
    // what no pod has together.
    for values in [
        "restore: { volumes: [{ name: x, claim: x, path: /data/web }] }",
        "{ restore: { enabled: false }, secrets: { files: [{ secret: a, path: /run/identity }] } }",
        "{ volumes: [{ name: a, claim: a, path: /data }, { name: b, claim: b, path: /data }], schedules: { nightly: { \
         volumes: [a] }, late: { cron: '0 5 * * *', volumes: [b] } } }",
    ] {
        manifests(&[BASE, values]);
    }
}

#[test]
fn no_run_takes_longer_than_uploads_are_left_alone() {
    for (values, words) in [
        (
            "job: { activeDeadlineSeconds: 172801 }",
            "set retention.orphans_after in config to more than a run may take",
        ),
        (
            "config: { retention: { orphans_after: 5h59m59s } }",
            "a run may take 21600 seconds, but after 5h59m59s another one takes its upload for an orphan",
        ),
        (
            "config: { retention: { orphans_after: 7d }, stores: { nas: { retention: { orphans_after: 1h } } } }",
            "set stores.nas.retention.orphans_after in config",
        ),
        (
            "config: { sources: { web: { retention: { orphans_after: ' 090 m 10 ms ' } } } }",
            "set sources.web.retention.orphans_after in config",
        ),
        // A retention of its own has nothing of the general one.
        (
            "{ job: { activeDeadlineSeconds: 172801 }, config: { retention: { orphans_after: 7d }, sources: { web: { \
             retention: { keep_last: 9 } } } } }",
            "after 2d another one takes its upload for an orphan and removes it; set sources.web.retention",
        ),
    ] {
        refused("1.33", BASE, values, words);
    }
    // The negative controls: as long as an orphan is left alone by default, or longer with that said.
    for values in [
        "job: { activeDeadlineSeconds: 172800 }",
        "{ job: { activeDeadlineSeconds: 500000 }, config: { retention: { orphans_after: 7d } } }",
        "config: { retention: { orphans_after: 06h }, stores: { nas: { retention: { orphans_after: 5h 3600s } } } }",
        "config: { sources: { web: { retention: { orphans_after: 21600000ms } }, cache: { retention: {} } } }",
        // What is no span is the program's to judge.
        "config: { retention: { orphans_after: soon }, stores: { nas: { retention: { orphans_after: 7 } } } }",
    ] {
        manifests(&[BASE, values]);
    }
}
