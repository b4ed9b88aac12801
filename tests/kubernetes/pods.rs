//! Pod Security `restricted`: its eight rules asserted on every pod that the chart renders.

use std::process::Command;

use serde_json::{Value, json};

use crate::rendered::{BASE, MATRIX, SHARDS, manifests, pods};
use crate::support::{chupacabra, run, scratch, shell, tool};

/// Which of the rules a pod breaks (Pod Security Standards, `baseline` and `restricted`).
fn breaches(pod: &Value) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let mut rule = |name, kept: bool| {
        if !kept {
            broken.push(name);
        }
    };
    let all = |key: &str| pod[key].as_array().cloned().unwrap_or_default();
    let containers: Vec<Value> =
        ["containers", "initContainers", "ephemeralContainers"].into_iter().flat_map(all).collect();
    assert!(!containers.is_empty(), "no container in {pod:#}");
    // What a container does not say, the pod says for it.
    let said = |container: &Value, key: &str| match &container["securityContext"][key] {
        Value::Null => pod["securityContext"][key].clone(),
        own => own.clone(),
    };
    let each = |kept: &dyn Fn(&Value) -> bool| containers.iter().all(kept);
    rule("host namespaces", ["hostNetwork", "hostPID", "hostIPC"].iter().all(|key| pod[*key] != true));
    let ports = |container: &Value| container["ports"].as_array().cloned().unwrap_or_default();
    rule("host ports", each(&|one| ports(one).iter().all(|port| port.get("hostPort").is_none())));
    let types = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let allowed = |volume: &Value| {
        volume.as_object().unwrap().keys().all(|key| key == "name" || types.contains(&&**key))
    };
    rule("volume types", all("volumes").iter().all(allowed));
    let privileged = |one: &Value| one["securityContext"]["privileged"] == true;
    rule(
        "privilege escalation",
        each(&|one| one["securityContext"]["allowPrivilegeEscalation"] == false && !privileged(one)),
    );
    rule("runAsNonRoot", each(&|one| said(one, "runAsNonRoot") == true));
    rule("runAsUser", each(&|one| said(one, "runAsUser") != 0));
    let profile = |one: &Value| said(one, "seccompProfile")["type"].clone();
    rule("seccomp", each(&|one| profile(one) == "RuntimeDefault" || profile(one) == "Localhost"));
    let capable = |one: &Value| {
        let capabilities = &one["securityContext"]["capabilities"];
        let added = capabilities["add"].as_array().cloned().unwrap_or_default();
        capabilities["drop"] == json!(["ALL"]) && added.iter().all(|one| one == "NET_BIND_SERVICE")
    };
    rule("capabilities", each(&capable));
    broken
}

#[test]
fn every_pod_keeps_every_rule() {
    for (name, values) in MATRIX.into_iter().chain([("shards", SHARDS)]) {
        let manifests = manifests(&[BASE, values]);
        let pods = pods(&manifests);
        assert!(!pods.is_empty());
        for (job, pod) in pods {
            assert_eq!(breaches(pod), Vec::<&str>::new(), "{name}: {job}");
            let container = &pod["containers"][0];
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}: {job}");
            let token = name == "workload identity";
            assert_eq!(pod["automountServiceAccountToken"], token, "{name}: {job}");
        }
    }
}

#[test]
fn each_rule_notices_its_breach() {
    let manifests = manifests(&[BASE]);
    let (_, good) = pods(&manifests)[0].clone();
    for (pointer, wrong, rule) in [
        ("/hostPID", json!(true), "host namespaces"),
        ("/hostNetwork", json!(true), "host namespaces"),
        ("/containers/0/ports", json!([{ "containerPort": 1, "hostPort": 1 }]), "host ports"),
        ("/volumes/0", json!({ "name": "config", "hostPath": { "path": "/" } }), "volume types"),
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true), "privilege escalation"),
        ("/containers/0/securityContext/privileged", json!(true), "privilege escalation"),
        ("/securityContext/runAsNonRoot", json!(false), "runAsNonRoot"),
        ("/containers/0/securityContext/runAsUser", json!(0), "runAsUser"),
        ("/securityContext/seccompProfile", Value::Null, "seccomp"),
        ("/containers/0/securityContext/seccompProfile", json!({ "type": "Unconfined" }), "seccomp"),
        ("/containers/0/securityContext/capabilities", Value::Null, "capabilities"),
        ("/containers/0/securityContext/capabilities/add", json!(["SYS_ADMIN"]), "capabilities"),
    ] {
        let mut pod = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = pod.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => parent[index] = wrong,
            Err(_) => parent[key] = wrong,
        }
        assert_eq!(breaches(&pod), [rule], "{pointer}");
    }
}

/// What a pod that is root may do.
fn rights(pod: &Value) -> Value {
    let capabilities = &pod["containers"][0]["securityContext"]["capabilities"];
    assert_eq!(capabilities["drop"], json!(["ALL"]));
    capabilities["add"].clone()
}

#[test]
fn reading_files_of_all_owners_is_one_value_and_breaks_just_what_the_manual_says() {
    let manifests = manifests(&[BASE, "readAllFiles: true"]);
    for (job, pod) in pods(&manifests) {
        assert_eq!(breaches(pod), ["runAsNonRoot", "runAsUser", "capabilities"], "{job}");
        if !job.ends_with("-restore") {
            assert_eq!(rights(pod), json!(["DAC_READ_SEARCH"]), "{job}");
        }
    }
}

#[test]
fn a_restore_is_root_where_it_is_told_to_be_or_files_of_all_owners_are_read() {
    for values in ["readAllFiles: true", "restore: { asRoot: true }"] {
        let manifests = manifests(&[BASE, "user: { fsGroup: 2000 }", values]);
        for (job, pod) in pods(&manifests) {
            if job.ends_with("-restore") {
                assert_eq!(pod["securityContext"]["runAsUser"], 0, "{values}");
                assert_eq!(rights(pod), json!(RESTORES), "{values}");
                // It needs no group to write, and the files of its target are given to none.
                assert_eq!(pod["securityContext"]["fsGroup"], Value::Null, "{values}");
                continue;
            }
            assert_eq!(pod["securityContext"]["fsGroup"], 2000, "{values}");
            if values.contains("asRoot") {
                assert_eq!(breaches(pod), Vec::<&str>::new(), "{job}");
            }
        }
    }
}

/// What it takes to put files back as they were.
const RESTORES: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"];

/// A tree with what only root can make is restored with just the rights of the pod; the comparison at the end decides.
#[test]
fn the_rights_of_a_restore_suffice_for_files_of_all_owners() {
    assert!(rustix::process::geteuid().is_root(), "owners, capabilities and devices need root");
    let dir = scratch();
    let root = dir.path().display().to_string();
    shell(&format!(
        "cd '{root}'; age-keygen -o key.txt 2> /dev/null; mkdir -p tree/closed store; echo a > tree/closed/file
         echo b > tree/setuid; cp /bin/true tree/capable; mknod tree/null c 1 3; ln -s file tree/link
         chown -R -h 33:44 tree; chmod 6755 tree/setuid; setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 tree/capable; chmod 500 tree/closed
         chmod 0 tree/closed/file
         printf 'encryption: {{ recipients: [%s], identity: {{ file: {root}/key.txt }} }}\n' \"$(age-keygen -y key.txt)\" > c.yaml
         echo 'stores: {{ nas: {{ local: {{ path: {root}/store/s }} }} }}' >> c.yaml
         echo 'sources: {{ web: {{ files: {{ path: {root}/tree }} }} }}' >> c.yaml"
    ));
    let config = dir.path().join("c.yaml");
    run(chupacabra().arg("--config").arg(&config).arg("backup"));
    let restore = |rights: &[&str], into: &str| {
        let named: Vec<String> = rights.iter().map(|right| format!("+{}", right.to_lowercase())).collect();
        let mut command = Command::new(tool("setpriv"));
        command.arg(format!("--bounding-set=-all,{}", named.join(","))).arg("--inh-caps=-all");
        command.arg(chupacabra().get_program()).arg("--config").arg(&config);
        command.args(["restore", "web", "--into"]).arg(dir.path().join(into)).output().unwrap()
    };
    let output = restore(&RESTORES, "back");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !told.contains("note:"), "{told}");
    let listed = |tree: &str| {
        let line = "find . -printf '%P %M %U:%G %s %l\n' | sort; getfattr -R -h -d -m security -e hex .";
        shell(&format!("cd '{root}/{tree}'; {line}"))
    };
    assert_eq!(String::from_utf8(listed("back")).unwrap(), String::from_utf8(listed("tree")).unwrap());
    // The negative control: with the right that reads everything nothing is restored.
    assert!(!restore(&["DAC_READ_SEARCH"], "other").status.success());
}
