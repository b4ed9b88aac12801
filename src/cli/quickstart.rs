//! `quickstart`: everything once, with nothing configured, on a real directory.

mod set_up;

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::compare::{Compared, compare};
use super::output::{self, count, printable, size};
use super::{Problem, Session, backup, session, verify};
use crate::backup::Run;
use crate::catalog::{Key, SourceName};
use crate::config::Plan;
use crate::exit::Exit;
use crate::report::Status;
use crate::restore::{Choice, choose, restore};
use crate::sources::Request;
use crate::stores::Named;
use crate::stores::counted::Counted;
use set_up::SetUp;

/// How many differences are told one by one.
const TOLD: usize = 10;

/// Try everything out on a directory, with nothing configured
///
/// Makes a key pair and a configuration, backs the directory up to a local store, lists and verifies the package,
/// restores it beside, and compares the two trees. The directory itself is only read.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra quickstart ~/Documents\n  \
                        chupacabra quickstart --home /tmp/try /etc")]
pub(super) struct Args {
    /// The directory to back up
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where key, configuration, store and restored tree go
    #[arg(long, value_name = "DIR", default_value = "chupacabra-quickstart")]
    home: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let set_up = SetUp::new(&self.dir, &self.home)?;
        if self.dry_run {
            output::line(set_up.intended())?;
            return Ok(Exit::Good);
        }
        output::line(format!("1. Set up in {}", set_up.home.display()))?;
        for told in set_up.prepare()? {
            output::line(format!("   {told}"))?;
        }
        let plan = crate::config::load(&set_up.config)?;
        let stores = session::connect(&plan, None).await?;
        let done = steps(&set_up, &plan, stores, session).await;
        if session.shutdown.stopped().is_some() {
            return Ok(session.shutdown.exit(Exit::Unexpected));
        }
        done
    }
}

async fn steps(
    set_up: &SetUp,
    plan: &Plan,
    stores: std::collections::BTreeMap<String, Named>,
    session: &Session,
) -> anyhow::Result<Exit> {
    output::line(format!("\n2. Back up {}", set_up.dir.display()))?;
    let names: Vec<SourceName> = plan.sources.keys().cloned().collect();
    let stop = session.shutdown.token();
    let (clock, progress) = (session.clock, &*session.progress);
    let bar = session.bar();
    let report = Run { plan, stores: &stores, clock, stop: stop.clone(), progress }.backup(&names).await;
    drop(bar);
    backup::show(&report)?;
    let Some(job) = report.jobs.first().filter(|job| job.status == Status::Good) else {
        return Ok(if session.shutdown.stopped().is_some() { Exit::Interrupted } else { report.exit() });
    };
    let stores: Vec<Named> = stores.into_values().collect();
    let choice = Choice { key: Some(job.key.clone()), at: None, now: clock.now() };
    let mut chosen = choose(&stores, job.key.source(), &choice).await?;
    chosen.named = Counted::named(&chosen.named, &session.progress);
    let identities = session::required_identities(plan, None)?;

    output::line(
        "\n3. Verify: read it back from the store, open it with the private key, compare every member",
    )?;
    progress.begin(job.key.source().as_str(), "verifying", Some(chosen.found.record.package.size));
    let bar = session.bar();
    let verified = crate::verify::verify(&chosen.named, &chosen.found, &identities, clock.now()).await;
    drop(bar);
    verify::show(std::slice::from_ref(&verified))?;
    if verified.outcome != crate::verify::Outcome::Sound {
        return Ok(Exit::Mismatch);
    }

    output::line(format!("\n4. Restore it into {}", set_up.restored.display()))?;
    set_up.clear_restored()?;
    progress.begin(job.key.source().as_str(), "restoring", Some(chosen.found.record.package.size));
    let into = set_up.restored.to_string_lossy().into_owned();
    let request = Request { into: Some(into), ..Request::default() };
    let bar = session.bar();
    let restored = restore(&chosen, None, identities, &request, &stop).await;
    drop(bar);
    let restored = restored?;
    let counts: Vec<String> =
        restored.counts.iter().map(|(name, number)| format!("{} {name}", count(*number))).collect();
    output::line(format!("   {}", counts.join(", ")))?;
    for note in &restored.notes {
        output::line(output::printable(&format!("   note: {note}")))?;
    }

    output::line("\n5. Compare the two trees: names, kinds, modes, times, content")?;
    progress.begin(job.key.source().as_str(), "comparing", None);
    let bar = session.bar();
    let compared = compared(set_up).await;
    drop(bar);
    let compared = compared?;
    let sound = tell(&compared)?;
    if sound {
        output::line(next(set_up, &job.key))?;
    }
    Ok(if sound { Exit::Good } else { Exit::Mismatch })
}

async fn compared(set_up: &SetUp) -> anyhow::Result<Compared> {
    let (dir, restored, home) = (set_up.dir.clone(), set_up.restored.clone(), set_up.home.clone());
    let compared = tokio::task::spawn_blocking(move || compare(&dir, &restored, &home)).await?;
    Ok(compared.map_err(|error| {
        let help = "the directory may have changed meanwhile: run it again, or choose a quieter one";
        Problem::failed("the two trees could not be compared", help).because(error)
    })?)
}

fn tell(compared: &Compared) -> anyhow::Result<bool> {
    let Compared { files, directories, others, bytes, differences } = compared;
    let (files, directories, others) = (count(*files), count(*directories), count(*others));
    let total =
        format!("{files} files ({}), {directories} directories, {others} links and others", size(*bytes));
    if differences.is_empty() {
        output::line(format!("   identical: {total}"))?;
        return Ok(true);
    }
    output::line(format!("   {} DIFFERENCES in {total}:", count(differences.len() as u64)))?;
    for difference in differences.iter().take(TOLD) {
        output::line(format!("   {}", printable(difference)))?;
    }
    output::line(
        "   What changed since step 2 differs now. If nothing did, this is a defect: please report it.",
    )?;
    Ok(false)
}

/// What to do next, with real paths.
fn next(set_up: &SetUp, key: &Key) -> String {
    let SetUp { key: identity, config, store, home, .. } = set_up;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let package = store.join(key.to_string());
    format!(
        "\nDone: what was restored is what was backed up.\n\n\
         Restore without this program, with Debian's age and tar:\n  \
         mkdir elsewhere && age -d -i {identity} {package} | tar xz -C elsewhere\n\n\
         Look around:\n  \
         {program} --config {config} list\n  \
         {program} --config {config} show {source}\n  \
         {program} --config {config} restore {source} --only '*.txt' --into some-directory\n\n\
         For real backups, make a key and keep it away from the machine that backs up; then write your own stores\n\
         and sources (the reference explains every key), check, and back up:\n  \
         {program} keygen -o key.txt\n  \
         {program} config reference > chupacabra.yaml\n  \
         {program} check && {program} backup\n\n\
         To forget this try, delete {home}.",
        program = program(),
        identity = quoted(identity),
        package = quoted(&package),
        config = quoted(config),
        source = key.source(),
        home = quoted(home),
    )
}

/// How this program was called: by its name, or by its path if it is not installed.
fn program() -> String {
    let called = std::env::args().next().filter(|called| called.contains('/'));
    called.unwrap_or_else(|| "chupacabra".to_owned())
}
