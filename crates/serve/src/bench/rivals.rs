use anyhow::{Context, ensure};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of an echo, and of a text that redis is asked for: about those of a request in a frame.
const ECHO_BYTES: usize = 128;
const START_WAIT_MAX: Duration = Duration::from_secs(5);

/// A server that sends back what it gets: one blocking thread per connection, the least that a socket can cost.
pub struct Echo {
    pub path: PathBuf,
}

impl Echo {
    pub fn start() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("haggle-echo-{}", std::process::id()));
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || echo(stream));
            }
        });
        Ok(Self { path })
    }

    /// One message, framed as the daemon's are, so that the same reader reads it.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let mut message = (ECHO_BYTES as u32 - 4).to_be_bytes().to_vec();
        message.resize(ECHO_BYTES, 0);
        vec![message]
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Best effort: a file in the folder for temporary ones.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn echo(mut stream: UnixStream) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// A redis that knows one text, where `redis-server` is on the PATH.
pub struct Redis {
    pub path: PathBuf,
    server: Child,
}

impl Redis {
    /// None where there is none.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let path = std::env::temp_dir().join(format!("haggle-redis-{}", std::process::id()));
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&path)
            .stdout(Stdio::null())
            .spawn();
        let server = match server {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            server => server.context("redis-server")?,
        };
        let redis = Self { path, server };
        let begun = Instant::now();
        let mut stream = loop {
            match UnixStream::connect(&redis.path) {
                Ok(stream) => break stream,
                Err(error) => ensure!(
                    begun.elapsed() < START_WAIT_MAX,
                    "redis-server does not start: {error}"
                ),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = "x".repeat(ECHO_BYTES);
        write!(
            stream,
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ECHO_BYTES}\r\n{text}\r\n"
        )?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        ensure!(answer == *b"+OK\r\n", "redis-server does not take a text in");
        Ok(Some(redis))
    }

    /// The one request.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        vec![b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".to_vec()]
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Best effort: nothing of it is needed any more.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(&self.path);
    }
}
