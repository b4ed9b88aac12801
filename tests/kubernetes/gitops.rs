//! The examples against the definitions of Argo CD and Flux, strictly: an unknown field is an error.
//!
//! The definitions are not part of this project. `CHUPACABRA_CRDS` names a directory with them
//! (`argocd-applicationset.yaml`, `flux-helmrelease.yaml` and others); without it that test is shown as ignored, not as
//! passed.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::chart::judged;
use crate::rendered::{HELMS, chart, documents, find};
use crate::support::{run, scratch, tool};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gitops")
}

const FILES: [&str; 3] = ["argocd/applicationset.yaml", "flux/release.yaml", "flux/cluster.yaml"];

#[test]
#[ignore = "needs the definitions of Argo CD and Flux in CHUPACABRA_CRDS; ./tests/run runs it where that is set"]
fn the_examples_are_valid_argo_and_flux() {
    let definitions = std::env::var_os("CHUPACABRA_CRDS").expect("CHUPACABRA_CRDS names the definitions");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes/crds.py");
    let check = |files: &[PathBuf]| {
        let mut command = Command::new(tool("python"));
        command.arg(&script).arg(&definitions).args(files).output().unwrap()
    };
    let files: Vec<PathBuf> = FILES.iter().map(|file| examples().join(file)).collect();
    let output = check(&files);
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.ends_with(": valid")).count(), 4, "{told}");
    // The negative controls: an unknown field, deep inside, and a wrong type.
    let dir = scratch();
    for (file, from, to) in [
        (FILES[0], "ignoreMissingValueFiles", "ignoreMissingValuesFiles"),
        (FILES[1], "retries: 3", "retries: three"),
        (FILES[1], "layerSelector", "layersSelector"),
    ] {
        let wrong = dir.path().join("wrong.yaml");
        let text = std::fs::read_to_string(examples().join(file)).unwrap();
        assert!(text.contains(from));
        std::fs::write(&wrong, text.replace(from, to)).unwrap();
        assert!(!check(&[wrong]).status.success(), "{to} is taken");
    }
}

#[test]
fn the_examples_speak_of_this_chart_and_its_values_render() {
    let version = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let version = version.lines().find_map(|line| line.strip_prefix("version: ")).unwrap().to_owned();
    let set = documents(&std::fs::read_to_string(examples().join(FILES[0])).unwrap());
    let source = &set[0]["spec"]["template"]["spec"]["sources"][0];
    assert_eq!((&source["chart"], &source["targetRevision"]), (&"chupacabra".into(), &version.into()));
    let flux = documents(&std::fs::read_to_string(examples().join(FILES[1])).unwrap());
    let release = find(&flux, "HelmRelease", "chupacabra");
    assert_eq!(
        release["spec"]["chartRef"]["name"],
        find(&flux, "OCIRepository", "chupacabra")["metadata"]["name"]
    );
    for helm in HELMS {
        let mut command = Command::new(tool(helm));
        command.args(["template", "chupacabra", "--kube-version", "1.33", "--values"]);
        run(command.arg(examples().join("values.yaml")).arg(chart()));
    }
}

/// Where in the store a cluster's packages are, with the examples' values and what one of the examples adds to them.
fn place(helm: &str, more: &[String]) -> String {
    let mut command = Command::new(tool(helm));
    command.args(["template", "chupacabra", "--kube-version", "1.33"]).args(more).arg(chart());
    let rendered = documents(&String::from_utf8(run(&mut command).stdout).unwrap());
    let (code, told) = judged(&rendered, "");
    assert_eq!(code, Some(0), "{told}");
    let config = find(&rendered, "ConfigMap", "chupacabra")["data"]["config.yaml"].clone();
    let config: Value = serde_saphyr::from_str(config.as_str().unwrap()).unwrap();
    config["stores"]["bucket"]["s3"]["prefix"].as_str().unwrap_or_default().to_owned()
}

/// What Argo CD gives Helm for a namespace of a cluster.
fn by_argo(cluster: &str, namespace: &str) -> Vec<String> {
    let set = documents(&std::fs::read_to_string(examples().join(FILES[0])).unwrap());
    let parameters = set[0]["spec"]["template"]["spec"]["sources"][0]["helm"]["parameters"].clone();
    let mut all = vec!["--values".to_owned(), examples().join("values.yaml").display().to_string()];
    for one in parameters.as_array().unwrap() {
        let value = one["value"].as_str().unwrap();
        let value = value.replace("{{ .name }}", cluster).replace("{{ .path.basename }}", namespace);
        assert!(!value.contains("{{") && one["forceString"] == true, "{one}");
        all.extend(["--set-string".to_owned(), format!("{}={value}", one["name"].as_str().unwrap())]);
    }
    all
}

/// What Flux gives Helm where kustomize was told this place.
fn by_flux(dir: &Path, place: &str) -> Vec<String> {
    let copy = dir.join("gitops");
    run(Command::new("cp").arg("-rT").arg(examples()).arg(&copy));
    let file = copy.join("flux/kustomization.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("prefix=production/shop"), "{text}");
    std::fs::write(&file, text.replace("prefix=production/shop", &format!("prefix={place}"))).unwrap();
    let mut kustomize = Command::new(tool("kubectl"));
    kustomize.args(["kustomize", "--load-restrictor", "LoadRestrictionsNone"]).arg(copy.join("flux"));
    let objects = documents(&String::from_utf8(run(&mut kustomize).stdout).unwrap());
    let mut all = Vec::new();
    for from in find(&objects, "HelmRelease", "chupacabra")["spec"]["valuesFrom"].as_array().unwrap() {
        let name = from["name"].as_str().unwrap();
        let map = objects.iter().find(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == name);
        let Some(map) = map else {
            assert_eq!(from["optional"], true, "{name} is needed, and nothing makes it");
            continue;
        };
        let value = map["data"][from["valuesKey"].as_str().unwrap_or("values.yaml")].as_str().unwrap();
        if let Some(path) = from["targetPath"].as_str() {
            all.extend(["--set-string".to_owned(), format!("{path}={value}")]);
        } else {
            let file = dir.join(format!("{name}.yaml"));
            std::fs::write(&file, value).unwrap();
            all.extend(["--values".to_owned(), file.display().to_string()]);
        }
    }
    all
}

/// In a common place retention would count another cluster's packages, and `restore` take them.
#[test]
fn two_clusters_never_share_a_place_in_the_store() {
    let dir = scratch();
    for helm in HELMS {
        let argo = [("east", "shop"), ("west", "shop"), ("west", "blog")];
        let argo = argo.map(|(cluster, namespace)| place(helm, &by_argo(cluster, namespace)));
        assert_eq!(argo, ["east/shop", "west/shop", "west/blog"], "{helm}");
        let flux = ["east/shop", "west/shop"].map(|own| place(helm, &by_flux(dir.path(), own)));
        assert_eq!(flux, ["east/shop", "west/shop"], "{helm}");
        // The negative control: the values alone name no place that two clusters could have in common.
        let alone = ["--values".to_owned(), examples().join("values.yaml").display().to_string()];
        assert_eq!(place(helm, &alone), "", "{helm}");
    }
}

/// An application whose pods are not `restricted`, a database that starts as root for example, could not start again.
#[test]
fn the_namespace_of_an_application_keeps_its_own_labels() {
    let set = documents(&std::fs::read_to_string(examples().join(FILES[0])).unwrap());
    let policy = &set[0]["spec"]["template"]["spec"]["syncPolicy"];
    assert_eq!(policy["syncOptions"], serde_json::json!(["CreateNamespace=true"]));
    assert_eq!(policy["managedNamespaceMetadata"], Value::Null);
    for file in FILES {
        let text = std::fs::read_to_string(examples().join(file)).unwrap();
        assert!(!text.contains("pod-security.kubernetes.io/enforce"), "{file}");
    }
}
