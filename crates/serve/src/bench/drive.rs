use anyhow::ensure;
use serde::Serialize;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rate and waiting times of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
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

/// What came of many requests on the way.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub answers: usize,
    pub per_second: f64,
}

/// Many requests on the way over each of some connections.
pub fn pipelined(
    connections: usize,
    depth: usize,
    path: &Path,
    requests: &[Vec<u8>],
    length: Duration,
) -> anyhow::Result<Flow> {
    let run = |n: usize| -> anyhow::Result<Flow> {
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
        let per_second = answers as f64 / begun.elapsed().as_secs_f64();
        Ok(Flow { answers, per_second })
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..connections).map(|n| scope.spawn(move || run(n))).collect();
        let mut all = Flow {
            answers: 0,
            per_second: 0.0,
        };
        for run in runs {
            let flow = run
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.answers += flow.answers;
            all.per_second += flow.per_second;
        }
        Ok(all)
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

/// Reads one answer (a line, a frame, or a text of redis), and makes sure that it is no refusal.
fn answer(reader: &mut BufReader<UnixStream>, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut head = [0; 4];
    reader.read_exact(&mut head)?;
    buffer.clear();
    let refused = match head[0] {
        b'{' => {
            reader.read_until(b'\n', buffer)?;
            // The id, which is a number here, comes before it.
            !buffer.windows(9).take(32).any(|part| part == b"\"ok\":true")
        }
        b'$' => {
            reader.read_until(b'\n', buffer)?;
            reader.read_until(b'\n', buffer)?;
            head[1] == b'-'
        }
        _ => {
            buffer.resize(u32::from_be_bytes(head) as usize, 0);
            reader.read_exact(buffer)?;
            buffer.get(1) == Some(&haggle_serve::REFUSAL_TYPE)
        }
    };
    ensure!(!refused, "refused: {}", String::from_utf8_lossy(buffer));
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
