//! What the chart renders: valid for every Kubernetes, and a configuration that the program itself accepts.

use std::process::Command;

use serde_json::{Value, json};

use crate::rendered::{BASE, HELMS, MATRIX, SHARDS, chart, documents, find, manifests, pods, text};
use crate::support::{chupacabra, run, scratch, tool};

#[test]
fn both_helms_lint_it_and_render_the_same() {
    let dir = scratch();
    let base = dir.path().join("base.yaml");
    std::fs::write(&base, BASE).unwrap();
    for helm in HELMS {
        run(Command::new(tool(helm)).args(["lint", "--strict"]).arg(chart()).arg("--values").arg(&base));
    }
    for (name, values) in MATRIX {
        let lines = |helm| {
            let text = text(helm, "1.33", &[BASE, values]);
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines("helm3"), lines("helm4"), "{name}");
    }
}

/// Runs `kubernetes-validate --strict` over a text; what it says, and whether it was content.
fn validated(version: &str, text: &str) -> (bool, String) {
    let dir = scratch();
    let file = dir.path().join("all.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(tool("kubernetes-validate"));
    let output = command.args(["-k", version, "--strict"]).arg(&file).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn what_is_rendered_is_valid_for_every_kubernetes_from_1_25_to_1_37() {
    let all: Vec<&str> =
        MATRIX.iter().map(|(_, values)| *values).filter(|values| !values.contains("alerts")).collect();
    for minor in 25..=37 {
        let version = format!("1.{minor}");
        // All values of the matrix in one file: the validator's start is what takes time.
        let mut together = String::new();
        let mut sets: Vec<&str> = if minor % 4 == 1 { all.clone() } else { vec![MATRIX[0].1] };
        sets.extend((minor >= 29).then_some(SHARDS));
        for values in sets {
            together += &text("helm4", &version, &[BASE, values]);
            together += "\n";
        }
        let (valid, told) = validated(&format!("{version}.0"), &together);
        assert!(valid && told.contains("cronjob/shop-chupacabra-nightly"), "{version}: {told}");
    }
    // The negative control: a field that does not exist.
    let wrong = text("helm4", "1.33", &[BASE]).replace("suspend: false", "suspended: false");
    let (valid, told) = validated("1.33.0", &wrong);
    assert!(!valid && told.contains("suspended"), "{told}");
}

/// Runs `config check` on the rendered configuration with just the variables that the pod would have.
pub(crate) fn judged(manifests: &[Value], without: &str) -> (Option<i32>, String) {
    let dir = scratch();
    let file = dir.path().join("config.yaml");
    std::fs::write(
        &file,
        find(manifests, "ConfigMap", "chupacabra")["data"]["config.yaml"].as_str().unwrap(),
    )
    .unwrap();
    let pod = find(manifests, "CronJob", "-nightly");
    let container = &pod["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let mut command = chupacabra();
    command.env_clear();
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        if variable["valueFrom"]["secretKeyRef"].is_object() && name != without {
            let address = name.ends_with("_URL");
            command.env(name, if address { "https://hc.example.com/ping/secret" } else { "123456:secret" });
        }
    }
    let output = command.arg("--config").arg(&file).args(["config", "check"]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_program_accepts_the_rendered_configuration_with_what_the_pod_has() {
    for (name, values) in MATRIX {
        let (code, told) = judged(&manifests(&[BASE, values]), "");
        // The list of variables is replaced, not extended, by values that set it.
        if values.contains("secrets:") {
            assert!(code == Some(0) || !values.contains("env:"), "{name}: {told}");
        } else {
            assert_eq!(code, Some(0), "{name}: {told}");
        }
    }
    // A number of eight digits came through as one, and the text form is taken as it is.
    let config = find(&manifests(&[BASE]), "ConfigMap", "chupacabra")["data"]["config.yaml"].clone();
    assert!(config.as_str().unwrap().contains("topic: 12345678"), "{config}");
    let indented = config.as_str().unwrap().replace('\n', "\n  ");
    let as_text = format!("config: |\n  # A comment of mine.\n  {indented}");
    let base = BASE.replacen("config:\n", "ignored:\n", 1);
    let rest = base.split_once("secrets:").unwrap().1;
    let rendered = manifests(&[&as_text, &format!("secrets:{rest}")]);
    let (code, told) = judged(&rendered, "");
    assert_eq!(code, Some(0), "{told}");
    assert!(
        find(&rendered, "ConfigMap", "chupacabra")["data"]["config.yaml"]
            .as_str()
            .unwrap()
            .contains("# A comment of mine.")
    );
    // The negative control.
    let (code, told) = judged(&manifests(&[BASE]), "SHOP_PASSWORD");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("SHOP_PASSWORD"), "{told}");
}

/// Helm reads YAML 1.1: there the key is a truth value.
#[test]
fn the_key_on_of_a_notification_keeps_its_name() {
    let on = "config: { notifications: { team: { on: [start, success] } } }";
    for helm in HELMS {
        let rendered = documents(&text(helm, "1.33", &[BASE, on]));
        let (code, told) = judged(&rendered, "");
        assert_eq!(code, Some(0), "{helm}: {told}");
        let config =
            find(&rendered, "ConfigMap", "chupacabra")["data"]["config.yaml"].as_str().unwrap().to_owned();
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        let team = &config["notifications"]["team"];
        assert_eq!((&team["on"], &team["true"]), (&json!(["start", "success"]), &Value::Null), "{helm}");
        assert_eq!(team["telegram"]["topic"], 12_345_678, "{helm}");
    }
    // The negative control: a key that does not exist is still refused.
    let (code, told) =
        judged(&manifests(&[BASE, "config: { notifications: { team: { no: [start] } } }"]), "");
    assert_eq!(code, Some(2), "{told}");
}

/// A claim of a pod: name of the volume, claim, whether the claim itself is read-only.
type Claim = (String, String, bool);
/// Where a volume is mounted: its name, the path.
type Mount = (String, String);

/// The claims of a pod, and where they are mounted.
fn claims(values: &[&str], name: &str) -> (Vec<Claim>, Vec<Mount>) {
    let rendered = manifests(&[&[BASE], values].concat());
    let pod = &find(&rendered, "CronJob", name)["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let volumes = pod["volumes"].as_array().unwrap().iter().filter_map(|volume| {
        let claim = volume.get("persistentVolumeClaim")?;
        Some((word(&volume["name"]), word(&claim["claimName"]), claim["readOnly"] == true))
    });
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap().iter();
    let mounts = mounts.filter(|mount| mount["name"].as_str().unwrap().starts_with("volume-"));
    (volumes.collect(), mounts.map(|mount| (word(&mount["name"]), word(&mount["mountPath"]))).collect())
}

#[test]
fn the_files_of_a_source_are_never_given_to_the_group_of_the_pod() {
    let group = "user: { fsGroup: 2000 }";
    let of = |name: &str, claim: &str, read_only| (format!("volume-{name}"), claim.to_owned(), read_only);
    let both = |source| vec![of("web", "web-data", source), of("nas", "backup-nas", false)];
    // The kubelet changes owners and modes of whatever is not read-only as a claim.
    assert_eq!(claims(&[group], "-nightly").0, both(true));
    // Without a group nobody changes anything, and drivers that cannot mount twice in different ways are not asked to.
    assert_eq!(claims(&[], "-nightly").0, both(false));
    // What a restore writes to is no source, whatever else it is.
    let into = "restore: { mount: [web], volumes: [{ name: target, claim: web-data, path: /restore }] }";
    assert_eq!(claims(&[group, into], "-restore").0, [of("web", "web-data", false)]);
    assert_eq!(claims(&[group, "restore: { mount: [web] }"], "-restore").0, [of("web", "web-data", true)]);
}

/// Kubernetes never starts a pod that has one claim in two volumes (kubernetes/kubernetes#127004).
#[test]
fn a_claim_that_is_mounted_twice_is_one_volume_of_the_pod() {
    let parts = "volumes: [{ name: a, claim: data, path: /data/a, subPath: a }, { name: b, claim: data, path: /data/b, \
                 subPath: b }, { name: nas, claim: data, path: /mnt/backup, readOnly: false }]";
    let mounted = |volume: &str, path: &str| (format!("volume-{volume}"), path.to_owned());
    let (volumes, mounts) = claims(&[parts], "-nightly");
    assert_eq!(volumes, [("volume-a".to_owned(), "data".to_owned(), false)]);
    assert_eq!(mounts, [mounted("a", "/data/a"), mounted("a", "/data/b"), mounted("a", "/mnt/backup")]);
    // A schedule that leaves the first of them out, and a restore beside the store.
    let (volumes, mounts) = claims(&[parts, "schedules: { nightly: { volumes: [b] } }"], "-nightly");
    assert_eq!(volumes, [("volume-b".to_owned(), "data".to_owned(), false)]);
    assert_eq!(mounts, [mounted("b", "/data/b")]);
    let beside = "restore: { volumes: [{ name: target, claim: data, path: /restore }] }";
    let (volumes, mounts) = claims(&[parts, beside], "-restore");
    assert_eq!(volumes, [("volume-nas".to_owned(), "data".to_owned(), false)]);
    assert_eq!(mounts, [mounted("nas", "/mnt/backup"), mounted("nas", "/restore")]);
}

#[test]
fn a_missing_secret_stops_the_pod_and_names_itself() {
    let manifests = manifests(&[BASE]);
    let (_, pod) = pods(&manifests)[0];
    let env = pod["containers"][0]["env"].as_array().unwrap();
    let references: Vec<_> = env.iter().filter_map(|one| one["valueFrom"].get("secretKeyRef")).collect();
    assert_eq!(references.len(), 4);
    // An optional one would start the program without it, and the message would be ours, without the Secret's name.
    assert!(references.iter().all(|one| one.get("optional").is_none()));
    assert_eq!(references[0], &json!({ "name": "shop", "key": "password" }));
}

#[test]
fn sources_are_mounted_read_only_and_only_where_they_are_wanted() {
    let rendered = manifests(&[BASE]);
    let mounts = |name: &str, rendered: &[Value]| {
        let job = find(rendered, "CronJob", name);
        let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        mounts
            .map(|one| (one["mountPath"].as_str().unwrap().to_owned(), one["readOnly"] == true))
            .collect::<Vec<_>>()
    };
    let of = |path: &str, read_only| (path.to_owned(), read_only);
    assert_eq!(
        mounts("-nightly", &rendered),
        [of("/etc/chupacabra", true), of("/data/web", true), of("/mnt/backup", false)]
    );
    let rendered = manifests(&[BASE, MATRIX[11].1]);
    assert_eq!(mounts("-hourly", &rendered), [of("/etc/chupacabra", true), of("/mnt/backup", false)]);
    // An empty list is none, as the README's example means it.
    let none = manifests(&[BASE, "schedules: { nightly: { volumes: [] } }"]);
    assert_eq!(mounts("-nightly", &none), [of("/etc/chupacabra", true)]);
    let rendered = manifests(&[BASE, MATRIX[7].1]);
    // A restore starts although the claim of a source is lost: it has the local store and the target.
    let own = [of("/etc/chupacabra", true), of("/run/identity", true)];
    let restore = |more: &[(String, bool)], rendered: &[Value]| {
        assert_eq!(mounts("-restore", rendered), [&own[..], more].concat());
    };
    restore(&[of("/mnt/backup", false), of("/restore", false)], &rendered);
    restore(&[of("/data/web", true)], &manifests(&[BASE, "restore: { mount: [web] }"]));
    let read_only = "volumes: [{ name: web, claim: web-data, path: /data/web, readOnly: true }]";
    restore(&[], &manifests(&[BASE, read_only]));
    // The private key is where restores run, and nowhere else.
    assert!(!mounts("-nightly", &rendered).iter().any(|(path, _)| path == "/run/identity"));
}

#[test]
fn a_restore_may_run_elsewhere_and_with_more() {
    let general = "nodeSelector: { pool: batch }\nresources: { limits: { memory: 512Mi } }";
    let own = "restore: { nodeSelector: { pool: data }, tolerations: [{ operator: Exists }], affinity: { nodeAffinity: {} }, \
               resources: { limits: { memory: 2Gi } } }";
    let pod = |values: &[&str], name: &str| {
        let rendered = manifests(&[&[BASE], values].concat());
        find(&rendered, "CronJob", name)["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone()
    };
    let restore = pod(&[general, own], "-restore");
    assert_eq!(restore["nodeSelector"], json!({ "pool": "data" }));
    assert_eq!(restore["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(restore["affinity"], json!({ "nodeAffinity": {} }));
    assert_eq!(restore["containers"][0]["resources"]["limits"], json!({ "memory": "2Gi" }));
    for other in [pod(&[general, own], "-nightly"), pod(&[general], "-restore")] {
        assert_eq!(other["nodeSelector"], json!({ "pool": "batch" }));
        assert_eq!((&other["tolerations"], &other["affinity"]), (&Value::Null, &Value::Null));
        assert_eq!(other["containers"][0]["resources"]["limits"], json!({ "memory": "512Mi" }));
    }
}

#[test]
fn shards_are_an_indexed_job_whose_pods_know_their_jobs_name() {
    let rendered = manifests(&[BASE, SHARDS]);
    let job = &find(&rendered, "CronJob", "-nightly")["spec"]["jobTemplate"]["spec"];
    assert_eq!(
        (&job["completionMode"], &job["completions"], &job["parallelism"]),
        (&json!("Indexed"), &json!(3), &json!(3))
    );
    assert_eq!((&job["backoffLimitPerIndex"], &job["backoffLimit"]), (&json!(1), &Value::Null));
    let container = &job["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["backup", "--shard=$(JOB_COMPLETION_INDEX)/3", "--json"]));
    let name =
        container["env"].as_array().unwrap().iter().find(|one| one["name"] == "CHUPACABRA_JOB").unwrap();
    assert_eq!(name["valueFrom"]["fieldRef"]["fieldPath"], "metadata.labels['batch.kubernetes.io/job-name']");
}

#[test]
fn two_runs_never_meet_and_what_would_end_the_same_is_not_tried_again() {
    for (name, _) in pods(&manifests(&[BASE])) {
        let rendered = manifests(&[BASE]);
        let job = &find(&rendered, "CronJob", &name)["spec"];
        assert_eq!(job["concurrencyPolicy"], "Forbid", "{name}");
        assert_eq!(job["suspend"], name.ends_with("-restore"), "{name}");
        assert!(job["jobTemplate"]["spec"]["activeDeadlineSeconds"].is_u64(), "{name}");
    }
    let rendered = manifests(&[BASE]);
    let rules =
        &find(&rendered, "CronJob", "-nightly")["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"];
    assert_eq!(rules[0]["onExitCodes"]["values"], json!([2, 3, 5]));
    assert_eq!(rules[0]["action"], "FailJob");
    // A shard that is partial or differs is not tried again, and the others go on.
    let rendered = manifests(&[BASE, SHARDS]);
    let rules =
        &find(&rendered, "CronJob", "-nightly")["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"];
    let of = |rule: usize| (rules[rule]["action"].clone(), rules[rule]["onExitCodes"]["values"].clone());
    assert_eq!(of(0), (json!("FailJob"), json!([2])));
    assert_eq!(of(1), (json!("FailIndex"), json!([3, 5])));
}

#[test]
fn a_meshs_sidecar_may_reach_its_control_plane_and_be_told_to_quit() {
    let annotation = |values: &str, name: &str| {
        let rendered = manifests(&[BASE, values]);
        let metadata =
            find(&rendered, "CronJob", name)["spec"]["jobTemplate"]["spec"]["template"]["metadata"].clone();
        metadata["annotations"]["config.linkerd.io/proxy-admin-shutdown"].clone()
    };
    for name in ["-nightly", "-restore"] {
        assert_eq!(annotation("mesh: linkerd", name), "enabled");
        assert_eq!(annotation("mesh: istio", name), Value::Null);
        let own = "{ mesh: linkerd, podAnnotations: { config.linkerd.io/proxy-admin-shutdown: disabled } }";
        assert_eq!(annotation(own, name), "disabled");
    }
    for (mesh, wanted) in
        [("none", &[][..]), ("istio", &[15008, 15012]), ("linkerd", &[4143, 8080, 8086, 8090])]
    {
        let rendered = manifests(&[BASE, "networkPolicy: { enabled: true }", &format!("mesh: {mesh}")]);
        let policy = find(&rendered, "NetworkPolicy", "chupacabra");
        let ports = policy["spec"]["egress"][1]["ports"].as_array().unwrap().iter();
        let ports: Vec<u64> = ports.map(|one| one["port"].as_u64().unwrap()).collect();
        for port in [15008, 15012, 4143, 8080, 8086, 8090] {
            assert_eq!(ports.contains(&port), wanted.contains(&port), "{mesh}: {port}");
        }
    }
}
