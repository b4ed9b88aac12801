//! Pod Security `restricted`: its eight rules asserted on every pod that the chart renders.

use serde_json::{Value, json};

use crate::rendered::{BASE, MATRIX, SHARDS, manifests, pods};

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

#[test]
fn reading_files_of_all_owners_is_one_value_and_breaks_just_what_the_manual_says() {
    let manifests = manifests(&[BASE, "readAllFiles: true"]);
    for (job, pod) in pods(&manifests) {
        assert_eq!(breaches(pod), ["runAsNonRoot", "runAsUser", "capabilities"], "{job}");
        let capabilities = &pod["containers"][0]["securityContext"]["capabilities"];
        assert_eq!(capabilities, &json!({ "drop": ["ALL"], "add": ["DAC_READ_SEARCH"] }), "{job}");
    }
}
