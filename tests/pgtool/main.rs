#[path = "../support/mod.rs"]
mod support;
use chupacabra::config::Config;
use chupacabra::package::{pipe, seal};
use chupacabra::sources::postgres;
use support::package::{collect, key, keys, settings};
use tokio_util::sync::CancellationToken;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dump() {
    let out = std::env::var("OUT").unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&std::env::var("CFG").unwrap()).unwrap();
    let config: postgres::Config = serde_json::from_value(config.take()).unwrap();
    let mut context = chupacabra::config::context::Context::default();
    let plan = config.plan(&mut context);
    println!("{:?}", context.into_problems());
    let source = postgres::Postgres::new(plan.unwrap());
    println!("{:?}", source.probe().await);
    let keys = keys();
    let settings = settings(&keys.recipient);
    let (pw, pr) = pipe::pipe(2);
    let (iw, ir) = pipe::pipe(2);
    let (outlet, sealing) = seal(&settings, &key("pg").to_string(), pw, iw).unwrap();
    let package = tokio::spawn(collect(pr));
    let index = tokio::spawn(collect(ir));
    let t = std::time::Instant::now();
    let summary = source.dump(outlet, &CancellationToken::new()).await;
    match summary {
        Ok(s) => println!("{s:?} {:?}", t.elapsed()),
        Err(e) => {
            let mut e: &dyn std::error::Error = &e;
            loop {
                println!("error: {e}");
                match e.source() {
                    Some(s) => e = s,
                    None => break,
                }
            }
            panic!()
        }
    }
    let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
    println!("{packed:?}");
    std::fs::write(format!("{out}.age"), package.await.unwrap().0).unwrap();
    std::fs::write(format!("{out}.key"), &keys.text).unwrap();
    let _ = index.await.unwrap();
}
