use anyhow::{Context, ensure};
use serde::Serialize;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of an echo: about those of a request in a frame.
const ECHO_BYTES: usize = 128;

/// Rate and waiting times of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

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

/// One request at a time over one connection.
pub fn in_turn(path: &Path, requests: &[Vec<u8>], length: Duration) -> anyhow::Result<Times> {
    let (waits, elapsed) = turns(path, requests, 0, length)?;
    Ok(times(waits, elapsed))
}

/// One request at a time over each of many connections.
pub fn many(
    connections: usize,
    path: &Path,
    requests: &[Vec<u8>],
    length: Duration,
) -> anyhow::Result<Times> {
    let mut all = Vec::new();
    let mut longest = Duration::ZERO;
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let runs: Vec<_> = (0..connections)
            .map(|n| scope.spawn(move || turns(path, requests, n * 97, length)))
            .collect();
        for run in runs {
            let (waits, elapsed) = run
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.extend(waits);
            longest = longest.max(elapsed);
        }
        Ok(())
    })?;
    Ok(times(all, longest))
}

/// Many requests on the way over each of some connections; answers per second.
pub fn pipelined(
    connections: usize,
    depth: usize,
    path: &Path,
    requests: &[Vec<u8>],
    length: Duration,
) -> anyhow::Result<f64> {
    let run = |n: usize| -> anyhow::Result<f64> {
        let stream = UnixStream::connect(path)?;
        let mut reader = BufReader::with_capacity(1 << 17, stream.try_clone()?);
        let (begun, mut answers, mut buffer) = (Instant::now(), 0, Vec::new());
        let mut windows = requests.chunks(depth).cycle().skip(n * 13);
        while begun.elapsed() < length {
            let window = windows.next().unwrap_or_default();
            (&stream).write_all(&window.concat())?;
            for _ in window {
                answer(&mut reader, &mut buffer)?;
            }
            answers += window.len();
        }
        Ok(answers as f64 / begun.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..connections).map(|n| scope.spawn(move || run(n))).collect();
        let mut rate = 0.0;
        for run in runs {
            rate += run
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(rate)
    })
}

fn turns(
    path: &Path,
    requests: &[Vec<u8>],
    first: usize,
    length: Duration,
) -> anyhow::Result<(Vec<f64>, Duration)> {
    let stream = UnixStream::connect(path)?;
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone()?);
    let (begun, mut waits, mut buffer) = (Instant::now(), Vec::new(), Vec::new());
    for request in requests.iter().cycle().skip(first % requests.len()) {
        if begun.elapsed() >= length {
            break;
        }
        let sent = Instant::now();
        (&stream).write_all(request)?;
        answer(&mut reader, &mut buffer)?;
        waits.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok((waits, begun.elapsed()))
}

/// Reads one answer, a line or a frame, and makes sure that it is no refusal.
fn answer(reader: &mut BufReader<UnixStream>, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut head = [0; 4];
    reader.read_exact(&mut head)?;
    buffer.clear();
    if head[0] == b'{' {
        std::io::BufRead::read_until(reader, b'\n', buffer)?;
        let refused = buffer.windows(10).any(|part| part == b"\"ok\":false");
        ensure!(!refused, "refused: {}", String::from_utf8_lossy(buffer));
    } else {
        buffer.resize(u32::from_be_bytes(head) as usize, 0);
        reader.read_exact(buffer)?;
        ensure!(
            buffer.get(1) != Some(&haggle_serve::REFUSAL_TYPE),
            "refused: {}",
            String::from_utf8_lossy(buffer)
        );
    }
    Ok(())
}

fn times(mut waits: Vec<f64>, elapsed: Duration) -> Times {
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| {
        waits
            .get((waits.len() as f64 * share) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    Times {
        per_second: waits.len() as f64 / elapsed.as_secs_f64(),
        p50_us: at(0.5),
        p99_us: at(0.99),
    }
}
