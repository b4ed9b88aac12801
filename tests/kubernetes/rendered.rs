//! Rendering the chart with values.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{scratch, tool};

/// Both majors of Helm: they have different validators and template engines.
pub(crate) const HELMS: [&str; 2] = ["helm3", "helm4"];

/// The smallest configuration that has one of everything the chart looks into.
pub(crate) const BASE: &str = r#"
config:
  encryption:
    recipients: [age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup]
  stores:
    nas: { local: { path: /mnt/backup } }
    bucket:
      s3:
        provider: other
        bucket: backups
        region: eu
        endpoint: "https://s3.example.com:8333"
        access_key_id: { env: S3_ID }
        secret_access_key: { env: S3_SECRET }
  sources:
    shop: { mariadb: { host: mariadb, user: backup, password: { env: SHOP_PASSWORD } } }
    cache: { redis: { host: redis, port: 6380 } }
    web: { files: { path: /data/web } }
  notifications:
    team: { telegram: { token: { env: TELEGRAM_TOKEN }, chat: "-1001234567890", topic: 12345678 } }
secrets:
  env:
    - { name: SHOP_PASSWORD, secret: shop, key: password }
    - { name: TELEGRAM_TOKEN, secret: shop, key: telegram }
    - { name: S3_ID, secret: s3, key: id }
    - { name: S3_SECRET, secret: s3, key: secret }
volumes:
  - { name: web, claim: web-data, path: /data/web }
  - { name: nas, claim: backup-nas, path: /mnt/backup, readOnly: false }
"#;

/// What users change, each on top of [`BASE`]: a name, the values, and the Kubernetes versions it is for.
pub(crate) const MATRIX: [(&str, &str); 12] = [
    ("as it is", "{}"),
    ("a user of its own", "user: { id: 1000, group: 1000, fsGroup: 2000, supplementalGroups: [3000, 4000] }"),
    (
        "private images",
        "imagePullSecrets: [hub]\nimage: { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }",
    ),
    (
        "node pools",
        "nodeSelector: { pool: batch }\ntolerations: [{ key: pool, operator: Exists }]\naffinity: { nodeAffinity: {} }\npriorityClassName: low",
    ),
    ("files of secrets", "secrets: { files: [{ secret: drive, path: /run/secrets/drive }], envFrom: [all] }"),
    ("a mesh", "mesh: istio\npodAnnotations: { sidecar.istio.io/inject: 'true' }\npodLabels: { team: shop }"),
    ("no restore", "restore: { enabled: false }"),
    (
        "a restore",
        "restore: { args: [restore, web, --into, /restore/web], identitySecret: key, volumes: [{ name: target, claim: target, path: /restore }] }",
    ),
    (
        "workload identity",
        "serviceAccount: { annotations: { eks.amazonaws.com/role-arn: 'arn:aws:iam::1:role/x' }, automountToken: true }",
    ),
    ("an account that exists", "serviceAccount: { create: false, name: backup }"),
    (
        "networks",
        "networkPolicy: { enabled: true, ports: [27017], to: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }\nalerts: { enabled: true, labels: { release: prometheus } }",
    ),
    (
        "several schedules",
        "schedules: { hourly: { cron: '0 * * * *', sources: [shop, cache], volumes: [nas], timeZone: Europe/Berlin, resources: { limits: { memory: 1Gi } } } }",
    ),
];

/// Needs Kubernetes 1.29.
pub(crate) const SHARDS: &str = "schedules: { nightly: { shards: 3, args: [--json] } }";

/// The chart.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart")
}

/// Runs `helm template` with these values, one file each, for this version of Kubernetes.
pub(crate) fn template(helm: &str, version: &str, values: &[&str]) -> Output {
    let dir = scratch();
    let mut command = Command::new(tool(helm));
    command.args(["template", "shop", "--namespace", "shop", "--kube-version", version]).arg(chart());
    for (index, text) in values.iter().enumerate() {
        let file = dir.path().join(format!("{index}.yaml"));
        std::fs::write(&file, text).unwrap();
        command.arg("--values").arg(file);
    }
    command.output().unwrap()
}

/// The rendered manifests as a text; fails the test if Helm refuses.
pub(crate) fn text(helm: &str, version: &str, values: &[&str]) -> String {
    let output = template(helm, version, values);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{helm} for {version}: {told}\n{values:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The manifests of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---").map(|part| part.trim_start_matches("---"));
    let parsed =
        parts.map(|part| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|e| panic!("{e}\n{part}")));
    parsed.filter(|document| !document.is_null()).collect()
}

/// The rendered manifests, as helm 4 has them for a recent Kubernetes.
pub(crate) fn manifests(values: &[&str]) -> Vec<Value> {
    documents(&text("helm4", "1.33", values))
}

/// The manifest of this kind whose name ends like this.
pub(crate) fn find<'a>(manifests: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let named = |one: &&Value| {
        one["kind"] == kind && one["metadata"]["name"].as_str().is_some_and(|have| have.ends_with(name))
    };
    manifests.iter().find(named).unwrap_or_else(|| panic!("no {kind} …{name} in {manifests:#?}"))
}

/// The pod specs of all `CronJob`s, with their names.
pub(crate) fn pods(manifests: &[Value]) -> Vec<(String, &Value)> {
    let jobs = manifests.iter().filter(|one| one["kind"] == "CronJob");
    jobs.map(|job| {
        (
            job["metadata"]["name"].as_str().unwrap().to_owned(),
            &job["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        )
    })
    .collect()
}
