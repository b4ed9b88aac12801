//! The examples against the definitions of Argo CD and Flux, strictly: an unknown field is an error.
//!
//! The definitions are not part of this project. `CHUPACABRA_CRDS` names a directory with them
//! (`argocd-applicationset.yaml`, `flux-helmrelease.yaml` and others); without it that test is shown as ignored, not as
//! passed.

use std::path::{Path, PathBuf};
use std::process::Command;

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
