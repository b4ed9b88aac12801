//! What a `mongos` is told. No registry has one, so its answer to `hello` comes from a listener that says nothing else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use chupacabra::sources::Request;
use chupacabra::sources::mongodb::{Error, MongoDb};
use mongodb::bson::{DateTime, Document, doc};

use crate::support::mongodb::{How, Mongod, dump, plan, restore};

/// Answers every message with this document, in the form in which it was asked: `OP_MSG` or the old `OP_QUERY`.
fn answer(mut stream: TcpStream, document: &Document) -> std::io::Result<()> {
    let body = document.to_vec().map_err(std::io::Error::other)?;
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        let number = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let (length, request, operation) = (number(0), number(4), number(12));
        let mut asked = vec![0; usize::try_from(length).unwrap() - 16];
        stream.read_exact(&mut asked)?;
        // Flags and kind of section; or flags, cursor, position and count.
        let (operation, head) = match operation {
            2004 => (1, [&8_i32.to_le_bytes()[..], &[0; 12], &1_i32.to_le_bytes()].concat()),
            _ => (2013, vec![0; 5]),
        };
        let length = i32::try_from(16 + head.len() + body.len()).unwrap();
        let reply: Vec<u8> =
            [length, 0, request, operation].iter().flat_map(|number| number.to_le_bytes()).collect();
        stream.write_all(&[reply, head, body.clone()].concat())?;
    }
}

/// A listener that lives as long as the test process.
fn server(document: Document) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("mongodb://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let document = document.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &document));
        }
    });
    url
}

fn hello() -> Document {
    doc! {
        "ok": 1, "isWritablePrimary": true, "ismaster": true, "maxBsonObjectSize": 16 << 20,
        "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0,
        "maxWireVersion": 17, "localTime": DateTime::now(), "version": "6.0.5",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mongos_is_refused_with_the_reason() {
    let mut router = hello();
    router.insert("msg", "isdbgrid");
    let url = server(router);
    let probed = MongoDb::new(plan(&url)).probe().await.map(|_| ()).unwrap_err();
    assert!(matches!(probed, Error::Mongos), "{probed}");
    assert!(probed.to_string().contains("mongos"), "{probed}");
    assert_eq!(
        probed.help().unwrap(),
        "back up the whole cluster by other means: snapshots of the volumes of every shard and of the config servers, or \
         `mongodump` through a mongos, each with the balancer stopped and writes locked",
        "with a way out"
    );
    assert!(matches!(dump(plan(&url)).await.map(|_| ()).unwrap_err(), Error::Mongos));
    // As a target it is refused too, for a reason of its own.
    let source = Mongod::start(How::default());
    let package = dump(plan(&source.url(None))).await.unwrap();
    let target = restore(&package, plan(&url), Request::default()).await.unwrap_err();
    assert!(target.to_string().starts_with("the target is a mongos of a sharded cluster: "), "{target}");
    // It is that one field: the same server without it is taken for a standalone, and fails later for what it lacks.
    let other = MongoDb::new(plan(&server(hello()))).probe().await.map(|_| ()).unwrap_err();
    assert!(!matches!(other, Error::Mongos), "{other}");
}
