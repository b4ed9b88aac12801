//! The verbs as a user calls them, one after the other, with stock tools as witnesses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::backups::Site;
use crate::support::{chupacabra, run, scratch, shell, tool};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to the end, for people, and insists on the exit code.
fn exits(command: &mut Command, code: i32) -> Output {
    let output = command.env("CHUPACABRA_LOG_FORMAT", "human").stdin(Stdio::null()).output().unwrap();
    let told = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{command:?}: {told}");
    output
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&exits(command, 0).stdout).unwrap()
}

#[test]
fn a_new_key_is_private_and_stock_age_takes_it() {
    let dir = scratch();
    let key = dir.path().join("key.txt");
    let output = exits(chupacabra().arg("keygen").arg("-o").arg(&key), 0);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let public = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
    assert_eq!(text(&output.stdout), text(&public));
    let secret = std::fs::read_to_string(&key).unwrap();
    exits(chupacabra().arg("keygen").arg("-o").arg(&key), 2);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), secret);
}

/// A tree with something of everything that is easily lost.
fn seed(tree: &Path) {
    shell(&format!(
        "mkdir -p '{0}/sub/empty' && cd '{0}' && echo hello > 'a file.txt' && head -c 3000000 /dev/urandom > sub/noise \
         && ln -s ../'a file.txt' sub/link && ln sub/noise sub/hard && chmod 640 'a file.txt' && chmod 755 sub/empty \
         && touch -d '2001-02-03 04:05:06.789' sub/noise && chmod 700 sub",
        tree.display()
    ));
}

#[test]
fn a_quickstart_proves_itself_and_its_advice_works() {
    let dir = scratch();
    let data = dir.path().join("some data");
    seed(&data);
    let quickstart = || {
        let mut command = chupacabra();
        command.current_dir(dir.path()).args(["quickstart", "some data"]);
        command
    };
    let told = text(&exits(&mut quickstart(), 0).stdout);
    assert!(told.contains("identical: 3 files") || told.contains("identical: 2 files"), "{told}");
    assert!(told.contains("Done: what was restored is what was backed up."), "{told}");

    // The line for stock tools, as it was printed.
    let line = told.lines().find(|line| line.contains("age -d -i")).unwrap();
    shell(&format!("cd {0} && {line}", dir.path().display()));
    let same = format!("diff -r --no-dereference '{}' {}/elsewhere", data.display(), dir.path().display());
    shell(&same);
    // The comparison would notice.
    std::fs::write(dir.path().join("elsewhere/a file.txt"), "hullo\n").unwrap();
    assert!(!Command::new("bash").args(["-c", &same]).stdout(Stdio::null()).status().unwrap().success());

    // The commands it advises work too.
    let advised = |verb: &str| {
        let line = told.lines().find(|line| line.contains("--config") && line.contains(verb)).unwrap();
        let line = line.replace("some-directory", "advised");
        text(&shell(&format!("cd {} && CHUPACABRA_LOG_FORMAT=human {line}", dir.path().display())))
    };
    assert!(advised(" list").contains("some-data"));
    assert!(advised(" show ").contains("sub/noise"));
    advised(" restore ");
    assert_eq!(std::fs::read_to_string(dir.path().join("advised/a file.txt")).unwrap(), "hello\n");

    // Again: another package, the same key.
    let again = text(&exits(&mut quickstart(), 0).stdout);
    assert!(again.contains("this adds a package"), "{again}");
    let config = dir.path().join("chupacabra-quickstart/chupacabra.yaml");
    let listed = json(chupacabra().arg("--config").arg(config).args(["list", "--json"]));
    assert_eq!(listed[0]["packages"].as_array().unwrap().len(), 2);

    // Another directory in the same place is refused, and says what to do.
    std::fs::create_dir(dir.path().join("other")).unwrap();
    let other = exits(chupacabra().current_dir(dir.path()).args(["quickstart", "other"]), 2);
    assert!(text(&other.stderr).contains("--home"), "{}", text(&other.stderr));
}

#[test]
fn a_quickstart_leaves_its_own_output_out() {
    let dir = scratch();
    seed(&dir.path().join("[odd] {dir}*"));
    let home = dir.path().join("[odd] {dir}*/try [1]");
    let mut quickstart = chupacabra();
    quickstart.arg("quickstart").arg(dir.path().join("[odd] {dir}*")).arg("--home").arg(&home);
    exits(&mut quickstart, 0);
    let told = text(&exits(&mut quickstart, 0).stdout);
    assert!(told.contains("identical"), "{told}");
    assert!(!home.join("restored/try [1]").exists());
}

#[test]
fn packages_are_chosen_by_time_key_and_store() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "first").unwrap();
    exits(&mut site.command(&["backup"]), 0);
    std::fs::write(site.tree().join("file"), "second").unwrap();
    std::fs::write(site.tree().join("file.log"), "log").unwrap();
    exits(&mut site.command(&["backup"]), 0);
    let listed = json(&mut site.command(&["list", "web", "--json"]));
    let keys: Vec<&str> = listed[0]["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["record"]["key"].as_str().unwrap())
        .collect();
    let [first, second] = keys[..] else { panic!("two packages: {keys:?}") };

    let restored = |name: &str, choice: &[&str]| {
        let into = site.dir().join(name);
        exits(site.command(&["restore", "web", "--into"]).arg(&into).args(choice), 0);
        into
    };
    let content = |dir: &Path| std::fs::read_to_string(dir.join("file")).unwrap();
    assert_eq!(content(&restored("newest", &[])), "second");
    assert_eq!(content(&restored("by-key", &["--package", first])), "first");
    assert_eq!(content(&restored("by-second-key", &["--package", second, "--store", "here"])), "second");
    // `web/web-20261121T183000.123Z.tar.gz.age`
    let time = &first["web/web-".len().."web/web-20261121T183000.123".len()];
    let (day, clock) = time.split_once('T').unwrap();
    let at = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &clock[..2],
        &clock[2..4],
        &clock[4..]
    );
    assert_eq!(content(&restored("by-time", &["--at", &at])), "first");
    assert_eq!(content(&restored("recent", &["--at", "-0s"])), "second");
    let only = restored("only", &["--only", "*.log"]);
    assert!(only.join("file.log").exists() && !only.join("file").exists());

    exits(&mut site.command(&["restore", "web", "--into", "/nowhere", "--at", "-1d"]), 4);
    let refused = exits(site.command(&["restore", "web", "--into"]).arg(site.dir().join("newest")), 2);
    let told = text(&refused.stderr);
    assert!(told.contains("not empty") && told.contains("help: ") && told.contains("--replace"), "{told}");
    let nothing = site.dir().join("nothing");
    exits(site.command(&["restore", "web", "--only", "*.none", "--into"]).arg(&nothing), 2);
    let stranger = site.dir().join("stranger.txt");
    exits(chupacabra().arg("keygen").arg("-o").arg(&stranger), 0);
    let locked = exits(site.command(&["restore", "web", "--into"]).arg(&nothing).arg("-i").arg(&stranger), 4);
    assert!(text(&locked.stderr).contains("--identity"), "{}", text(&locked.stderr));

    let shown = text(&exits(&mut site.command(&["show", second, "--only", "*.log"]), 0).stdout);
    assert_eq!(shown.lines().last().unwrap(), as_ls_lists(&site.tree(), "file.log"));
    let dry = site.dir().join("dry");
    exits(site.command(&["restore", "web", "--dry-run", "--into"]).arg(&dry), 0);
    assert!(!dry.exists());
}

#[test]
fn a_package_that_is_too_old_or_missing_is_stale() {
    let site = Site::new("");
    let stale = text(&exits(&mut site.command(&["list", "--max-age", "1d"]), 6).stderr);
    assert!(stale.contains("there is no good package of web in "), "{stale}");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    exits(&mut site.command(&["backup"]), 0);
    exits(&mut site.command(&["list", "--max-age", "1d"]), 0);
    let stale = text(&exits(&mut site.command(&["list", "--max-age", "0s"]), 6).stderr);
    assert!(stale.contains("the newest good package of web in "), "{stale}");
}

/// A line of `ls -ln` without the number of links, in the form that `show` has.
fn as_ls_lists(dir: &std::path::Path, name: &str) -> String {
    let mut ls = std::process::Command::new("ls");
    ls.args(["-ln", "--time-style=+%Y-%m-%d %H:%M:%SZ", name]).current_dir(dir).env("TZ", "UTC");
    let line = text(&ls.output().unwrap().stdout);
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [mode, _, user, group, size, date, time, path] = fields[..] else { panic!("{line}") };
    format!("{mode} {user:>5} {group:>5} {size:>12} {date} {time} {path}")
}

#[test]
fn damage_is_a_mismatch_and_says_which_package() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    exits(&mut site.command(&["backup"]), 0);
    exits(&mut site.command(&["verify"]), 0);
    let listed = json(&mut site.command(&["list", "--json"]));
    assert!(listed[0]["packages"][0]["verified"].is_string());
    let key = listed[0]["packages"][0]["record"]["key"].as_str().unwrap().to_owned();
    let package = site.store().join(&key);
    let mut bytes = std::fs::read(&package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&package, &bytes).unwrap();
    let verified = exits(&mut site.command(&["verify"]), 5);
    assert!(text(&verified.stdout).contains(&key) && text(&verified.stdout).contains("MISMATCH"));
    // Without the key, too.
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let keyless = yaml.replace(&format!(", identity: {{ file: {} }}", site.key().display()), "");
    assert_ne!(keyless, yaml);
    std::fs::write(site.config(), keyless).unwrap();
    exits(&mut site.command(&["verify"]), 5);
    let into = site.dir().join("damaged");
    let damaged = exits(site.command(&["restore", "web", "-i"]).arg(site.key()).arg("--into").arg(&into), 5);
    assert!(text(&damaged.stderr).contains("this copy is damaged"), "{}", text(&damaged.stderr));
    // A package that is shorter is seen by the listing already.
    std::fs::write(&package, &bytes[..middle]).unwrap();
    let listed = text(&exits(&mut site.command(&["list"]), 0).stdout);
    assert!(listed.contains("WRONG SIZE"), "{listed}");
}

#[test]
fn exit_codes_say_how_much_failed() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let more = format!("sources: {{ gone: {{ files: {{ path: {}/gone }} }}, web:", site.dir().display());
    std::fs::write(site.config(), yaml.replace("sources: { web:", &more)).unwrap();
    let config = exits(&mut site.command(&["config", "check"]), 0);
    assert!(text(&config.stdout).contains("gone"));
    exits(&mut site.command(&["backup", "web"]), 0);
    exits(&mut site.command(&["backup", "gone"]), 4);
    let both = exits(&mut site.command(&["backup"]), 3);
    assert!(text(&both.stdout).contains("good") && text(&both.stdout).contains("failed"));
    let report = site.command(&["backup", "--json"]).stderr(Stdio::null()).output().unwrap();
    assert_eq!(report.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let status: Vec<&str> =
        report["jobs"].as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["failed", "good"]);
}

#[test]
fn references_schemas_completions_and_pages_are_whole() {
    let dir = scratch();
    let reference = exits(chupacabra().args(["config", "reference"]), 0).stdout;
    std::fs::write(dir.path().join("chupacabra.yaml"), &reference).unwrap();
    let mut check = chupacabra();
    check.current_dir(dir.path()).args(["config", "check"]);
    // Every secret that it names is there: `{ env: NAME }`, in whatever key.
    for rest in text(&reference).split("{ env: ").skip(1) {
        let name = rest.split([' ', ',', '}']).next().unwrap();
        let value = if name.ends_with("_URL") { "https://user:secret@db.example/x" } else { "secret" };
        let mongodb = "mongodb://user:secret@db.example/?replicaSet=rs0";
        check.env(name, if name == "MONGODB_URL" { mongodb } else { value });
    }
    let check = exits(&mut check, 0);
    assert!(text(&check.stdout).starts_with("chupacabra.yaml is sound."), "{}", text(&check.stdout));
    let schema = json(chupacabra().args(["config", "schema"]));
    assert_eq!(schema["title"], "ChupaCabra configuration");
    for shell in ["bash", "zsh", "fish"] {
        let script = exits(chupacabra().args(["completions", shell]), 0).stdout;
        assert!(text(&script).contains("quickstart"));
    }
    exits(chupacabra().arg("man").arg(dir.path()), 0);
    let pages = std::fs::read_dir(dir.path()).unwrap().flatten();
    let pages = pages.filter(|page| page.path().extension().is_some_and(|end| end == "1"));
    assert!(pages.count() > 12);
    let page = exits(chupacabra().arg("man"), 0).stdout;
    assert!(text(&page).contains(".TH chupacabra"));
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let program = env!("CARGO_BIN_EXE_chupacabra");
    shell(&format!("{program} config reference | head -n 1 >/dev/null"));
}

#[test]
fn a_listing_of_members_may_be_read_in_part() {
    let site = Site::new("");
    for number in 0..3_000 {
        std::fs::write(site.tree().join(format!("{number:0200}")), "").unwrap();
    }
    site.good(&["backup"]);
    for json in ["", "--json"] {
        let command = format!("{:?} {json} | head -n 1", site.command(&["show", "web"])).replace('"', "'");
        let told = shell(&format!("{{ {command} >/dev/null; }} 2>&1"));
        assert!(told.is_empty(), "{}", text(&told));
    }
}

/// What is lost is put back where it was without saying where that is.
#[test]
fn a_tree_goes_back_to_where_the_configuration_says() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    site.good(&["backup"]);
    let refused = text(&exits(&mut site.command(&["restore", "web"]), 2).stderr);
    assert!(refused.contains("not empty"), "{refused}");
    std::fs::remove_dir_all(site.tree()).unwrap();
    site.good(&["restore", "web"]);
    assert_eq!(std::fs::read_to_string(site.tree().join("file")).unwrap(), "content");
    // Where the configuration does not know it, there is no such place.
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), yaml.replace("{ web:", "{ other:")).unwrap();
    let told = text(&exits(&mut site.command(&["restore", "web"]), 2).stderr);
    assert!(told.contains("no directory to restore into") && told.contains("--into"), "{told}");
}

#[test]
fn one_store_that_cannot_be_listed_keeps_no_other_from_being_verified() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    site.good(&["backup"]);
    let broken = site.dir().join("a-file");
    std::fs::write(&broken, "no directory").unwrap();
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let two = format!("stores: {{ broken: {{ local: {{ path: {} }} }},", broken.display());
    std::fs::write(site.config(), yaml.replace("stores: {", &two)).unwrap();
    let verified = exits(&mut site.command(&["verify"]), 3);
    assert!(text(&verified.stdout).contains("sound"), "{}", text(&verified.stdout));
    assert!(text(&verified.stderr).contains("broken"), "{}", text(&verified.stderr));
    exits(&mut site.command(&["verify", "--store", "here"]), 0);
    exits(&mut site.command(&["verify", "--store", "broken"]), 4);
}

#[test]
fn a_key_that_opens_nothing_is_told_before_it_is_needed() {
    let site = Site::new("");
    let whole = std::fs::read_to_string(site.config()).unwrap();
    let opens = |identity: &Path| {
        let yaml = whole.replace(site.key().to_str().unwrap(), identity.to_str().unwrap());
        std::fs::write(site.config(), yaml).unwrap();
        json(&mut site.command(&["config", "check", "--json"]))["encryption"]["can open packages here"]
            .clone()
    };
    assert_eq!(opens(&site.key()), true);
    let stranger = site.dir().join("stranger.txt");
    exits(chupacabra().arg("keygen").arg("-o").arg(&stranger), 0);
    assert_eq!(opens(&stranger), false);
    let none = site.dir().join("none");
    std::fs::write(&none, "no key at all").unwrap();
    let yaml = whole.replace(site.key().to_str().unwrap(), none.to_str().unwrap());
    std::fs::write(site.config(), yaml).unwrap();
    let told = text(&exits(&mut site.command(&["config", "check"]), 2).stderr);
    assert!(told.contains("encryption.identity") && told.contains("age-keygen"), "{told}");
}
