//! Service meshes: a sidecar that is an ordinary container outlives the run, and its Job never ends. It is told to quit.
//!
//! Native sidecars (init containers that stay) end by themselves: for them nothing must be configured, and then nothing
//! is done.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the sidecar may take to answer. The run is over: nothing is lost but a Job that does not end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A mesh whose sidecar stands beside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mesh {
    /// Nothing is told to quit.
    None,
    /// Istio: `POST :15020/quitquitquit`.
    Istio,
    /// Linkerd: `POST :4191/shutdown`.
    Linkerd,
}

impl Mesh {
    fn door(self) -> Option<(u16, &'static str)> {
        match self {
            Self::None => None,
            Self::Istio => Some((15_020, "/quitquitquit")),
            Self::Linkerd => Some((4_191, "/shutdown")),
        }
    }

    /// Tells the sidecar to quit. A sidecar that does not answer is told of in an event and changes nothing else.
    pub async fn quit(self) {
        let Some((port, path)) = self.door() else { return };
        match tokio::time::timeout(PATIENCE, post(port, path)).await {
            Ok(Ok(())) => tracing::info!(mesh = ?self, "the sidecar was told to quit"),
            Ok(Err(error)) => tracing::warn!(mesh = ?self, %error, "the sidecar was not told to quit"),
            Err(_) => tracing::warn!(mesh = ?self, "the sidecar did not answer"),
        }
    }
}

/// One request to this pod's own loopback, which a client with TLS and pools would be too much for.
async fn post(port: u16, path: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // The sidecar may well quit in mid-answer: what came until then decides.
    let read = stream.take(1024).read_to_end(&mut answer).await;
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    match (status, read) {
        ([b'2', ..], _) => Ok(()),
        (_, Err(error)) => Err(error),
        (status, Ok(_)) => {
            let status = String::from_utf8_lossy(status).into_owned();
            Err(std::io::Error::other(format!("the sidecar answered `{}`", status.escape_debug())))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer`; returns what was asked and what came of it.
    async fn asked(answer: &'static str) -> (String, std::io::Result<()>) {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            request.truncate(length);
            String::from_utf8(request).unwrap()
        };
        tokio::join!(server, post(port, "/quitquitquit"))
    }

    #[tokio::test]
    async fn a_sidecar_is_told_once_and_believed() {
        let (request, told) = asked("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert!(request.starts_with("POST /quitquitquit HTTP/1.1\r\n"), "{request}");
        told.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_and_an_empty_answer_are_errors() {
        for answer in ["HTTP/1.1 403 Forbidden\r\n\r\n", "", "nonsense"] {
            asked(answer).await.1.unwrap_err();
        }
    }

    #[test]
    fn nothing_is_done_for_no_mesh() {
        assert_eq!(Mesh::None.door(), None);
    }
}
