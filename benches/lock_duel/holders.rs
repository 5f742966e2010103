//! Who held which key, and when: on the clock that all processes of a machine share.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

/// One holder's time with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) key: u32,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
}

const BYTES: usize = 20;

/// The monotonic clock, which is the same in every process.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn file(folder: &Path, process: u32) -> PathBuf {
    folder.join(format!("intervals-{process}"))
}

/// Writes a process's intervals.
pub(crate) fn write(folder: &Path, process: u32, intervals: &[Interval]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(file(folder, process))?);
    for interval in intervals {
        file.write_all(&interval.key.to_le_bytes())?;
        file.write_all(&interval.from_ns.to_le_bytes())?;
        file.write_all(&interval.to_ns.to_le_bytes())?;
    }
    file.flush()
}

fn read(folder: &Path, process: u32) -> io::Result<Vec<Interval>> {
    let mut bytes = Vec::new();
    File::open(file(folder, process))?.read_to_end(&mut bytes)?;
    let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let interval = |bytes: &[u8]| Interval {
        key: u32::from_le_bytes(bytes[..4].try_into().unwrap_or_default()),
        from_ns: long(&bytes[4..12]),
        to_ns: long(&bytes[12..20]),
    };
    Ok(bytes.chunks_exact(BYTES).map(interval).collect())
}

/// How many of all processes' intervals begin before an earlier one of the same key has ended.
pub(crate) fn overlaps(folder: &Path, processes: u32) -> io::Result<u64> {
    let mut all = Vec::new();
    for process in 0..processes {
        all.extend(read(folder, process)?);
    }
    all.sort_unstable();
    Ok(count_overlaps(&all))
}

fn count_overlaps(sorted: &[Interval]) -> u64 {
    let mut overlaps = 0;
    let mut last: Option<Interval> = None;
    for interval in sorted {
        match &mut last {
            Some(last) if last.key == interval.key => {
                overlaps += u64::from(interval.from_ns < last.to_ns);
                last.to_ns = last.to_ns.max(interval.to_ns);
            }
            _ => last = Some(*interval),
        }
    }
    overlaps
}

/// The file in which the holders of a key count.
pub(crate) fn counter(folder: &Path, key: u32) -> PathBuf {
    folder.join(format!("count-{key}"))
}

/// Reads a number and writes it back, one higher, with nothing that would keep another one from doing so meanwhile.
pub(crate) fn count(folder: &Path, key: u32) -> io::Result<()> {
    let file = counter(folder, key);
    let counted = counted(&file)?;
    std::fs::write(file, (counted + 1).to_string())
}

/// How far a file has counted. One that two wrote at once may be cut short, and counts as far as it can be read.
pub(crate) fn counted(file: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
