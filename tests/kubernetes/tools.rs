//! What linters say of the Dockerfile, the workflows, the scripts and the manifests.

use std::path::Path;
use std::process::{Command, Output};

use crate::rendered::{BASE, chart, text};
use crate::support::{run, scratch, tool};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Runs a linter on a file that it is content with, and on the file with one thing made wrong.
fn judge(command: impl Fn(&Path) -> Command, file: &Path, from: &str, to: &str, finding: &str) {
    run(&mut command(file));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: no `{from}`", file.display());
    let dir = scratch();
    let wrong = dir.path().join(file.file_name().unwrap());
    std::fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
    let output = command(&wrong).output().unwrap();
    let told = told(&output);
    assert!(!output.status.success() && told.contains(finding), "`{to}` is taken: {told}");
}

#[test]
fn the_dockerfile_is_sound() {
    let hadolint = |file: &Path| {
        let mut command = Command::new(tool("hadolint"));
        command.arg(file);
        command
    };
    let file = project().join("Dockerfile");
    judge(hadolint, &file, "FROM rust:1.95-slim-bookworm", "FROM rust:latest", "DL3007");
    let text = std::fs::read_to_string(&file).unwrap();
    // What the tests of the image rely on, and users too.
    for line in ["FROM scratch", "USER 65532:65532", "--features isal", "cargo build --locked"] {
        assert!(text.contains(line), "the Dockerfile has no `{line}`");
    }
    // The compiler of the image is one that the project supports.
    let manifest = std::fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let least = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    let number = |version: &str| {
        let mut parts = version.split(['.', '"', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap(), parts.next().unwrap())
    };
    let used = text.lines().find_map(|line| line.strip_prefix("FROM rust:")).unwrap();
    assert!(number(used) >= number(least), "{used} is older than {least}");
}

#[test]
fn the_workflows_are_sound_and_trust_nobody() {
    let dir = project().join(".github/workflows");
    let actionlint = |file: &Path| {
        let mut command = Command::new(tool("actionlint"));
        command.arg("-no-color").arg(file);
        command
    };
    judge(
        actionlint,
        &dir.join("release.yml"),
        "runs-on: ${{ matrix.runner }}",
        "runs-on: ${{ matrix.runer }}",
        "runer",
    );
    let zizmor = |file: &Path| {
        let mut command = Command::new(tool("zizmor"));
        command.args(["--offline", "--persona", "regular"]).arg(file);
        command
    };
    judge(
        zizmor,
        &dir.join("release.yml"),
        "checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
        "checkout@main",
        "unpinned-uses",
    );
    for file in ["test.yml", "release.yml"] {
        run(&mut actionlint(&dir.join(file)));
        run(&mut zizmor(&dir.join(file)));
        // Pinned by digest, whoever's action it is.
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        for line in text.lines().filter(|line| line.contains("uses: ")) {
            let pin = line.split_once('@').unwrap().1.split(' ').next().unwrap();
            assert!(pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
        }
        assert!(text.contains("\npermissions: {}\n"), "{file} begins with rights");
    }
}

#[test]
fn the_yaml_is_tidy() {
    let yamllint = |file: &Path| {
        let mut command = Command::new(tool("yamllint"));
        command.arg("--strict").arg("-c").arg(project().join("tests/kubernetes/.yamllint")).arg(file);
        command
    };
    judge(
        yamllint,
        &chart().join("values.yaml"),
        "timeZone: Etc/UTC",
        "timeZone: Etc/UTC\ntimeZone: UTC",
        "duplication",
    );
    for path in ["deploy/gitops", "deploy/chart/Chart.yaml", ".github"] {
        run(&mut yamllint(&project().join(path)));
    }
}

#[test]
fn the_scripts_are_sound() {
    let shellcheck = |file: &Path| {
        let mut command = Command::new(tool("shellcheck"));
        command.arg(file);
        command
    };
    judge(
        shellcheck,
        &project().join("tests/kubernetes/tools.sh"),
        "local package=$1",
        "local package=$(echo $1)",
        "SC2086",
    );
    run(&mut shellcheck(&project().join("tests/kubernetes/image.sh")));
}

/// What checkov wants and the chart does not do, with why.
const SKIPPED: [(&str, &str); 6] = [
    (
        "CKV_K8S_11",
        "no CPU limit: throttling makes a backup longer and saves nobody anything; requests are set",
    ),
    (
        "CKV_K8S_43",
        "`image.digest` is a value; the release's GitOps commit sets the tag, which is never reused",
    ),
    (
        "CKV_K8S_15",
        "tags are never reused, so IfNotPresent gets the same image and survives a registry's outage",
    ),
    ("CKV_K8S_35", "secrets as variables are one choice, `secrets.files` is the other"),
    (
        "CKV_DOCKER_2",
        "nothing to check the health of: the program runs, exits, and its exit code is the verdict",
    ),
    ("CKV_DOCKER_3", "the user is numeric, so that the kubelet can see that it is not root"),
];

#[test]
fn checkov_finds_nothing_but_what_is_skipped_with_a_reason() {
    let skipped = SKIPPED.map(|(check, _)| check).join(",");
    let dir = scratch();
    let checkov = |framework: &str, skip: &str| {
        let mut command = Command::new(tool("checkov"));
        command.current_dir(dir.path()).args([
            "--framework",
            framework,
            "--skip-download",
            "--compact",
            "--quiet",
        ]);
        command.args(["--skip-check", skip, "-d", "."]).output().unwrap()
    };
    let good = text("helm4", "1.33", &[BASE, "networkPolicy: { enabled: true }"]);
    std::fs::write(dir.path().join("chart.yaml"), &good).unwrap();
    std::fs::copy(project().join("Dockerfile"), dir.path().join("Dockerfile")).unwrap();
    for framework in ["kubernetes", "dockerfile"] {
        let output = checkov(framework, &skipped);
        assert!(output.status.success(), "{framework}: {}", told(&output));
    }
    // The negative control: without the list it does find something, and a privileged pod is found with the list.
    assert!(!checkov("kubernetes", "CKV_NONE").status.success());
    let wrong = good.replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true");
    std::fs::write(dir.path().join("chart.yaml"), wrong).unwrap();
    let output = checkov("kubernetes", &skipped);
    assert!(!output.status.success() && told(&output).contains("CKV_K8S_20"), "{}", told(&output));
}
