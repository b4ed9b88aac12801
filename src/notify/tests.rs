//! Against a real HTTP server on loopback: what is sent, what is tried again, and that no secret is ever told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::config;
use crate::report::{Job, Status, Stopped};

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    Say(&'static str),
    /// Repeats the whole request in the body of a refusal.
    Echo,
    Silence,
    HangUp,
}

/// Serves the answers in turn, the last for ever; collects the requests.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (Arc::clone(&requests), VecDeque::from(answers.to_vec()));
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] };
                let said = match answer {
                    Answer::Say(said) => said.to_owned(),
                    Answer::Echo => {
                        format!(
                            "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{request}",
                            request.len()
                        )
                    }
                    Answer::Silence | Answer::HangUp => String::new(),
                };
                kept.lock().unwrap().push(request);
                let _ = stream.write_all(said.as_bytes()).await;
                if matches!(answer, Answer::Silence) {
                    silent.push(stream);
                }
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        assert!(count > 0, "the request ended early: {text}");
    }
}

const OK: Answer = Answer::Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
const BUSY: Answer = Answer::Say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
const SECRET: &str = "123456:AAhush-Very_Secret";

/// A plan with these notifications; each secret is in a file of its own.
fn notifiers(port: u16, kind: &str, more: &str) -> Vec<Notifier> {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", SECRET.to_owned());
    let url = file("url", format!("http://127.0.0.1:{port}/hooks/{SECRET}"));
    let kind = match kind {
        "telegram" => {
            format!("telegram: {{ token: {{ file: {token} }}, chat: '-7', api: 'http://127.0.0.1:{port}' }}")
        }
        "webhook" => format!("webhook: {{ url: {{ file: {url} }}, token: {{ file: {token} }} }}"),
        other => format!("{other}: {{ url: {{ file: {url} }} }}"),
    };
    let text = format!(
        "encryption: {{ recipients: [age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup] }}\n\
         stores: {{ nas: {{ local: {{ path: /mnt/nas }} }} }}\n\
         sources: {{ web: {{ files: {{ path: /srv/web }} }} }}\n\
         notifications:\n  one:\n    {kind}\n{more}"
    );
    config::load::plan(&text, std::path::Path::new("c.yaml")).unwrap().notifications
}

fn report(statuses: &[Status]) -> Report {
    let job = |(number, status): (usize, &Status)| {
        let source: SourceName = format!("shop-{number}").parse().unwrap();
        Job {
            key: crate::catalog::Key::new(source.clone(), at()),
            source,
            kind: "files",
            status: *status,
            stores: Vec::new(),
            record: None,
            error: if *status == Status::Good {
                vec![]
            } else {
                vec!["cannot <read> it".into(), "gone".into()]
            },
            help: None,
            seconds: 1.0,
        }
    };
    Report {
        started: at(),
        finished: at(),
        jobs: statuses.iter().enumerate().map(job).collect(),
        problems: Vec::new(),
        stopped: None,
    }
}

fn at() -> crate::clock::Timestamp {
    "2026-11-21T02:30:00Z".parse().unwrap()
}

#[tokio::test]
async fn each_kind_says_what_happened_in_its_own_way() {
    let partial = report(&[Status::Good, Status::Failed]);
    for (kind, wanted) in [
        (
            "telegram",
            vec![
                "POST /bot123456:AAhush-Very_Secret/sendMessage ",
                r#""chat_id":"-7""#,
                "cannot <read> it: gone",
            ],
        ),
        (
            "slack",
            vec![
                "POST /hooks/",
                "shop-1 (files): FAILED: cannot &lt;read&gt; it: gone",
                "backup PARTIAL: 1 of 2 good",
            ],
        ),
        (
            "webhook",
            vec![
                "authorization: Bearer 123456:AAhush-Very_Secret",
                r#""event":"partial""#,
                r#""report":{"started""#,
            ],
        ),
        ("healthchecks", vec!["POST /hooks/123456:AAhush-Very_Secret/fail ", "backup PARTIAL: 1 of 2 good"]),
    ] {
        let server = Server::start(&[OK]).await;
        notify(&notifiers(server.port, kind, ""), News::End(&partial)).await;
        let requests = server.requests();
        assert_eq!(requests.len(), 1, "{kind}");
        for text in wanted {
            assert!(requests[0].contains(text), "{kind}: no `{text}` in\n{}", requests[0]);
        }
    }
}

#[tokio::test]
async fn a_problem_of_the_whole_run_is_told_although_every_job_is_good() {
    let mut doubtful = report(&[Status::Good]);
    doubtful.problems.push("the sizes cannot be had".to_owned());
    let server = Server::start(&[OK]).await;
    notify(&notifiers(server.port, "webhook", "    on: [partial]\n"), News::End(&doubtful)).await;
    let request = &server.requests()[0];
    for text in ["backup PARTIAL: 1 of 1 good\\nthe sizes cannot be had", r#""problems":["the sizes"#] {
        assert!(request.contains(text), "no `{text}` in\n{request}");
    }
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let sources = ["web".parse().unwrap()];
    let (good, partial) = (report(&[Status::Good]), report(&[Status::Good, Status::Suspicious]));
    let (failed, mut stopped) = (report(&[Status::Failed]), report(&[Status::Good]));
    stopped.stopped = Some(Stopped::Terminated);
    let all = [
        News::Start(&sources),
        News::End(&good),
        News::End(&partial),
        News::End(&failed),
        News::End(&stopped),
        News::Broken("why"),
    ];
    for (kind, more, told) in [
        ("slack", "", 4),
        ("healthchecks", "", 6),
        ("slack", "    on: [start]\n", 1),
        ("slack", "    on: [success]\n", 1),
        ("slack", "    on: [partial]\n", 1),
        ("slack", "    on: [failure]\n", 3),
    ] {
        let server = Server::start(&[OK]).await;
        let notifiers = notifiers(server.port, kind, more);
        for news in all {
            notify(&notifiers, news).await;
        }
        assert_eq!(server.requests().len(), told, "{kind} {more}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_refusal_is_not() {
    let good = report(&[Status::Good]);
    let server = Server::start(&[BUSY, Answer::HangUp, OK]).await;
    notifiers(server.port, "slack", "")[0].tell(News::End(&good)).await.unwrap();
    assert_eq!(server.requests().len(), 3);

    let refusal = Answer::Say("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno_team");
    let server = Server::start(&[refusal]).await;
    let error = notifiers(server.port, "slack", "")[0].tell(News::End(&good)).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 404 Not Found: no_team");
    assert_eq!(server.requests().len(), 1);
}

/// healthchecks.io refuses in the body of a 200.
#[tokio::test]
async fn a_monitor_that_counts_nothing_is_no_success() {
    let good = report(&[Status::Good]);
    let unknown = Answer::Say("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nOK (not found)");
    let later = Answer::Say("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nOK (rate limited)\n");
    let server = Server::start(&[unknown]).await;
    let error = notifiers(server.port, "healthchecks", "")[0].tell(News::End(&good)).await.unwrap_err();
    assert!(error.to_string().ends_with("correct `url`"), "{error}");
    assert_eq!(server.requests().len(), 1);
    // Such a body means nothing to anyone else.
    notifiers(server.port, "webhook", "")[0].tell(News::End(&good)).await.unwrap();

    let server = Server::start(&[later, OK]).await;
    notifiers(server.port, "healthchecks", "")[0].tell(News::End(&good)).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn telegrams_own_way_to_ask_for_time_is_understood() {
    let later = Answer::Say(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 77\r\n\r\n\
         {\"ok\":false,\"error_code\":429,\"description\":\"\",\"parameters\":{\"retry_after\":1}}",
    );
    let server = Server::start(&[later, OK]).await;
    let began = Instant::now();
    notifiers(server.port, "telegram", "")[0].tell(News::Broken("x")).await.unwrap();
    assert_eq!(server.requests().len(), 2);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_fails_nothing() {
    let mut stopped = report(&[Status::Good]);
    stopped.stopped = Some(Stopped::Terminated);
    let server = Server::start(&[Answer::Silence]).await;
    let notifiers = notifiers(server.port, "slack", "    timeout: 200ms\n");
    let began = Instant::now();
    // When the process was told to stop, all attempts together must end within the grace period.
    notify(&notifiers, News::End(&stopped)).await;
    assert!(began.elapsed() < WHEN_STOPPED + Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(server.requests().len() > 1);
}

#[tokio::test]
async fn no_error_ever_holds_a_secret_even_if_the_server_repeats_it() {
    let good = report(&[Status::Good]);
    for kind in ["telegram", "slack", "webhook", "healthchecks"] {
        let server = Server::start(&[Answer::Echo]).await;
        let error = notifiers(server.port, kind, "")[0].tell(News::End(&good)).await.unwrap_err();
        // The negative control: it was in the request, and the answer repeated the request.
        assert!(server.requests()[0].contains(SECRET), "{kind}");
        let told = format!(
            "{} {error:?} {:?}",
            crate::report::chain(&error).join(": "),
            notifiers(server.port, kind, "")
        );
        assert!(told.contains("400 Bad Request: POST "), "{kind}: {told}");
        for part in [SECRET, "AAhush", "Very_Secret"] {
            assert!(!told.contains(part), "{kind}: {told}");
        }
    }
    // Nobody listens there any more.
    let port =
        { TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port() };
    let request = Request::text(&format!("http://127.0.0.1:{port}/{SECRET}"), String::new()).unwrap();
    let none = Proxies::default();
    let sent = http::send(&request, Duration::from_secs(5), &[], &none);
    let error = tokio::time::timeout(Duration::from_mins(1), sent).await.unwrap().unwrap_err();
    assert!(!format!("{error:?}").contains("AAhush"), "{error:?}");
}

/// The server of these tests stands for a proxy: nobody else knows the host.
#[tokio::test]
async fn a_proxy_forwards_or_connects_and_is_named_when_it_does_not() {
    let good = report(&[Status::Good]);
    let through = |port: u16| {
        let mut notifier = notifiers(port, "webhook", "").remove(0);
        notifier.proxies = Proxies::before_all(&format!("http://user:hunter2@127.0.0.1:{port}"));
        notifier
    };
    let to = |notifier: &mut Notifier, url: &str| match &mut notifier.channel {
        Channel::Webhook(plan) => plan.url = Secret::new(url),
        _ => panic!("another channel"),
    };
    let server = Server::start(&[OK]).await;
    let mut notifier = through(server.port);
    to(&mut notifier, "http://hook.example.test/path");
    notifier.tell(News::End(&good)).await.unwrap();
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST http://hook.example.test/path "), "{request}");
    assert!(request.contains("proxy-authorization: Basic dXNlcjpodW50ZXIy"), "{request}");
    // This machine is spoken to as ever.
    notifiers(server.port, "webhook", "")[0].tell(News::End(&good)).await.unwrap();
    assert!(server.requests()[1].starts_with("POST /hooks/"), "{:?}", server.requests());

    for (said, told) in [
        ("HTTP/1.1 407 No\r\n\r\n", "wants other credentials (407)"),
        ("HTTP/1.1 403 No\r\n\r\n", "does not connect to the service"),
    ] {
        let server = Server::start(&[Answer::Say(said)]).await;
        let mut notifier = through(server.port);
        to(&mut notifier, "https://hook.example.test/path");
        let error = notifier.tell(News::End(&good)).await.unwrap_err();
        let named = format!("cannot reach the server: the proxy http://127.0.0.1:{} {told}", server.port);
        assert!(
            error.to_string().starts_with(&named) && !format!("{error:?}").contains("hunter2"),
            "{error:?}"
        );
        let request = server.requests().remove(0);
        assert!(request.starts_with("CONNECT hook.example.test:443 HTTP/1.1"), "{request}");
        assert!(request.contains("dXNlcjpodW50ZXIy"), "{request}");
    }
}

#[test]
fn a_message_is_cut_and_holds_no_control_characters() {
    let mut report = report(&[Status::Failed; 200]);
    report.jobs[0].error = vec!["line\nbreak\u{1b}[31m ".repeat(100)];
    let text = message::text(News::End(&report), Some("prod"), 4096);
    assert_eq!(text.chars().count(), 4096);
    assert!(
        text.starts_with("[prod] backup FAILED: 0 of 200 good\nshop-0 (files): FAILED: line break [31m"),
        "{text}"
    );
    assert!(text.ends_with('…') && !text.contains('\u{1b}'));
}
