//! The binary: sets the process up, runs one verb, says once what went wrong, and returns the exit code.

use chupacabra::cli::{Cli, Session, output};
use chupacabra::exit::Exit;
use chupacabra::shutdown::Shutdown;
use clap::Parser as _;

fn main() -> Exit {
    // Several clients take the process-wide TLS provider; without one, or with two, they panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let parsed = Cli::try_parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::early("the runtime cannot be started", &error),
    };
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let (exit, mesh) = Cli::refused(&error);
            runtime.block_on(mesh.quit());
            return exit;
        }
    };
    let shutdown = {
        let _guard = runtime.enter();
        match Shutdown::listen() {
            Ok(shutdown) => shutdown,
            Err(error) => return output::early("signals cannot be received", &error),
        }
    };
    let session = cli.session(shutdown.clone());
    let mesh = cli.mesh();
    // A panic has been told by its hook; it must not end in an exit code of its own.
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(run(cli, &session, &shutdown)));
    let exit = std::panic::catch_unwind(run).unwrap_or(Exit::Unexpected);
    // Whatever became of the run: a sidecar that stays keeps the Job, and with it the schedule, from going on.
    runtime.block_on(mesh.quit());
    // Whoever is still blocked in a read must not hold the end of the process up.
    runtime.shutdown_background();
    exit
}

async fn run(cli: Cli, session: &Session, shutdown: &Shutdown) -> Exit {
    let ends_in_order = cli.ends_in_order();
    let done = tokio::select! {
        done = cli.run(session) => done,
        () = shutdown.at_once(ends_in_order) => return shutdown.exit(Exit::Unexpected),
    };
    let exit = done.unwrap_or_else(|error| output::problem(&error, session));
    // What is cut short may look as if it were all.
    if ends_in_order { exit } else { shutdown.exit(exit) }
}
