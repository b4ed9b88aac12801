//! TLS, SCRAM and X.509, against a server with certificates of our own making.

use std::path::Path;

use chupacabra::sources::mongodb::{Error, MongoDb};

use crate::support::mongodb::{Dump, How, Mongod, dump, plan_with, python};
use crate::support::{scratch, shell};

/// An authority, a certificate of the server for `127.0.0.1`, two of clients, and an authority that nobody trusts.
fn certificates(dir: &Path) {
    shell(&format!(
        "cd {}
        authority() {{ openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj \"/CN=$1\" -keyout $1.key -out $1.pem; }}
        signed() {{
            openssl req -newkey rsa:2048 -nodes -subj \"$2\" -keyout $1.key -out $1.csr
            openssl x509 -req -in $1.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 30 -out $1.crt \\
                -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\\n')
            cat $1.crt $1.key > $1.pem
        }}
        {{
            authority authority; authority stranger
            signed server /O=server/CN=127.0.0.1
            signed backup /O=shop/OU=ops/CN=backup
            signed nobody /O=shop/OU=ops/CN=nobody
        }} 2>openssl.log
        chmod 644 *.pem",
        dir.display()
    ));
}

fn file(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

async fn attempt(url: &str, lines: &str) -> Result<Dump, Error> {
    MongoDb::new(plan_with(url, lines)).probe().await?;
    dump(plan_with(url, lines)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_scram_and_with_x509() {
    let dir = scratch();
    certificates(dir.path());
    let (authority, own) = (file(dir.path(), "authority.pem"), file(dir.path(), "server.pem"));
    let args = [
        "--tlsMode",
        "requireTLS",
        "--tlsCertificateKeyFile",
        &own,
        "--tlsCAFile",
        &authority,
        "--tlsAllowConnectionsWithoutCertificates",
    ];
    let server = Mongod::start(How {
        set: Some("rs0"),
        auth: true,
        // Its first connections need TLS too: it is set up here.
        joins: true,
        args: args.map(str::to_owned).to_vec(),
        ..How::default()
    });
    let port = server.port();
    python(&format!(
        "def client(who): return MongoClient(f'mongodb://{{who}}127.0.0.1:{port}/?directConnection=true&tls=true', tlsCAFile='{authority}')\n\
         direct = client('')\n\
         direct.admin.command('replSetInitiate', {{'_id': 'rs0', 'members': [{{'_id': 0, 'host': '127.0.0.1:{port}'}}]}})\n\
         while not direct.admin.command('hello')['isWritablePrimary']: time.sleep(0.02)\n\
         direct.admin.command('createUser', 'root', pwd='root', roles=['root'])\n\
         root = client('root:root@')\n\
         root.shop.orders.insert_many([{{'_id': i}} for i in range(100)])\n\
         root['$external'].command('createUser', 'CN=backup,OU=ops,O=shop', roles=[{{'role': 'backup', 'db': 'admin'}}])"
    ));
    let trusted = format!("ca_file: {authority}");
    let scram = |who: &str| format!("mongodb://{who}@127.0.0.1:{port}/?replicaSet=rs0&tls=true");
    let rows = |dump: Dump| dump.object("shop.orders").fingerprint.rows;
    assert_eq!(rows(attempt(&scram("root:root"), &trusted).await.unwrap()), 100);
    // The authority may stand in the connection string instead.
    let written = format!("{}&tlsCAFile={}", scram("root:root"), authority.replace('/', "%2F"));
    assert_eq!(rows(attempt(&written, "").await.unwrap()), 100);
    let x509 = |who: &str| {
        let certificate = file(dir.path(), who).replace('/', "%2F");
        format!(
            "mongodb://127.0.0.1:{port}/?replicaSet=rs0&tls=true&authMechanism=MONGODB-X509\
             &tlsCertificateKeyFile={certificate}"
        )
    };
    assert_eq!(rows(attempt(&x509("backup.pem"), &trusted).await.unwrap()), 100);

    let refused = async |url: String, lines: &str| {
        let limited = format!("{url}&serverSelectionTimeoutMS=2000");
        attempt(&limited, lines).await.map(|_| ()).unwrap_err().to_string()
    };
    let unknown = refused(x509("nobody.pem"), &trusted).await;
    assert!(unknown.starts_with("the server refused the credentials: "), "{unknown}");
    let wrong = refused(scram("root:wrong"), &trusted).await;
    assert!(wrong.starts_with("the server refused the credentials: "), "{wrong}");
    for lines in ["", &format!("ca_file: {}", file(dir.path(), "stranger.pem"))] {
        let untrusted = refused(scram("root:root"), lines).await;
        assert!(
            untrusted.starts_with("no server could be reached: ") && untrusted.contains("certificate"),
            "{untrusted}"
        );
    }
    let plain = refused(scram("root:root").replace("&tls=true", ""), "").await;
    assert!(plain.starts_with("no server could be reached: "), "{plain}");
    let missing = refused(scram("root:root"), "ca_file: /nowhere/ca.pem").await;
    assert!(missing.contains("/nowhere/ca.pem") || missing.contains("No such file"), "{missing}");
}
