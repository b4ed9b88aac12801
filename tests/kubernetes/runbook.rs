//! The commands of the runbook, taken out of its text and run by the shell and by the real kubectl against a server
//! that has the chart's objects: what they create is what a cluster would get.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::rendered::{BASE, find, manifests};
use crate::support::{chupacabra, run, scratch, tool};

/// The release's full name in the text, which its reader replaces.
const NAMED: &str = "shop-backup-chupacabra";
/// The same as these tests render it.
const RENDERED: &str = "shop-chupacabra";
/// What the server says of the log of every pod.
const LOG: &str = "the log of the job";
/// A Job whose pod comes late, as pods do: whoever asks for it first gets none.
const LATE: &str = "late";
/// A Job whose pod ends with another exit code than 0, and which code.
const DIFFERS: (&str, i32) = ("differs", 5);

/// A server with the chart's `CronJob`s, where every Job has a pod that has ended by itself.
struct Cluster {
    address: String,
    seen: Arc<Mutex<Seen>>,
    _runtime: tokio::runtime::Runtime,
}

struct Seen {
    manifests: Vec<Value>,
    /// Method, path and body of what changed something.
    changes: Vec<(Method, String, Value)>,
    /// How often somebody asked for pods of the Job that comes late.
    asked: u32,
}

impl Cluster {
    fn start(manifests: Vec<Value>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen { manifests, changes: Vec::new(), asked: 0 }));
        let app = Router::new().fallback(answer).with_state(seen.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, seen, _runtime: runtime }
    }

    /// What was changed since the last look.
    fn changes(&self) -> Vec<(Method, String, Value)> {
        std::mem::take(&mut self.seen.lock().unwrap().changes)
    }

    /// Runs a line of the runbook, after the shell function that it brings.
    fn shell(&self, dir: &Path, function: &str, line: &str) -> Output {
        let bin = dir.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        // This server describes no types, so kubectl must not check against them; that is done below.
        let kubectl = tool("kubectl");
        let wrapper = format!(
            "#!/bin/sh\ncase \"$*\" in *'create -f -'*) set -- \"$@\" --validate=false ;; esac\n\
             case \"$*\" in *--local*) exec {0} \"$@\" ;; esac\nexec {0} --server={1} \"$@\"\n",
            kubectl.display(),
            self.address
        );
        std::fs::write(bin.join("kubectl"), wrapper).unwrap();
        run(Command::new("chmod").arg("755").arg(bin.join("kubectl")));
        std::fs::write(dir.join("key.txt"), "AGE-SECRET-KEY-1").unwrap();
        let script = format!("set -eu\n{function}\n{line}\n").replace(NAMED, RENDERED);
        Command::new("bash")
            .args(["-c", &script])
            .current_dir(dir)
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .env("HOME", dir)
            .env("KUBECONFIG", "/dev/null")
            .output()
            .unwrap()
    }
}

fn said(code: StatusCode, value: &Value) -> Response {
    (code, [("content-type", "application/json")], value.to_string()).into_response()
}

/// What an API server would say: discovery, the chart's objects, a pod for every Job.
async fn answer(State(seen): State<Arc<Mutex<Seen>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let resource = |name: &str, kind: &str| {
        let verbs = ["get", "list", "watch", "create", "delete", "patch", "update"];
        json!({ "name": name, "singularName": kind.to_lowercase(), "namespaced": true, "kind": kind, "verbs": verbs })
    };
    let list = |group: &str, resources: &[(&str, &str)]| {
        let resources: Vec<Value> = resources.iter().map(|(name, kind)| resource(name, kind)).collect();
        said(
            StatusCode::OK,
            &json!({ "kind": "APIResourceList", "groupVersion": group, "resources": resources }),
        )
    };
    let group = |name: &str| {
        let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
        json!({ "name": name, "versions": [version], "preferredVersion": version })
    };
    if parts.method != Method::GET {
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let named = |of: &Value| (of["kind"].clone(), of["metadata"]["name"].clone());
        let there =
            |(_, _, one): &(Method, String, Value)| sent["kind"] == "Job" && named(one) == named(&sent);
        if parts.method == Method::POST && seen.lock().unwrap().changes.iter().any(there) {
            return failure(StatusCode::CONFLICT, "AlreadyExists", "already exists");
        }
        seen.lock().unwrap().changes.push((parts.method.clone(), path.clone(), sent.clone()));
        let done = json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" });
        return match parts.method {
            Method::POST => said(StatusCode::CREATED, &sent),
            Method::DELETE => said(StatusCode::OK, &done),
            _ => object(&seen, &path),
        };
    }
    match path.as_str() {
        "/api" => said(StatusCode::OK, &json!({ "kind": "APIVersions", "versions": ["v1"] })),
        "/apis" => said(
            StatusCode::OK,
            &json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group("batch"), group("apps")] }),
        ),
        "/api/v1" => list("v1", &[("pods", "Pod"), ("secrets", "Secret")]),
        "/apis/batch/v1" => list("batch/v1", &[("jobs", "Job"), ("cronjobs", "CronJob")]),
        "/apis/apps/v1" => list("apps/v1", &[("deployments", "Deployment")]),
        path if path.ends_with("/pods") => pods(&seen, parts.uri.query().unwrap_or_default()),
        _ => object(&seen, &path),
    }
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
        "code": code.as_u16(), "message": message });
    said(code, &status)
}

/// The pod of the Job that the query names; to a watch too: kubectl then lists.
fn pods(seen: &Mutex<Seen>, query: &str) -> Response {
    let mut items = vec![pod(if query.contains(DIFFERS.0) { DIFFERS.1 } else { 0 })];
    if query.contains(LATE) {
        let mut seen = seen.lock().unwrap();
        seen.asked += 1;
        if seen.asked == 1 {
            items.clear();
        }
    }
    let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": items });
    said(StatusCode::OK, &list)
}

/// A pod that has ended: it was never seen to be ready.
fn pod(code: i32) -> Value {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let ended = json!({ "name": "chupacabra", "state": { "terminated": { "exitCode": code } } });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "pod", "namespace": "shop", "uid": "2" },
        "spec": { "containers": [{ "name": "chupacabra" }] },
        "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": "False" }], "containerStatuses": [ended] },
    })
}

fn object(seen: &Mutex<Seen>, path: &str) -> Response {
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.ends_with("/log") {
        return LOG.into_response();
    }
    if path.contains("/cronjobs/") {
        let seen = seen.lock().unwrap();
        let found =
            seen.manifests.iter().find(|one| one["kind"] == "CronJob" && one["metadata"]["name"] == name);
        if let Some(found) = found {
            let mut found = found.clone();
            found["metadata"]["uid"] = "1".into();
            return said(StatusCode::OK, &found);
        }
    }
    if path.contains("/pods/") {
        return said(StatusCode::OK, &pod(0));
    }
    if path.contains("/jobs/") {
        let selector = json!({ "matchLabels": { "batch.kubernetes.io/job-name": name } });
        let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": "shop" },
            "spec": { "selector": selector, "template": { "spec": { "containers": [] } } } });
        return said(StatusCode::OK, &job);
    }
    if path.ends_with("/deployments/shop/scale") {
        let scale = json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "shop", "namespace": "shop" },
            "spec": { "replicas": 2 }, "status": { "replicas": 2 } });
        return said(StatusCode::OK, &scale);
    }
    if path.ends_with("/deployments/shop") {
        let metadata = json!({ "name": "shop", "namespace": "shop" });
        let deployment =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {} });
        return said(StatusCode::OK, &deployment);
    }
    failure(StatusCode::NOT_FOUND, "NotFound", "not found")
}

/// The shell functions of the runbook, and the commands that a reader runs, one line each.
fn runbook() -> (String, Vec<String>) {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/README.md")).unwrap();
    let block = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let (functions, first) = block.split_once("\nrestore look").unwrap();
    let first = format!("restore look{first}");
    let outside = text.replace(block, "");
    let indented = outside.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
    let commands = first.lines().map(str::to_owned).chain(indented);
    let commands =
        commands.filter(|line| line.starts_with("restore ") || line.starts_with("kubectl -n shop "));
    (functions.to_owned(), commands.collect())
}

/// The arguments of a Job's only container.
fn arguments(job: &Value) -> Vec<String> {
    let containers = job["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let args = containers[0]["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}

/// Fails the test unless Kubernetes would take the object.
fn validated(dir: &Path, object: &Value) {
    let file = dir.join("object.json");
    std::fs::write(&file, object.to_string()).unwrap();
    run(Command::new(tool("kubernetes-validate")).args(["--strict", "-k", "1.33"]).arg(&file));
}

#[test]
fn every_command_of_the_runbook_does_what_it_says() {
    let rendered = manifests(&[BASE]);
    let template = find(&rendered, "CronJob", "-restore")["spec"]["jobTemplate"]["spec"].clone();
    let cluster = Cluster::start(rendered);
    let (function, commands) = runbook();
    let dir = scratch();
    let (mut restores, mut others) = (0, 0);
    for command in &commands {
        let output = cluster.shell(dir.path(), &function, command);
        let told = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}: {told}");
        let changes = cluster.changes();
        let Some(rest) = command.strip_prefix("restore ") else {
            others += 1;
            assert!(changes.len() == 1 || command.contains(" logs "), "{command}: {changes:?} {told}");
            continue;
        };
        restores += 1;
        assert!(told.contains(LOG), "{command}: {told}");
        let [(Method::POST, path, job)] = changes.as_slice() else { panic!("{command}: {changes:?}") };
        assert_eq!(path, "/apis/batch/v1/namespaces/shop/jobs", "{command}");
        validated(dir.path(), job);
        let (name, words) = rest.split_once(' ').unwrap();
        assert_eq!(job["metadata"]["name"], name);
        let words: Vec<String> = words.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect();
        assert_eq!(arguments(job), words, "{command}");
        // All but the arguments is the template's.
        let mut wanted = template.clone();
        let container = &mut wanted["template"]["spec"]["containers"][0];
        container["args"] = json!(words);
        // What is not so is not said by kubectl.
        for mount in container["volumeMounts"].as_array_mut().unwrap() {
            if mount["readOnly"] == false {
                mount.as_object_mut().unwrap().remove("readOnly");
            }
        }
        assert_eq!(job["spec"]["template"]["spec"], wanted["template"]["spec"], "{command}");
        // The program understands the arguments: it gets as far as its configuration.
        let mut program = chupacabra();
        program.env_clear().args(["--config", "/nowhere.yaml"]).args(&words);
        let output = program.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("/nowhere.yaml"), "{command}: {told}");
    }
    assert!(restores >= 8 && others >= 4, "{restores} restores and {others} other commands were found");
}

#[test]
fn a_command_that_names_what_is_not_there_fails() {
    let cluster = Cluster::start(manifests(&[BASE, "restore: { enabled: false }"]));
    let (function, _) = runbook();
    let output = cluster.shell(scratch().path(), &function, "restore look list");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("not found"), "{told}");
    assert!(cluster.changes().is_empty());
}

#[test]
fn the_exit_code_of_a_restore_is_told_and_its_pod_may_come_late_and_end_at_once() {
    let cluster = Cluster::start(manifests(&[BASE]));
    let (functions, _) = runbook();
    let dir = scratch();
    for (job, code) in [(LATE, 0), DIFFERS] {
        let output = cluster.shell(dir.path(), &functions, &format!("restore {job} list"));
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(LOG) && told.contains(&format!("exit code {code}")), "{told}");
    }
}

#[test]
fn a_name_that_is_taken_shows_no_log_of_another_job() {
    let cluster = Cluster::start(manifests(&[BASE]));
    let (functions, _) = runbook();
    let twice = "restore look list > /dev/null; restore look show web";
    let output = cluster.shell(scratch().path(), &functions, twice);
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && told.contains("already exists"), "{told}");
    assert!(!told.contains(LOG), "{told}");
}
