//! Whole runs against a drive where anything goes wrong at random: what a run says is what the drive has.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chupacabra::config::units::{ByteSize, Span};
use chupacabra::exit::Exit;
use chupacabra::stores::Store;
use chupacabra::stores::google_drive::Config;
use serde_json::json;

use crate::drives::{CHUNK, config, store};
use crate::support::armed::Armed;
use crate::support::backups::noise;
use crate::support::drive::Fake;
use crate::support::drive::fault::{Fault, Kind, When};
use crate::support::drive::world::FOLDER;
use crate::support::hurried::hurried;
use crate::support::schedules::{
    Objects, Service, Site, all, assert_damages_are_seen, chance, damages, schedule,
};

/// How many schedules run at once, each with a server of its own. Much of their time is waiting.
const AT_ONCE: usize = 6;
/// Longer than a busy machine takes to answer, short enough to wait for in every stall.
const STALL: Duration = Duration::from_millis(2_500);

/// What passes by itself, and may befall any request.
const PASSING: [Fault; 11] = [
    Fault::Refused(503, "backendError", "Backend Error"),
    Fault::Refused(500, "internalError", "Internal Error"),
    Fault::Refused(408, "", "Request Timeout"),
    Fault::Refused(403, "rateLimitExceeded", "Rate Limit Exceeded"),
    Fault::Refused(403, "userRateLimitExceeded", "User Rate Limit Exceeded. Rate of requests is too high."),
    Fault::SlowDown,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::LostAnswer,
    Fault::HalfAnswer,
    Fault::Silence,
];

/// What does not pass.
const LASTING: [Fault; 8] = [
    Fault::Refused(403, "insufficientFilePermissions", "The user does not have sufficient permissions."),
    Fault::Refused(403, "dailyLimitExceeded", "Daily Limit Exceeded"),
    Fault::Refused(403, "userRateLimitExceeded", "User rate limit exceeded."),
    Fault::Refused(400, "badRequest", "Bad Request"),
    Fault::Refused(503, "backendError", "Backend Error"),
    Fault::Unauthorized,
    Fault::LostAnswer,
    Fault::CutAfter,
];

/// What only befalls a session: part of a chunk is taken, or nothing is known of it any more.
const AT_SESSIONS: [Fault; 8] = [
    Fault::CutInBody,
    Fault::NoRange,
    Fault::Partly(0),
    Fault::Partly(1),
    Fault::PartlyThenError(0),
    Fault::PartlyThenError(1),
    Fault::SessionGone(404),
    Fault::SessionGone(410),
];

const QUOTA: Fault =
    Fault::Refused(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.");

/// What only befalls requests for tokens.
const AT_TOKENS: [Fault; 3] = [
    Fault::NotGranted(500, "internal_failure"),
    Fault::NotGranted(503, "temporarily_unavailable"),
    Fault::NotGranted(429, "rate_limit_exceeded"),
];

/// What goes wrong with a request, and how often.
fn fault(schedule: u64, run: u64, index: usize, kind: Kind) -> Option<(Fault, u32)> {
    let chance = chance(schedule, run, index)?;
    let of_kind = match kind {
        Kind::Token => chance.pick(&AT_TOKENS),
        Kind::List => Fault::Incomplete,
        Kind::Begin => QUOTA,
        Kind::Chunk | Kind::Ask => chance.pick(&AT_SESSIONS),
        Kind::Small | Kind::Record => Fault::Changed,
        _ => Fault::Unauthorized,
    };
    let fault = match (chance.what, kind) {
        (0..20, Kind::Token) => return Some((Fault::NotGranted(400, "invalid_grant"), u32::MAX)),
        (0..30, Kind::Chunk | Kind::Small) => return Some((QUOTA, u32::MAX)),
        (0..150, _) => return Some((chance.pick(&LASTING), u32::MAX)),
        (150..350, _) => of_kind,
        (350..400, Kind::Chunk) => Fault::Changed,
        (400..450, kind) if kind != Kind::Token => Fault::Expired,
        (450..550, kind) if kind != Kind::Token => Fault::Unauthorized,
        (550..700, _) => Fault::CutAfter,
        _ => chance.pick(&PASSING),
    };
    match fault {
        // A stall takes its time, so it is rare.
        Fault::Silence => chance.slowly.then_some((fault, 1)),
        fault => Some((fault, chance.times)),
    }
}

/// The id of the shared drive that some schedules use.
const SHARED: &str = "0ASHAREDSHAREDUk9PVA";

/// A drive of its own, and how it is spoken to.
struct Drive {
    fake: Fake,
    number: u64,
    armed: Arc<Mutex<Armed<Kind, Fault>>>,
    met: Mutex<Vec<(Kind, Fault)>>,
}

impl Drive {
    /// Every third drive's listings lag behind by some listings, half of them with its folders, and have short pages.
    fn new(number: u64) -> Self {
        let fake = Fake::start();
        {
            let mut world = fake.world();
            world.add_drive(SHARED, "Team backups");
            if number % 3 == 2 {
                world.switches.list_lag = 1 + number % 7 * 5;
                world.switches.folders_lag = number % 6 == 5;
                world.switches.page = 2;
            }
        }
        Self { fake, number, armed: Arc::default(), met: Mutex::default() }
    }

    fn config(&self) -> Config {
        // Not by the number itself: how much goes wrong goes by its last bits.
        let way = self.number / 4;
        let chunk = CHUNK * if way.is_multiple_of(2) { 1 } else { 2 };
        Config {
            chunk_size: Some(ByteSize(chunk as u64)),
            stall_timeout: Some(Span(STALL)),
            trash: Some(way % 3 == 2),
            shared_drive: (self.number % 5 == 4).then(|| SHARED.to_owned()),
            ..config(&self.fake)
        }
    }
}

impl Service for Drive {
    type Injected = (usize, Kind, Fault);

    fn arm(&self, schedule: u64, run: u64) {
        *self.armed.lock().unwrap() = Armed::new(move |index, kind| fault(schedule, run, index, kind));
        let armed = Arc::clone(&self.armed);
        self.fake.world().faults.plan(move |name, kind| armed.lock().unwrap().fault(name, kind));
    }

    fn disarm(&self) -> Vec<Self::Injected> {
        self.fake.world().faults.clear();
        let injected = std::mem::take(&mut *self.armed.lock().unwrap()).injected().to_vec();
        self.met.lock().unwrap().extend(injected.iter().map(|(_, kind, fault)| (*kind, *fault)));
        injected
    }

    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(store(self.config()).await.retrying(hurried()))
    }

    fn lags(&self) -> bool {
        self.fake.world().switches.list_lag > 0
    }

    fn settle(&self) {
        self.fake.world().switches.list_lag = 0;
    }

    /// Folders of one name are as wrong as files of one name, unless they cannot be seen.
    async fn objects(&self) -> Objects {
        let world = self.fake.world();
        let folders = world.files.values().filter(|entry| entry.mime == FOLDER);
        let mut places = BTreeSet::new();
        for folder in folders.filter(|_| !world.switches.folders_lag) {
            assert!(places.insert((&folder.parent, &folder.name)), "`{}` is there twice", folder.name);
        }
        let mut found = Objects::new();
        for file in world.objects() {
            found.entry(file.name.clone()).or_default().push(file.content.to_vec());
        }
        found
    }

    /// A token is replaced once, and a dump is begun again twice. What is changed on its way, or was not searched to its
    /// end, is for good.
    fn passes(injected: &[Self::Injected]) -> bool {
        let count =
            |wanted: fn(&Fault) -> bool| injected.iter().filter(|(_, _, fault)| wanted(fault)).count();
        let refused = count(|fault| matches!(fault, Fault::Unauthorized | Fault::Expired));
        let lost = count(|fault| matches!(fault, Fault::SessionGone(_)));
        let all =
            [PASSING.as_slice(), &AT_SESSIONS, &AT_TOKENS, &[Fault::Unauthorized, Fault::Expired]].concat();
        refused <= 1 && lost <= 2 && injected.iter().all(|(_, _, fault)| all.contains(fault))
    }

    /// It was made, and no answer said so.
    fn is_unanswered((_, kind, fault): &Self::Injected) -> bool {
        let answers = matches!(fault, Fault::Changed | Fault::Expired);
        *kind == Kind::Record && fault.when() == When::After && !answers
    }

    fn is_left_damaged(injected: &[Self::Injected]) -> bool {
        let is = |wanted: Kind| injected.iter().any(move |(_, kind, _)| *kind == wanted);
        injected.iter().any(|(_, kind, fault)| (*kind, *fault) == (Kind::Record, Fault::Changed))
            && (is(Kind::Remove) || is(Kind::Look) || is(Kind::Token))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_a_run_says_what_the_drive_has() {
    let met = Mutex::new((BTreeSet::new(), BTreeSet::new()));
    let tally = all(0..24, AT_ONCE, async |number| {
        let drive = Drive::new(number);
        // In one request, or in five to ten chunks.
        let size = if number.is_multiple_of(5) { 200_000 } else { 2_500_000 };
        let tally = schedule(&drive, number, size).await;
        let mut met = met.lock().unwrap();
        for (kind, fault) in drive.met.lock().unwrap().iter() {
            met.0.insert(*kind);
            met.1.insert(format!("{fault:?}"));
        }
        tally
    });
    let tally = tally.await;
    let (kinds, faults) = met.into_inner().unwrap();
    println!("{} faults at {} kinds of requests: {faults:?}", faults.len(), kinds.len());
    assert!(tally.faults > 500 && tally.good > 50 && tally.failed > 20, "{tally:?}");
    assert!(tally.recovered > 10, "{tally:?}");
    assert!(tally.pruned > 15 && tally.not_pruned > 3 && tally.swept > 5, "{tally:?}");
    assert!(faults.len() >= 25 && kinds.len() >= 12, "{faults:?} at {kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_changed_or_doubled_is_seen() {
    let (site, drive) = (Site::new(), Drive::new(0));
    site.fill(&noise(1_000, 1));
    assert_eq!(site.backup(drive.store().await).await.exit(), Exit::Good);
    let sound = drive.objects().await;
    assert_damages_are_seen(&sound);
    // As the drive itself may have it.
    {
        let mut world = drive.fake.world();
        let twin = world.objects()[0].clone();
        world.insert(&json!({ "name": twin.name }), &twin.parent, &twin.app, None, twin.content);
    }
    assert_eq!(damages(&drive.objects().await).len(), 1);
}
